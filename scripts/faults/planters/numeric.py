"""Faults of constants, precision and attention."""

import numpy as np
from onnx import TensorProto

from planters.patterns import attentions, gelus
from planters.planting import Planting, altered, inserted, removed, shuffled


def with_constant(graph, node, index, value, detail, also=()):
    copy, twin = altered(graph, node)
    copy.set_weight(twin, index, value)
    return Planting(copy, node.output[0], detail, also=also)


def attention_scale(graph, rng):
    for attention in shuffled(rng, attentions(graph)):
        node, index = attention.scale
        if node is None:
            continue
        old = graph.weight(node, index)
        if rng.random() < 0.5:
            yield with_constant(graph, node, index, np.ones_like(old), "scores not scaled")
        yield with_constant(
            graph,
            node,
            index,
            old * old if node.op_type == "Mul" else old**0.5,
            "scores scaled by another power of the width",
        )


def attention_mask(graph, rng):
    for attention in shuffled(rng, attentions(graph)):
        if attention.mask is not None:
            node, index = attention.mask
            mask = graph.weight(node, index)
            if rng.random() < 0.5:
                planting = removed(graph, node, 1 - index, detail="the mask is missing", also=("layer-missing",))
                if planting:
                    yield planting
            yield with_constant(graph, node, index, mask.T.copy(), "the mask is turned round")
        else:
            name = attention.softmax.input[0]
            size = attention.tokens
            if size:
                mask = np.triu(np.full((size, size), -1e4, np.float32), 1)
                yield inserted(
                    graph, name, "Add", mask, detail="a causal mask that the reference lacks", also=("layer-extra",)
                )


def softmax_axis(graph, rng):
    for node in shuffled(rng, graph.of("Softmax")):
        copy, twin = altered(graph, node)
        new = -2 if any(each.softmax.output[0] == node.output[0] for each in attentions(graph)) else 0
        copy.set_attribute(twin, "axis", new)
        yield Planting(copy, node.output[0], f"softmax over axis {new}")


def dropout_active(graph, rng):
    for node in shuffled(rng, graph.of("Gemm", "Flatten", "GlobalAveragePool", "MatMul", "Conv")):
        name = node.input[0]
        if graph.is_activation(name) and len(graph.consumers(name)) == 1:
            p = float(rng.choice([0.1, 0.2, 0.5]))
            factor = np.array(1 / (1 - p), np.float32)
            yield inserted(
                graph, name, "Mul", factor, detail=f"factor 1 / (1 - {p})", also=("layer-extra", "constant-value")
            )


def dtype_cast(graph, rng):
    for node in shuffled(rng, graph.of("Conv", "Gemm", "MatMul", "BatchNormalization", "Relu", "LayerNormalization")):
        name = node.output[0]
        if name in graph.outputs or not graph.is_activation(name):
            continue
        one = inserted(graph, name, "Cast", to=TensorProto.FLOAT16, detail="values pass through float16")
        narrow = one.alias[name]
        wide = one.graph.insert_after(narrow, "Cast", to=TensorProto.FLOAT)
        yield Planting(one.graph, name, one.detail, {name: wide}, one.same_place, (narrow, wide), ("layer-extra",))


def clip_range(graph, rng):
    for node in shuffled(rng, graph.of("Clip")):
        high = graph.weight(node, 2)
        if high is not None:
            for new in shuffled(rng, [float(high) * 0.5, float(high) * 0.25, float(high) * 1.5]):
                yield with_constant(graph, node, 2, np.full_like(high, new), f"upper bound {new:g} for {float(high):g}")
    for node in shuffled(rng, graph.of("Relu")):
        if node.output[0] not in graph.outputs:
            high = np.array(1.0, np.float32)
            copy, twin = altered(graph, node)
            twin.op_type = "Clip"
            twin.input.extend(
                [
                    copy.add_constant(f"{node.name}_min", np.array(0, np.float32)),
                    copy.add_constant(f"{node.name}_max", high),
                ]
            )
            yield Planting(copy, node.output[0], "bounded above by 1", also=("activation-type",))


def constant_value(graph, rng):
    taken = {name for gelu in gelus(graph) for name in (*gelu.inner, gelu.output)}
    taken |= {
        node.output[0]
        for attention in attentions(graph)
        for node, _ in (attention.scale, attention.mask or (None, 0))
        if node
    }
    for node in shuffled(rng, graph.of("Mul", "Add", "Sub", "Div", "Pow")):
        reader = graph.only_consumer(node.output[0])
        if node.output[0] in taken or (reader is not None and reader.op_type == "Sqrt"):
            continue  # part of a known pattern: its own label
        for index in (0, 1):
            value = graph.weight(node, index)
            if value is None or value.dtype != np.float32 or not graph.is_activation(node.input[1 - index]):
                continue
            if value.size != 1 or abs(float(value.reshape(-1)[0])) < 1e-3 or feeds_normalisation(graph, node):
                continue
            new = value * (0.5 if node.op_type in ("Add", "Sub") else 1.1)
            yield with_constant(
                graph, node, index, new, f"constant {float(new.reshape(-1)[0]):g} for {float(value.reshape(-1)[0]):g}"
            )


def feeds_normalisation(graph, node):
    reader = graph.only_consumer(node.output[0])
    return node.op_type == "Pow" and reader is not None and reader.op_type == "ReduceMean"


def input_normalisation(graph, rng):
    first = graph.consumers(graph.input)
    for node in first:
        if node.op_type in ("Sub", "Div") and graph.weight(node, 1) is not None:
            deviation = graph.only_consumer(node.output[0])
            place = (deviation.output[0],) if deviation is not None else ()
            copy, twin = altered(graph, node)
            copy.set_weight(twin, 1, np.full_like(graph.weight(node, 1), 0.5))
            yield Planting(copy, node.output[0], "mean 0.5 for each colour", same_place=place, also=("constant-value",))
            return
    mean, scale = np.full((1, 3, 1, 1), 0.5, np.float32), np.array(2, np.float32)
    one = inserted(graph, graph.input, "Sub", mean, detail="the picture is moved to -1..1 before")
    shifted = one.alias[graph.input]
    scaled = one.graph.insert_after(shifted, "Mul", scale)
    also = ("layer-extra", "constant-value")
    yield Planting(
        one.graph, first[0].output[0], one.detail, same_place=one.same_place, added=(shifted, scaled), also=also
    )
