"""One measurement in a process of its own, with the Python libraries: python libraries.py TASK FILE..."""

import json
import re
import sys
import time
from pathlib import Path


def report(start, **values):
    milliseconds = (time.perf_counter() - start) * 1000
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024
    print(json.dumps({"milliseconds": milliseconds, "peakBytes": peak, **values}))


def nothing():
    report(time.perf_counter())


def safetensors(path):
    import numpy  # noqa: F401  safe_open imports it on use: an import, not part of opening
    from safetensors import safe_open

    start = time.perf_counter()
    with safe_open(path, framework="np") as file:
        listed = [(name, file.get_slice(name).get_dtype(), file.get_slice(name).get_shape()) for name in file.keys()]
        report(start, tensors=len(listed))


def onnx(path, external):
    import onnx

    start = time.perf_counter()
    model = onnx.load(path, load_external_data=external)
    listed = [(tensor.name, tensor.data_type, tuple(tensor.dims)) for tensor in model.graph.initializer]
    report(start, tensors=len(listed))


def torch(path):
    import torch

    start = time.perf_counter()
    state = torch.load(path, weights_only=True, mmap=True)
    listed = [(name, tensor.dtype, tensor.shape) for name, tensor in state.items()]
    report(start, tensors=len(listed))


def sessions(reference, candidate, inputs):
    import numpy
    import onnxruntime

    start = time.perf_counter()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    outputs = []
    for path in (reference, candidate):
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {session.get_inputs()[0].name: numpy.load(inputs)})[0])
    report(start, verdict=str(numpy.abs(outputs[0] - outputs[1]).max()))


def polygraphy(reference, candidate, inputs, marked):
    import numpy
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, SimpleCompareFunc
    from polygraphy.constants import MARK_ALL

    start = time.perf_counter()
    runners = []
    for path in (reference, candidate):
        model = path
        if marked:
            model = BytesFromOnnx(ModifyOutputs(OnnxFromPath(path), outputs=MARK_ALL))
        runners.append(OnnxrtRunner(SessionFromOnnx(model, providers=["cpu"]), name=path))
    results = Comparator.run(runners, data_loader=[{"image": numpy.load(inputs)}])
    within = SimpleCompareFunc(atol=1e-4, rtol=1e-4)
    verdict = Comparator.compare_accuracy(results, compare_func=within)
    report(start, verdict="pass" if verdict else "fail", compared=len(verdict.output_names()))


def marked(path):
    """The model with every value as an output, beside it."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    known = {output.name for output in model.graph.output}
    for node in model.graph.node:
        for name in node.output:
            if name and name not in known:
                model.graph.output.add(name=name)
    target = Path(path).with_suffix(".all.onnx")
    target.write_bytes(model.SerializeToString())
    report(time.perf_counter())


def polygraphy_saved(reference, candidate, inputs):
    """As its command line does it: run one, save every value; run the other, save; load both, compare."""
    import numpy
    from polygraphy.backend.onnx import BytesFromOnnx, ModifyOutputs, OnnxFromPath
    from polygraphy.backend.onnxrt import OnnxrtRunner, SessionFromOnnx
    from polygraphy.comparator import Comparator, RunResults, SimpleCompareFunc
    from polygraphy.constants import MARK_ALL

    start = time.perf_counter()
    saved = []
    for path in (reference, candidate):
        model = BytesFromOnnx(ModifyOutputs(OnnxFromPath(path), outputs=MARK_ALL))
        runner = OnnxrtRunner(SessionFromOnnx(model, providers=["cpu"]), name=path)
        saved.append(f"{path}.{Path(candidate).stem}.json")
        Comparator.run([runner], data_loader=[{"image": numpy.load(inputs)}]).save(saved[-1])
    both = RunResults()
    for path in saved:
        both.extend(RunResults.load(path))
    verdict = Comparator.compare_accuracy(both, compare_func=SimpleCompareFunc(atol=1e-4, rtol=1e-4))
    first = verdict[0]
    pairs = first[next(iter(first.keys()))][0]
    wrong = [name for name, match in pairs.items() if not match]
    for path in saved:
        Path(path).unlink()
    found = wrong[0] if wrong else ""
    report(start, verdict="pass" if verdict else "fail", compared=len(verdict.output_names()), found=found)


TASKS = {
    "nothing": nothing,
    "safetensors": safetensors,
    "onnx": lambda path: onnx(path, False),
    "onnx-external": lambda path: onnx(path, True),
    "torch": torch,
    "sessions": sessions,
    "polygraphy": lambda *paths: polygraphy(*paths, False),
    "polygraphy-all": lambda *paths: polygraphy(*paths, True),
    "polygraphy-saved": polygraphy_saved,
    "marked": marked,
}
TASKS[sys.argv[1]](*sys.argv[2:])
