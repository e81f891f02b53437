"""Writes a Keras port in the forms that TensorFlow users publish, and runs each of them."""

import shutil

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
from port import build, named_weights
from safetensors.numpy import load_file, save_file
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2
from verify import run_onnx


def write_mistake(model, folder):
    """The four forms in which each mistake is kept."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save(folder / "digits.keras")
    model.save(folder / "digits.h5")
    spec = tf.TensorSpec([None, *model.input_shape[1:]], tf.float32, name="pixels")
    proto, _ = tf2onnx.convert.from_function(_function(model), [spec], opset=17)
    onnx.save(proto, folder / "digits.onnx")
    (folder / "digits.tflite").write_bytes(_converter(model).convert())


def write_candidate(model, folder, representative):
    """Every form; `representative` float32 [N, H, W, C] calibrates the int8 file."""
    write_mistake(model, folder)
    model.save_weights(folder / "digits.weights.h5")
    shutil.rmtree(folder / "saved_model", ignore_errors=True)
    model.export(str(folder / "saved_model"), verbose=False)
    (folder / "digits-frozen.pb").write_bytes(_frozen(model).graph.as_graph_def().SerializeToString(deterministic=True))
    half = _converter(model)
    half.optimizations = [tf.lite.Optimize.DEFAULT]
    half.target_spec.supported_types = [tf.float16]
    (folder / "digits-fp16.tflite").write_bytes(half.convert())
    int8 = _converter(model)
    int8.optimizations = [tf.lite.Optimize.DEFAULT]
    int8.representative_dataset = lambda: ([picture[None]] for picture in representative)
    int8.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    int8.inference_input_type = int8.inference_output_type = tf.int8
    (folder / "digits-int8.tflite").write_bytes(int8.convert())
    np.savez(folder / "digits.npz", **named_weights(model))
    save_file(named_weights(model), folder / "digits.safetensors", metadata={"framework": "keras"})


def run_candidate(folder, x):
    """Logits of every file of a candidate folder for NHWC x: {file: array}."""
    runners = {
        "digits.keras": _run_saved,
        "digits.h5": _run_saved,
        "digits.weights.h5": _run_weights,
        "digits.npz": lambda path, x: _run_named(np.load(path), x),
        "digits.safetensors": lambda path, x: _run_named(load_file(path), x),
        "saved_model": _run_saved_model,
        "digits-frozen.pb": _run_frozen,
        "digits.tflite": _run_tflite,
        "digits-fp16.tflite": _run_tflite,
        "digits-int8.tflite": _run_tflite,
        "digits.onnx": run_onnx,
    }
    return {name: run(folder / name, x) for name, run in runners.items() if (folder / name).exists()}


def _function(model):
    return tf.function(lambda pixels: model(pixels, training=False))


def _frozen(model, batch=None):
    spec = tf.TensorSpec([batch, *model.input_shape[1:]], tf.float32, name="pixels")
    return convert_variables_to_constants_v2(_function(model).get_concrete_function(spec))


def _converter(model):
    """From the frozen function: with variables left in, calibration fails in TensorFlow 2.21 (READ_VARIABLE)."""
    return tf.lite.TFLiteConverter.from_concrete_functions([_frozen(model, batch=1)])


def _run_saved(path, x):
    return keras.models.load_model(path, compile=False)(x, training=False).numpy()


def _run_saved_model(path, x):
    loaded = tf.saved_model.load(str(path))  # must outlive the call: it owns the variables
    return loaded.serve(x).numpy()


def _run_weights(path, x):
    model = build()
    model.load_weights(path)
    return model(x, training=False).numpy()


def _run_named(arrays, x):
    model = build()
    for layer in model.layers:
        layer.set_weights([arrays[f"{layer.name}/{v.name}"] for v in layer.weights])
    return model(x, training=False).numpy()


def _run_frozen(path, x):
    graph_def = tf.compat.v1.GraphDef.FromString(path.read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(graph_def, name="")
    with tf.compat.v1.Session(graph=graph) as session:
        return session.run("Identity:0", {"pixels:0": x})


def _run_tflite(path, x):
    interpreter = tf.lite.Interpreter(str(path))
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    rows = []
    for picture in x:
        value = picture[None]
        if source["dtype"] == np.int8:
            scale, zero = source["quantization"]
            value = np.clip(np.rint(value / scale) + zero, -128, 127).astype(np.int8)
        interpreter.set_tensor(source["index"], value)
        interpreter.invoke()
        row = interpreter.get_tensor(target["index"])[0]
        if target["dtype"] == np.int8:
            scale, zero = target["quantization"]
            row = (row.astype(np.float32) - zero) * scale
        rows.append(row)
    return np.stack(rows)
