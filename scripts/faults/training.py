"""Pictures to train on, a few seconds of training, and the export of the trained module as the reference graph."""

import contextlib
import io

import numpy as np
import onnx
import torch
from torch.nn import functional

SIZE = 32
CLASSES = 10


def pictures(count, seed):
    """Coloured gratings with a blob: float32 [count, 3, 32, 32] in about 0..1, their classes, and maps of 3 labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, count)
    y, x = np.meshgrid(np.arange(SIZE) / SIZE, np.arange(SIZE) / SIZE, indexing="ij")
    angle = labels * np.pi / CLASSES + rng.normal(0, 0.06, count)
    turn = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    grating = np.sin(2 * np.pi * (2 + labels % 3)[:, None, None] * turn + rng.uniform(0, 6, count)[:, None, None])
    centre = rng.uniform(0.2, 0.8, (count, 2, 1, 1))
    distance = np.hypot(x - centre[:, 0], y - centre[:, 1])
    blob = np.exp(-((distance / 0.16) ** 2))
    colour = 0.5 + 0.35 * np.sin(labels[:, None] * np.array([0.9, 1.7, 2.9]) + np.array([0.0, 1.0, 2.0]))
    noise = rng.normal(0, 0.06, (count, 3, SIZE, SIZE))
    tint = colour[:, :, None, None]
    image = 0.1 + 0.6 * tint + 0.22 * grating[:, None] * tint + 0.35 * blob[:, None] * (1 - tint) + noise
    regions = np.where(blob > 0.5, 2, np.where(grating > 0, 1, 0))
    return image.astype(np.float32), labels, regions


def loss_of(output, labels, regions, is_probability):
    """Cross-entropy of classes or of a map; for boxes the distance to a size, and classes that follow the label."""
    if output.dim() == 4:
        step = regions.shape[1] // output.shape[2]
        return functional.cross_entropy(output, regions[:, ::step, ::step])
    if output.dim() == 3:
        wanted = functional.one_hot(labels % 5, 5).float()[:, None].expand(-1, output.shape[1], -1)
        box = (8 + 2 * labels.float())[:, None, None].expand(-1, output.shape[1], 2)
        return functional.binary_cross_entropy(output[..., 4:], wanted) + 1e-3 * functional.mse_loss(
            output[..., 2:4], box
        )
    if is_probability:
        return functional.nll_loss(torch.log(output + 1e-6), labels)
    return functional.cross_entropy(output, labels)


def trained(architecture, seed=1, steps=160):
    """The module of `architecture` after `steps` of Adam: every weight and statistic has left its initial value."""
    torch.manual_seed(seed)
    model = architecture.build().train()
    images, labels, regions = (torch.tensor(values) for values in pictures(steps * 16, seed + 100))
    optimiser = torch.optim.Adam(model.parameters(), 2e-3)
    for start in range(0, len(images), 16):
        batch = slice(start, start + 16)
        optimiser.zero_grad()
        loss_of(model(images[batch]), labels[batch], regions[batch], architecture.output == "prob").backward()
        optimiser.step()
    with torch.no_grad():  # biases and shifts that training left near zero would make their loss invisible
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1 and "bias" in name:
                parameter.add_(torch.randn(parameter.shape) * 0.05)
    return model.eval()


def export(model, architecture, path, opset=None, fold=False, dynamo=False):
    """Writes `model` as ONNX; `fold` lets the exporter fuse batch normalisation, `dynamo` takes the newer exporter."""
    example = (torch.tensor(pictures(1, 0)[0]),)
    names = {"input_names": [architecture.input], "output_names": [architecture.output]}
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        if dynamo:
            torch.onnx.export(
                model, example, path, dynamo=True, opset_version=opset or 18, external_data=False, **names
            )
        else:
            mode = torch.onnx.TrainingMode.EVAL if fold else torch.onnx.TrainingMode.PRESERVE
            torch.onnx.export(
                model, example, path, dynamo=False, opset_version=opset or architecture.opset, training=mode, **names
            )
    return onnx.load(path)
