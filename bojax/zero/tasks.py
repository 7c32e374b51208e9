"""Tasks: what programs are to learn, many small data sets at a time.

References:
    Real, Liang, So and Le (2020), AutoML-Zero, sections 4.1 and 4.2, supplement S4.
"""

import functools
import itertools
import pathlib
import pickle
from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import numpy as np
from jaxtyping import Float64, Int64, UInt8

REGRESSION, BINARY, MULTICLASS = "regression", "binary", "multiclass"
KINDS = REGRESSION, BINARY, MULTICLASS
MOST_FEATURES = 4096


def _double(array: Any) -> np.ndarray:
    return np.ascontiguousarray(array, np.float64)


class Tasks(eqx.Module):
    """A set of tasks of one shape.

    Args:
        x_train: features, standardized.
        y_train: labels: numbers; 0 or 1 of two classes; 0, 1, ... of several.
        x_valid: features of what is predicted in the end.
        y_valid: and its labels.
        kind: "regression", "binary" or "multiclass".
        epochs: how often the training examples are seen; the best validation counts.
        seed: of the random numbers that programs draw.
        num_classes: how many classes there are of several, present or not; by default
            as many as labels need. Parts of the tasks have as many.

    Raises:
        ValueError: if there is no task or no example, shapes disagree, a number is not
            finite, or labels are not of the kind.

    Example:
        >>> tasks = linear_regression(0, num_tasks=3, num_features=4)
        >>> tasks.x_train.shape, tasks.kind
        ((3, 100, 4), 'regression')
    """

    x_train: Float64[np.ndarray, "d n f"] = eqx.field(converter=_double)
    y_train: Float64[np.ndarray, "d n"] = eqx.field(converter=_double)
    x_valid: Float64[np.ndarray, "d m f"] = eqx.field(converter=_double)
    y_valid: Float64[np.ndarray, "d m"] = eqx.field(converter=_double)
    kind: str = eqx.field(static=True, default=REGRESSION)
    epochs: int = eqx.field(static=True, default=1)
    seed: int = eqx.field(static=True, default=0)
    num_classes: int = eqx.field(static=True, default=0)

    def __post_init__(self):
        if self.multiclass and self.num_classes == 0:
            labels = np.append(self.y_train, self.y_valid)
            # What is not finite is refused below.
            self.num_classes = 1 + int(np.max(np.nan_to_num(labels), initial=0))

    def __check_init__(self):
        shape, other = self.x_train.shape, self.x_valid.shape
        if self.kind not in KINDS:
            raise ValueError(
                f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}"
            )
        wanted = self.y_train.shape, self.y_valid.shape, (shape[0], shape[-1])
        if len(shape) != 3 or (shape[:2], other[:2], other[::2]) != wanted:
            raise ValueError(
                "tasks: expected x_train [d, n, f], y_train [d, n], x_valid [d, m, f] "
                f"and y_valid [d, m], got {shape}, {wanted[0]}, {other} and {wanted[1]}"
            )
        if 0 in shape or 0 in other:
            raise ValueError(
                "tasks: expected at least one task, example and feature, got x_train "
                f"of shape {shape} and x_valid of shape {other}"
            )
        if shape[2] > MOST_FEATURES:
            raise ValueError(
                f"x_train: expected at most {MOST_FEATURES} features, got {shape[2]}"
            )
        if self.epochs < 1:
            raise ValueError(f"epochs: expected at least 1, got {self.epochs}")
        for name in ("x_train", "y_train", "x_valid", "y_valid"):
            if not np.all(np.isfinite(getattr(self, name))):
                raise ValueError(
                    f"{name}: expected finite numbers, got NaN or infinity"
                )
        labels = np.unique(np.concatenate([self.y_train, self.y_valid], axis=1))
        most = {BINARY: 2, MULTICLASS: shape[2]}.get(self.kind)
        if most is not None and not np.all(np.isin(labels, np.arange(most))):
            raise ValueError(
                f"labels: expected 0 to {most - 1} (several classes are entries of a "
                f"vector of {shape[2]} features), got {labels[:10]}"
            )
        if self.multiclass and not labels[-1] < self.num_classes <= shape[2]:
            raise ValueError(
                f"num_classes: expected {int(labels[-1]) + 1} to {shape[2]}, of labels "
                f"and features, got {self.num_classes}"
            )

    @property
    def multiclass(self) -> bool:
        """Whether the prediction is a vector."""
        return self.kind == MULTICLASS

    def __len__(self) -> int:
        return self.x_train.shape[0]

    def __getitem__(self, index: Any) -> "Tasks":
        index = index if isinstance(index, slice) else np.atleast_1d(index)
        parts = (self.x_train, self.y_train, self.x_valid, self.y_valid)
        parts = [part[index] for part in parts]
        return Tasks(
            *parts,
            kind=self.kind,
            epochs=self.epochs,
            seed=self.seed,
            num_classes=self.num_classes,
        )

    def first_examples(self, num_train: int, num_valid: int) -> "Tasks":
        """The same tasks with fewer examples, and one epoch."""
        return Tasks(
            self.x_train[:, :num_train],
            self.y_train[:, :num_train],
            self.x_valid[:, :num_valid],
            self.y_valid[:, :num_valid],
            kind=self.kind,
            seed=self.seed,
            num_classes=self.num_classes,
        )


