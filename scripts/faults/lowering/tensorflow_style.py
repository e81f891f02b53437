"""The graph as TensorFlow code with channels last, converted back by tf2onnx: what a Keras port looks like as ONNX."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging

import numpy as np
import tensorflow as tf
import tf2onnx

from lowering.source import pads_of, resize_matrix

logging.getLogger("tensorflow").setLevel(logging.ERROR)
logging.getLogger("tf2onnx").setLevel(logging.ERROR)


class Tensor:
    """A TensorFlow value; `last` says that a picture stands with channels last."""

    def __init__(self, value, last=False):
        self.value, self.last = value, last

    def picture(self):
        """Channels last."""
        return self.value if self.last else tf.transpose(self.value, [0, 2, 3, 1])

    def plain(self):
        """In the reference's own order of axes."""
        return tf.transpose(self.value, [0, 3, 1, 2]) if self.last else self.value

    @property
    def rank(self):
        return len(self.value.shape)


def last(value):
    return Tensor(value, True)


def elementwise(function):
    return lambda self, node, x: Tensor(function(x.value), x.last)


class TensorFlowOps:
    """One method per ONNX operator: `(node, inputs)` to a Tensor; inputs are Tensors, or numpy for constants."""

    def __init__(self, source):
        self.source, self.attribute = source, source.graph.attribute

    def padded(self, node, picture, value=0.0):
        rows, columns = pads_of(self.source.graph, node)
        if not any((*rows, *columns)):
            return picture
        return tf.pad(picture, [[0, 0], rows, columns, [0, 0]], constant_values=value)

    def Conv(self, node, x, weight, bias=None):
        picture, groups = self.padded(node, x.picture()), self.attribute(node, "group", 1)
        stride, dilation = (
            list(self.attribute(node, "strides", [1, 1])),
            list(self.attribute(node, "dilations", [1, 1])),
        )
        kernel = weight.transpose(2, 3, 1, 0)
        channels = picture.shape[-1]
        if groups == channels and weight.shape[0] == channels and stride[0] == stride[1]:
            y = tf.nn.depthwise_conv2d(
                picture, kernel.transpose(0, 1, 3, 2), [1, *stride, 1], "VALID", dilations=dilation
            )
        elif groups > 1:
            parts = zip(tf.split(picture, groups, -1), np.split(kernel, groups, -1), strict=True)
            y = tf.concat([tf.nn.conv2d(part, k, stride, "VALID", dilations=dilation) for part, k in parts], -1)
        elif kernel.shape[:2] == (1, 1):
            picture = picture[:, :: stride[0], :: stride[1]] if max(stride) > 1 else picture
            y = tf.matmul(picture, kernel[0, 0])
        else:
            y = tf.nn.conv2d(picture, kernel, stride, "VALID", dilations=dilation)
        return last(y if bias is None else tf.nn.bias_add(y, bias))

    def ConvTranspose(self, node, x, weight, bias=None):
        picture, stride = x.picture(), list(self.attribute(node, "strides", [1, 1]))
        size = [(picture.shape[1 + i] - 1) * stride[i] + weight.shape[2 + i] for i in (0, 1)]
        y = tf.nn.conv2d_transpose(picture, weight.transpose(2, 3, 1, 0), [1, *size, weight.shape[1]], stride, "VALID")
        return last(y if bias is None else tf.nn.bias_add(y, bias))

    def Gemm(self, node, x, weight, bias=None):
        y = tf.matmul(x.plain(), weight.T if self.attribute(node, "transB", 0) else weight)
        return Tensor(y if bias is None else tf.nn.bias_add(y, bias))

    def MatMul(self, node, a, b):
        a, b = (x.plain() if isinstance(x, Tensor) else x for x in (a, b))
        return Tensor(tf.matmul(a, b))

    def BatchNormalization(self, node, x, gamma, beta, mean, variance):
        y = tf.nn.batch_normalization(x.picture(), mean, variance, beta, gamma, self.attribute(node, "epsilon", 1e-5))
        return last(y)

    def LayerNormalization(self, node, x, gamma, beta):
        mean, variance = tf.nn.moments(x.plain(), [-1], keepdims=True)
        return Tensor(
            tf.nn.batch_normalization(x.plain(), mean, variance, beta, gamma, self.attribute(node, "epsilon", 1e-5))
        )

    def LpNormalization(self, node, x):
        return Tensor(x.plain() / tf.sqrt(tf.reduce_sum(tf.square(x.plain()), -1, keepdims=True)))

    Relu, Sigmoid, Tanh, Erf, Sqrt, Identity = (
        elementwise(function) for function in (tf.nn.relu, tf.sigmoid, tf.tanh, tf.math.erf, tf.sqrt, tf.identity)
    )

    def LeakyRelu(self, node, x):
        return Tensor(tf.nn.leaky_relu(x.value, self.attribute(node, "alpha", 0.01)), x.last)

    def PRelu(self, node, x, slope):
        picture = x.picture()
        return last(tf.nn.relu(picture) - slope.reshape(-1) * tf.nn.relu(-picture))

    def Elu(self, node, x):
        alpha = self.attribute(node, "alpha", 1.0)
        return Tensor(tf.nn.relu(x.value) + alpha * (tf.exp(tf.minimum(x.value, 0.0)) - 1.0), x.last)

    def Clip(self, node, x, low=None, high=None):
        if low is not None and float(low) == 0 and high is not None and float(high) == 6:
            return Tensor(tf.nn.relu6(x.value), x.last)
        low = -np.inf if low is None else float(low)
        return Tensor(tf.clip_by_value(x.value, low, np.inf if high is None else float(high)), x.last)

    def HardSwish(self, node, x):
        return Tensor(x.value * tf.nn.relu6(x.value + 3.0) * (1.0 / 6.0), x.last)

    def HardSigmoid(self, node, x):
        y = x.value * self.attribute(node, "alpha", 0.2) + self.attribute(node, "beta", 0.5)
        return Tensor(tf.clip_by_value(y, 0.0, 1.0), x.last)

    def Softmax(self, node, x):
        return Tensor(tf.nn.softmax(x.plain(), self.attribute(node, "axis", -1)))

    def pool_window(self, node):
        return list(self.attribute(node, "kernel_shape")), list(self.attribute(node, "strides", [1, 1]))

    def grown(self, node, picture, value):
        """Rounding up: more padding at the end until the last window fits."""
        if not self.attribute(node, "ceil_mode", 0):
            return picture
        kernel, stride = self.pool_window(node)
        sizes = self.source.sizes[node.output[0]]
        more = [[0, max(0, (sizes[i] - 1) * stride[i] + kernel[i] - picture.shape[1 + i])] for i in (0, 1)]
        return tf.pad(picture, [[0, 0], *more, [0, 0]], constant_values=value)

    def MaxPool(self, node, x):
        kernel, stride = self.pool_window(node)
        picture = self.grown(node, self.padded(node, x.picture(), -3e38), -3e38)
        return last(tf.nn.max_pool2d(picture, kernel, stride, "VALID"))

    def AveragePool(self, node, x):
        kernel, stride = self.pool_window(node)
        if self.attribute(node, "ceil_mode", 0):
            raise NotImplementedError("average pooling that rounds up")
        picture = self.padded(node, x.picture())
        y = tf.nn.avg_pool2d(picture, kernel, stride, "VALID")
        if self.attribute(node, "count_include_pad", 0) or picture is x.value:
            return last(y)
        ones = self.padded(node, tf.ones([1, *x.picture().shape[1:3], 1]))
        share = tf.nn.avg_pool2d(ones, kernel, stride, "VALID")
        return last(y * (1.0 / share))

    def GlobalAveragePool(self, node, x):
        return last(tf.reduce_mean(x.picture(), [1, 2], keepdims=True))

    def GlobalMaxPool(self, node, x):
        return last(tf.reduce_max(x.picture(), [1, 2], keepdims=True))

    def Resize(self, node, x, *_):
        mode, rule = (
            self.attribute(node, "mode", b"nearest"),
            self.attribute(node, "coordinate_transformation_mode", b"half_pixel"),
        )
        sizes, picture = self.source.sizes[node.output[0]], x.picture()
        if mode == b"linear" and rule in (b"half_pixel", b"pytorch_half_pixel", b"align_corners"):
            corners = rule == b"align_corners"
            return last(
                tf.raw_ops.ResizeBilinear(
                    images=picture, size=sizes, align_corners=corners, half_pixel_centers=not corners
                )
            )
        if mode == b"nearest" and rule == b"asymmetric":
            return last(tf.raw_ops.ResizeNearestNeighbor(images=picture, size=sizes))
        rows, columns = (resize_matrix(node, picture.shape[1 + i], sizes[i]) for i in (0, 1))
        return Tensor(tf.matmul(tf.matmul(rows, x.plain()), columns.T.copy()))

    def Flatten(self, node, x):
        return Tensor(tf.reshape(x.plain(), [1, -1]))

    def Reshape(self, node, x, shape):
        sizes = x.plain().shape
        return Tensor(tf.reshape(x.plain(), [sizes[i] if size == 0 else int(size) for i, size in enumerate(shape)]))

    def Transpose(self, node, x):
        perm = list(self.attribute(node, "perm"))
        if x.last:  # the two turns are one
            perm = [[0, 3, 1, 2][axis] for axis in perm]
        return Tensor(x.value if perm == sorted(perm) else tf.transpose(x.value, perm))

    def Squeeze(self, node, x, axes):
        return Tensor(tf.squeeze(x.plain(), [int(axis) for axis in axes]))

    def Unsqueeze(self, node, x, axes):
        y = x.plain()
        for axis in sorted(int(axis) for axis in axes):
            y = tf.expand_dims(y, axis)
        return Tensor(y)

    def Concat(self, node, *parts):
        axis = self.attribute(node, "axis")
        tensors = [part for part in parts if isinstance(part, Tensor)]
        if len(tensors) == len(parts) and tensors[0].rank == 4 and any(part.last for part in tensors):
            return last(tf.concat([part.picture() for part in tensors], [0, 3, 1, 2][axis]))
        return Tensor(tf.concat([part.plain() if isinstance(part, Tensor) else part for part in parts], axis))

    def Slice(self, node, x, starts, ends, axes, steps=None):
        y = x.plain()
        for i, axis in enumerate(int(axis) for axis in axes):
            if steps is not None and int(steps[i]) == -1:
                y = tf.reverse(y, [axis])
                continue
            size = y.shape[axis]
            start, end = (min(max(int(v) + (size if v < 0 else 0), 0), size) for v in (starts[i], ends[i]))
            where = [slice(None)] * len(y.shape)
            where[axis] = slice(start, end)
            y = y[tuple(where)]
        return Tensor(y)

    def Gather(self, node, x, indices):
        return Tensor(tf.gather(x.plain(), indices.astype(np.int32), axis=self.attribute(node, "axis", 0)))

    def ReduceMean(self, node, x):
        axes, keep = list(self.attribute(node, "axes")), bool(self.attribute(node, "keepdims", 1))
        return Tensor(tf.reduce_mean(x.plain(), axes, keepdims=keep))

    def ReduceMax(self, node, x):
        return Tensor(
            tf.reduce_max(
                x.plain(), list(self.attribute(node, "axes")), keepdims=bool(self.attribute(node, "keepdims", 1))
            )
        )

    def both(self, a, b, function):
        """Elementwise on two values: with channels last where one of them stands so."""
        ranks = [x.rank if isinstance(x, Tensor) else x.ndim for x in (a, b)]
        if max(ranks) == 4 and any(isinstance(x, Tensor) and x.last for x in (a, b)):
            return last(function(*(self.for_picture(x) for x in (a, b))))
        return Tensor(function(*(x.plain() if isinstance(x, Tensor) else x for x in (a, b))))

    def for_picture(self, x):
        if isinstance(x, Tensor):
            return x.picture() if x.rank == 4 else self.for_picture(np.asarray(x.plain()))
        if x.size == 1:
            return x.reshape(-1)[0]
        return x.reshape((1,) * (4 - x.ndim) + x.shape).transpose(0, 2, 3, 1)

    def Add(self, node, a, b):
        return self.both(a, b, lambda x, y: x + y)

    def Sub(self, node, a, b):
        return self.both(a, b, lambda x, y: x - y)

    def Mul(self, node, a, b):
        return self.both(a, b, lambda x, y: x * y)

    def Div(self, node, a, b):
        return self.both(a, b, lambda x, y: x / y)

    def Pow(self, node, a, b):
        if not isinstance(b, Tensor) and b.size == 1 and float(b.reshape(-1)[0]) == 2:
            return Tensor(tf.square(a.value), a.last)
        return self.both(a, b, tf.pow)

    def Cast(self, node, x):
        return Tensor(tf.cast(x.value, tf.float16 if self.attribute(node, "to") == 10 else tf.float32), x.last)


def lower(source, feed):
    """The graph `source` written in TensorFlow with a channels-last input and converted by tf2onnx."""

    def function(picture):
        ops, graph = TensorFlowOps(source), source.graph
        values = {graph.input: last(picture), "": None}
        for node in source.nodes:
            inputs = [values[name] if name in values else source.constants[name] for name in node.input]
            values[node.output[0]] = getattr(ops, node.op_type)(node, *inputs)
        return [values[name].plain() for name in graph.outputs]

    n, c, h, w = feed.shape
    signature = [tf.TensorSpec([n, h, w, c], tf.float32, name=source.graph.input)]
    model, _ = tf2onnx.convert.from_function(
        tf.function(function, autograph=False), input_signature=signature, opset=17
    )
    return model
