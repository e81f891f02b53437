"""Pairs that mean the same: every kind of harmless change, each a candidate that must not be called faulty."""

import tempfile
from pathlib import Path

import onnx

import variants
from architectures import Architecture
from candidate import Made, NAMES, reimplemented_as
from graph import Graph
from lowering import STYLES
from training import export


def same(model):
    return {name: name for name in Graph(model).activations()}


def candidates(model, module, architecture: Architecture, feed, rng, report):
    """(Made, what was changed, variant) for one reference; a converter that refuses costs a line in the report."""
    style = NAMES[int(rng.integers(3))]

    def exported(**how):
        with tempfile.TemporaryDirectory() as folder:
            return export(module, architecture, str(Path(folder) / "candidate.onnx"), **how)

    def renamed(graph, ends):
        return Made(variants.renamed(graph, rng, style, ends)[0], None, {"names": style})

    def lowered(index, rounded=False):
        made = reimplemented_as(STYLES[index], model, feed)
        return Made(variants.half_weights(made.model), None, made.detail, made.channels_last) if rounded else made

    folded = {"how": "bn-folded"}
    makers = (
        ("same-names", "fp16-weights", lambda: Made(variants.half_weights(model), None, {})),
        ("same-names", "constants-lifted", lambda: Made(variants.lifted_constants(model), None, {})),
        ("same-names", "other-opset", lambda: Made(variants.other_opset(model, architecture.opset + 2), None, {})),
        ("same-names", "re-exported-opset-18", lambda: Made(exported(opset=18), None, {"exporter": "torchscript"})),
        ("renamed", "renamed", lambda: renamed(model, True)),
        ("renamed", "renamed-fp16-weights", lambda: renamed(variants.half_weights(model), False)),
        ("renamed", "re-exported-dynamo", lambda: Made(exported(dynamo=True), None, {"exporter": "dynamo"})),
        ("optimised", "ort-basic", lambda: Made(variants.optimised(model, "ort-basic"), None, {"how": "ort-basic"})),
        ("optimised", "ort-extended-renamed", lambda: renamed(variants.optimised(model, "ort-extended"), False)),
        ("optimised", "exporter-folded", lambda: Made(exported(fold=True), None, {"exporter": "torchscript"})),
        (
            "optimised",
            "bn-folded-fp16-weights",
            lambda: Made(variants.half_weights(variants.bn_folded(model)), None, folded),
        ),
        ("reimplemented", "primitive", lambda: lowered(0)),
        ("reimplemented", "tensorflow", lambda: lowered(1)),
        ("reimplemented", "channels-last-fp16-weights", lambda: lowered(2, rounded=True)),
    )
    for variant, change, make in makers:
        try:
            made = make()
            onnx.checker.check_model(made.model) if variant == "renamed" else None
        except Exception as error:  # a converter or exporter refused
            report(f"{architecture.id} benign {change}: {type(error).__name__}: {str(error).splitlines()[0][:140]}")
            continue
        yield made, change, variant
