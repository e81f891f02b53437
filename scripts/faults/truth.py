"""What is true of a pair, found by running reference, faulted twin and candidate: where they part, what is right."""

import itertools
from dataclasses import dataclass

import numpy as np

from running import relative

#: two values are one computation written in two ways up to here: rounding of a rewritten graph stays below
SAME = 3e-5
#: a planted fault must move some value by this much
VISIBLE = 1e-6


class Counterparts:
    """Finds the values of a candidate that equal a value of the faulted twin, in whatever layout they stand.

    With `names` (twin name -> candidate name) nothing is searched: the correspondence is known by construction.
    """

    def __init__(self, candidate, names=None):
        self.candidate, self.names = candidate, names
        self.by_size, self.known = {}, {}
        if names is None:
            for name, value in candidate.values.items():
                if value.dtype.kind == "f" and value.size > 1:
                    flat = value.astype(np.float64).reshape(-1)
                    self.by_size.setdefault(flat.size, []).append((name, np.sort(flat)))

    def of(self, name, value, healthy=None):
        """Names in the candidate, in the closest layout that any has: in place, axes moved, or some other order.

        @param healthy the reference's value: where a fault is smaller than SAME, what equals this is not meant
        """
        if self.names is not None:
            found = self.names.get(name)
            return [found] if found in self.candidate.values else []
        if name not in self.known:
            self.known[name] = self.search(value, healthy)
        return self.known[name]

    def is_nearer(self, name, flat, sound):
        value = np.sort(self.candidate.values[name].astype(np.float64).reshape(-1))
        return np.linalg.norm(value - flat) <= np.linalg.norm(value - sound)

    def search(self, value, healthy):
        if value.dtype.kind != "f" or value.size < 2:
            return []
        flat = np.sort(value.astype(np.float64).reshape(-1))
        size = np.linalg.norm(flat) or 1.0
        equal = [
            other for other, values in self.by_size.get(flat.size, []) if np.linalg.norm(values - flat) <= SAME * size
        ]
        if healthy is not None and healthy.shape == value.shape:
            sound = np.sort(healthy.astype(np.float64).reshape(-1))
            equal = [other for other in equal if self.is_nearer(other, flat, sound)]
        ranked = [(layout_rank(self.candidate.values[other], value), other) for other in equal]
        best = min((rank for rank, _ in ranked), default=None)
        return [other for rank, other in ranked if rank == best]


def layout_rank(candidate, value):
    """0 for the same values in place, 1 with axes moved or merged, 2 in some other order."""
    if candidate.shape == value.shape and relative(candidate, value) <= SAME:
        return 0
    if any(relative(candidate.reshape(-1), value.transpose(order).reshape(-1)) <= SAME for order in turns(value.ndim)):
        return 1
    return 2


def turns(rank):
    """Orders of axes worth trying: all for up to four, none beyond."""
    return itertools.permutations(range(rank)) if rank <= 4 else ()


@dataclass(frozen=True)
class Place:
    """Where one fault shows first; None in place of this when it shows nowhere that the candidate has."""

    fields: dict
    subtle: bool


