"""Trains the reference, ports it, plants the mistakes, checks every file by running it, and writes the manifest.

    python examples/digits/make.py

Needs the frameworks of scripts/fixtures/setup.sh. Fails when a correct file differs from PyTorch or a mistake does not.
"""

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_ENABLE_ONEDNN_OPTS="0", CUDA_VISIBLE_DEVICES="", KERAS_BACKEND="tensorflow")

import h5py
import keras
import numpy as np
import onnx
import onnxruntime
import safetensors
import sklearn
import tensorflow as tf
import tf2onnx
import torch
from network import load_data, to_nchw, to_nhwc
from PIL import Image
from port import MISTAKES, port
from port_files import run_candidate, write_candidate, write_mistake
from reference import run_reference, write_reference, write_renamed
from training import TEST_COUNT, train
from verify import first_difference, run_onnx, trace

HERE = Path(__file__).parent
EXACT = {"maxRel": 1e-5, "why": "the same float32 arithmetic in another order"}
TOLERANCES = {
    "digits-fp16.tflite": {"maxRel": 5e-3, "why": "weights rounded to float16"},
    "digits-int8.tflite": {"maxRel": 0.15, "why": "weights and activations rounded to 8 bits"},
}
FORMATS = {
    "digits.pt": "PyTorch state dict", "digits-checkpoint.pt": "PyTorch training checkpoint",
    "digits-module.pt": "PyTorch whole-module pickle", "digits-torchscript.pt": "TorchScript archive",
    "digits-folded.onnx": "ONNX, BatchNorm folded", "digits-renamed.onnx": "ONNX, foreign names",
    "digits.weights.h5": "Keras 3 weights", "digits-frozen.pb": "TensorFlow frozen GraphDef",
    "digits-fp16.tflite": "TFLite float16", "digits-int8.tflite": "TFLite int8 per channel",
}  # fmt: skip
BY_SUFFIX = {
    ".onnx": "ONNX", ".npz": "NPZ", ".safetensors": "safetensors", ".h5": "Keras HDF5", ".keras": "Keras 3",
    ".tflite": "TFLite", ".npy": "NPY", ".png": "PNG",
}  # fmt: skip
VERSIONS = {
    "python": sys.version.split()[0], "torch": torch.__version__, "tensorflow": tf.__version__, "keras": keras.__version__,
    "tf2onnx": tf2onnx.__version__, "onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__,
    "h5py": h5py.__version__, "safetensors": safetensors.__version__, "scikit-learn": sklearn.__version__,
    "numpy": np.__version__,
}  # fmt: skip


def relative(value, truth):
    return float(np.abs(value - truth).max() / np.abs(truth).max())


def check_correct(folder, outputs, truth):
    """{file: check}; stops at a file whose logits stray from PyTorch's."""
    checks = {}
    for name, value in outputs.items():
        tolerance = TOLERANCES.get(name, EXACT)
        difference = relative(value, truth)
        agreement = float((value.argmax(1) == truth.argmax(1)).mean())
        if difference > tolerance["maxRel"] or agreement < 0.99:
            raise SystemExit(f"{folder}/{name}: differs by {difference:.3g} of the largest logit, agrees on {agreement:.2%}")
        checks[f"{folder}/{name}"] = {"maxRel": difference, "sameClass": agreement, "tolerance": tolerance}
    return checks


def check_mistake(name, model_outputs, truth, traces):
    """The manifest's entry for a mistake; stops when it makes no difference or shows up at another layer."""
    cause, layer, detail = MISTAKES[name]
    for file, value in model_outputs.items():
        if relative(value, truth) < 1e-3:
            raise SystemExit(f"mistakes/{name}/{file}: the mistake makes no difference")
    tensor, difference, agreeing = first_difference(*traces)
    batch_norm = {"stem": "stem_bn", "down": "down_bn", "block.pointwise": "block.bn2"}.get(layer)
    folders = ["/" + part.replace(".", "/") + "/" for part in (layer, batch_norm) if part]
    layer_tensors = [name for name in traces[0] if name.startswith(tuple(folders))]
    if cause == "flatten-order":  # read in place, the flattened vector itself is the first to differ
        layer_tensors.insert(0, "/Flatten_output_0")
    if tensor not in layer_tensors:
        raise SystemExit(f"mistakes/{name}: first difference at {tensor}, planted in {layer}")
    return {
        "cause": cause, "referenceLayer": layer, "detail": detail, "layerTensors": layer_tensors, "firstReferenceTensor": tensor,
        "maxRelThere": difference, "agreeingUpstream": agreeing,
        "logitsMaxRel": {file: relative(value, truth) for file, value in model_outputs.items()},
    }  # fmt: skip


