"""Faults of stored weights: wrong values, wrong order, nothing there."""

import numpy as np

from planters.planting import Planting, altered, removed, shuffled, weighted


def with_weight(graph, node, array, detail, index=1, also=()):
    copy, twin = altered(graph, node)
    copy.set_weight(twin, index, array)
    return Planting(copy, node.output[0], detail, also=also)


def bias_missing(graph, rng):
    for node in shuffled(rng, graph.of("Conv", "ConvTranspose", "Gemm", "Add")):
        if node.op_type == "Add":
            bias = next(
                (
                    i
                    for i in (0, 1)
                    if (value := graph.weight(node, i)) is not None and value.ndim == 1 and value.size > 1
                ),
                None,
            )
            if bias is None or getattr(graph.producer(node.input[1 - bias]), "op_type", "") != "MatMul":
                continue
            planting = removed(graph, node, 1 - bias, detail="the dense layer has no bias")
            if planting:
                yield planting
        elif graph.weight(node, 2) is not None:
            copy, twin = altered(graph, node)
            if rng.random() < 0.5:
                copy.set_weight(twin, 2, np.zeros_like(graph.weight(node, 2)))
                yield Planting(copy, node.output[0], "the bias is zero")
            else:
                del twin.input[2:]
                copy.drop_unused()
                yield Planting(copy, node.output[0], "the bias is absent")


def kernel_flipped(graph, rng):
    for node in shuffled(rng, weighted(graph, "Conv", "ConvTranspose")):
        weight = graph.weight(node, 1)
        if max(weight.shape[2:]) > 1:
            yield with_weight(graph, node, np.flip(weight, (2, 3)), "kernel rotated by 180 degrees")


def input_channel_order(graph, rng):
    for node in weighted(graph, "Conv"):
        weight = graph.weight(node, 1)
        if weight.shape[1] == 3 and graph.attribute(node, "group", 1) == 1:
            yield with_weight(graph, node, weight[:, ::-1], "the first convolution reads blue, green, red")
            return


def weight_permuted(graph, rng):
    for node in shuffled(rng, weighted(graph)):
        weight = graph.weight(node, 1)
        axis = 1 if node.op_type == "MatMul" else 0
        if weight.shape[axis] < 8:
            continue
        order = np.arange(weight.shape[axis])
        style = rng.integers(3)
        if style == 0:
            order = np.roll(order, 2)
        elif style == 1:
            order = order.reshape(2, -1).T.reshape(-1) if len(order) % 2 == 0 else order[::-1]
        else:
            order[:4] = order[[2, 3, 0, 1]]
        what = ("rolled by two", "interleaved", "first four exchanged")[style]
        yield with_weight(graph, node, np.take(weight, order, axis), f"output channels {what}")


def weight_quantised(graph, rng):
    for node in shuffled(rng, weighted(graph)):
        weight = graph.weight(node, 1)
        if weight.size < 64:
            continue
        levels = int(rng.choice([3, 7, 15]))
        step = np.abs(weight).max() / levels
        yield with_weight(graph, node, np.round(weight / step) * step, f"weight rounded to {2 * levels + 1} levels")


def weight_stale(graph, rng):
    for node in shuffled(rng, weighted(graph)):
        weight = graph.weight(node, 1)
        if weight.size < 64:
            continue
        fresh = rng.normal(0, weight.std(), weight.shape).astype(np.float32)
        if rng.random() < 0.3:
            axis = int(np.argmax(weight.shape[:2]))
            fresh = np.concatenate(np.array_split(weight, 2, axis)[:1] + np.array_split(fresh, 2, axis)[1:], axis)
            yield with_weight(graph, node, fresh, "half of the weight was not loaded")
        elif rng.random() < 0.5:
            moved = weight + 0.3 * weight.std() * rng.normal(size=weight.shape)
            yield with_weight(graph, node, moved, "the weight of another checkpoint")
        else:
            yield with_weight(graph, node, fresh, "the weight was not loaded")


def weight_swapped(graph, rng):
    nodes = weighted(graph)
    pairs = [(a, b) for i, a in enumerate(nodes) for b in nodes[i + 1 :]]
    for first, second in shuffled(rng, pairs):
        one, two = graph.weight(first, 1), graph.weight(second, 1)
        if first.op_type != second.op_type or one.shape != two.shape or first.input[1] == second.input[1]:
            continue
        copy, twin = altered(graph, first)
        copy.set_weight(twin, 1, two)
        copy.set_weight(copy.node(second.output[0]), 1, one)
        yield Planting(copy, first.output[0], f"weights of {first.name} and {second.name} exchanged")


def weight_transposed(graph, rng):
    for node in shuffled(rng, weighted(graph)):
        weight = graph.weight(node, 1)
        if weight.ndim == 2 and weight.shape[0] == weight.shape[1]:
            yield with_weight(graph, node, weight.T, "square matrix transposed")
        elif weight.ndim == 4 and weight.shape[2] == weight.shape[3] > 1:
            yield with_weight(graph, node, weight.transpose(0, 1, 3, 2), "kernel height and width exchanged")
        elif weight.ndim == 4 and weight.shape[0] == weight.shape[1] > 1 and graph.attribute(node, "group", 1) == 1:
            yield with_weight(graph, node, weight.transpose(1, 0, 2, 3), "input and output channels exchanged")


def lstm_gate_order(graph, rng):
    for node in shuffled(rng, graph.of("LSTM", "GRU")):
        gates = 4 if node.op_type == "LSTM" else 3
        order = [0, 2, 1, 3] if gates == 4 and rng.random() < 0.5 else [0, 2, 3, 1] if gates == 4 else [1, 0, 2]
        copy, twin = altered(graph, node)
        for index in (1, 2):
            weight = graph.weight(node, index)
            copy.set_weight(twin, index, np.concatenate([np.split(weight, gates, 1)[i] for i in order], 1))
        bias = np.split(graph.weight(node, 3), 2 * gates, 1)
        copy.set_weight(twin, 3, np.concatenate([bias[i] for i in order] + [bias[gates + i] for i in order], 1))
        yield Planting(
            copy, node.output[0], f"gates of the {node.op_type} in the order {order}", also=("weight-permuted",)
        )


def position_embedding(graph, rng):
    for node in graph.of("Add"):
        for index in (0, 1):
            value = graph.weight(node, index)
            if value is None or value.ndim != 3 or value.shape[0] != 1 or min(value.shape[1:]) < 4:
                continue
            style = rng.integers(3)
            if style == 0:
                planting = removed(
                    graph, node, 1 - index, detail="no position embedding", also=("layer-missing", "bias-missing")
                )
                if planting:
                    yield planting
            rolled = np.roll(value, 1, 1) if style == 1 else value[:, ::-1]
            yield with_weight(
                graph, node, rolled, "positions shifted by one" if style == 1 else "positions reversed", index
            )
