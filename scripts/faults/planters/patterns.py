"""Patterns of several operators that stand for one layer: GELU, SiLU, attention."""

from dataclasses import dataclass

import onnx


@dataclass(frozen=True)
class Gelu:
    """x * 0.5 * (1 + erf(x / sqrt 2)), written as five operators."""

    source: str
    inner: tuple[str, ...]
    output: str


@dataclass(frozen=True)
class Attention:
    """Scores to weights: the softmax, and what scales and masks its input, each with its constant's place."""

    softmax: onnx.NodeProto
    scale: tuple[onnx.NodeProto | None, int]
    mask: tuple[onnx.NodeProto, int] | None
    tokens: int | None


def gelus(graph):
    found = []
    for erf in graph.of("Erf"):
        quotient = graph.producer(erf.input[0])
        chain = [quotient, erf]
        for _ in range(3):
            reader = graph.only_consumer(chain[-1].output[0])
            if reader is None:
                break
            chain.append(reader)
        if len(chain) == 5 and quotient is not None:
            found.append(Gelu(quotient.input[0], tuple(node.output[0] for node in chain[:-1]), chain[-1].output[0]))
    return found


def silus(graph):
    """Pairs of the Sigmoid and the Mul that multiplies it with its own input."""
    pairs = []
    for sigmoid in graph.of("Sigmoid"):
        product = graph.only_consumer(sigmoid.output[0])
        if product is not None and product.op_type == "Mul" and sigmoid.input[0] in product.input:
            pairs.append((sigmoid, product))
    return pairs


def attentions(graph):
    found = []
    for softmax in graph.of("Softmax"):
        name, mask, scale = softmax.input[0], None, (None, 0)
        while (node := graph.producer(name)) is not None and node.op_type in ("Add", "Mul", "Div"):
            index = next((i for i in (0, 1) if graph.weight(node, i) is not None), None)
            if index is None:
                break
            if node.op_type == "Add":
                mask = (node, index)
            else:
                scale = (node, index)
            name = node.input[1 - index]
        node = graph.producer(name)
        if node is not None and node.op_type == "MatMul" and graph.weight(node, 1) is None:
            found.append(Attention(softmax, scale, mask, last_side(graph, softmax.output[0])))
    return found


def last_side(graph, name):
    """Length of the last axis of an attention map, None unless the map is square."""
    inferred = onnx.shape_inference.infer_shapes(graph.model)
    for value in inferred.graph.value_info:
        if value.name == name:
            sizes = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            return sizes[-1] if len(sizes) >= 2 and sizes[-1] == sizes[-2] > 1 else None
    return None
