"""Writes the operator cases of the onnx package (its backend test suite) for `test/onnx-operators.test.ts`.

    python scripts/evaluate/make_onnx_cases.py FOLDER

FOLDER/NAME.onnx is a model; FOLDER/values.bin holds all inputs and expected outputs, little-endian, back to back;
FOLDER/cases.json says where each lies. Cases whose values are no plain arrays are counted, not written.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases

warnings.filterwarnings("ignore")

NARROW = {"int4": "int8", "int2": "int8", "uint4": "uint8", "uint2": "uint8", "float4_e2m1fn": "float32"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    offset, rows, left_out = 0, [], []
    with open(folder / "values.bin", "wb") as values:

        def write(array, info):
            nonlocal offset
            if isinstance(array, onnx.TensorProto):
                array = onnx.numpy_helper.to_array(array)
            array = np.asarray(array)
            if array.dtype.kind in "OUSc" or array.dtype.itemsize == 0:
                raise TypeError(f"values of type {array.dtype}")
            name = str(array.dtype)  # as numpy and ml_dtypes spell it
            if name in NARROW:  # packed in files, one element per byte in memory
                array = array.astype(NARROW[name])
            raw = np.ascontiguousarray(array).tobytes()
            values.write(raw)
            row = {"name": info.name, "dtype": name, "stored": str(array.dtype), "shape": list(array.shape), "offset": offset}
            offset += len(raw)
            return row

        for case in collect_testcases(None):
            graph = case.model.graph
            try:
                if any(not v.type.HasField("tensor_type") for v in [*graph.input, *graph.output]):
                    raise TypeError("sequence or optional")
                inputs, outputs = case.data_sets[0]
                if isinstance(inputs, dict):
                    inputs = [inputs[v.name] for v in graph.input if v.name in inputs]
                row = {
                    "name": case.name,
                    "rtol": case.rtol,
                    "atol": case.atol,
                    "inputs": [write(a, v) for a, v in zip(inputs, graph.input, strict=True)],
                    "outputs": [write(a, v) for a, v in zip(outputs, graph.output, strict=True)],
                }
            except (TypeError, ValueError, AttributeError) as error:
                left_out.append({"name": case.name, "why": str(error)})
                continue
            onnx.save(case.model, folder / f"{case.name}.onnx")
            rows.append(row)
    (folder / "cases.json").write_text(json.dumps({"onnx": onnx.__version__, "cases": rows, "leftOut": left_out}))
    print(f"{len(rows)} cases, {len(left_out)} left out")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
