"""One candidate graph of a pair: the reference, or a faulted copy of it, in one of the four variants."""

from dataclasses import dataclass

import onnx

import variants
from graph import Graph
from lowering import STYLES, reimplemented

VARIANTS = ("same-names", "renamed", "optimised", "reimplemented")
NAMES = ("num", "blob", "tf")


@dataclass(frozen=True)
class Made:
    """A candidate graph: names known by construction (None: found by value), layout of its input, words about it."""

    model: onnx.ModelProto
    names: dict | None
    detail: dict
    channels_last: bool = False


def make_variant(variant, model, feed, rng, turn):
    """One candidate; `turn` rotates the kinds that a variant has."""
    if variant == "same-names":
        return Made(model, {name: name for name in Graph(model).activations()}, {})
    if variant == "renamed":
        style, ends = NAMES[turn % 3], bool(rng.integers(2))
        other, names = variants.renamed(model, rng, style, ends)
        detail = {"names": style, "inputAndOutputNames": "changed" if ends else "kept", "nodeOrder": "shuffled"}
        return Made(other, names, detail)
    if variant == "optimised":
        how = ("ort-basic", "ort-extended", "bn-folded")[turn % 3]
        if how == "bn-folded" and not any(node.op_type == "BatchNormalization" for node in model.graph.node):
            how = "ort-extended"
        other = variants.bn_folded(model) if how == "bn-folded" else variants.optimised(model, how)
        if turn % 4 < 2:
            return Made(other, None, {"how": how, "names": "kept"})
        style = NAMES[turn % 3]
        return Made(variants.renamed(other, rng, style, False)[0], None, {"how": how, "names": style})
    style = STYLES[turn % len(STYLES)]
    if style.id == "tensorflow" and any(node.op_type in ("LSTM", "GRU") for node in model.graph.node):
        style = STYLES[0]
    return reimplemented_as(style, model, feed)


def reimplemented_as(style, model, feed):
    other, channels_last = reimplemented(model, style, feed)
    detail = {"style": style.id, "words": style.words}
    if channels_last:
        detail["inputLayout"] = "NHWC"
    return Made(other, None, detail, channels_last)
