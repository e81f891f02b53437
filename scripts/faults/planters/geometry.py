"""Faults of windows and grids: padding, stride, dilation, groups, pooling, resizing."""

import numpy as np
from onnx import helper

from planters.planting import Planting, altered, shuffled

POOLS = ("MaxPool", "AveragePool")


def with_attributes(graph, node, detail, also=(), **attributes):
    copy, twin = altered(graph, node)
    for name, value in attributes.items():
        copy.set_attribute(twin, name, value)
    return Planting(copy, node.output[0], detail, also=also)


def pads_of(graph, node):
    return list(graph.attribute(node, "pads", [0, 0, 0, 0]))


def kernel_of(graph, node):
    return list(graph.attribute(node, "kernel_shape", []))


def padding(graph, rng):
    for node in shuffled(rng, graph.of("Conv", *POOLS)):
        pads, strides = pads_of(graph, node), list(graph.attribute(node, "strides", [1, 1]))
        if not any(pads):
            continue
        top, left, bottom, right = pads
        if max(strides) > 1:
            yield with_attributes(
                graph, node, "padding at the end only, as TensorFlow's SAME", pads=[top - 1, left - 1, bottom, right]
            )
        else:
            yield with_attributes(graph, node, "all padding at the end", pads=[0, 0, top + bottom, left + right])
        if rng.random() < 0.5:
            yield with_attributes(graph, node, "no padding", pads=[0, 0, 0, 0])


def stride(graph, rng):
    for node in shuffled(rng, graph.of("Conv", *POOLS)):
        strides = list(graph.attribute(node, "strides", [1, 1]))
        if max(strides) == 1:
            continue
        moved = earlier_pointwise(graph, node)
        if moved is not None:
            copy, twin = altered(graph, node)
            copy.set_attribute(twin, "strides", [1, 1])
            copy.set_attribute(copy.node(moved.output[0]), "strides", strides)
            yield Planting(copy, moved.output[0], "the stride sits in the 1x1 convolution before")
        yield with_attributes(graph, node, f"stride 1 for {strides[0]}", strides=[1, 1])
        yield with_attributes(graph, node, f"stride [{strides[0]}, 1] for {strides}", strides=[strides[0], 1])


def earlier_pointwise(graph, node):
    """The 1x1 convolution that feeds `node` through normalisation and activation alone."""
    above = graph.producer(node.input[0])
    while above is not None and above.op_type in ("BatchNormalization", "Relu", "Clip", "HardSwish"):
        above = graph.producer(above.input[0])
    if above is None or above.op_type != "Conv" or kernel_of(graph, above) != [1, 1]:
        return None
    return above if graph.only_consumer(above.output[0]) is not None else None


def dilation(graph, rng):
    for node in shuffled(rng, graph.of("Conv")):
        kernel, pads, old = (
            kernel_of(graph, node),
            pads_of(graph, node),
            list(graph.attribute(node, "dilations", [1, 1])),
        )
        if max(kernel) < 3:
            continue
        new = 1 if old[0] > 1 else 2
        shift = (new - old[0]) * (kernel[0] - 1) // 2
        wanted = [pad + shift for pad in pads]
        if min(wanted) >= 0:
            yield with_attributes(graph, node, f"dilation {new} for {old[0]}", dilations=[new, new], pads=wanted)


def groups(graph, rng):
    for node in shuffled(rng, graph.of("Conv")):
        count, weight = graph.attribute(node, "group", 1), graph.weight(node, 1)
        if count < 2 or weight is None:
            continue
        channels = count * weight.shape[1]
        parts = count if count < channels else 2
        order = np.arange(channels).reshape(parts, -1).T.reshape(-1)
        copy, twin = altered(graph, node)
        made = copy.fresh(f"{node.input[0]}_channels")
        copy.insert(gather(copy, node.input[0], order, made), after=node.input[0])
        twin = copy.node(node.output[0])
        twin.input[0] = made
        also = ("channel-order", "weight-permuted")
        yield Planting(copy, node.output[0], "channels dealt out to the groups in turn", added=(made,), also=also)


def gather(graph, source, order, made):
    return helper.make_node("Gather", [source, graph.add_constant(made, order.astype(np.int64))], [made], made, axis=1)


def pooling_type(graph, rng):
    swapped = {"MaxPool": "AveragePool", "AveragePool": "MaxPool", "GlobalAveragePool": "GlobalMaxPool"}
    for node in shuffled(rng, graph.of(*swapped)):
        copy, twin = altered(graph, node)
        twin.op_type = swapped[node.op_type]
        for name in ("count_include_pad", "storage_order", "dilations"):
            copy.set_attribute(twin, name, None)
        yield Planting(copy, node.output[0], f"{twin.op_type} for {node.op_type}")
    for node in graph.of("ReduceMean"):  # global average written as a mean over the picture
        axes = graph.attribute(node, "axes")
        if axes is not None and list(axes) in ([2, 3], [-2, -1], [-1, -2]):
            copy, twin = altered(graph, node)
            twin.op_type = "ReduceMax"
            yield Planting(copy, node.output[0], "maximum for mean over the picture")


def pooling_ceil_mode(graph, rng):
    for node in shuffled(rng, graph.of(*POOLS)):
        old = graph.attribute(node, "ceil_mode", 0)
        yield with_attributes(graph, node, f"ceil_mode {1 - old} for {old}", ceil_mode=1 - old)


def pooling_count_include_pad(graph, rng):
    for node in shuffled(rng, graph.of("AveragePool")):
        old = graph.attribute(node, "count_include_pad", 0)
        if any(pads_of(graph, node)):
            yield with_attributes(graph, node, f"count_include_pad {1 - old} for {old}", count_include_pad=1 - old)


def resize_coordinates(graph, rng):
    for node in shuffled(rng, graph.of("Resize")):
        old = graph.attribute(node, "coordinate_transformation_mode", b"half_pixel").decode()
        for new in shuffled(rng, ["align_corners", "asymmetric", "half_pixel"]):
            if new != old:
                detail = f"{new} for {old}"
                yield with_attributes(graph, node, detail, coordinate_transformation_mode=new)


def resize_mode(graph, rng):
    for node in shuffled(rng, graph.of("Resize")):
        old = graph.attribute(node, "mode", b"nearest").decode()
        for new in shuffled(rng, ["nearest", "linear", "cubic"]):
            if new == old:
                continue
            extra = (
                {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if new == "nearest" else {}
            )
            if old == "nearest":
                extra = {"coordinate_transformation_mode": "half_pixel"}
            yield with_attributes(graph, node, f"{new} for {old}", also=("resize-coordinates",), mode=new, **extra)
