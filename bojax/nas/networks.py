"""The networks that architectures stand for, in flax."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from bojax.nas.blocks import Block, BlockLayer, Convolution, ConvolutionLayer


class CellNetwork(nnx.Module):
    """A convolution, cells, the mean over the image, and a dense layer.

    Args:
        edges: of a cell, with their operations.
        nodes: of a cell.
        repeats: how many cells.
        sizes: channels of an image, of every node, and classes.
        rngs: of the weights.
    """

    def __init__(
        self,
        edges: dict[tuple[int, int], str],
        nodes: int,
        repeats: int,
        sizes: tuple[int, int, int],
        rngs: nnx.Rngs,
    ):
        inputs, channels, classes = sizes
        self.nodes, self.edges = nodes, tuple(sorted(edges.items()))
        self.stem = ConvolutionLayer(Convolution(3, inputs, channels), rngs)
        self.cells = nnx.List(
            [
                nnx.Dict(
                    {
                        f"{i}-{j}": ConvolutionLayer(
                            Convolution(int(op[4:]), channels, channels), rngs
                        )
                        for (i, j), op in self.edges
                        if op.startswith("conv")
                    }
                )
                for _ in range(repeats)
            ]
        )
        self.dense = nnx.Linear(channels, classes, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """Logits."""
        x = self.stem(x)
        for cell in self.cells:
            values = {0: x}
            for (i, j), operation in self.edges:
                if operation == "skip":
                    term = values[i]
                elif operation == "pool3":
                    term = nnx.avg_pool(
                        values[i], (3, 3), padding="SAME", count_include_pad=False
                    )
                else:
                    term = cell[f"{i}-{j}"](values[i])
                values[j] = values[j] + term if j in values else term
            x = values[self.nodes - 1]
        return self.dense(jnp.mean(x, axis=(1, 2)))


class ChainNetwork(nnx.Module):
    """Blocks in a row, the mean over the image, and a dense layer.

    Args:
        blocks: each with the convolutions through which it reads earlier ones.
        width: channels of the last.
        classes: what an image is classified into.
        rngs: of the weights.
    """

    def __init__(
        self,
        blocks: list[tuple[Block, dict[int, Convolution]]],
        width: int,
        classes: int,
        rngs: nnx.Rngs,
    ):
        self.blocks = nnx.List([BlockLayer(block, rngs) for block, _ in blocks])
        self.skips = nnx.List(
            [
                nnx.Dict(
                    {str(i): ConvolutionLayer(layer, rngs) for i, layer in own.items()}
                )
                for _, own in blocks
            ]
        )
        self.dense = nnx.Linear(width, classes, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n k"]:
        """Logits."""
        outputs = [x]
        for block, skips in zip(self.blocks, self.skips, strict=True):
            x = outputs[-1]
            for i, layer in skips.items():
                x = x + layer(outputs[int(i)])
            outputs.append(block(x))
        return self.dense(jnp.mean(outputs[-1], axis=(1, 2)))
