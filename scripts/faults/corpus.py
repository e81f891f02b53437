"""Which pairs are made of one architecture, and how a pair is written to disk."""

import itertools
import json
import zlib
from pathlib import Path

import numpy as np
import onnx

import benign
from candidate import VARIANTS, make_variant
from faults import FAULTS
from graph import Graph
from running import record, relative
from training import export, pictures, trained
from truth import VISIBLE, Counterparts, channels_first, output_differences, place_of


class Corpus:
    """Writes pairs under one folder and keeps the index. `report` gets one line for all that is left out, and why."""

    def __init__(self, folder, report):
        self.folder, self.report, self.index, self.used = Path(folder), report, [], {}

    def add_architecture(self, architecture, faults_wanted):
        rng = np.random.default_rng(zlib.crc32(architecture.id.encode()))
        home = self.folder / "references" / architecture.id
        home.mkdir(parents=True)
        module = trained(architecture)
        model = export(module, architecture, str(home / "reference.onnx"))
        feed = pictures(1, 7)[0]
        np.save(home / "input.npy", feed)
        reference = record(model, feed)
        for made, change, variant in benign.candidates(model, module, architecture, feed, rng, self.report):
            self.add_benign(architecture, reference, feed, made, change, variant)
        plantings = [*choose(architecture, reference, feed, faults_wanted, rng, self.used)]
        for turn, (fault, planting, alone) in enumerate(plantings):
            for variant in VARIANTS:
                made = self.made(variant, planting.graph.model, feed, rng, turn)
                if made is not None:
                    self.add_fault(architecture, reference, feed, [(fault, planting, alone)], alone, made, variant)
        for turn, chosen in enumerate(groups_of(plantings, rng)):
            combined = together(chosen, reference.graph, feed)
            if combined is None:
                continue
            twin, parts = combined
            for variant in VARIANTS[turn % 2 :: 2]:
                made = self.made(variant, twin.graph.model, feed, rng, turn)
                if made is not None:
                    self.add_fault(architecture, reference, feed, parts, twin, made, variant)

    def made(self, variant, model, feed, rng, turn):
        """The faulted graph `model` in one variant; None, with a line in the report, where it cannot be written so."""
        try:
            return make_variant(variant, model, feed, rng, turn)
        except Exception as error:  # whatever a converter refuses: this pair is not made
            self.report(f"{variant}: {type(error).__name__}: {str(error).splitlines()[0][:140]}")
            return None

    def add_fault(self, architecture, reference, feed, parts, twin, made, variant):
        candidate = record(made.model, turned(feed, made))
        counterparts = Counterparts(candidate, made.names)
        places = []
        for fault, planting, alone in parts:
            place = place_of(reference, planting, alone, twin, counterparts)
            if place is None:
                self.report(f"{architecture.id} {fault.id} {variant}: shows nowhere that the candidate has")
                return
            places.append((fault, planting, place))
        if not keeps_fault(reference, twin, candidate):
            self.report(f"{architecture.id} {parts[0][0].id} {variant}: the converter removed the fault")
            return
        order = reference.order
        places.sort(key=lambda item: order.index(item[2].fields["first"]["referenceTensor"]))
        fault, planting, place = places[0]
        outputs = self.outputs(reference, candidate)
        halves = {architecture.half, *(each.half for each, _, _ in places)}
        truth = {
            "faulty": True,
            "architecture": architecture.id,
            "variant": variant,
            "variantDetail": made.detail,
            "split": halves.pop() if len(halves) == 1 else "mixed",
            **cause_fields(fault, planting),
            "subtle": place.subtle,
            **place.fields,
            "outputsDiffer": differ(outputs),
            "further": [
                {**cause_fields(each, how), "subtle": where.subtle, **where.fields} for each, how, where in places[1:]
            ],
        }
        truth["measured"] = {**truth["measured"], "outputs": outputs}
        self.write(architecture, feed, candidate, made, truth)

    def add_benign(self, architecture, reference, feed, made, change, variant):
        candidate = record(made.model, turned(feed, made))
        outputs = self.outputs(reference, candidate)
        allowed = 2e-2 if "fp16" in change else 1e-4
        if any(row["shapes"] or row["relL2"] > allowed for row in outputs):
            self.report(f"{architecture.id} benign {change}: outputs differ, {outputs}")
            return
        truth = {
            "faulty": False,
            "architecture": architecture.id,
            "variant": variant,
            "change": change,
            "variantDetail": made.detail,
            "split": architecture.half,
            "cause": None,
            "measured": {"outputs": outputs},
            "outputsDiffer": differ(outputs),
        }
        self.write(architecture, feed, candidate, made, truth)

    def outputs(self, reference, candidate):
        return output_differences(reference, candidate, zip(reference.outputs, candidate.outputs, strict=True))

    def write(self, architecture, feed, candidate, made, truth):
        name = f"p{len(self.index) + 1:04d}"
        home = self.folder / "pairs" / name
        home.mkdir(parents=True)
        onnx.save(made.model, str(home / "candidate.onnx"))
        entry = {
            "reference": f"references/{architecture.id}/reference.onnx",
            "candidate": f"pairs/{name}/candidate.onnx",
            "inputs": [
                {
                    "reference": architecture.input,
                    "candidate": candidate.graph.input,
                    "file": f"references/{architecture.id}/input.npy",
                }
            ],
        }
        if made.channels_last:
            np.save(home / "candidate_input.npy", turned(feed, made))
            entry["inputs"][0]["candidateFile"] = f"pairs/{name}/candidate_input.npy"
        (home / "truth.json").write_text(json.dumps({"id": name, **truth}, indent=1))
        self.index.append({"id": name, **entry})

    def close(self):
        (self.folder / "index.json").write_text(json.dumps({"format": 1, "pairs": self.index}, indent=1))


