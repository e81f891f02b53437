"""Every operator of the references as torch code in a plain style; styles override some of them."""

import numpy as np
import torch
from torch.nn import functional as F

from lowering.source import pads_of, resize_matrix


class PlainOps:
    """One method per ONNX operator: `(node, inputs)` to the value; inputs are torch tensors, or numpy for constants."""

    def __init__(self, source, parameter):
        self.source, self.parameter = source, parameter
        self.attribute = source.graph.attribute

    def value(self, x):
        """A constant as something torch computes with: a float where it is a scalar, a stored parameter else."""
        if isinstance(x, torch.Tensor):
            return x
        x = np.asarray(x)
        return float(x.reshape(-1)[0]) if x.size == 1 else self.parameter(x)

    # convolutions and dense layers
    def padded(self, node, x, value=0.0):
        """The picture, padded where that is not the same on both sides; what is left for the operator."""
        (top, bottom), (left, right) = pads_of(self.source.graph, node)
        if top == bottom and left == right:
            return x, (top, left)
        return F.pad(x, (left, right, top, bottom), value=value), (0, 0)

    def Conv(self, node, x, weight, bias=None):
        x, pads = self.padded(node, x)
        stride, dilation = (
            tuple(self.attribute(node, "strides", [1, 1])),
            tuple(self.attribute(node, "dilations", [1, 1])),
        )
        return self.convolve(x, weight, bias, stride, pads, dilation, self.attribute(node, "group", 1))

    def convolve(self, x, weight, bias, stride, pads, dilation, groups):
        bias = None if bias is None else self.parameter(bias)
        return F.conv2d(x, self.parameter(weight), bias, stride, pads, dilation, groups)

    def ConvTranspose(self, node, x, weight, bias=None):
        bias = None if bias is None else self.parameter(bias)
        return F.conv_transpose2d(x, self.parameter(weight), bias, tuple(self.attribute(node, "strides", [1, 1])))

    def Gemm(self, node, x, weight, bias=None):
        weight = weight.T if self.attribute(node, "transB", 0) else weight
        y = x @ self.parameter(weight)
        return y if bias is None else y + self.parameter(bias)

    def MatMul(self, node, a, b):
        return self.value(a) @ self.value(b)

    # normalisation
    def BatchNormalization(self, node, x, gamma, beta, mean, variance):
        scale = gamma / np.sqrt(variance + self.attribute(node, "epsilon", 1e-5))
        shape = (-1, *([1] * (x.dim() - 2)))
        return x * self.parameter(scale.reshape(shape)) + self.parameter((beta - mean * scale).reshape(shape))

    def LayerNormalization(self, node, x, gamma, beta):
        return F.layer_norm(
            x, gamma.shape, self.parameter(gamma), self.parameter(beta), self.attribute(node, "epsilon", 1e-5)
        )

    def LpNormalization(self, node, x):
        return x / x.pow(2).sum(-1, keepdim=True).sqrt()

    # activations
    def Relu(self, node, x):
        return F.relu(x)

    def LeakyRelu(self, node, x):
        return F.leaky_relu(x, self.attribute(node, "alpha", 0.01))

    def PRelu(self, node, x, slope):
        return F.prelu(x, self.parameter(slope.reshape(-1)))

    def Elu(self, node, x):
        return F.elu(x, self.attribute(node, "alpha", 1.0))

    def Clip(self, node, x, low=None, high=None):
        return torch.clamp(x, None if low is None else float(low), None if high is None else float(high))

    def HardSwish(self, node, x):
        return F.hardswish(x)

    def HardSigmoid(self, node, x):
        return torch.clamp(x * self.attribute(node, "alpha", 0.2) + self.attribute(node, "beta", 0.5), 0.0, 1.0)

    def Sigmoid(self, node, x):
        return torch.sigmoid(x)

    def Tanh(self, node, x):
        return torch.tanh(x)

    def Erf(self, node, x):
        return torch.erf(x)

    def Softmax(self, node, x):
        return torch.softmax(x, self.attribute(node, "axis", -1))

    # windows
    def MaxPool(self, node, x):
        x, pads = self.padded(node, x, float("-inf"))
        kernel, stride = tuple(self.attribute(node, "kernel_shape")), tuple(self.attribute(node, "strides", [1, 1]))
        return F.max_pool2d(x, kernel, stride, pads, ceil_mode=bool(self.attribute(node, "ceil_mode", 0)))

    def AveragePool(self, node, x):
        kernel, stride = tuple(self.attribute(node, "kernel_shape")), tuple(self.attribute(node, "strides", [1, 1]))
        ceil, counted = bool(self.attribute(node, "ceil_mode", 0)), bool(self.attribute(node, "count_include_pad", 0))
        padded, pads = self.padded(node, x)
        if padded is x:
            return F.avg_pool2d(x, kernel, stride, pads, ceil, counted)
        y = F.avg_pool2d(padded, kernel, stride, 0, ceil)
        if counted:
            return y
        ones, _ = self.padded(node, torch.ones(1, 1, *x.shape[2:]))
        return y * self.parameter(1 / F.avg_pool2d(ones, kernel, stride, 0, ceil).numpy())

    def GlobalAveragePool(self, node, x):
        return x.mean((2, 3), keepdim=True)

    def GlobalMaxPool(self, node, x):
        return x.amax((2, 3), keepdim=True)

    def Resize(self, node, x, *_):
        graph = self.source.graph
        mode, rule = (
            graph.attribute(node, "mode", b"nearest"),
            graph.attribute(node, "coordinate_transformation_mode", b"half_pixel"),
        )
        sizes = self.source.sizes[node.output[0]]
        native = {
            (b"linear", b"half_pixel"): {"mode": "bilinear"},
            (b"linear", b"pytorch_half_pixel"): {"mode": "bilinear"},
            (b"linear", b"align_corners"): {"mode": "bilinear", "align_corners": True},
            (b"nearest", b"asymmetric"): {"mode": "nearest"},
        }.get((mode, rule))
        if native:
            return F.interpolate(x, size=tuple(sizes), **native)
        rows, columns = (resize_matrix(node, int(x.shape[2 + i]), sizes[i]) for i in (0, 1))
        return self.parameter(rows) @ x @ self.parameter(columns.T.copy())

    # shapes
    def Flatten(self, node, x):
        return torch.flatten(x, self.attribute(node, "axis", 1))

    def Reshape(self, node, x, shape):
        return x.reshape([x.shape[i] if size == 0 else int(size) for i, size in enumerate(shape)])

    def Transpose(self, node, x):
        return x.permute(tuple(self.attribute(node, "perm")))

    def Squeeze(self, node, x, axes):
        return x.squeeze(tuple(int(axis) for axis in axes))

    def Unsqueeze(self, node, x, axes):
        for axis in sorted(int(axis) for axis in axes):
            x = x.unsqueeze(axis)
        return x

    def Concat(self, node, *parts):
        return torch.cat([self.value(part) for part in parts], self.attribute(node, "axis"))

    def Slice(self, node, x, starts, ends, axes, steps=None):
        for i, axis in enumerate(int(axis) for axis in axes):
            step = 1 if steps is None else int(steps[i])
            if step == -1:
                x = torch.flip(x, [axis])
                continue
            size = x.shape[axis]
            start, end = (min(max(int(v) + (size if v < 0 else 0), 0), size) for v in (starts[i], ends[i]))
            x = x.narrow(axis, start, end - start)
        return x

    def Gather(self, node, x, indices):
        axis = self.attribute(node, "axis", 0)
        if np.ndim(indices) == 0:
            return x.select(axis, int(indices))
        return torch.index_select(x, axis, torch.tensor(indices))

    def ReduceMean(self, node, x):
        return x.mean(tuple(self.attribute(node, "axes")), keepdim=bool(self.attribute(node, "keepdims", 1)))

    def ReduceMax(self, node, x):
        return x.amax(tuple(self.attribute(node, "axes")), keepdim=bool(self.attribute(node, "keepdims", 1)))

    # arithmetic
    def Add(self, node, a, b):
        return self.value(a) + self.value(b)

    def Sub(self, node, a, b):
        return self.value(a) - self.value(b)

    def Mul(self, node, a, b):
        return self.value(a) * self.value(b)

    def Div(self, node, a, b):
        return self.value(a) / self.value(b)

    def Pow(self, node, a, b):
        return torch.pow(a, self.value(b))

    def Sqrt(self, node, x):
        return torch.sqrt(x)

    def Identity(self, node, x):
        return x

    def Cast(self, node, x):
        return x.half() if self.attribute(node, "to") == 10 else x.float()

    # recurrent layers, unrolled
    def direction_runs(self, node, weight):
        direction = self.attribute(node, "direction", b"forward")
        return [(d, direction == b"reverse" or d == 1) for d in range(weight.shape[0])]

    def recurrent(self, node, x, weight, recurrence, bias, step):
        hidden = recurrence.shape[2]
        outputs = []
        for d, backwards in self.direction_runs(node, weight):
            own = [self.parameter(array) for array in step.weights(weight[d], recurrence[d], bias[d])]
            state = step.start(x.new_zeros(x.shape[1], hidden))
            steps = []
            for time in reversed(range(x.shape[0])) if backwards else range(x.shape[0]):
                state = step.advance(x[time], state, *own)
                steps.append(state[0])
            outputs.append(torch.stack(steps[::-1] if backwards else steps))
        return torch.stack(outputs, 1)

    def LSTM(self, node, x, weight, recurrence, bias, *_):
        return self.recurrent(node, x, weight, recurrence, bias, LstmStep)

    def GRU(self, node, x, weight, recurrence, bias, *_):
        return self.recurrent(node, x, weight, recurrence, bias, GruStep)


