"""Faults of batch and layer normalisation."""

import numpy as np

from planters.planting import Planting, altered, shuffled


def bn_affine(graph, rng):
    for node in shuffled(rng, graph.of("BatchNormalization")):
        scale, shift = graph.weight(node, 1), graph.weight(node, 2)
        copy, twin = altered(graph, node)
        style = rng.integers(3)
        if style == 0:
            copy.set_weight(twin, 2, np.zeros_like(shift))
        elif style == 1:
            copy.set_weight(twin, 1, np.ones_like(scale))
        else:
            copy.set_weight(twin, 1, shift)
            copy.set_weight(twin, 2, scale)
        yield Planting(
            copy, node.output[0], ("shift not loaded", "scale not loaded", "scale and shift exchanged")[style]
        )


def bn_statistics(graph, rng):
    for node in shuffled(rng, graph.of("BatchNormalization")):
        mean, variance = graph.weight(node, 3), graph.weight(node, 4)
        copy, twin = altered(graph, node)
        style = rng.integers(3)
        if style == 0:
            copy.set_weight(twin, 3, np.zeros_like(mean))
            copy.set_weight(twin, 4, np.ones_like(variance))
        elif style == 1:
            copy.set_weight(twin, 4, np.sqrt(variance))
        else:
            copy.set_weight(twin, 3, 0.6 * mean)
            copy.set_weight(twin, 4, 0.7 * variance + 0.3)
        what = (
            "running statistics not loaded",
            "deviation stored as variance",
            "running statistics of an earlier step",
        )[style]
        yield Planting(copy, node.output[0], what)


def bn_epsilon(graph, rng):
    for node in shuffled(rng, graph.of("BatchNormalization")):
        old = graph.attribute(node, "epsilon", 1e-5)
        for new in (1e-3, 1e-6) if rng.random() < 0.7 else (1e-6, 1e-3):
            copy, twin = altered(graph, node)
            copy.set_attribute(twin, "epsilon", new)
            yield Planting(copy, node.output[0], f"epsilon {new:g} for {old:g}")


def layernorm_epsilon(graph, rng):
    for node in shuffled(rng, graph.of("LayerNormalization")):
        old = graph.attribute(node, "epsilon", 1e-5)
        copy, twin = altered(graph, node)
        new = 1e-3 if rng.random() < 0.7 else 1e-2
        copy.set_attribute(twin, "epsilon", new)
        yield Planting(copy, node.output[0], f"epsilon {new:g} for {old:.0e}")
    for node in shuffled(rng, graph.of("Add")):  # written out: mean of squares, plus epsilon, root, division
        value = graph.weight(node, 1)
        root = graph.only_consumer(node.output[0])
        if (
            value is None
            or value.size != 1
            or float(value.reshape(-1)[0]) > 1e-4
            or root is None
            or root.op_type != "Sqrt"
        ):
            continue
        copy, twin = altered(graph, node)
        new = 1e-3 if rng.random() < 0.7 else 1e-2
        copy.set_weight(twin, 1, np.full_like(value, new))
        quotient = graph.only_consumer(root.output[0])
        scaled = graph.only_consumer(quotient.output[0]) if quotient is not None else None
        shifted = graph.only_consumer(scaled.output[0]) if scaled is not None else None
        place = tuple(each.output[0] for each in (root, quotient, scaled, shifted) if each is not None)
        yield Planting(copy, node.output[0], f"epsilon {new:g} for {float(value.reshape(-1)[0]):.0e}", same_place=place)
