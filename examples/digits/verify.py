"""Runs ONNX files with every intermediate value kept, and finds the first tensor in which two of them part."""

import numpy as np
import onnx
import onnxruntime as ort

AGREE = 1e-4  # largest difference, relative to the tensor's largest value, that counts as rounding


def session(proto):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run_onnx(path, x):
    runner = session(onnx.load(path))
    return runner.run(None, {runner.get_inputs()[0].name: x})[0]


def trace(path, x):
    """{tensor: value} of every float node output, in the file's (topological) order."""
    proto = onnx.load(path)
    known = {o.name for o in proto.graph.output}
    names = [o for node in proto.graph.node if node.op_type != "Constant" for o in node.output if o]
    proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    runner = session(proto)
    values = runner.run(names, {runner.get_inputs()[0].name: x})
    return {name: value for name, value in zip(names, values) if value.dtype == np.float32}


def counterpart(value, others):
    """Closest tensor of `others` in the same or the NHWC layout: (name, relative difference), or (None, inf)."""
    best = (None, np.inf)
    scale = max(float(np.abs(value).max()), 1e-6)
    for name, other in others.items():
        for candidate in (other, other.transpose(0, 3, 1, 2)) if other.ndim == 4 else (other,):
            if candidate.shape == value.shape:
                difference = float(np.abs(candidate - value).max()) / scale
                if difference < best[1]:
                    best = (name, difference)
    return best


def first_difference(reference, correct, mistaken):
    """First reference tensor that the correct port computes and the mistaken one does not.

    Returns (tensor, relative difference of the nearest value in the mistaken port, upstream tensors that agree).
    Reference tensors that even the correct port lacks (a BatchNorm folded away) say nothing and are passed over.
    """
    agreeing = []
    for name, value in reference.items():
        if counterpart(value, correct)[1] > AGREE:
            continue
        difference = counterpart(value, mistaken)[1]
        if difference > AGREE:
            return name, difference, agreeing
        agreeing.append(name)
    return None, 0.0, agreeing
