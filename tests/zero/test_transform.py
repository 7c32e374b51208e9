"""Programs as JAX functions, their constants tuned, and what they do in formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.zero import (
    Program,
    constants_space,
    evaluate,
    examples,
    explain,
    tasks,
    to_jax,
    tune,
    with_factors,
)
from bojax.zero.search_space import random_population
from tests.zero.generators import ALL_OPS

LINES = tasks.linear_regression(0, 1, 4, 60, 30)


def fitness_of(program, data, predict):
    with jax.enable_x64(True):
        y = predict(data.x_train[0], data.y_train[0], data.x_valid[0])
    y, wanted = np.asarray(y), data.y_valid[0]
    if data.kind == "regression":
        error = np.sqrt(np.mean((y - wanted) ** 2))
        return 1 - 2 / np.pi * np.arctan(error)
    if data.kind == "binary":
        return np.mean((y > 0.5) == (wanted > 0.5))
    return np.mean(np.argmax(y, axis=1) == wanted)


@pytest.mark.parametrize(
    ("program", "data"),
    [
        (examples.linear_regressor(0.1), LINES),
        (examples.neural_network(0.03, 0.5, 0.5), LINES),
        (
            examples.affine_regressor(0.1),
            tasks.pairs_of_classes(tasks.digits(), 0, num_tasks=1),
        ),
        (
            examples.softmax_regressor(0.1),
            tasks.all_classes(tasks.digits(), 0, 1, 16, 200, 100),
        ),
    ],
    ids=["linear", "network", "logistic", "softmax"],
)
def test_as_a_function_it_is_the_same_program(program, data):
    score = fitness_of(program, data, to_jax(program, data.kind))
    np.testing.assert_allclose(score, evaluate(program, data).fitness, rtol=1e-9)


@pytest.mark.parametrize("number", range(6))
def test_random_programs_are_the_same_functions(number):
    population = random_population(ALL_OPS, 60, seed=5)
    data = tasks.linear_regression(0, 1, 4, 10, 10)
    works = np.flatnonzero(~evaluate(population, data).failed[:, 0])
    program = population[int(works[number])]
    score = fitness_of(program, data, to_jax(program))
    np.testing.assert_allclose(score, evaluate(program, data).fitness, rtol=1e-9)


def test_it_is_differentiable_in_its_constants():
    program = examples.linear_regressor(0.05)
    predict = to_jax(program)
    x, y, new, wanted = (
        part[0] for part in (LINES.x_train, LINES.y_train, LINES.x_valid, LINES.y_valid)
    )

    def loss(rate):
        constants = jnp.asarray(program.constants).at[0, 0, 0].set(rate)
        return jnp.mean((predict(x, y, new, constants) - wanted) ** 2)

    with jax.enable_x64(True):
        slope = jax.grad(loss)(0.05)
        step = 1e-6
        difference = float((loss(0.05 + step) - loss(0.05 - step)) / (2 * step))
        slope = float(slope)
    assert slope < 0
    np.testing.assert_allclose(slope, difference, rtol=1e-5)


def test_it_runs_at_any_number_of_features_under_jit_and_vmap():
    predict = jax.jit(jax.vmap(to_jax(examples.linear_regressor(0.001))))
    rng = np.random.default_rng(0)
    x, new = rng.standard_normal((2, 3, 20, 300)).astype(np.float32)
    assert predict(x, x[..., 0], new).shape == (3, 20)


def test_integer_features_are_taken_as_floats():
    rng = np.random.default_rng(0)
    x = rng.integers(-3, 4, (110, 4))
    y = x @ np.array([1, 2, -1, 3])
    predict = jax.jit(to_jax(examples.linear_regressor(0.05)))
    wanted = predict(x[:100].astype(float), y[:100], x[100:].astype(float))
    np.testing.assert_allclose(wanted, y[100:], atol=0.1)
    for train, valid in ((int, int), (float, int), (int, np.float32)):
        found = predict(x[:100].astype(train), y[:100], x[100:].astype(valid))
        np.testing.assert_array_equal(found, wanted)


def test_more_classes_than_features_are_refused():
    predict = to_jax(examples.softmax_regressor(), "multiclass")
    with pytest.raises(ValueError, match=r"num_classes: expected 1 to 4 .*, got 10"):
        predict(np.ones((5, 4)), np.zeros(5), np.ones((2, 4)))


def test_the_space_is_of_live_constants():
    program = Program.parse(
        """
        def Setup():
          s2 = 0.5
          s3 = 0.7
          s4 = 0.0
          v1 = gaussian(0.0, 0.2)
          v2 = uniform(-0.5, 0.5)
          v2[0.3] = 2.0
        def Predict():
          s1 = dot(v0, v1)
          s5 = dot(v0, v2)
          s1 = s1 + s5
          s1 = s1 * s2
          s1 = s1 + s4
        """
    )
    space = constants_space(program)
    assert space.names == (
        "setup_1_s2",
        "setup_4_v1_std",
        "setup_5_v2_low",
        "setup_5_v2_high",
        "setup_6_v2_value",
    )
    changed = with_factors(program, {"setup_1_s2": 3.0, "setup_4_v1_std": 0.5})
    assert changed.constants[0, 0, 0] == 1.5
    assert changed.constants[0, 3, 1] == 0.1
    assert program.constants[0, 0, 0] == 0.5
    with pytest.raises(ValueError, match=r"names among setup_1_s2, .* got 's2'"):
        with_factors(program, {"s2": 1.0})
    with pytest.raises(ValueError, match="a live constant other than 0, got none"):
        constants_space(Program.parse("def Predict():\n  s1 = mean(v0)"))
    with pytest.raises(ValueError, match="spread: expected a factor over 1, got 1"):
        constants_space(program, 1.0)


def test_tuning_finds_a_better_rate():
    data = tasks.linear_regression(1, 4, 4, 60, 30)
    program = examples.linear_regressor(0.001)
    tuned, result = tune(
        program, data, 12, strategy=bojax.strategies.Sobol, progress=False
    )
    assert result.trials[0].value == evaluate(program, data).fitness
    assert result.fun == evaluate(tuned, data).fitness > 0.9
    assert evaluate(program, data).fitness < 0.7
    assert set(result.x) == {"setup_1_s2"}


@pytest.mark.long
def test_tuning_by_bayesian_optimization():
    data = tasks.linear_regression(1, 4, 4, 60, 30)
    tuned, _ = tune(examples.linear_regressor(0.001), data, 15, progress=False)
    assert evaluate(tuned, data).fitness > 0.98


def test_explanations():
    network = explain(examples.neural_network())
    assert "19 of 19 instructions matter." in network
    assert "p = dot(v4, v2) + s2" in network
    assert "m0 <- m0 + outer(v7, x)" in network
    assert "linear" not in network

    hidden = Program.parse(
        """
        def Setup():
          s3 = -0.5
          s2 = -0.2
        def Predict():
          s1 = dot(v2, v0)
          s1 = s1 * s2
        def Learn():
          s1 = s0 - s1
          v2 = s1 * v0
          v1 = v2 + v1
          v2 = v1 + v1
          s2 = 0.075
          s3 = s3 + s3
        """
    )
    text = explain(hidden)
    assert "8 of 10 instructions matter." in text
    assert "w <- w + 0.15 (y - p) x" in text
    assert "Setup:   s2 <- -0.2" in text
    several = explain(examples.softmax_regressor(), multiclass=True)
    assert "p = dot(m0, x) + v3" in several
    draws = explain(
        Program.parse(
            "def Setup():\n v1 = gaussian(0.0, 1.0)\ndef Predict():\n s1 = dot(v0, v1)"
        )
    )
    assert "v1 <- gaussian(0, 1)" in draws
    assert "p = dot(x, v1)" in draws
    assert explain(Program.parse("def Predict():")).startswith("0 of 0")


def lines_of(text, **options):
    return explain(Program.parse(text), **options).split("\n")


def test_setup_is_explained_as_what_the_program_reads_of_it():
    several = """
        def Setup():
          s2 = 0.5
          s3 = s2 * s2
        def Predict():
          v2 = s3 * v0
    """
    assert "Setup:   s3 <- 0.25" in lines_of(several, multiclass=True)
    unchanged = "def Setup():\n s2 = 2.0\n s1 = s2 * s2\ndef Predict():"
    assert lines_of(unchanged)[1:3] == ["Setup:   s1 <- 4", "Predict: p = s1"]
    one_draw = """
        def Setup():
          s4 = gaussian(0.0, 1.0)
          s2 = s4 * s4
          s2 = s2 + s4
        def Predict():
          s1 = mean(v0)
          s1 = s1 * s2
    """
    assert "Setup:   s4 = gaussian(0, 1)" in lines_of(one_draw)


def test_an_entry_is_set_in_what_was_there():
    found = lines_of(
        "def Predict():\n v3 = v1 + v0\n v3[0.0] = 2.0\n s1 = dot(v3, v2)\n"
        "def Learn():\n v2 = s0 * v0"
    )
    assert found[1] == "Predict: p = dot(((v1 + x) but [0] = 2), v2)"


def test_numbers_are_those_of_any_features_and_any_draw():
    rate = "s4 = 1.0\n  v2 = bcast(s4)\n  s2 = norm(v2)\n  s2 = 1 / s2"
    learns = str(examples.linear_regressor()).replace("s2 = 0.01", rate)
    assert rate in learns
    linear = "The prediction is linear in x: p = dot(w, x)."
    found = lines_of(learns)
    assert "Setup:   s2 <- norm(bcast(1))" in found
    assert found[-1] == linear
    random = learns.replace("def Learn():", "def Learn():\n  s2 = uniform(0.0, 0.2)")
    assert lines_of(random)[-1] == linear
    noisy = learns.replace("s1 = dot", "v1 = gaussian(0.0, 1.0)\n  s1 = dot")
    assert linear not in lines_of(noisy)


@pytest.mark.parametrize("number", range(25))
def test_any_program_can_be_explained(number):
    program = random_population(ALL_OPS, 25, seed=9)[number]
    assert "instructions matter" in explain(program)


def test_an_unknown_kind_is_refused():
    with pytest.raises(
        ValueError, match=r"kind: expected one of regression, .* got 'x'"
    ):
        to_jax(examples.linear_regressor(), "x")
