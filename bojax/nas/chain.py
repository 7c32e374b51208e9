"""Macro spaces: blocks in a row, each of its own kind, with or without skips."""

import itertools
import json
from typing import TYPE_CHECKING

from bojax.nas.base import Architectures, Config, Cost, Graph, count
from bojax.space import Categorical, Int, Ordinal, Space

if TYPE_CHECKING:
    from flax import nnx

    from bojax.nas.blocks import Block, Convolution
    from bojax.nas.networks import ChainNetwork

_KINDS = ("plain", "bottleneck", "inverted")


class Chain(Architectures):
    """Up to `depth` blocks in a row, each with its kind, its kernel and its width.

    A bottleneck and an inverted residual have a ratio besides. With `skips` every block
    may also read any block before its predecessor, and the image: through a convolution
    of kernel one, added to its input. The network ends with the mean over the image and
    a dense layer.

    Args:
        depth: the largest number of blocks.
        kinds: some of "plain", "bottleneck" and "inverted".
        kernels: sizes of filters, odd.
        widths: numbers of channels.
        ratios: of the blocks that have one.
        skips: whether there are skip connections to choose.
        inputs: channels of an image.
        classes: what it is classified into.

    Attributes:
        space: `depth`, then `kind1`, `kernel1`, `width1`, `ratio1`, and so on; `skip03`
            for a connection from the image, 0, to block 3.

    Raises:
        ValueError: if a count is not positive, a kernel is even, or a kind unknown.

    Example:
        >>> chain = Chain(depth=2, widths=(8, 16))
        >>> config = {"depth": 1, "kind1": "plain", "kernel1": 3, "width1": 8}
        >>> chain.cost(config, 8, 8)
        Cost(parameters=178, multiply_adds=4688)

    References:
        Zoph and Le (2017), Neural architecture search with reinforcement learning,
        section 3.3, for the skips.
    """

    def __init__(
        self,
        depth: int = 4,
        kinds: tuple[str, ...] = _KINDS,
        kernels: tuple[int, ...] = (3, 5),
        widths: tuple[int, ...] = (8, 16, 32),
        ratios: tuple[int, ...] = (2, 4),
        skips: bool = False,
        inputs: int = 1,
        classes: int = 10,
    ):
        for kind in kinds:
            if kind not in _KINDS:
                raise ValueError(
                    f"kinds: expected some of {', '.join(_KINDS)}, got {kind!r}"
                )
        for name, values in (
            ("kernels", kernels),
            ("widths", widths),
            ("ratios", ratios),
        ):
            for value in values:
                count(name, value)
        if even := [kernel for kernel in kernels if kernel % 2 == 0]:
            raise ValueError(f"kernels: expected odd sizes, got {even[0]}")
        self.depth = count("depth", depth)
        self.inputs = count("inputs", inputs)
        self.classes = count("classes", classes)
        columns: dict = {}
        if depth > 1:
            columns["depth"] = Int(1, depth)
        ratio_kinds = tuple(kind for kind in kinds if kind != "plain")
        for i in range(1, depth + 1):
            when = {"depth": (i, depth)} if i > 1 else {}
            columns[f"kind{i}"] = Categorical(*kinds, when=when)
            columns[f"kernel{i}"] = Ordinal(*kernels, when=when)
            columns[f"width{i}"] = Ordinal(*widths, when=when)
            if ratio_kinds:
                columns[f"ratio{i}"] = Ordinal(*ratios, when={f"kind{i}": ratio_kinds})
        if skips:
            for i, j in itertools.combinations(range(depth + 1), 2):
                if j > i + 1:
                    columns[skip_name(i, j)] = Categorical(
                        False, True, when={"depth": (j, depth)}
                    )
        self.space = Space(columns)

    def blocks(self, config: Config) -> list[tuple["Block", dict[int, "Convolution"]]]:
        """Each block, and the convolutions through which it reads earlier ones.

        Raises:
            ValueError: if the configuration is not of the space.
        """
        from bojax.nas.blocks import Convolution, block

        self.space.encode(config)
        widths, blocks = [self.inputs], []
        for j in range(1, config.get("depth", 1) + 1):
            kind, kernel, width = (
                config[f"{name}{j}"] for name in ("kind", "kernel", "width")
            )
            ratio = config.get(f"ratio{j}", 1)
            skips = {
                i: Convolution(1, widths[i], widths[-1], active=False)
                for i in range(j - 1)
                if config.get(skip_name(i, j), False)
            }
            blocks.append((block(kind, widths[-1], width, kernel, ratio), skips))
            widths.append(width)
        return blocks

    def canonical(self, config: Config) -> str:
        """The choices that exist, in the order of their names: no two are the same."""
        self.space.encode(config)
        return json.dumps(config, sort_keys=True)

    def graph(self, config: Config) -> Graph:
        """A node for each block; edges to the next one, and of the skips."""
        blocks = self.blocks(config)
        labels = [
            "-".join(
                str(config[f"{name}{j}"])
                for name in ("kind", "kernel", "width", "ratio")
                if f"{name}{j}" in config
            )
            for j in range(1, len(blocks) + 1)
        ]
        edges = [(j, j + 1) for j in range(len(blocks) + 1)]
        edges += [(i, j) for j, (_, skips) in enumerate(blocks, 1) for i in skips]
        return Graph(("input", *labels, "output"), tuple(sorted(edges)))

    def cost(self, config: Config, height: int, width: int) -> Cost:
        """Of the blocks, their skips, and the dense layer."""
        blocks = self.blocks(config)
        layers = [
            layer for block, skips in blocks for layer in (*block.all, *skips.values())
        ]
        dense = config[f"width{len(blocks)}"] * self.classes
        return Cost(
            sum(layer.parameters for layer in layers) + dense + self.classes,
            sum(layer.weights for layer in layers) * height * width + dense,
        )

    def build(self, config: Config, rngs: "nnx.Rngs") -> "ChainNetwork":
        """The network; it is in training mode until its `eval` is called."""
        from bojax.nas.networks import ChainNetwork

        width = config[f"width{config.get('depth', 1)}"]
        return ChainNetwork(self.blocks(config), width, self.classes, rngs)


def skip_name(i: int, j: int) -> str:
    """The parameter that says whether block `j` reads the output of block `i`."""
    return f"skip{i}{j}" if j < 10 else f"skip{i}_{j}"
