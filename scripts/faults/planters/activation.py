"""Faults of activation functions."""

import numpy as np
from onnx import helper

from graph import Graph
from planters.patterns import gelus, silus
from planters.planting import Planting, altered, inserted, removed, shuffled

SIMPLE = ("Relu", "LeakyRelu", "Tanh", "Elu", "PRelu", "HardSwish", "Clip", "HardSigmoid")


def activation_missing(graph, rng):
    for node in shuffled(rng, [*graph.of(*SIMPLE), *(product for _, product in silus(graph))]):
        keep = 0
        inner = ()
        if node.op_type == "Mul":
            sigmoid = next(s for s, product in silus(graph) if product.output[0] == node.output[0])
            keep, inner = list(node.input).index(sigmoid.input[0]), (sigmoid.output[0],)
        planting = removed(graph, node, keep, detail=f"no {node.op_type}", also=("layer-missing",))
        if planting:
            yield Planting(planting.graph, planting.origin, planting.detail, planting.alias, inner, also=planting.also)
    for gelu in shuffled(rng, gelus(graph)):
        copy, twin = altered(graph, graph.node(gelu.output))
        twin.input[0] = gelu.source
        copy.remove(twin)
        copy.drop_unused()
        yield Planting(copy, gelu.output, "no GELU", {gelu.output: gelu.source}, gelu.inner, also=("layer-missing",))


def activation_extra(graph, rng):
    for node in shuffled(
        rng, graph.of("Conv", "BatchNormalization", "Add", "Gemm", "ConvTranspose", "LayerNormalization")
    ):
        name = node.output[0]
        readers = graph.consumers(name)
        if name in graph.outputs or not graph.is_activation(name) or not readers:
            continue
        if any(
            reader.op_type in (*SIMPLE, "BatchNormalization", "Sigmoid", "Sqrt", "Div", "Mul") for reader in readers
        ):
            continue
        op_type = str(rng.choice(["Relu", "Tanh", "Sigmoid"]))
        yield inserted(graph, name, op_type, detail=f"{op_type} behind {node.name}", also=("layer-extra",))


def replaced(graph, node, op_type, detail, also=(), constants=(), **attributes):
    copy, twin = altered(graph, node)
    twin.op_type = op_type
    del twin.input[1:]
    del twin.attribute[:]
    twin.input.extend(copy.add_constant(f"{node.name}_bound", np.array(value, np.float32)) for value in constants)
    for name, value in attributes.items():
        copy.set_attribute(twin, name, value)
    copy.drop_unused()
    return Planting(copy, node.output[0], detail, also=also)


def rewritten(graph, output, source, steps, detail, same_place=()):
    """Computes `output` by `steps` instead: (operator, inputs, constants); the last step keeps the name."""
    copy = Graph(graph.model)
    index = copy.index(copy.node(output))
    del copy.model.graph.node[index]
    made, added = {"x": source}, []
    for number, (key, op_type, inputs) in enumerate(steps):
        last = number == len(steps) - 1
        name = output if last else copy.fresh(f"{output}_{key}")
        values = [
            made[value] if isinstance(value, str) else copy.add_constant(f"{name}_c", np.array(value, np.float32))
            for value in inputs
        ]
        copy.model.graph.node.insert(index + number, helper.make_node(op_type, values, [name], name))
        made[key] = name
        if not last:
            added.append(name)
    copy.drop_unused()
    return Planting(copy, output, detail, same_place=same_place, added=tuple(added))


TANH_GELU = [
    ("square", "Mul", ["x", "x"]),
    ("cube", "Mul", ["square", "x"]),
    ("small", "Mul", ["cube", 0.044715]),
    ("sum", "Add", ["x", "small"]),
    ("scaled", "Mul", ["sum", 0.7978845608]),
    ("tanh", "Tanh", ["scaled"]),
    ("one", "Add", ["tanh", 1.0]),
    ("product", "Mul", ["x", "one"]),
    ("half", "Mul", ["product", 0.5]),
]
SIGMOID_GELU = [("scaled", "Mul", ["x", 1.702]), ("gate", "Sigmoid", ["scaled"]), ("product", "Mul", ["x", "gate"])]
SILU = [("gate", "Sigmoid", ["x"]), ("product", "Mul", ["x", "gate"])]


def activation_type(graph, rng):
    sites = [*graph.of(*SIMPLE), *gelus(graph), *silus(graph)]
    for site in shuffled(rng, sites):
        if isinstance(site, tuple):
            sigmoid, product = site
            place = (sigmoid.output[0],)
            yield rewritten(
                graph, product.output[0], sigmoid.input[0], [("relu", "Relu", ["x"])], "ReLU for SiLU", place
            )
        elif hasattr(site, "inner"):
            steps, what = (TANH_GELU, "tanh GELU") if rng.random() < 0.6 else (SIGMOID_GELU, "x * sigmoid(1.702 x)")
            yield rewritten(graph, site.output, site.source, steps, f"{what} for the exact GELU", site.inner)
        elif site.op_type == "HardSwish":
            yield rewritten(graph, site.output[0], site.input[0], SILU, "SiLU for HardSwish")
        else:
            yield from other_function(graph, site, rng)


def other_function(graph, node, rng):
    if node.op_type == "Relu":
        style = rng.integers(3)
        if style == 0:
            yield replaced(graph, node, "Clip", "ReLU6 for ReLU", ("clip-range",), (0.0, 6.0))
        elif style == 1:
            yield replaced(graph, node, "Elu", "ELU for ReLU", alpha=1.0)
        yield replaced(graph, node, "LeakyRelu", "leaky ReLU for ReLU", ("activation-parameter",), alpha=0.1)
    elif node.op_type == "Clip":
        yield replaced(graph, node, "Relu", "ReLU for ReLU6", ("clip-range",))
    elif node.op_type in ("LeakyRelu", "PRelu"):
        yield replaced(graph, node, "Relu", f"ReLU for {node.op_type}", ("activation-parameter",))
    elif node.op_type == "Tanh":
        yield replaced(graph, node, "Sigmoid", "sigmoid for tanh")
    elif node.op_type == "HardSigmoid":
        yield replaced(graph, node, "Sigmoid", "sigmoid for hard sigmoid")
    elif node.op_type == "Elu":
        yield replaced(graph, node, "Relu", "ReLU for ELU", ("activation-parameter",))


def activation_parameter(graph, rng):
    for node in shuffled(rng, graph.of("LeakyRelu", "Elu", "HardSigmoid", "PRelu")):
        if node.op_type == "PRelu":
            copy, twin = altered(graph, node)
            copy.set_weight(twin, 1, np.full_like(graph.weight(node, 1), 0.1))
            yield Planting(copy, node.output[0], "slope 0.1 for the learned one", also=("weight-stale",))
            continue
        old = graph.attribute(node, "alpha", {"LeakyRelu": 0.01, "Elu": 1.0, "HardSigmoid": 0.2}[node.op_type])
        new = 0.3 if node.op_type == "LeakyRelu" else 1.0 if node.op_type == "Elu" else 0.2
        copy, twin = altered(graph, node)
        copy.set_attribute(twin, "alpha", new)
        yield Planting(copy, node.output[0], f"alpha {new:g} for {old:g}")
