"""Blocks of convolutions: written down first, so that cost needs no network."""

from typing import NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float


class Convolution(NamedTuple):
    """A convolution, then batch normalization.

    Args:
        kernel: size of the filter, in both directions.
        inputs: channels that it reads.
        outputs: channels that it writes.
        groups: parts of the channels that do not see one another.
        active: whether a ReLU follows.
    """

    kernel: int
    inputs: int
    outputs: int
    groups: int = 1
    active: bool = True

    @property
    def parameters(self) -> int:
        """Weights of the filters, and scale and shift of the normalization."""
        return self.weights + 2 * self.outputs

    @property
    def weights(self) -> int:
        """Weights of the filters."""
        return self.kernel**2 * (self.inputs // self.groups) * self.outputs


class Block(NamedTuple):
    """Convolutions in a row, and what is added to their result.

    Args:
        convolutions: in their order.
        shortcut: the block's input convolved, or whether it is added as it is.
    """

    convolutions: tuple[Convolution, ...]
    shortcut: Convolution | bool = False

    @property
    def all(self) -> tuple[Convolution, ...]:
        """The shortcut's too."""
        extra = (self.shortcut,) if isinstance(self.shortcut, Convolution) else ()
        return self.convolutions + extra


KINDS = ("plain", "bottleneck", "inverted")


def block(kind: str, inputs: int, width: int, kernel: int, ratio: int = 1) -> Block:
    """A block of one of `KINDS`.

    Args:
        kind: "plain", one convolution; "bottleneck", narrow in the middle by `ratio`;
            "inverted", wide in the middle by `ratio`, where channels do not mix.
        inputs: channels that it reads.
        width: channels that it writes.
        kernel: size of the filter in the middle.
        ratio: between the middle and the ends.

    Raises:
        ValueError: if the kind is unknown.

    Example:
        >>> block("bottleneck", 8, 16, 3, ratio=4).shortcut
        Convolution(kernel=1, inputs=8, outputs=16, groups=1, active=False)

    References:
        He, Zhang, Ren and Sun (2016), figure 5, for the bottleneck; Sandler et al.
        (2018), MobileNetV2, figure 3, for the inverted residual.
    """
    if kind == "plain":
        return Block((Convolution(kernel, inputs, width),))
    if kind == "bottleneck":
        middle = max(width // ratio, 1)
        layers = (
            Convolution(1, inputs, middle),
            Convolution(kernel, middle, middle),
            Convolution(1, middle, width, active=False),
        )
        same = inputs == width
        extra = True if same else Convolution(1, inputs, width, active=False)
        return Block(layers, extra)
    if kind == "inverted":
        middle = inputs * ratio
        layers = (
            Convolution(1, inputs, middle),
            Convolution(kernel, middle, middle, groups=middle),
            Convolution(1, middle, width, active=False),
        )
        return Block(layers, inputs == width)
    raise ValueError(f"kind: expected one of {', '.join(KINDS)}, got {kind!r}")


class ConvolutionLayer(nnx.Module):
    """The network of a `Convolution`."""

    def __init__(self, layer: Convolution, rngs: nnx.Rngs):
        self.convolution = nnx.Conv(
            layer.inputs,
            layer.outputs,
            (layer.kernel, layer.kernel),
            feature_group_count=layer.groups,
            use_bias=False,
            rngs=rngs,
        )
        self.normalization = nnx.BatchNorm(layer.outputs, rngs=rngs)
        self.active = layer.active

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w k"]:
        """Filtered, normalized and rectified."""
        x = self.normalization(self.convolution(x))
        return jax.nn.relu(x) if self.active else x


class BlockLayer(nnx.Module):
    """The network of a `Block`."""

    def __init__(self, block: Block, rngs: nnx.Rngs):
        self.layers = nnx.List(
            [ConvolutionLayer(layer, rngs) for layer in block.convolutions]
        )
        self.identity = block.shortcut is True
        self.shortcut = (
            ConvolutionLayer(block.shortcut, rngs)
            if isinstance(block.shortcut, Convolution)
            else None
        )

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w k"]:
        """The convolutions in a row, and what is added."""
        y = x
        for layer in self.layers:
            y = layer(y)
        if self.identity:
            return y + x
        return y if self.shortcut is None else y + self.shortcut(x)
