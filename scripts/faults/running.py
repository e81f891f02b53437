"""Values of every intermediate tensor, by ONNX Runtime with all graph optimisation off."""

from dataclasses import dataclass

import numpy as np
import onnx
import onnxruntime

from graph import Graph

onnxruntime.set_default_logger_severity(4)


def session_options(level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return options


@dataclass(frozen=True)
class Recording:
    """What a graph computed: all values that depend on its input, in order of execution."""

    graph: Graph
    values: dict[str, np.ndarray]

    @property
    def outputs(self):
        return self.graph.outputs

    @property
    def order(self):
        return list(self.values)


def record(model, feed):
    """Runs `model` on `feed` (array for its one input) and keeps every value.

    @raises Exception of ONNX Runtime when the graph is not valid, e.g. after a fault that breaks shapes
    """
    graph = Graph(model)
    names = graph.activations()
    observed = onnx.ModelProto()
    observed.CopyFrom(graph.model)
    known = set(graph.outputs)
    observed.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in names if name not in known)
    session = onnxruntime.InferenceSession(
        observed.SerializeToString(), session_options(), providers=["CPUExecutionProvider"]
    )
    values = session.run(names, {graph.input: feed})
    return Recording(graph, dict(zip(names, values, strict=True)))


def relative(candidate, reference):
    """||candidate - reference|| / ||reference|| in float64; infinite for other shapes or values that are not finite."""
    if candidate.shape != reference.shape:
        return float("inf")
    a, b = candidate.astype(np.float64), reference.astype(np.float64)
    if not np.isfinite(a).all():
        return float("inf")
    size = float(np.linalg.norm(b))
    return float(np.linalg.norm(a - b)) / (size or 1.0)