def place_of(reference, planting, alone, twin, counterparts):
    """First difference of one planted fault.

    @param reference recording of the reference
    @param alone recording of the reference with this fault only: what it changes
    @param twin recording of the faulted graph that the candidate implements (equal to `alone` for a single fault)
    """

    def stands_for(name):
        return planting.alias.get(name, name)

    def partners(name):
        value = twin.values.get(stands_for(name))
        return [] if value is None else counterparts.of(stands_for(name), value, reference.values[name])

    def differs(name):
        value = alone.values.get(stands_for(name))
        return value is not None and relative(value, reference.values[name]) > VISIBLE

    order = reference.order
    behind = descendants(reference.graph, planting.origin) | set(planting.same_place)
    first, hidden = None, []
    for name in order[order.index(planting.origin) :]:
        if name != planting.origin and name not in behind:
            continue
        if not differs(name):
            continue
        if partners(name):
            first = name
            break
        hidden.append(name)
    if first is None:
        return None
    same_place = [name for name in planting.same_place if name in reference.values]
    same_place += [
        seen for name in same_place if not partners(name) for seen in seen_behind(reference.graph, name, partners)
    ]
    place = list(dict.fromkeys([first, planting.origin, *same_place, *hidden]))
    candidates = [partner for name in place for partner in partners(name)]
    candidates += [
        partner
        for name in planting.added
        if name in twin.values
        for partner in counterparts.of(name, twin.values[name])
    ]
    near = neighbours(reference.graph, planting.origin, first, place)
    near_candidates = [partner for name in near for partner in partners(name)]
    counterpart = partners(first)[-1]
    value, wanted = alone.values[stands_for(first)], reference.values[first]
    same_shape = value.shape == wanted.shape
    distance = relative(value, wanted)
    above = reference.graph.ancestors(planting.origin)
    upstream = [name for name in order if name in above and name in twin.values]
    found = [name for name in upstream if partners(name)]
    candidate_node = counterparts.candidate.graph.producer(counterpart)
    reference_node = reference.graph.producer(first)
    fields = {
        "first": {
            "referenceNode": reference_node.name,
            "referenceOp": reference_node.op_type,
            "referenceTensor": first,
            "candidateNode": candidate_node.name,
            "candidateOp": candidate_node.op_type,
            "candidateTensor": counterpart,
        },
        "origin": {
            "referenceNode": reference.graph.producer(planting.origin).name,
            "referenceTensor": planting.origin,
            "hiddenByFusion": len(hidden),
        },
        "accept": {"referenceTensors": place, "candidateTensors": list(dict.fromkeys(candidates))},
        "near": {
            "referenceTensors": near,
            "candidateTensors": [name for name in dict.fromkeys(near_candidates) if name not in candidates],
        },
        "measured": {
            "relL2": significant(distance) if same_shape else None,
            "maxAbs": significant(float(np.abs(value - wanted).max())) if same_shape else None,
            "shapes": None if same_shape else [list(wanted.shape), list(value.shape)],
            "upstream": {"tensors": len(upstream), "foundInCandidate": len(found)},
        },
    }
    return Place(fields, same_shape and distance < 1e-3)


def seen_behind(graph, name, partners):
    """Where the candidate has no counterpart of `name`: the values on from there, up to the first that it has."""
    reader = graph.only_consumer(name)
    if reader is None:
        return []
    output = reader.output[0]
    return [output] if partners(output) else [output, *seen_behind(graph, output, partners)]


def significant(value):
    """Four significant digits: figures are for reading."""
    return float(f"{value:.4g}")


def descendants(graph, name):
    """Names of all values computed from `name`."""
    found = {name}
    for node in graph.nodes:
        if any(source in found for source in node.input):
            found.update(node.output)
    return found


def neighbours(graph, origin, first, place):
    """Activations one operator away: what the origin reads, and what reads the first difference."""
    before = [name for name in graph.producer(origin).input if graph.is_activation(name)]
    after = [
        output for name in (origin, first) for reader in graph.consumers(name) for output in reader.output if output
    ]
    return sorted({*before, *after} - set(place))


def output_differences(reference, candidate, pairs):
    """The graph outputs side by side: relative L2 and largest absolute difference, or both shapes.

    @param pairs (reference output, candidate output)
    """
    rows = []
    for own, other in pairs:
        wanted, value = reference.values[own], candidate.values[other]
        value = channels_first(value, wanted)
        same = wanted.shape == value.shape
        rows.append(
            {
                "reference": own,
                "candidate": other,
                "relL2": significant(relative(value, wanted)) if same else None,
                "maxAbs": significant(float(np.abs(value - wanted).max())) if same else None,
                "shapes": None if same else [list(wanted.shape), list(value.shape)],
            }
        )
    return rows


def channels_first(value, wanted):
    """A picture with channels last turned to the reference's layout where that makes the shapes equal."""
    if value.shape != wanted.shape and value.ndim == 4:
        turned = value.transpose(0, 3, 1, 2)
        if turned.shape == wanted.shape:
            return turned
    return value