def linear_regression(
    key: int,
    num_tasks: int = 10,
    num_features: int = 4,
    num_train: int = 100,
    num_valid: int = 100,
    affine: bool = False,
) -> Tasks:
    """Labels u . x, or u . x + a: everything is standard normal.

    Args:
        key: another integer, other tasks.
        num_tasks: how many, each with its own u and a.
        num_features: F, the length of x.
        num_train: examples to learn from.
        num_valid: examples to predict.
        affine: whether there is an intercept a.
    """
    rng = _generator(key)
    weights = rng.standard_normal((num_tasks, num_features))
    intercept = rng.standard_normal((num_tasks, 1)) if affine else 0.0

    def label(x: np.ndarray) -> np.ndarray:
        return np.einsum("df,dnf->dn", weights, x) + intercept

    return _regression(rng, label, num_tasks, num_features, num_train, num_valid)


def nonlinear_regression(
    key: int,
    num_tasks: int = 10,
    num_features: int = 8,
    num_train: int = 1000,
    num_valid: int = 100,
) -> Tasks:
    """Labels u . max(M x, 0), of a teacher network: everything is standard normal."""
    rng = _generator(key)
    first = rng.standard_normal((num_tasks, num_features, num_features))
    last = rng.standard_normal((num_tasks, num_features))

    def label(x: np.ndarray) -> np.ndarray:
        hidden = np.maximum(np.einsum("dij,dnj->dni", first, x), 0)
        return np.einsum("di,dni->dn", last, hidden)

    return _regression(rng, label, num_tasks, num_features, num_train, num_valid)


def _regression(rng, label, num_tasks, num_features, num_train, num_valid) -> Tasks:
    x = rng.standard_normal((num_tasks, num_train + num_valid, num_features))
    y = label(x)
    return Tasks(
        np.ascontiguousarray(x[:, :num_train]),
        np.ascontiguousarray(y[:, :num_train]),
        np.ascontiguousarray(x[:, num_train:]),
        np.ascontiguousarray(y[:, num_train:]),
    )


class Images(NamedTuple):
    """Pictures as rows of pixels, and what each shows."""

    x: Float64[np.ndarray, "n pixels"]
    y: Int64[np.ndarray, " n"]


