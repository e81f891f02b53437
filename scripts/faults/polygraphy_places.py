"""How often Polygraphy's first failing value is the place of the planted fault, on the pairs that we are scored on.

Both models run in ONNX Runtime, graph optimisation off, every value an output; Polygraphy pairs and judges them at its
defaults. Its results are walked in the reference's order; the first that fails is its answer. Prints a Markdown table.

    python scripts/faults/polygraphy_places.py CORPUS [EVERY]
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from polygraphy.comparator import Comparator, IterationResult, RunResults, SimpleCompareFunc
from polygraphy.logger import G_LOGGER

VARIANTS = ("same-names", "renamed", "optimised", "reimplemented")


def load_input(path: Path) -> np.ndarray:
    if path.suffix == ".pb":
        tensor = onnx.TensorProto()
        tensor.ParseFromString(path.read_bytes())
        return numpy_helper.to_array(tensor)
    return np.load(path)


def every_value(path: Path, feeds: dict) -> dict:
    model = onnx.load(path)
    known = {output.name for output in model.graph.output}
    names = [name for node in model.graph.node for name in node.output if name]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [name for name in names if name in {output.name for output in session.get_outputs()}]
    return dict(zip(names, session.run(names, feeds), strict=True))


def first_failing(reference: dict, candidate: dict) -> tuple[str | None, int]:
    """The first value that Polygraphy calls different, and how many it compared."""
    runs = RunResults(
        [("reference", [IterationResult(reference)]), ("candidate", [IterationResult(candidate)])],
    )
    try:
        result = Comparator.compare_accuracy(runs, compare_func=SimpleCompareFunc())
    except Exception:  # it raises when nothing at all could be paired
        return None, 0
    judged = next(iter(result[0].values()))[0]
    failing = [name for name in reference if name in judged and not judged[name]]
    return (failing[0] if failing else None), len(judged)


def main() -> None:
    corpus, every = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    G_LOGGER.module_severity = G_LOGGER.CRITICAL
    pairs = json.loads((corpus / "index.json").read_text())["pairs"]
    told: dict[str, list[tuple[bool, bool, float]]] = {variant: [] for variant in VARIANTS}
    for pair in pairs[::every]:
        truth = json.loads((corpus / pair["candidate"]).with_name("truth.json").read_text())
        if not truth["faulty"] or truth.get("further"):
            continue
        values = [(entry, load_input(corpus / entry["file"])) for entry in pair["inputs"]]
        mine = {entry["reference"]: value for entry, value in values}
        theirs = {
            entry["candidate"]: load_input(corpus / entry["candidateFile"]) if "candidateFile" in entry else value
            for entry, value in values
        }
        reference = every_value(corpus / pair["reference"], mine)
        place, compared = first_failing(reference, every_value(corpus / pair["candidate"], theirs))
        accept = truth["accept"]["referenceTensors"]
        told[truth["variant"]].append((place in accept, place is not None, compared / len(reference)))
    print("| variant | n | first failing value is the fault's | something fails | values compared |")
    print("| --- | --- | --- | --- | --- |")
    for variant, rows in told.items():
        if rows:
            exact, some, share = (100 * sum(column) / len(rows) for column in zip(*rows, strict=True))
            print(f"| {variant} | {len(rows)} | {exact:.0f}% | {some:.0f}% | {share:.0f}% |")


if __name__ == "__main__":
    main()
