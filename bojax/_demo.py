"""The demo: a neural network learns to read digits while its settings are tuned.

A network of another width, or another optimizer, is another program to compile, which
takes longer than to train it. So one program trains them all: its network is of the
largest size, masked down to the size in question, and every setting is an argument.
"""

import functools
import itertools
import math
import pathlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

import bojax
import bojax.acquisitions
import bojax.curves
import bojax.plots
import bojax.surrogates
from bojax.tuning import Result, Trial

EPOCHS = 20
MICROBATCH = 16
MAX_DEPTH = 4
MAX_WIDTH = 128
ACTIVATIONS = {"relu": nnx.relu, "tanh": nnx.tanh, "gelu": nnx.gelu}

SPACE = bojax.Space(
    {
        "learning_rate": bojax.Float(1e-4, 0.3, log=True),
        "weight_decay": bojax.Float(1e-6, 0.1, log=True),
        "depth": bojax.Int(1, MAX_DEPTH),
        "width": bojax.Int(8, MAX_WIDTH, log=True),
        "batch_size": bojax.Ordinal(16, 32, 64, 128),
        "activation": bojax.Categorical(*ACTIVATIONS),
        "optimizer": bojax.Categorical("adam", "sgd", "rmsprop"),
        "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "sgd"}),
        "beta2": bojax.Float(0.9, 0.9999, when={"optimizer": "adam"}),
    }
)
DEFAULT = {
    "learning_rate": 1e-3,
    "weight_decay": 1e-4,
    "depth": 2,
    "width": 64,
    "batch_size": 32,
    "activation": "relu",
    "optimizer": "adam",
    "beta2": 0.999,
}

Settings = dict[str, Array]
"""A configuration as numbers: categories by their index, see `Space.values`."""


class Images(NamedTuple):
    """Standardized pixels, and which digit each picture shows."""

    x: Float[Array, "n 64"]
    y: Int[Array, " n"]


class Digits(NamedTuple):
    """Three parts of the data, the same in every run."""

    train: Images
    validation: Images
    test: Images


