"""Two ways of writing a network in torch that a porter might choose, exported by torch's own exporter."""

import contextlib
import io

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn import functional as F

from lowering.torch_ops import PlainOps


class PrimitiveOps(PlainOps):
    """Primitive operators: normalisation, softmax and activations written out, groups split, biases separate."""

    def convolve(self, x, weight, bias, stride, pads, dilation, groups):
        if 1 < groups <= 4:
            size = x.shape[1] // groups
            parts = zip(x.split(size, 1), np.split(weight, groups), strict=True)
            y = torch.cat([F.conv2d(part, self.parameter(w), None, stride, pads, dilation) for part, w in parts], 1)
        else:
            y = F.conv2d(x, self.parameter(weight), None, stride, pads, dilation, groups)
        return y if bias is None else y + self.parameter(bias.reshape(-1, 1, 1))

    def BatchNormalization(self, node, x, gamma, beta, mean, variance):
        shape = (-1, *([1] * (x.dim() - 2)))
        deviation = np.sqrt(variance + self.attribute(node, "epsilon", 1e-5))
        mean, deviation, gamma, beta = (
            self.parameter(array.reshape(shape)) for array in (mean, deviation, gamma, beta)
        )
        return (x - mean) / deviation * gamma + beta

    def LayerNormalization(self, node, x, gamma, beta):
        centred = x - x.mean(-1, keepdim=True)
        variance = (centred * centred).mean(-1, keepdim=True)
        return centred / torch.sqrt(variance + self.attribute(node, "epsilon", 1e-5)) * self.parameter(
            gamma
        ) + self.parameter(beta)

    def Softmax(self, node, x):
        axis = self.attribute(node, "axis", -1)
        powers = torch.exp(x - x.amax(axis, keepdim=True))
        return powers / powers.sum(axis, keepdim=True)

    def HardSwish(self, node, x):
        return x * (torch.clamp(x + 3.0, 0.0, 6.0) / 6.0)

    def Sigmoid(self, node, x):
        return 1.0 / (1.0 + torch.exp(-x))

    def Relu(self, node, x):
        return torch.clamp(x, min=0.0)

    def LeakyRelu(self, node, x):
        return torch.clamp(x, min=0.0) + self.attribute(node, "alpha", 0.01) * torch.clamp(x, max=0.0)

    def PRelu(self, node, x, slope):
        return F.relu(x) - self.parameter(slope.reshape(-1, 1, 1)) * F.relu(-x)


class ChannelsLastOps(PlainOps):
    """1x1 convolutions as MatMul, channels last, larger ones split in two and joined, dense layers as 1x1 convolutions,
    projections of one source merged into one product."""

    def convolve(self, x, weight, bias, stride, pads, dilation, groups):
        if weight.shape[2:] == (1, 1) and groups == 1 and pads == (0, 0):
            x = x[:, :, :: stride[0], :: stride[1]] if max(stride) > 1 else x
            y = x.permute(0, 2, 3, 1) @ self.parameter(weight[:, :, 0, 0].T)
            return (y if bias is None else y + self.parameter(bias)).permute(0, 3, 1, 2)
        if groups == 1 and weight.shape[0] % 2 == 0 and weight.shape[0] >= 16:
            biases = [None, None] if bias is None else np.split(bias, 2)
            halves = [
                super(ChannelsLastOps, self).convolve(x, w, b, stride, pads, dilation, 1)
                for w, b in zip(np.split(weight, 2), biases, strict=True)
            ]
            return torch.cat(halves, 1)
        return super().convolve(x, weight, bias, stride, pads, dilation, groups)

    def Gemm(self, node, x, weight, bias=None):
        weight = weight if self.attribute(node, "transB", 0) else weight.T
        bias = None if bias is None else self.parameter(bias)
        return F.conv2d(x[:, :, None, None], self.parameter(weight[:, :, None, None]), bias).flatten(1)

    def MatMul(self, node, a, b):
        graph = self.source.graph
        family = [
            other
            for other in graph.consumers(node.input[0])
            if other.op_type == "MatMul" and other.input[0] == node.input[0]
        ]
        weights = [self.source.constants.get(other.input[1]) for other in family]
        if len(family) < 2 or any(weight is None or weight.shape[0] != weights[0].shape[0] for weight in weights):
            return super().MatMul(node, a, b)
        place = next(i for i, other in enumerate(family) if other.output[0] == node.output[0])
        if place == 0:
            self.merged = torch.split(
                a @ self.parameter(np.concatenate(weights, 1)), [weight.shape[1] for weight in weights], -1
            )
        return self.merged[place]

    def HardSwish(self, node, x):
        return x * F.hardsigmoid(x)

    def GlobalAveragePool(self, node, x):
        return F.avg_pool2d(x, tuple(x.shape[2:]))


class Lowered(nn.Module):
    """Walks the graph in `forward`; constants become parameters on the first walk, in the order of their use."""

    def __init__(self, source, ops):
        super().__init__()
        self.source, self.stored, self.cursor = source, nn.ParameterList(), 0
        self.ops = ops(source, self.parameter)

    def parameter(self, array):
        if self.cursor == len(self.stored):
            self.stored.append(nn.Parameter(torch.tensor(np.ascontiguousarray(array)), requires_grad=False))
        self.cursor += 1
        return self.stored[self.cursor - 1]

    def forward(self, x):
        graph, self.cursor = self.source.graph, 0
        values = {graph.input: x, "": None}
        for node in self.source.nodes:
            inputs = [values[name] if name in values else self.source.constants[name] for name in node.input]
            values[node.output[0]] = getattr(self.ops, node.op_type)(node, *inputs)
        return tuple(values[name] for name in graph.outputs)


def lower(source, ops, feed):
    """The graph `source` as torch exports it when written in the style of `ops`."""
    module = Lowered(source, ops).eval()
    example = torch.tensor(feed)
    with torch.no_grad():
        module(example)
    quiet, file = io.StringIO(), io.BytesIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        names = {"input_names": [source.graph.input], "output_names": source.graph.outputs}
        mode = torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(module, (example,), file, dynamo=False, opset_version=17, training=mode, **names)
    return onnx.load_model_from_string(file.getvalue())
