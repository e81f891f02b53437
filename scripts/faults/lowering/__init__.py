"""Re-implementations: the reference's computation written anew in torch or TensorFlow, exported by their tools."""

from dataclasses import dataclass

from lowering.source import source_of
from lowering.torch_styles import ChannelsLastOps, PrimitiveOps, lower


@dataclass(frozen=True)
class Style:
    """A way of writing the network; `words` go into the truth file."""

    id: str
    words: str


STYLES = (
    Style("primitive", " ".join(PrimitiveOps.__doc__.split())),
    Style(
        "tensorflow",
        "TensorFlow code, channels last, through tf2onnx: 1x1 convolutions as MatMul, explicit Pad, folded scales",
    ),
    Style("channels-last", " ".join(ChannelsLastOps.__doc__.split())),
)


def reimplemented(model, style, feed):
    """`model` written in `style`: the new ONNX model, and whether its input stands with channels last.

    @raises Exception of the framework for what this style cannot express
    """
    source = source_of(model, feed)
    if style.id == "tensorflow":
        from lowering import tensorflow_style

        return tensorflow_style.lower(source, feed), True
    return lower(source, PrimitiveOps if style.id == "primitive" else ChannelsLastOps, feed), False
