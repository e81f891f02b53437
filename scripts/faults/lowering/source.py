"""What both lowerings read: a graph whose shape arithmetic is already known, and matrices of unusual resizes."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from graph import Graph
from running import record, session_options


@dataclass(frozen=True)
class Source:
    """A graph in which every value is either an activation or a known constant (weights, folded shape arithmetic)."""

    graph: Graph
    nodes: list
    constants: dict[str, np.ndarray]
    #: height and width of every picture
    sizes: dict[str, list[int]]


def source_of(model, feed):
    graph = Graph(model)
    alive = {graph.input, *graph.activations()}
    names = [name for node in graph.nodes for name in node.output if name and name not in alive]
    constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.model.graph.initializer}
    if names:
        observed = onnx.ModelProto()
        observed.CopyFrom(graph.model)
        observed.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
        session = onnxruntime.InferenceSession(
            observed.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
        )
        constants.update(zip(names, session.run(names, {graph.input: feed}), strict=True))
    nodes = [node for node in graph.nodes if any(name in alive for name in node.output)]
    sizes = {name: list(value.shape[2:]) for name, value in record(model, feed).values.items() if value.ndim == 4}
    return Source(graph, nodes, constants, sizes)


def resize_matrix(node, before, after):
    """The [after, before] matrix that this Resize applies along one axis: its answers to the unit vectors."""
    attributes = [attribute for attribute in node.attribute if attribute.name != "axes"]
    resize = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"])
    resize.attribute.extend(attributes)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [resize],
        "one",
        [value("x", onnx.TensorProto.FLOAT, [before, 1, before, 1])],
        [value("y", onnx.TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.array([before, 1, after, 1], np.int64), "sizes")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    units = np.eye(before, dtype=np.float32).reshape(before, 1, before, 1)
    return session.run(None, {"x": units})[0][:, 0, :, 0].T.copy()


def pads_of(graph, node):
    """(begin, end) for height and width; automatic padding does not occur in these graphs."""
    top, left, bottom, right = graph.attribute(node, "pads", [0, 0, 0, 0])
    return (top, bottom), (left, right)
