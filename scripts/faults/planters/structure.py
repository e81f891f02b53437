"""Faults of structure and order: layers missing or extra, branches exchanged, axes in another order."""

import numpy as np
from onnx import helper

from graph import Graph
from planters.planting import Planting, altered, inserted, removed, shuffled


def layer_extra(graph, rng):
    for node in shuffled(
        rng, graph.of("Relu", "BatchNormalization", "MaxPool", "Concat", "Conv", "HardSwish", "LayerNormalization")
    ):
        name = node.output[0]
        if name in graph.outputs or not graph.is_activation(name):
            continue
        window = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [1, 1]}
        kind = str(rng.choice(["AveragePool", "MaxPool"]))
        yield inserted(graph, name, kind, detail=f"a 3x3 {kind} that the reference lacks", **window)
    for node in shuffled(rng, graph.of("LayerNormalization")):  # tokens
        name = node.output[0]
        yield inserted(graph, name, "LpNormalization", detail="an L2 normalisation that the reference lacks", axis=-1)


def layer_missing(graph, rng):
    gates = [
        node
        for node in graph.of("Mul")
        if any(getattr(graph.producer(i), "op_type", "") == "HardSigmoid" for i in node.input)
    ]
    sites = [*graph.of("BatchNormalization", "LayerNormalization"), *gates]
    for node in shuffled(rng, [*sites, *graph.of("Conv", "MaxPool", "AveragePool")]):
        planting = removed(graph, node, detail=f"no {node.op_type} {node.name}")
        if planting:
            yield planting


def residual_missing(graph, rng):
    for node in shuffled(rng, graph.of("Add")):
        if not all(graph.is_activation(name) for name in node.input):
            continue
        sizes = [len(graph.ancestors(name)) for name in node.input]
        keep = int(sizes[1] > sizes[0])
        planting = removed(graph, node, keep, detail="no skip connection", also=("layer-missing",))
        if planting:
            yield planting


def concat_order(graph, rng):
    for node in shuffled(rng, graph.of("Concat")):
        parts = [i for i, name in enumerate(node.input) if graph.is_activation(name)]
        if len(parts) < 2 or not graph.is_activation(node.output[0]):
            continue
        first, second = sorted(rng.choice(parts, 2, replace=False))
        copy, twin = altered(graph, node)
        names = list(node.input)
        names[first], names[second] = names[second], names[first]
        twin.input[:] = names
        yield Planting(copy, node.output[0], f"parts {first} and {second} exchanged")


def channel_order(graph, rng):
    for node in shuffled(rng, graph.of("Reshape")):
        shape, turn = graph.weight(node, 1), graph.only_consumer(node.output[0])
        if shape is None or len(shape) != 5 or turn is None or turn.op_type != "Transpose" or shape[1] == shape[2]:
            continue
        copy, twin = altered(graph, node)
        swapped = shape.copy()
        swapped[1], swapped[2] = shape[2], shape[1]
        copy.set_weight(twin, 1, swapped)
        back = graph.only_consumer(turn.output[0])
        place = (turn.output[0], *([back.output[0]] if back is not None else []))
        yield Planting(copy, node.output[0], f"shuffled by {swapped[1]} groups for {shape[1]}", same_place=place)
    for node in shuffled(rng, graph.of("Concat")):
        reader = graph.only_consumer(node.output[0])
        if reader is None or reader.op_type != "Conv":
            continue
        channels = graph.weight(reader, 1).shape[1] * graph.attribute(reader, "group", 1)
        if channels % 2 == 0:
            order = np.arange(channels).reshape(2, -1).T.reshape(-1).astype(np.int64)
            yield inserted(
                graph,
                node.output[0],
                "Gather",
                order,
                detail="channels of both halves interleaved",
                also=("concat-order",),
                axis=1,
            )


def transposed_before(graph, node, perm, detail, same_place=()):
    copy, _ = altered(graph, node)
    made = copy.fresh(f"{node.input[0]}_turned")
    copy.insert(helper.make_node("Transpose", [node.input[0]], [made], made, perm=perm), after=node.input[0])
    copy.node(node.output[0]).input[0] = made
    return Planting(copy, node.output[0], detail, same_place=same_place, added=(made,))


def flatten_order(graph, rng):
    for node in graph.of("Flatten"):
        yield transposed_before(graph, node, [0, 2, 3, 1], "height, width, channels for channels, height, width")
    for node in graph.of("Transpose"):  # columns of a picture as a sequence
        if (
            list(graph.attribute(node, "perm", [])) == [0, 3, 1, 2]
            and getattr(graph.only_consumer(node.output[0]), "op_type", "") == "Reshape"
        ):
            copy, twin = altered(graph, node)
            copy.set_attribute(twin, "perm", [0, 3, 2, 1])
            place = (graph.only_consumer(node.output[0]).output[0],)
            yield Planting(copy, node.output[0], "height before channels in each step", same_place=place)
    for node in shuffled(rng, graph.of("Reshape")):
        source = graph.producer(node.input[0])
        shape = graph.weight(node, 1)
        if shape is not None and len(shape) > 3:
            continue  # a picture stays a picture: a shuffle of channels
        if source is not None and source.op_type in ("Conv", "Relu") and graph.is_activation(node.input[0]):
            turn = graph.only_consumer(node.output[0])
            place = (turn.output[0],) if turn is not None and turn.op_type == "Transpose" else ()
            yield transposed_before(graph, node, [0, 1, 3, 2], "tokens counted down the columns", place)


def sequence_order(graph, rng):
    for node in shuffled(rng, graph.of("GRU", "LSTM")):
        if graph.attribute(node, "direction", b"forward") == b"forward":
            copy, twin = altered(graph, node)
            copy.set_attribute(twin, "direction", "reverse")
            yield Planting(copy, node.output[0], "the sequence runs backwards")
        else:
            copy = Graph(graph.model)
            name = node.input[0]
            made = copy.fresh(f"{name}_backwards")
            bounds = [copy.add_constant(f"{made}_{part}", np.array([value], np.int64)) for part, value in
                      (("start", -1), ("end", -(2**31)), ("axis", 0), ("step", -1))]  # fmt: skip
            copy.insert(helper.make_node("Slice", [name, *bounds], [made], made), after=name)
            copy.node(node.output[0]).input[0] = made
            yield Planting(
                copy, node.output[0], "the sequence is handed over backwards", added=(made,), also=("layer-extra",)
            )
