"""Writes the large files that the benchmarks open, from one seeded block of values. Nothing of it is committed.

    python bench/make-large.py FOLDER [NAME...]

Files: large.safetensors, large.pt, inline.onnx, external-1.onnx (+ .data), external-3.onnx (+ .data).
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np

# One block: a dense layer and its normalisation, 16.8 MB. 62 blocks are 1.04 GB in 248 tensors, 186 are 3.13 GB.
SHAPES = {"fc.weight": (1024, 4096), "fc.bias": (4096,), "norm.weight": (1024,), "norm.bias": (1024,)}
BLOCKS = {"large.safetensors": 62, "large.pt": 62, "inline.onnx": 62, "external-1.onnx": 62, "external-3.onnx": 186}


def arrays(blocks):
    random = np.random.default_rng(7)
    block = {name: random.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES.items()}
    for index in range(blocks):
        for name, values in block.items():
            yield f"blocks.{index}.{name}", values


def write_safetensors(path, blocks):
    header, end = {}, 0
    for name, values in arrays(blocks):
        header[name] = {"dtype": "F32", "shape": values.shape, "data_offsets": [end, end + values.nbytes]}
        end += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, values in arrays(blocks):
            file.write(values.tobytes())


def write_pt(path, blocks):
    import torch

    torch.save({name: torch.tensor(values) for name, values in arrays(blocks)}, path)


def write_onnx(path, blocks, external):
    from onnx import TensorProto, helper

    initializers, offset = [], 0
    data = open(f"{path}.data", "wb") if external else None
    for name, values in arrays(blocks):
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=values.shape)
        if data:
            data.write(values.tobytes())
            tensor.data_location = TensorProto.EXTERNAL
            place = {"location": f"{path.name}.data", "offset": offset, "length": values.nbytes}
            for key, value in place.items():
                tensor.external_data.add(key=key, value=str(value))
            offset += values.nbytes
        else:
            tensor.raw_data = values.tobytes()
        initializers.append(tensor)
    nodes = []
    for index in range(blocks):
        source = f"x{index - 1}" if index else "x"
        prefix = f"blocks.{index}"
        nodes.append(helper.make_node("Gemm", [source, f"{prefix}.fc.weight", f"{prefix}.fc.bias"], [f"h{index}"]))
        nodes.append(helper.make_node("Slice", [f"h{index}", "start", "end", "axis"], [f"s{index}"]))
        norm = [f"s{index}", f"{prefix}.norm.weight", f"{prefix}.norm.bias"]
        nodes.append(helper.make_node("LayerNormalization", norm, [f"x{index}"]))
    for name, value in {"start": 0, "end": 1024, "axis": 1}.items():
        initializers.append(helper.make_tensor(name, TensorProto.INT64, [1], [value]))
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1024]) for name in ("x", f"x{blocks - 1}")]
    graph = helper.make_graph(nodes, "large", ends[:1], ends[1:], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    if data:
        data.close()


def main():
    folder = Path(sys.argv[1])
    for name in sys.argv[2:] or BLOCKS:
        path = folder / name
        if name.endswith(".safetensors"):
            write_safetensors(path, BLOCKS[name])
        elif name.endswith(".pt"):
            write_pt(path, BLOCKS[name])
        else:
            write_onnx(path, BLOCKS[name], name.startswith("external"))


main()
