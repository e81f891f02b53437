"""A network of 5,000 nodes, and the same under other names with one wrong epsilon.

    python bench/make-deep.py FOLDER

Writes deep.onnx and deep-fault.onnx into FOLDER: 714 residual blocks of seven nodes over 16 x 28 x 28, 251 MB of values.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CHANNELS, SIZE, NODES = 16, 28, 5000
FAULT_AT = 700


def build():
    random = np.random.default_rng(7)
    nodes, tensors = [], []

    def store(name, values):
        tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))

    def normalised(source, layer):
        store(f"w{layer}", random.normal(0, (2 / (CHANNELS * 9)) ** 0.5, (CHANNELS, CHANNELS, 3, 3)))
        store(f"scale{layer}", random.uniform(0.5, 1, CHANNELS))
        store(f"bias{layer}", random.normal(0, 0.1, CHANNELS))
        store(f"mean{layer}", random.normal(0, 0.1, CHANNELS))
        store(f"var{layer}", random.uniform(0.5, 1.5, CHANNELS))
        nodes.append(helper.make_node("Conv", [source, f"w{layer}"], [f"c{layer}"], f"conv{layer}", pads=[1, 1, 1, 1]))
        norm = [f"c{layer}", f"scale{layer}", f"bias{layer}", f"mean{layer}", f"var{layer}"]
        nodes.append(helper.make_node("BatchNormalization", norm, [f"n{layer}"], f"bn{layer}"))
        return f"n{layer}"

    value, layer = "x", 0
    store("branch", 0.2)
    while len(nodes) < NODES - 1:
        inner = normalised(value, layer)
        nodes.append(helper.make_node("Relu", [inner], [f"r{layer}"], f"relu{layer}"))
        outer = normalised(f"r{layer}", layer + 1)
        nodes.append(helper.make_node("Mul", [outer, "branch"], [f"m{layer}"], f"mul{layer}"))
        nodes.append(helper.make_node("Add", [f"m{layer}", value], [f"a{layer}"], f"add{layer}"))
        value, layer = f"a{layer}", layer + 2
    nodes.append(helper.make_node("GlobalAveragePool", [value], ["y"], "pool"))
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, SIZE, SIZE]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, CHANNELS, 1, 1]),
    ]
    graph = helper.make_graph(nodes, "deep", ends[:1], ends[1:], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def rename(model):
    keep, names = {"x", "y"}, {}

    def fresh(name):
        return name if name in keep else names.setdefault(name, f"v{len(names)}")

    for tensor in model.graph.initializer:
        tensor.name = fresh(tensor.name)
    for index, node in enumerate(model.graph.node):
        node.name = f"node_{index}"
        for field in (node.input, node.output):
            field[:] = [fresh(name) for name in field]


def main():
    folder = Path(sys.argv[1])
    model = build()
    onnx.save(model, folder / "deep.onnx")
    rename(model)
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    norms[FAULT_AT].attribute.append(helper.make_attribute("epsilon", 1e-3))
    onnx.save(model, folder / "deep-fault.onnx")


main()