@functools.cache
def digits() -> Images:
    """Scikit-learn's 1797 scanned digits of 8 by 8 pixels; needs scikit-learn."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    return Images(np.asarray(x, np.float64), np.asarray(y, np.int64))


def cifar10(folder: str | pathlib.Path, train: bool = True) -> Images:
    """CIFAR-10 from a folder that holds its binary or its Python version, unpacked.

    Args:
        folder: with `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or
            the same without `.bin`.
        train: the 50,000 pictures to train on, or the 10,000 to test on.

    Raises:
        FileNotFoundError: if a file is missing.
        ValueError: if a file is not of that format.
    """
    folder = pathlib.Path(folder)
    names = [f"data_batch_{i}" for i in range(1, 6)] if train else ["test_batch"]
    binary = (folder / f"{names[0]}.bin").exists()
    parts = [
        _cifar_binary(folder / f"{n}.bin") if binary else _cifar_python(folder / n)
        for n in names
    ]
    pixels, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Images(pixels.astype(np.float64), labels.astype(np.int64))


_CIFAR_PIXELS = 3072


def _cifar_binary(path: pathlib.Path) -> tuple[UInt8[np.ndarray, "n 3072"], np.ndarray]:
    content = np.fromfile(path, np.uint8)
    if content.size == 0 or content.size % (1 + _CIFAR_PIXELS):
        raise ValueError(
            f"{path}: expected records of {1 + _CIFAR_PIXELS} bytes, got "
            f"{content.size} bytes"
        )
    rows = content.reshape(-1, 1 + _CIFAR_PIXELS)
    return rows[:, 1:], rows[:, 0]


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays and plain containers: a pickle could name any code to run."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype"):
            return super().find_class(module, name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise ValueError(f"folder: expected arrays in CIFAR-10's files, got {name}")


def _cifar_python(path: pathlib.Path) -> tuple[np.ndarray, np.ndarray]:
    with path.open("rb") as file:
        content = _ArraysOnly(file, encoding="bytes").load()
    if not isinstance(content, dict) or not {b"data", b"labels"} <= set(content):
        raise ValueError(f"{path}: expected a batch of CIFAR-10 with data and labels")
    return np.asarray(content[b"data"]), np.asarray(content[b"labels"])


PAIRS = tuple(itertools.combinations(range(10), 2))
"""The 45 pairs of ten classes."""


def split_pairs(key: int, num_held_out: int = 9) -> tuple[tuple, tuple]:
    """Pairs of classes to search on, and pairs that are held out.

    Example:
        >>> search, held_out = split_pairs(0)
        >>> len(search), len(held_out), set(search) & set(held_out)
        (36, 9, set())
    """
    order = _generator(key).permutation(len(PAIRS))
    pairs = [PAIRS[i] for i in order]
    return tuple(sorted(pairs[num_held_out:])), tuple(sorted(pairs[:num_held_out]))


def pairs_of_classes(
    images: Images,
    key: int,
    pairs: Sequence[tuple[int, int]] = PAIRS,
    num_tasks: int = 10,
    num_features: int | None = 16,
    num_train: int = 240,
    num_valid: int = 100,
    epochs: int = 1,
) -> Tasks:
    """Tell two classes of pictures apart, from random projections of the pixels.

    The pairs are taken in turns; each task has its own projection, by a matrix of
    standard normal numbers, after which the features are standardized by the mean and
    deviation of its training examples.

    Args:
        images: pictures and their classes, see `digits` and `cifar10`.
        key: another integer, other projections and examples.
        pairs: which classes, (negative, positive).
        num_tasks: how many tasks.
        num_features: F; None: all pixels as they are, standardized.
        num_train: examples to learn from.
        num_valid: examples to predict.
        epochs: how often the training examples are seen.

    Raises:
        ValueError: if a pair has too few pictures.
    """
    if not pairs or num_tasks < 1:
        raise ValueError(
            f"pairs: expected at least one pair and one task, got {len(pairs)} pairs "
            f"and {num_tasks} tasks"
        )
    rng = _generator(key)
    order = [pairs[i] for i in rng.permutation(len(pairs))]
    parts = []
    for task in range(num_tasks):
        negative, positive = order[task % len(order)]
        rows = np.flatnonzero(np.isin(images.y, (negative, positive)))
        y = (images.y[rows] == positive).astype(np.float64)
        name = f"classes {negative} and {positive}"
        parts.append(
            _project(rng, images.x[rows], y, num_features, num_train, num_valid, name)
        )
    stacked = (np.stack(each) for each in zip(*parts, strict=True))
    return Tasks(*stacked, kind=BINARY, epochs=epochs)


def all_classes(
    images: Images,
    key: int,
    num_tasks: int = 10,
    num_features: int | None = 16,
    num_train: int = 1000,
    num_valid: int = 500,
    epochs: int = 1,
) -> Tasks:
    """Tell all classes of pictures apart, from random projections of the pixels.

    See `pairs_of_classes`. The label is a vector with a one at the class, v1; the
    prediction is the softmax of as many first entries of v2.
    """
    rng = _generator(key)
    y = images.y.astype(np.float64)
    parts = [
        _project(rng, images.x, y, num_features, num_train, num_valid, "all classes")
        for _ in range(num_tasks)
    ]
    stacked = (np.stack(each) for each in zip(*parts, strict=True))
    num_classes = 1 + int(images.y.max())
    return Tasks(*stacked, kind=MULTICLASS, epochs=epochs, num_classes=num_classes)


def _project(rng, x, y, num_features, num_train, num_valid, name) -> tuple:
    needed = num_train + num_valid
    if needed > len(y):
        raise ValueError(
            f"num_train and num_valid: expected at most {len(y)} pictures of {name}, "
            f"got {num_train} + {num_valid}"
        )
    rows = rng.permutation(len(y))[:needed]
    x, y = x[rows], y[rows]
    if num_features is not None:
        x = x @ rng.standard_normal((x.shape[1], num_features))
    mean, std = x[:num_train].mean(axis=0), x[:num_train].std(axis=0)
    x = (x - mean) / np.where(std > 0, std, 1.0)
    return x[:num_train], y[:num_train], x[num_train:], y[num_train:]


def _generator(key: int) -> np.random.Generator:
    if isinstance(key, bool) or not isinstance(key, int | np.integer) or key < 0:
        raise ValueError(f"key: expected a nonnegative integer, got {key!r}")
    return np.random.default_rng([int(key), 0xBA5E])