def keeps_fault(reference, twin, candidate):
    """Whether the candidate's outputs follow the faulted twin rather than the reference."""
    for name, other in zip(reference.outputs, candidate.outputs, strict=True):
        sound, faulted = reference.values[name], twin.values[name]
        value = channels_first(candidate.values[other], faulted)
        if sound.shape != faulted.shape or relative(value, faulted) < relative(value, sound):
            return True
    return False


def cause_fields(fault, planting):
    return {
        "faultClass": fault.id,
        "fault": planting.detail,
        "cause": fault.id,
        "causesAccepted": [fault.id, *planting.also],
    }


def differ(outputs):
    return any(row["shapes"] is not None or row["relL2"] > 1e-5 for row in outputs)


def turned(feed, made):
    return np.ascontiguousarray(feed.transpose(0, 2, 3, 1)) if made.channels_last else feed


def choose(architecture, reference, feed, wanted, rng, used):
    """The plantings of one architecture: seven in ten of its own half, classes used least so far first."""
    own = sorted(
        (fault for fault in FAULTS if fault.half == architecture.half),
        key=lambda fault: (used.get(fault.id, 0), rng.random()),
    )
    other = sorted(
        (fault for fault in FAULTS if fault.half != architecture.half),
        key=lambda fault: (used.get(fault.id, 0), rng.random()),
    )
    count = round(wanted * 0.7)
    for faults, limit in ((own, count), (other, wanted - count)):
        taken = 0
        for fault in faults:
            if taken == limit:
                break
            found = first_visible(fault, reference, feed)
            if found is not None:
                taken += 1
                used[fault.id] = used.get(fault.id, 0) + 1
                yield fault, *found


def first_visible(fault, reference, feed):
    """The first planting of this class that runs, stays finite and moves some value behind it, with its recording."""
    for planting in fault.plant(reference.graph, seeded(fault)):
        try:
            alone = record(planting.graph.model, feed)
        except Exception:  # shapes no longer fit: no such port would run
            continue
        if is_visible(reference, planting, alone):
            return planting, alone
    return None


def seeded(fault, turn=0):
    """The generator of this class: the same for a first planting and for its repetition in another graph."""
    return np.random.default_rng([zlib.crc32(fault.id.encode()), turn])


def is_visible(reference, planting, alone):
    if planting.origin not in reference.values or not all(
        np.isfinite(v).all() for v in alone.values.values() if v.dtype.kind == "f"
    ):
        return False
    moved = [relative(alone.values[name], reference.values[name]) for name in reference.outputs]
    return max(moved) > VISIBLE / 4


def groups_of(plantings, rng):
    """Two twos and a three of different faults, drawn from those planted; none twice."""
    drawn = []
    for size in (2, 3, 2):
        if len(plantings) >= size:
            group = sorted(rng.choice(len(plantings), size, replace=False))
            if group not in drawn:
                drawn.append(group)
    return [[plantings[i] for i in group] for group in drawn]


def together(chosen, graph, feed):
    """Several faults planted in one graph: its recording, and per fault what it does alone.

    None where they stand closer than five values, or disturb each other.
    """
    order = graph.activations()
    chosen = sorted(chosen, key=lambda item: order.index(item[1].origin))
    for (_, before, _), (_, after, _) in itertools.pairwise(chosen):
        if order.index(after.origin) - order.index(before.origin) < 5:
            return None
    current, parts = graph, []
    for fault, planting, alone in chosen:
        repeated = replant(fault, planting, current)
        if repeated is None:
            return None
        current = repeated
        parts.append((fault, planting, alone))
    try:
        twin = record(current.model, feed)
    except Exception:  # one fault's shapes do not fit the next
        return None
    return (twin, parts) if all(np.isfinite(v).all() for v in twin.values.values() if v.dtype.kind == "f") else None


def replant(fault, planting, graph):
    """The change that `planting` made to the reference, made to another graph: same origin, same words."""
    for turn in range(12):
        for again in fault.plant(graph, seeded(fault, turn)):
            if again.origin == planting.origin and again.detail == planting.detail and again.alias == planting.alias:
                return Graph(again.graph.model)
    return None
