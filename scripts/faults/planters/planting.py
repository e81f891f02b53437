"""What a planted fault is, and how planters walk over the places where one can stand."""

from dataclasses import dataclass, field

from graph import Graph


@dataclass(frozen=True)
class Planting:
    """A faulted copy of a reference graph.

    Names are those of the reference wherever a value still exists: both pair by name except for `alias`.
    """

    graph: Graph
    #: the reference's value that the faulty operator itself makes
    origin: str
    #: what was done, in words
    detail: str
    #: reference value -> value of `graph` that stands in its place (an absent operator's input, an added one's output)
    alias: dict[str, str] = field(default_factory=dict)
    #: further reference values that name the same place: inside a rewritten pattern, behind an added operator
    same_place: tuple[str, ...] = ()
    #: values of `graph` that the reference lacks
    added: tuple[str, ...] = ()
    #: cause labels that count as right besides those of the fault's row
    also: tuple[str, ...] = ()


def shuffled(rng, items):
    """The items in a seeded order: planters offer their sites this way, the first that has an effect is taken."""
    items = list(items)
    return [items[i] for i in rng.permutation(len(items))]


def altered(graph, node):
    """A copy of the graph and, in it, the same node."""
    copy = Graph(graph.model)
    return copy, copy.node(node.output[0])


#: operators that only look at their input in another way
VIEWS = ("Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze", "Identity")


def read_by(graph, name):
    """Values of the first operators behind `name` that compute something, and of the views between."""
    found = []
    for reader in graph.consumers(name):
        outputs = [output for output in reader.output if output]
        found += outputs
        if reader.op_type in VIEWS:
            found += [further for output in outputs for further in read_by(graph, output)]
    return found


def inserted(graph, name, op_type, *constants, detail, also=(), **attributes):
    """A planting that puts one operator behind value `name`: that value, and what reads it, is the place."""
    copy = Graph(graph.model)
    readers = tuple(read_by(graph, name))
    made = copy.insert_after(name, op_type, *constants, **attributes)
    return Planting(copy, name, detail, {name: made}, readers, (made,), also)


def removed(graph, node, keep=0, *, detail, also=()):
    """A planting that takes `node` out and hands its input `keep` on; None where it makes a graph output."""
    if node.output[0] in graph.outputs:
        return None
    copy, twin = altered(graph, node)
    copy.remove(twin, keep)
    copy.drop_unused()
    return Planting(copy, node.output[0], detail, {node.output[0]: node.input[keep]}, also=also)


def is_weighted(node):
    return node.op_type in ("Conv", "ConvTranspose", "Gemm", "MatMul")


def weighted(graph, *op_types):
    """Nodes with a stored weight of two or more axes at input 1 that read an activation."""
    wanted = op_types or ("Conv", "ConvTranspose", "Gemm", "MatMul")
    return [
        node
        for node in graph.of(*wanted)
        if (value := graph.weight(node, 1)) is not None
        and value.ndim >= 2
        and graph.is_activation_or_input(node.input[0])
    ]
