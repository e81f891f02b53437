"""The four ways in which a candidate looks different from its reference although it means the same."""

import os
import tempfile

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from graph import Graph
from running import session_options

LEVELS = {
    "ort-basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "ort-extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
}


def renamed(model, rng, style, change_ends):
    """Foreign names throughout and another valid order of nodes and constants.

    @param style num (torch's counters), blob (Caffe's) or tf (scopes and ports)
    @param change_ends whether the graph's input and output are renamed too
    @return the model, and reference name -> new name
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    ends = {value.name for value in (*graph.input, *graph.output)}
    numbers = iter(rng.permutation(np.arange(10, 10 + 4 * (len(graph.node) + len(graph.initializer)) + 40)))
    names = {"": ""} if change_ends else {"": "", **{name: name for name in ends}}

    def foreign(name, op_type="const"):
        if name not in names:
            number = next(numbers)
            tf = f"model/{op_type.lower()}_{number}/{op_type}:0"
            names[name] = {"num": f"{number}", "blob": f"blob{number}", "tf": tf}[style]
        return names[name]

    del graph.value_info[:]
    order = list(graph.node)
    for node in order:
        node.output[:] = [foreign(name, node.op_type) for name in node.output]
    for node in order:
        node.input[:] = [foreign(name) for name in node.input]
        number = next(numbers)
        node.name = {"num": f"{node.op_type}_{number}", "blob": f"layer{number}", "tf": f"op__{number}"}[style]
    for value in (*graph.input, *graph.output, *graph.initializer):
        value.name = foreign(value.name)
    del graph.node[:]
    graph.node.extend(other_order(order, {value.name for value in (*graph.input, *graph.initializer)}, rng))
    stored = [graph.initializer[i] for i in rng.permutation(len(graph.initializer))]
    kept = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in stored]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    graph.name = "main"
    return copy, names


def other_order(nodes, known, rng):
    """A random order in which every node still stands behind those it reads."""
    known, waiting, order = {*known, ""}, [onnx.NodeProto.FromString(node.SerializeToString()) for node in nodes], []
    while waiting:
        ready = [i for i, node in enumerate(waiting) if all(name in known for name in node.input)]
        node = waiting.pop(ready[rng.integers(len(ready))])
        known.update(node.output)
        order.append(node)
    return order


def optimised(model, how):
    """`model` as ONNX Runtime saves it after its graph optimisation of level `how`."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "optimised.onnx")
        options = session_options(LEVELS[how])
        options.optimized_model_filepath = path
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(path)


def bn_folded(model):
    """Every batch normalisation behind a convolution that nothing else reads, folded into its weights."""
    graph = Graph(model)
    for node in graph.of("BatchNormalization"):
        above = graph.producer(node.input[0])
        if (
            above is None
            or above.op_type not in ("Conv", "ConvTranspose")
            or graph.only_consumer(above.output[0]) is None
        ):
            continue
        gamma, beta, mean, variance = (graph.weight(node, i).astype(np.float64) for i in (1, 2, 3, 4))
        scale = gamma / np.sqrt(variance + graph.attribute(node, "epsilon", 1e-5))
        bias = graph.weight(above, 2)
        shape = (-1, 1, 1, 1) if above.op_type == "Conv" else (1, -1, 1, 1)
        graph.set_weight(above, 1, graph.weight(above, 1) * scale.reshape(shape))
        shift = (beta + ((bias if bias is not None else 0) - mean) * scale).astype(np.float32)
        del above.input[2:]
        above.input.append(graph.add_constant(f"{above.name}_folded_bias", shift))
        output = node.output[0]
        graph.model.graph.node.remove(node)
        above.output[0] = output
    graph.drop_unused()
    return graph.model


def half_weights(model):
    """Weights rounded to float16 and stored as float32."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for tensor in copy.graph.initializer:
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) > 0:
            value = numpy_helper.to_array(tensor).astype(np.float16).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(value, tensor.name))
    return copy


def lifted_constants(model):
    """Constant nodes turned into initializers, as constant folding leaves them."""
    graph = Graph(model)
    for node in graph.of("Constant"):
        value, name = graph.constant(node.output[0]), node.output[0]
        graph.model.graph.node.remove(node)
        graph.model.graph.initializer.append(numpy_helper.from_array(value, name))
    return graph.model


def other_opset(model, opset):
    """`model` converted by ONNX's own version converter."""
    return onnx.version_converter.convert_version(model, opset)