@functools.cache
def digits() -> Digits:
    """Scikit-learn's 1797 scanned digits, in parts of 512, 512 and 773."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, validation, test = np.split(order, [512, 1024])
    x = jnp.asarray((x - x[train].mean()) / x[train].std(), jnp.float32)
    y = jnp.asarray(y, jnp.int32)
    return Digits(*(Images(x[part], y[part]) for part in (train, validation, test)))


class MLP(nnx.Module):
    """A multilayer perceptron of any depth and width up to the largest."""

    def __init__(self, settings: Settings, rngs: nnx.Rngs):
        widths = [64] + [MAX_WIDTH] * MAX_DEPTH
        self.hidden = nnx.List(
            nnx.Linear(*sizes, rngs=rngs) for sizes in itertools.pairwise(widths)
        )
        self.output = nnx.Linear(MAX_WIDTH, 10, rngs=rngs)
        # Weights start in proportion to 1 / sqrt(inputs), of which fewer are in use.
        for layer in [*self.hidden[1:], self.output]:
            layer.kernel[...] *= jnp.sqrt(MAX_WIDTH / settings["width"])

    def __call__(
        self, settings: Settings, x: Float[Array, "n 64"]
    ) -> Float[Array, "n 10"]:
        """Log odds of the digits: unused units are silent, unused layers skipped."""
        in_use = jnp.arange(MAX_WIDTH) < settings["width"]
        for i, layer in enumerate(self.hidden):
            y = jax.lax.switch(
                settings["activation"], list(ACTIVATIONS.values()), layer(x)
            )
            y = jnp.where(in_use, y, 0)
            x = jnp.where(i < settings["depth"], y, x) if i else y
        return self.output(x)


def one_of(
    index: Int[Array, ""], *options: optax.GradientTransformation
) -> optax.GradientTransformation:
    """The option of this index, which need not be known when compiling."""

    def init(params):
        return tuple(option.init(params) for option in options)

    def update(updates, state, params=None):
        def branch(i):
            new, new_state = options[i].update(updates, state[i], params)
            return new, (*state[:i], new_state, *state[i + 1 :])

        branches = [functools.partial(branch, i) for i in range(len(options))]
        return jax.lax.switch(index, branches)

    return optax.GradientTransformation(init, update)


def make_optimizer(settings: Settings) -> optax.GradientTransformation:
    """The optimizer in question, which steps when it has seen a whole batch."""
    direction = one_of(
        settings["optimizer"],
        optax.scale_by_adam(b2=settings["beta2"]),
        optax.trace(settings["momentum"]),
        optax.scale_by_rms(),
    )
    optimizer = optax.chain(
        direction,
        optax.add_decayed_weights(settings["weight_decay"]),
        optax.scale_by_learning_rate(settings["learning_rate"]),
    )
    pieces = (settings["batch_size"] / MICROBATCH).astype(jnp.int32)
    return optax.MultiSteps(optimizer, lambda _: pieces).gradient_transformation()


@nnx.jit
def start(
    x: Float[Array, " d"], key: PRNGKeyArray
) -> tuple[Settings, MLP, optax.OptState]:
    """Settings at a point of the space, with an untrained network and its optimizer."""
    settings = SPACE.values(x)
    model = MLP(settings, nnx.Rngs(key))
    return settings, model, make_optimizer(settings).init(nnx.state(model))


@nnx.jit
def train_epoch(
    settings: Settings,
    model: MLP,
    state: optax.OptState,
    key: PRNGKeyArray,
    images: Images,
) -> optax.OptState:
    """One pass over the images in random order; changes the model in place."""
    optimizer = make_optimizer(settings)
    structure, weights = nnx.split(model)

    def loss(weights, rows):
        logits = nnx.merge(structure, weights)(settings, images.x[rows])
        labels = images.y[rows]
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    def step(carry, rows):
        weights, state = carry
        gradient = jax.grad(loss)(weights, rows)
        updates, state = optimizer.update(gradient, state, weights)
        return (optax.apply_updates(weights, updates), state), None

    order = jax.random.permutation(key, len(images.y)).reshape(-1, MICROBATCH)
    (weights, state), _ = jax.lax.scan(step, (weights, state), order)
    nnx.update(model, weights)
    return state


@nnx.jit
def error(settings: Settings, model: MLP, images: Images) -> Float[Array, ""]:
    """The fraction of the images that the network misreads."""
    return jnp.mean(jnp.argmax(model(settings, images.x), axis=1) != images.y)


def fit(config: dict[str, Any]) -> Iterator[tuple[Settings, MLP]]:
    """Trains a network, and shows it after each epoch."""
    key = jax.random.key(0)
    settings, model, state = start(jnp.asarray(SPACE.encode(config)), key)
    for epoch in range(EPOCHS):
        key_epoch = jax.random.fold_in(key, epoch)
        state = train_epoch(settings, model, state, key_epoch, digits().train)
        yield settings, model


def train(config: dict[str, Any]) -> Iterator[float]:
    """The objective: yields the validation error after each epoch."""
    for settings, model in fit(config):
        yield float(error(settings, model, digits().validation))


def test_error(config: dict[str, Any]) -> float:
    """The error on images that had no part in training or tuning."""
    *_, (settings, model) = fit(config)
    return float(error(settings, model, digits().test))


def log_error(
    error: Float[Array, " n"], variance: Float[Array, " n"], mask: Bool[Array, " n"]
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """What the surrogate models: errors differ by factors, from 2 to 90 percent."""
    error = jnp.maximum(error, 1e-3)
    return jnp.log10(error), variance / (error * math.log(10)) ** 2


def table(trials: Sequence[Trial]) -> str:
    """The five best configurations and their validation errors, aligned."""

    def show(value):
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    rows = [["trial", "error", *SPACE.names]]
    done = [trial for trial in trials if trial.state == "done"]
    for trial in sorted(done, key=lambda trial: trial.value or 0.0)[:5]:
        settings = [show(trial.config.get(name, "-")) for name in SPACE.names]
        rows.append([str(trial.number), f"{trial.value:.2%}", *settings])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True))
        for row in rows
    )


def saved(trials: Sequence[Trial]) -> str:
    """How many epochs were not trained because a training had no chance."""
    planned = EPOCHS * len(trials)
    spared = sum(
        EPOCHS - len(trial.curve) for trial in trials if trial.state == "stopped"
    )
    return (
        f"Stopping hopeless trainings saved {spared} of {planned} epochs "
        f"({spared / planned:.0%})."
    )


def run(num_trials: int = 40, out: pathlib.Path = pathlib.Path("out"), seed: int = 0):
    """Tunes the network, prints what came of it and draws the figures into a folder."""
    began = time.perf_counter()
    strategy = bojax.strategies.BayesOpt(SPACE, num_initial=8, outcome=log_error)
    result = bojax.minimize(
        train,
        SPACE,
        num_trials=num_trials,
        key=seed,
        strategy=strategy,
        stopping=bojax.curves.PredictiveStopping(horizon=EPOCHS),
    )
    if result.x is None:
        raise SystemExit(result.message)
    print(f"\nThe best of {len(result.trials)} configurations on validation images:\n")
    print(table(result.trials))
    print(f"\n{saved(result.trials)}")
    print(
        f"\nOn test images the best is wrong in {test_error(result.x):.2%}, "
        f"the default configuration in {test_error(DEFAULT):.2%}.\n"
    )
    for figure in draw(result, out):
        print(figure)
    print(f"\n{time.perf_counter() - began:.0f} s")


def draw(result: Result, out: pathlib.Path) -> list[pathlib.Path]:
    """How the run went, and what the surrogate believes in the end, as pictures."""
    history = bojax.plots.history(result)
    history.set(yscale="log", ylabel="validation error")

    with jax.enable_x64(True):  # covariances want double precision
        done = [trial for trial in result.trials if trial.state == "done"]
        x = jnp.stack([SPACE.encode(trial.config) for trial in done])
        error = jnp.asarray([trial.value for trial in done])
        y, _ = log_error(error, jnp.zeros_like(error), jnp.isfinite(error))
        data = bojax.Dataset.of(x, y)
        surrogate = bojax.surrogates.GP(SPACE).fit(data, jax.random.key(0))
        posterior = surrogate.condition(data)
        acquisition = bojax.acquisitions.LogEI(posterior, jnp.min(y))
        slices = bojax.plots.slices(posterior, SPACE, acquisition)
    for ax in slices[:, 0]:
        ax.set_ylabel(ax.get_ylabel() and "log10 error")

    out.mkdir(parents=True, exist_ok=True)
    paths = [out / "history.png", out / "slice.png"]
    for ax, path in zip([history, slices[0, 0]], paths, strict=True):
        ax.figure.savefig(path, dpi=150)  # pyright: ignore[reportAttributeAccessIssue]
    return paths
