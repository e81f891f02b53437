"""The architectures of the corpus, and how each is exported as a reference."""

from dataclasses import dataclass

from torch import nn

from architectures import classic, dense_prediction, mobile, tokens


@dataclass(frozen=True)
class Architecture:
    """One row: the module, names of the graph's input and output, the opset of the reference, the half it belongs to.

    `half` fixes on which side of the development / held-out split all pairs of this architecture stand.
    """

    id: str
    build: type[nn.Module]
    input: str
    output: str
    opset: int
    half: str


ARCHITECTURES = (
    Architecture("vgg", classic.Vgg, "input", "scores", 17, "development"),
    Architecture("resnet", classic.ResNet, "image", "logits", 13, "held-out"),
    Architecture("mobilenet", mobile.MobileNet, "x", "logits", 15, "development"),
    Architecture("unet", dense_prediction.UNet, "picture", "map", 17, "development"),
    Architecture("vit", tokens.Vit, "pixels", "logits", 17, "held-out"),
    Architecture("yolo", dense_prediction.Yolo, "images", "detections", 14, "held-out"),
    Architecture("recurrent", tokens.Recurrent, "image", "scores", 17, "held-out"),
    Architecture("squeezenet", classic.SqueezeNet, "data", "logits", 16, "held-out"),
    Architecture("causal", tokens.CausalVit, "pixels", "logits", 16, "development"),
    Architecture("densenet", classic.DenseNet, "input", "output", 17, "held-out"),
    Architecture("shufflenet", mobile.ShuffleNet, "data", "scores", 13, "held-out"),
    Architecture("convnext", tokens.ConvNext, "pixel_values", "logits", 17, "development"),
    Architecture("inception", classic.Inception, "input", "prob", 14, "development"),
    Architecture("mixer", tokens.Mixer, "pixels", "logits", 16, "held-out"),
    Architecture("segformer", dense_prediction.SegFormer, "pixels", "map", 17, "development"),
)
