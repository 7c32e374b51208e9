"""The command line, and the network that its demo trains."""

import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

import bojax
from bojax import __main__ as command_line
from bojax import _demo

SMALL = {
    **_demo.DEFAULT,
    "learning_rate": 1e-2,
    "depth": 2,
    "width": 12,
    "activation": "tanh",
}


class Plain(nnx.Module):
    """The network that a masked one of depth 2 stands for."""

    def __init__(self, masked: _demo.MLP, width: int):
        first, second = masked.hidden[0], masked.hidden[1]
        rngs = nnx.Rngs(0)
        self.first = nnx.Linear(64, width, rngs=rngs)
        self.second = nnx.Linear(width, width, rngs=rngs)
        self.output = nnx.Linear(width, 10, rngs=rngs)
        for mine, theirs in [
            (self.first, first),
            (self.second, second),
            (self.output, masked.output),
        ]:
            inputs, outputs = mine.kernel.shape
            mine.kernel[...] = theirs.kernel[...][:inputs, :outputs]
            mine.bias[...] = theirs.bias[...][:outputs]

    def __call__(self, x):
        return self.output(nnx.tanh(self.second(nnx.tanh(self.first(x)))))


def start(config):
    return _demo.start(jnp.asarray(_demo.SPACE.encode(config)), jax.random.key(0))


def test_a_masked_network_is_the_small_one():
    settings, masked, _ = start(SMALL)
    x = _demo.digits().validation.x

    @nnx.jit
    def both(masked):
        return masked(settings, x), Plain(masked, SMALL["width"])(x)

    np.testing.assert_allclose(*both(masked), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("optimizer", "batch_size"), [("adam", 64), ("sgd", 16), ("rmsprop", 32)]
)
def test_training_is_that_of_the_small_network_with_its_own_optimizer(
    optimizer, batch_size
):
    own = {"adam": {"beta2": 0.95}, "sgd": {"momentum": 0.8}, "rmsprop": {}}[optimizer]
    config = {**SMALL, "optimizer": optimizer, "batch_size": batch_size, **own}
    if optimizer != "adam":
        del config["beta2"]
    settings, masked, state = start(config)
    direction = {
        "adam": optax.scale_by_adam(b2=0.95),
        "sgd": optax.trace(0.8),
        "rmsprop": optax.scale_by_rms(),
    }[optimizer]
    tx = optax.chain(
        direction,
        optax.add_decayed_weights(config["weight_decay"]),
        optax.scale_by_learning_rate(config["learning_rate"]),
    )
    images = _demo.digits().train
    key = jax.random.key(1)

    @nnx.jit
    def plainly(masked):
        structure, weights = nnx.split(Plain(masked, SMALL["width"]))

        def loss(weights, rows):
            logits = nnx.merge(structure, weights)(images.x[rows])
            labels = images.y[rows]
            return optax.losses.softmax_cross_entropy_with_integer_labels(
                logits, labels
            ).mean()

        def step(carry, rows):
            weights, state = carry
            updates, state = tx.update(jax.grad(loss)(weights, rows), state, weights)
            return (optax.apply_updates(weights, updates), state), None

        order = jax.random.permutation(key, len(images.y)).reshape(-1, batch_size)
        return jax.lax.scan(step, (weights, tx.init(weights)), order)[0][0]

    @nnx.jit
    def part_in_use(masked):
        return nnx.state(Plain(masked, SMALL["width"]))

    before, expected = part_in_use(masked), plainly(masked)
    _demo.train_epoch(settings, masked, state, key, images)
    after = part_in_use(masked)
    for old, new, new_expected in zip(
        *map(jax.tree.leaves, (before, after, expected)), strict=True
    ):
        # Both compute in float32 and sum in different orders.
        np.testing.assert_allclose(
            new, new_expected, atol=1e-2 * float(jnp.max(jnp.abs(new - old)))
        )


def test_one_program_trains_every_configuration(monkeypatch):
    traces = []

    def make_optimizer(settings, make=_demo.make_optimizer):
        traces.append(settings)
        return make(settings)

    list(_demo.train(SMALL))
    monkeypatch.setattr(_demo, "make_optimizer", make_optimizer)
    for x in _demo.SPACE.sample(jax.random.key(2), 4):
        curve = list(_demo.train(_demo.SPACE.decode(x)))
        assert len(curve) == _demo.EPOCHS
        assert all(0 <= error <= 1 for error in curve)
    assert not traces


