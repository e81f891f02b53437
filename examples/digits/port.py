"""The port to Keras: built by hand in NHWC, weights carried across with their layouts changed. Mistakes are planted here."""

import keras
import numpy as np
from keras import layers
from network import HEIGHT, SEED, WIDTH

# name of the mistake -> its cause in the report's vocabulary, the PyTorch layer that goes wrong first, what was done
MISTAKES = {
    "bn-epsilon": ("bn-epsilon", "stem_bn", "Keras's default epsilon of 1e-3 in every BatchNormalization, PyTorch has 1e-5"),
    "same-padding": ("padding", "down", "padding='same' on the stride-2 convolution pads 0 before and 1 behind, PyTorch 1 and 1"),
    "flatten-order": ("flatten-order", "fc1", "dense kernel transposed, but its rows left in c,h,w order before an h,w,c flatten"),
    "channel-order": ("input-channel-order", "stem", "input channels of the first kernel reversed (BGR for RGB)"),
    "unloaded-weight": ("weight-stale", "block.pointwise", "kernel of the pointwise convolution left at its initial values"),
}  # fmt: skip


def build(mistake=None):
    """The network without its weights; every layer named as Keras would have named it."""
    keras.utils.set_random_seed(SEED)
    epsilon = 1e-3 if mistake == "bn-epsilon" else 1e-5

    def norm(number):
        return layers.BatchNormalization(epsilon=epsilon, name=f"batch_normalization{number}")

    image = keras.Input((HEIGHT, WIDTH, 3), name="pixels")
    x = layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv2d")(image)
    x = layers.ReLU(name="re_lu")(norm("")(x))
    if mistake == "same-padding":
        x = layers.Conv2D(24, 3, strides=2, padding="same", name="conv2d_1")(x)
    else:
        x = layers.ZeroPadding2D(1, name="zero_padding2d")(x)
        x = layers.Conv2D(24, 3, strides=2, name="conv2d_1")(x)
    x = layers.ReLU(name="re_lu_1")(norm("_1")(x))
    y = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name="depthwise_conv2d")(x)
    y = layers.ReLU(name="re_lu_2")(norm("_2")(y))
    y = norm("_3")(layers.Conv2D(24, 1, use_bias=False, name="conv2d_2")(y))
    x = layers.ReLU(name="re_lu_3")(layers.Add(name="add")([y, x]))
    x = layers.Flatten(name="flatten")(layers.MaxPooling2D(2, name="max_pooling2d")(x))
    x = layers.Dense(32, activation="relu", name="dense")(x)
    return keras.Model(image, layers.Dense(10, name="dense_1")(x), name="digits")


def port(state, mistake=None):
    """The Keras model with the PyTorch weights of `state` ({name: array})."""
    model = build(mistake)

    def put(layer, *values):
        model.get_layer(layer).set_weights(values)

    def conv(name):  # OIHW -> HWIO
        return state[f"{name}.weight"].transpose(2, 3, 1, 0)

    def norm(layer, name):
        put(layer, *(state[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")))

    stem = conv("stem")
    put("conv2d", stem[:, :, ::-1] if mistake == "channel-order" else stem)
    norm("batch_normalization", "stem_bn")
    put("conv2d_1", conv("down"), state["down.bias"])
    norm("batch_normalization_1", "down_bn")
    put("depthwise_conv2d", state["block.depthwise.weight"].transpose(2, 3, 0, 1))  # C1HW -> HWC1
    norm("batch_normalization_2", "block.bn1")
    if mistake != "unloaded-weight":
        put("conv2d_2", conv("block.pointwise"))
    norm("batch_normalization_3", "block.bn2")
    fc1 = state["fc1.weight"]
    if mistake != "flatten-order":  # columns c,h,w -> h,w,c
        fc1 = fc1.reshape(-1, 24, 4, 3).transpose(0, 2, 3, 1).reshape(len(fc1), -1)
    put("dense", np.ascontiguousarray(fc1.T), state["fc1.bias"])
    put("dense_1", np.ascontiguousarray(state["fc2.weight"].T), state["fc2.bias"])
    return model


def named_weights(model):
    """{'conv2d/kernel': array}; no layer of this network is nested."""
    return {f"{layer.name}/{v.name}": v.numpy() for layer in model.layers for v in layer.weights}
