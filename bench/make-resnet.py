"""ResNet-18 with seeded weights as ONNX, BatchNorm unfolded; the same network under other names, whole and with a fault.

    python bench/make-resnet.py FOLDER

Writes resnet18.onnx, resnet18-renamed.onnx, resnet18-fault.onnx (the tenth BatchNorm has epsilon 1e-3 for 1e-5) and
image.npy into FOLDER.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.downsample = None
        if stride != 1 or before != after:
            self.downsample = nn.Sequential(nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        widths = [(64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)]
        for index, (before, after, stride) in enumerate(widths, 1):
            setattr(self, f"layer{index}", nn.Sequential(Block(before, after, stride), Block(after, after, 1)))
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(x.mean((2, 3)))


def settle(model):
    """BatchNorm statistics of a trained network rather than zeros and ones."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.normal_(module.running_mean, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


def rename(model):
    """Every inner name replaced, as another exporter would; inputs and outputs stay."""
    keep = {value.name for value in [*model.graph.input, *model.graph.output]}
    names = {}

    def fresh(name):
        return name if name in keep or not name else names.setdefault(name, f"v{len(names)}")

    for tensor in model.graph.initializer:
        tensor.name = fresh(tensor.name)
    for index, node in enumerate(model.graph.node):
        node.name = f"node_{index}"
        for field in (node.input, node.output):
            field[:] = [fresh(name) for name in field]
    del model.graph.value_info[:]
    return model


def main():
    folder = Path(sys.argv[1])
    torch.manual_seed(7)
    model = settle(ResNet18())
    image = torch.randn(1, 3, 224, 224)
    torch.onnx.export(
        model, (image,), str(folder / "resnet18.onnx"), input_names=["image"], output_names=["logits"],
        opset_version=17, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
    )  # fmt: skip
    onnx.save(rename(onnx.load(folder / "resnet18.onnx")), folder / "resnet18-renamed.onnx")
    np.save(folder / "image.npy", image.numpy())
    faulty = onnx.load(folder / "resnet18-renamed.onnx")
    norm = [node for node in faulty.graph.node if node.op_type == "BatchNormalization"][9]
    for attribute in norm.attribute:
        if attribute.name == "epsilon":
            attribute.f = 1e-3
    onnx.save(faulty, folder / "resnet18-fault.onnx")


main()