class LstmStep:
    """One step of an LSTM; gates input, output, forget, cell as in ONNX."""

    @staticmethod
    def weights(weight, recurrence, bias):
        half = len(bias) // 2
        return weight.T, recurrence.T, bias[:half] + bias[half:]

    @staticmethod
    def start(zeros):
        return zeros, zeros

    @staticmethod
    def advance(x, state, weight, recurrence, bias):
        hidden, cell = state
        i, o, f, c = (x @ weight + hidden @ recurrence + bias).chunk(4, 1)
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(c)
        return torch.sigmoid(o) * torch.tanh(cell), cell


class GruStep:
    """One step of a GRU whose reset gate acts behind the product (torch's rule); gates update, reset, hidden."""

    @staticmethod
    def weights(weight, recurrence, bias):
        half = len(bias) // 2
        return weight.T, recurrence.T, bias[:half], bias[half:]

    @staticmethod
    def start(zeros):
        return (zeros,)

    @staticmethod
    def advance(x, state, weight, recurrence, bias, inner):
        (hidden,) = state
        own, back = (x @ weight + bias).chunk(3, 1), (hidden @ recurrence + inner).chunk(3, 1)
        update, reset = torch.sigmoid(own[0] + back[0]), torch.sigmoid(own[1] + back[1])
        new = torch.tanh(own[2] + reset * back[2])
        return ((1 - update) * new + update * hidden,)
