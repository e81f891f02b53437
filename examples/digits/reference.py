"""Writes the reference in the forms that PyTorch users publish, and checks each by running it."""

import numpy as np
import onnx
import torch
from network import INPUT_NAME, OUTPUT_NAME, SEED, DigitsNet
from onnx import helper, numpy_helper
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from torchscript import write_torchscript
from verify import run_onnx


def export_onnx(model, path, sample, **options):
    torch.onnx.export(
        model, (sample,), str(path), input_names=[INPUT_NAME], output_names=[OUTPUT_NAME], opset_version=17,
        dynamic_axes={INPUT_NAME: {0: "batch"}, OUTPUT_NAME: {0: "batch"}}, dynamo=False, **options,
    )  # fmt: skip


def write_reference(model, checkpoint, folder, sample):
    folder.mkdir(parents=True, exist_ok=True)
    state = model.state_dict()
    torch.save(state, folder / "digits.pt")
    torch.save(checkpoint, folder / "digits-checkpoint.pt")
    torch.save(model, folder / "digits-module.pt")
    write_torchscript(torch.jit.script(model), folder / "digits-torchscript.pt")
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    export_onnx(model, folder / "digits.onnx", sample, **keep)
    export_onnx(model, folder / "digits-folded.onnx", sample)
    np.savez(folder / "digits.npz", **{name: value.numpy() for name, value in state.items()})
    save_file(state, folder / "digits.safetensors", metadata={"framework": "pytorch"})


def run_reference(folder, x):
    """Logits of every reference file for x: {file: array}."""
    with torch.no_grad():

        def run_state(state):
            model = DigitsNet().eval()
            model.load_state_dict(state)
            return model(torch.from_numpy(x)).numpy()

        checkpoint = torch.load(folder / "digits-checkpoint.pt", weights_only=False)
        npz = np.load(folder / "digits.npz")
        script = torch.jit.load(folder / "digits-torchscript.pt")
        assert "network.py" in str(script.graph), "the debug records are unreadable"
        return {
            "digits.pt": run_state(torch.load(folder / "digits.pt")),
            "digits-checkpoint.pt": run_state(checkpoint["model"]),
            "digits-module.pt": torch.load(folder / "digits-module.pt", weights_only=False)(torch.from_numpy(x)).numpy(),
            "digits-torchscript.pt": script(torch.from_numpy(x)).numpy(),
            "digits.onnx": run_onnx(folder / "digits.onnx", x),
            "digits-folded.onnx": run_onnx(folder / "digits-folded.onnx", x),
            "digits.npz": run_state({name: torch.from_numpy(npz[name]) for name in npz.files}),
            "digits.safetensors": run_state(load_file(folder / "digits.safetensors")),
        }


class Transplant(nn.Module):
    """The same function in another author's hand: other names and order, dense weights as (in, out)."""

    def __init__(self, source):
        super().__init__()
        self.head_b = nn.Parameter(source.fc2.weight.detach().t().contiguous())
        self.head_b_shift = nn.Parameter(source.fc2.bias.detach().clone())
        self.head_a = nn.Parameter(source.fc1.weight.detach().t().contiguous())
        self.head_a_shift = nn.Parameter(source.fc1.bias.detach().clone())
        self.tail = nn.Sequential(source.block.depthwise, source.block.bn1, nn.ReLU(), source.block.pointwise, source.block.bn2)
        self.trunk = nn.Sequential(source.stem, source.stem_bn, nn.ReLU(), source.down, source.down_bn, nn.ReLU())

    def forward(self, x):
        x = self.trunk(x)
        x = F.max_pool2d(F.relu(x + self.tail(x)), 2).reshape(x.shape[0], -1)
        return F.relu(x @ self.head_a + self.head_a_shift) @ self.head_b + self.head_b_shift


def write_renamed(model, path, sample):
    """PyTorch re-port with numbered names and its convolution kernels as Constant nodes, in reverse order, up front."""
    keep = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    export_onnx(Transplant(model).eval(), path, sample, **keep)
    proto = onnx.load(path)
    graph = proto.graph
    rng = np.random.default_rng(SEED)
    names = [t.name for t in graph.initializer] + [o for n in graph.node for o in n.output]
    numbers = rng.permutation(len(names)) + 100
    rename = {name: f"v{number}" for name, number in zip(names, numbers) if name != OUTPUT_NAME}
    for node, number in zip(graph.node, rng.permutation(len(graph.node))):
        node.name = f"op{number}"
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    for tensor in graph.initializer:
        tensor.name = rename[tensor.name]
    kernels = [t for t in graph.initializer if len(t.dims) == 4]
    rest = sorted((t for t in graph.initializer if len(t.dims) != 4), key=lambda t: t.name)
    constants = [
        helper.make_node("Constant", [], [t.name], value=numpy_helper.from_array(numpy_helper.to_array(t)))
        for t in reversed(kernels)
    ]
    nodes = constants + list(graph.node)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(rest)
    graph.name, proto.producer_name, proto.producer_version = "transplant", "modelwright-fixtures", "1"
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)