def write_inputs(pictures):
    """Two batches in both layouts, each file named after the graph input that takes it, and two pictures."""
    for batch, part in (("batch-a", pictures[:8]), ("batch-b", pictures[8:11])):
        for layout, name, convert in (("nchw", "image", to_nchw), ("nhwc", "pixels", to_nhwc)):
            folder = HERE / "inputs" / layout / batch
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{name}.npy", convert(part))
    folder = HERE / "inputs" / "pictures"
    folder.mkdir(exist_ok=True)
    for number in range(2):
        Image.fromarray(pictures[number]).save(folder / f"digit-{number}.png")


def describe(path, checks):
    name = path.relative_to(HERE).as_posix()
    data = path.read_bytes()
    in_saved_model = "/saved_model/" in name
    script = {"reference": "reference.py", "inputs": "make.py"}.get(name.split("/")[0], "port_files.py")
    entry = {
        "path": name,
        "format": "part of a SavedModel" if in_saved_model else FORMATS.get(path.name) or BY_SUFFIX[path.suffix],
        "madeBy": f"examples/digits/{'reference.py' if path.name == 'digits-renamed.onnx' else script}",
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    check = checks.get(name.split("/saved_model/")[0] + "/saved_model" if in_saved_model else name)
    return {**entry, "check": check} if check else entry


def main():
    pictures, labels = load_data()
    model, checkpoint, accuracy = train(pictures, labels)
    parameters = sum(p.numel() for p in model.parameters())
    print(f"trained: {accuracy:.2%} of {TEST_COUNT} test digits, {parameters} parameters")
    if accuracy < 0.97:
        raise SystemExit("the reference is not good enough")
    test = pictures[-TEST_COUNT:]
    nchw, nhwc = to_nchw(test), to_nhwc(test)
    with torch.no_grad():
        truth = model(torch.from_numpy(nchw)).numpy()
    for folder in ("reference", "candidate", "mistakes", "inputs"):
        shutil.rmtree(HERE / folder, ignore_errors=True)

    write_inputs(test)
    write_reference(model, checkpoint, HERE / "reference", torch.from_numpy(nchw[:2]))
    checks = check_correct("reference", run_reference(HERE / "reference", nchw), truth)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    write_candidate(port(state), HERE / "candidate", to_nhwc(pictures[:200]))
    write_renamed(model, HERE / "candidate" / "digits-renamed.onnx", torch.from_numpy(nchw[:2]))
    checks |= check_correct("candidate", run_candidate(HERE / "candidate", nhwc), truth)
    renamed = {"digits-renamed.onnx": run_onnx(HERE / "candidate" / "digits-renamed.onnx", nchw)}
    checks |= check_correct("candidate", renamed, truth)

    reference = trace(HERE / "reference" / "digits.onnx", nchw[:8])
    correct = trace(HERE / "candidate" / "digits.onnx", nhwc[:8])
    mistakes = {}
    for name in MISTAKES:
        folder = HERE / "mistakes" / name
        write_mistake(port(state, name), folder)
        traces = (reference, correct, trace(folder / "digits.onnx", nhwc[:8]))
        mistakes[name] = check_mistake(name, run_candidate(folder, nhwc), truth, traces)
        print(f"{name}: first at {mistakes[name]['firstReferenceTensor']}, {mistakes[name]['maxRelThere']:.3g}")

    folders = ("reference", "candidate", "mistakes", "inputs")
    files = sorted(path for folder in folders for path in (HERE / folder).rglob("*") if path.is_file())
    manifest = {
        "schemaVersion": 1, "versions": VERSIONS, "parameters": parameters, "testAccuracy": accuracy,
        "files": [describe(path, checks) for path in files], "mistakes": mistakes,
    }  # fmt: skip
    (HERE / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print(f"{len(files)} files, {sum(f['bytes'] for f in manifest['files'])} bytes, all checked")


if __name__ == "__main__":
    main()