def test_training_learns_and_repeats():
    curve = list(_demo.train(_demo.DEFAULT))
    assert curve == list(_demo.train(_demo.DEFAULT))
    assert curve[-1] < 0.07 < curve[0]
    assert _demo.test_error(_demo.DEFAULT) < 0.07


def test_the_parts_of_the_data_are_disjoint():
    images = np.concatenate([part.x for part in _demo.digits()])
    assert len(images) == len(np.unique(images, axis=0)) == 1797


def run(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "bojax", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_help_names_the_commands():
    done = run("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert "zero" in done.stdout
    assert "BOJAX_CACHE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "COMMAND"),
        (["dance"], "'dance'"),
        (["demo", "--trials", "0"], "at least 1, got 0"),
        (["demo", "--trials", "many"], "expected an integer, got 'many'"),
        (["demo", "--seed", str(2**32)], "at most 4294967295, got 4294967296"),
        (["zero", "--islands", "0"], "at least 1, got 0"),
        (["zero", "--seed", "first"], "'first'"),
        (["zero", "--seed", "-1"], "at least 0, got -1"),
    ],
)
def test_bad_arguments_are_refused_before_anything_runs(arguments, message, capsys):
    with pytest.raises(SystemExit) as refusal:
        command_line.main(arguments)
    assert refusal.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {}, "home/.cache/bojax"),
        ("linux", {"XDG_CACHE_HOME": "xdg"}, "xdg/bojax"),
        ("darwin", {"XDG_CACHE_HOME": "xdg"}, "home/Library/Caches/bojax"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/bojax"),
        ("linux", {"BOJAX_CACHE": "mine", "XDG_CACHE_HOME": "xdg"}, "mine"),
    ],
)
def test_compiled_programs_go_where_the_platform_keeps_such(
    platform, environment, expected, monkeypatch
):
    for name in ("BOJAX_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(pathlib.Path, "home", lambda: pathlib.Path("home"))
    assert command_line.cache_folder() == pathlib.Path(expected)


def test_epochs_that_were_saved_are_counted():
    space = bojax.Space({"a": bojax.Float(0, 1)})
    trials = bojax.Study(space, bojax.strategies.Random(space)).ask(2)
    for trial, state, epochs in zip(
        trials, ("done", "stopped"), (_demo.EPOCHS, _demo.EPOCHS - 5), strict=True
    ):
        trial.state, trial.curve = state, [(1, 0.5)] * epochs
    planned = 2 * _demo.EPOCHS
    assert f"saved 5 of {planned} epochs ({5 / planned:.0%})" in _demo.saved(trials)


@pytest.mark.long
def test_demo_from_a_cold_start_and_again(tmp_path):
    def demo(out):
        folders = {"BOJAX_CACHE": str(tmp_path / "cache"), "MPLBACKEND": "Agg"}
        done = run("demo", "--trials", "12", "--out", str(tmp_path / out), **folders)
        assert done.returncode == 0, done.stderr
        return done

    cold, warm = demo("first"), demo("second")
    assert "best 0.0" in cold.stderr
    assert f"of {12 * _demo.EPOCHS} epochs" in cold.stdout
    lines = cold.stdout.splitlines()
    assert sum(line.lstrip()[:1].isdigit() for line in lines) >= 5
    assert any((tmp_path / "cache").iterdir())
    for name in ("history.png", "slice.png"):
        for out in ("first", "second"):
            assert (tmp_path / out / name).stat().st_size > 10_000
    assert cold.stdout.split("On test")[0] == warm.stdout.split("On test")[0]


def test_zero_says_what_it_needs(monkeypatch):
    from bojax.zero import _compile

    monkeypatch.setattr(_compile, "numba", None)
    with pytest.raises(SystemExit, match="pip install 'bojax"):
        command_line.main(["zero", "--seconds", "1"])


@pytest.mark.long
def test_zero_finds_linear_regression_and_explains_it():
    done = run("zero", "--seed", "1", "--islands", "2", "--seconds", "280")
    assert done.returncode == 0, done.stderr
    assert "The same without dead code:" in done.stdout
    assert "The prediction is linear in x: p = dot(w, x)." in done.stdout
    assert "1.000000 on new ones" in done.stdout
    assert "best 0." in done.stderr
