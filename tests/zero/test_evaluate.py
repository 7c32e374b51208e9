"""The protocol of evaluation, and the two backends beside NumPy and each other."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

from bojax.zero import (
    Instruction,
    Memory,
    Op,
    Program,
    Tasks,
    evaluate,
    examples,
    interpreter,
    tasks,
)
from bojax.zero.operations import INPUTS, MATRIX, NUM_CONSTANTS, OUT
from bojax.zero.search_space import random_population
from tests.zero.generators import (
    ALL_OPS,
    MEMORY,
    functions,
    program_of,
)

BACKENDS = "jax", "numba"
each_backend = pytest.mark.parametrize("backend", BACKENDS)


def ones(y_train=(1.0, 1.0, 1.0), y_valid=(1.0, 1.0), kind="regression", **options):
    """One task of two features, all one."""
    y_train, y_valid = np.array([y_train]), np.array([y_valid])
    return Tasks(
        np.ones((1, y_train.shape[1], 2)),
        y_train,
        np.ones((1, y_valid.shape[1], 2)),
        y_valid,
        kind=kind,
        **options,
    )


def fitness_of(rmse):
    return 1 - 2 / np.pi * np.arctan(rmse)


@each_backend
def test_linear_regression_is_numpys_gradient_descent(backend):
    data = tasks.linear_regression(3, 2, 4, 200, 50)
    rate, scores = 0.03, []
    for task in range(2):
        w = np.zeros(4)
        for x, y in zip(data.x_train[task], data.y_train[task], strict=True):
            w = w + rate * (y - w @ x) * x
        error = data.x_valid[task] @ w - data.y_valid[task]
        scores.append(fitness_of(np.sqrt(np.mean(error**2))))
    result = evaluate(examples.linear_regressor(rate), data, backend)
    np.testing.assert_allclose(result.by_task, scores, rtol=1e-12)
    np.testing.assert_allclose(result.fitness, np.mean(scores), rtol=1e-12)
    assert not result.failed.any()
    assert np.all(result.steps == 250)


def test_linear_regression_learns():
    data = tasks.linear_regression(0, 10, 4, 1000, 100)
    assert evaluate(examples.linear_regressor(0.01), data).fitness > 0.999


NETWORK = examples.neural_network(0.02, 0.5, 0.5)


@each_backend
def test_the_network_is_numpys_backpropagation(backend):
    data = tasks.nonlinear_regression(0, 1, 4, 300, 50)
    # Its first weights are draws, the same in every backend.
    parts = _network_weights()
    m, v = parts["m0"], parts["v2"]
    b, c, rate = np.zeros(4), 0.0, 0.02
    for x, y in zip(data.x_train[0], data.y_train[0], strict=True):
        before = m @ x + b
        hidden = np.maximum(before, 0)
        step = rate * (y - (hidden @ v + c))
        c += step
        v = v + step * hidden
        back = (before > 0) * (step * v)  # by the new weights, as published
        b = b + back
        m = m + np.outer(back, x)
    hidden = np.maximum(data.x_valid[0] @ m.T + b, 0)
    error = hidden @ v + c - data.y_valid[0]
    result = evaluate(NETWORK, data, backend)
    expected = fitness_of(np.sqrt(np.mean(error**2)))
    np.testing.assert_allclose(result.by_task, [expected], rtol=1e-10)


def _network_weights():
    from bojax.zero.transform import learner

    parts = learner(NETWORK)
    with jax.enable_x64(True):
        memory = parts.setup(jnp.asarray(parts.constants), 4)
        return {name: np.asarray(value) for name, value in memory.items()}


def test_the_network_with_two_lines_swapped_descends_jaxs_gradient():
    from bojax.zero.transform import learner

    swapped = Program.parse(
        str(NETWORK).replace(
            "  v2 = v2 + v6\n  v7 = s4 * v2\n", "  v7 = s4 * v2\n  v2 = v2 + v6\n"
        ),
        NETWORK.memory,
    )
    parts = learner(swapped)

    def loss(weights, x, y):
        hidden = jnp.maximum(weights["m0"] @ x + weights["v1"], 0)
        return 0.5 * (y - hidden @ weights["v2"] - weights["s2"]) ** 2

    with jax.enable_x64(True):
        constants = jnp.asarray(parts.constants)
        memory = parts.setup(constants, 4)
        rng = np.random.default_rng(0)
        for _ in range(3):
            x, y = jnp.asarray(rng.standard_normal(4)), jnp.asarray(1.5)
            weights = {name: memory[name] for name in ("m0", "v1", "v2", "s2")}
            slopes = jax.grad(loss)(weights, x, y)
            memory = parts.predict(constants, memory, x, 0)
            memory = parts.learn(constants, memory, x, y, 0)
            for name, slope in slopes.items():
                np.testing.assert_allclose(
                    memory[name], weights[name] - 0.02 * slope, rtol=1e-12, atol=1e-15
                )


def test_the_network_learns_a_teacher():
    """As in the published tests, on teachers without their first and third unit."""
    rng = np.random.default_rng(0)
    first, last = rng.standard_normal((4, 4, 4)), rng.standard_normal((4, 4))
    first[:, [0, 2]], last[:, [0, 2]] = 0, 0
    x = rng.standard_normal((4, 10_100, 4))
    hidden = np.maximum(np.einsum("dij,dnj->dni", first, x), 0)
    y = np.einsum("di,dni->dn", last, hidden)
    data = Tasks(x[:, :-100], y[:, :-100], x[:, -100:], y[:, -100:])
    network = examples.neural_network(0.01, 0.5, 0.5)
    assert np.median(evaluate(network, data).by_task) > 0.95


@each_backend
def test_predict_never_sees_a_label(backend):
    cheat = Program.parse(
        "def Predict():\n  s1 = s0 + s2\ndef Learn():\n  s2 = s3 + s3"
    )
    assert evaluate(cheat, ones(), backend).by_task[0] == fitness_of(1.0)
    # What Learn saw is not there any more, either.
    remembers = Program.parse(
        "def Predict():\n  s1 = s0 + s0\ndef Learn():\n  s2 = s0 + s0"
    )
    assert evaluate(remembers, ones(), backend).by_task[0] == fitness_of(1.0)


@each_backend
def test_learn_sees_the_label_and_the_example(backend):
    copies = Program.parse(
        "def Predict():\n  s1 = s2 + s3\n  v1 = v0 - v0\ndef Learn():\n  s2 = s0 + s3"
    )
    assert evaluate(copies, ones(), backend).by_task[0] == 1
    # v0 cannot be written, and is the example in Learn, too.
    norms = Program.parse(
        "def Predict():\n  s1 = s2 + s3\ndef Learn():\n  s2 = mean(v0)"
    )
    assert evaluate(norms, ones(), backend).by_task[0] == 1


@each_backend
def test_memory_lasts_through_validation(backend):
    counts = Program.parse(
        "def Setup():\n  s2 = 1.0\ndef Predict():\n  s3 = s3 + s2\n  s1 = s3 + s4"
    )
    data = ones((1.0, 2.0, 3.0), (4.0, 5.0))
    assert evaluate(counts, data, backend).by_task[0] == 1


@each_backend
@pytest.mark.parametrize("where", ["Setup", "Predict", "Learn"])
@pytest.mark.parametrize(
    ("value", "fails"),
    [
        ("99.9999", False),
        ("101.0", False),
        ("101.0001", True),
        ("-99.0001", True),
        ("1e200", True),
    ],
)
def test_errors_over_100_fail(backend, where, value, fails):
    lines = {"Setup": "", "Predict": "", "Learn": ""}
    lines[where] = f"  s2 = {value}\n"
    lines["Predict"] += "  s1 = s2 + s3\n"
    program = Program.parse("".join(f"def {n}():\n{t}" for n, t in lines.items()))
    result = evaluate(program, ones(), backend)
    assert result.failed[0] == fails
    assert (result.by_task[0] == 0) == fails
    # Learn's value is seen at the second example.
    expected = (1 if where == "Learn" else 0) if fails else 5
    assert result.steps[0] == expected


@each_backend
@pytest.mark.parametrize("expression", ["s3 / s3", "1 / s3", "log(s3)", "arcsin(s2)"])
def test_nan_and_infinity_fail(backend, expression):
    program = Program.parse(
        f"def Predict():\n  s2 = 3.0\n  s1 = {expression}\n", memory=MEMORY
    )
    result = evaluate(program, ones(), backend)
    assert result.failed[0]
    assert result.by_task[0] == 0


@each_backend
def test_what_is_not_the_prediction_may_be_anything(backend):
    program = Program.parse(
        "def Predict():\n  s2 = 1 / s3\n  s4 = s2 - s2\n  s1 = mean(v0)", memory=MEMORY
    )
    for dead in (True, False):
        result = evaluate(program, ones(), backend, remove_dead_code=dead)
        assert result.by_task[0] == 1


@each_backend
def test_failing_in_validation_fails(backend):
    program = Program.parse("def Predict():\n  s1 = mean(v0)")
    data = ones(y_valid=(1.0, 102.0))
    result = evaluate(program, data, backend)
    assert result.by_task[0] == 0
    assert result.steps[0] == 4


@each_backend
def test_the_best_epoch_counts_and_a_later_failure_does_not_undo_it(backend):
    # The prediction grows by one with each training example.
    counts = Program.parse(
        "def Setup():\n  s3 = 30.0\ndef Predict():\n  s1 = s2 + s4\n"
        "def Learn():\n  s2 = s2 + s3",
        memory=MEMORY,
    )
    data = ones((0.0,), (30.0,), epochs=2)
    assert evaluate(counts, data, backend).by_task[0] == 1
    data = ones((0.0,), (30.0,), epochs=9)
    result = evaluate(counts, data, backend)
    assert result.by_task[0] == 1
    # 30, 60, 90 and, after the fourth, 120 is too much by 120 and by 90.
    assert result.failed[0]
    assert result.steps[0] == 8


@each_backend
def test_two_classes(backend):
    kind = {"kind": "binary"}
    sure = Program.parse("def Setup():\n  s2 = 1000.0\ndef Predict():\n  s1 = s2 + s3")
    data = ones((1.0, 0.0), (1.0, 1.0, 1.0, 0.0), **kind)
    assert evaluate(sure, data, backend).by_task[0] == 0.75
    # In training the sigmoid takes the place of s1, in validation it does not: Learn
    # copies it to s4, and what Predict reads is the sigmoid of 0.
    learns = Program.parse(
        "def Predict():\n  s1 = s4 - s5\ndef Learn():\n  s4 = s1 + s6\n  s5 = s1 + s6"
    )
    assert evaluate(learns, data, backend).by_task[0] == 0.25
    seen = Program.parse(
        "def Setup():\n  s2 = -0.5\n  s3 = 1e-9\n"
        "def Predict():\n  s1 = s4 + s3\n"
        "def Learn():\n  s4 = s1 + s2"
    )
    # sigmoid(1e-9) - 1/2 = 2.5e-10 > 0: class 1. (Of s1 itself it would be negative.)
    assert evaluate(seen, data, backend).by_task[0] == 0.75
    nan = Program.parse("def Predict():\n  s1 = s2 / s2")
    assert evaluate(nan, data, backend).failed[0]


@each_backend
def test_several_classes(backend):
    x = np.eye(3)[None, [0, 1, 2, 0, 1, 2]]
    y = np.array([[0.0, 1, 2, 0, 1, 2]])
    data = Tasks(x, y, x, y, kind="multiclass")
    assert evaluate(examples.softmax_regressor(0.5), data, backend).by_task[0] == 1
    hidden = Program.parse("def Predict():\n  v2 = v1 + v1")
    assert evaluate(hidden, data, backend).by_task[0] == pytest.approx(1 / 3)
    with pytest.raises(ValueError, match="at least 3 vectors"):
        evaluate(Program.parse("def Predict():\n  s1 = mean(v0)"), data)


@pytest.mark.parametrize(
    "data",
    [
        tasks.linear_regression(0, 2, 4, 10, 10),
        tasks.pairs_of_classes(
            tasks.digits(),
            0,
            num_tasks=2,
            num_features=4,
            num_train=10,
            num_valid=10,
            epochs=2,
        ),
        tasks.all_classes(tasks.digits(), 0, 2, 11, 10, 10),
    ],
    ids=["regression", "binary", "multiclass"],
)
def test_the_backends_agree_on_random_programs(data):
    population = random_population(ALL_OPS, 1000)
    reference = evaluate(population, data, "jax")
    other = evaluate(population, data, "numba")
    # An error that all but reaches 100 may be on either side of it.
    near = np.any(np.fmin(reference.nearest, other.nearest) < 0.1, axis=1)
    assert near.sum() <= 10
    np.testing.assert_allclose(
        other.by_task[~near], reference.by_task[~near], rtol=1e-9, atol=0
    )
    np.testing.assert_array_equal(other.steps[~near], reference.steps[~near])
    np.testing.assert_array_equal(other.failed[~near], reference.failed[~near])
    assert 0.05 < reference.failed.mean() < 0.5
    used = {op for op in Op if np.any(population.op == op)}
    assert len(used) == 65


def test_the_backends_agree_on_many_operations_without_matrices():
    mine = [op for op in Op if MATRIX not in (*INPUTS[op], OUT[op])]
    lines = [
        Instruction(op, out=int(OUT[op] > 0), constants=(0.1, 0.2)[: NUM_CONSTANTS[op]])
        for op in mine
    ]
    program = Program.of(predict=[*lines, Instruction(Op.VECTOR_MEAN, 1, 0, 1)])
    assert program.memory == Memory(2, 2, 0)
    data = tasks.linear_regression(0, 2, 4, 3, 3)
    both = [evaluate(program, data, each, remove_dead_code=False) for each in BACKENDS]
    np.testing.assert_allclose(both[0].by_task, both[1].by_task, rtol=1e-9)
    assert not both[0].failed.any()


@given(functions())
@settings(max_examples=200)
def test_no_program_raises_however_strange(lists):
    program = program_of(lists)
    data = tasks.linear_regression(0, 2, 3, 4, 4)
    result = evaluate(program, data, "numba")
    assert 0 <= result.fitness <= 1
    again = evaluate(program, data, "numba", remove_dead_code=False)
    assert again.by_task.tobytes() == result.by_task.tobytes()


def test_the_fitness_is_between_0_and_1_and_falls_with_the_error():
    program = Program.parse("def Predict():\n  s1 = s2 + s2")
    values = [
        evaluate(program, ones((0.0,), (error,))).by_task[0]
        for error in (0.0, 1e-6, 0.1, 1.0, 50.0, 100.0)
    ]
    assert values[0] == 1
    assert np.all(np.diff(values) < 0)
    assert values[-1] > 0


def test_mean_and_median():
    x, y = np.ones((4, 1, 2)), np.array([[0.0], [1.0], [2.0], [300.0]])
    data = Tasks(x, y, x, y)
    program = Program.parse("def Predict():\n  s1 = s2 + s2")
    by_task = evaluate(program, data).by_task
    assert evaluate(program, data).fitness == pytest.approx(by_task.mean())
    # Of an even number the upper one.
    assert evaluate(program, data, combine="median").fitness == np.sort(by_task)[2]


def test_the_seed_of_tasks_is_that_of_draws():
    program = Program.parse("def Predict():\n  s1 = gaussian(0.0, 1.0)")
    one, two = (evaluate(program, ones(seed=seed)).fitness for seed in (0, 1))
    assert one != two


def test_in_single_precision_it_is_nearly_the_same():
    data = tasks.linear_regression(0, 2, 4, 50, 20)
    program = examples.linear_regressor(0.1)
    single = evaluate(program, data, "jax", double=False)
    np.testing.assert_allclose(
        single.by_task, evaluate(program, data, "jax").by_task, rtol=1e-4
    )
    with pytest.raises(ValueError, match="double"):
        evaluate(program, data, "numba", double=False)


def test_a_size_is_compiled_once(monkeypatch):
    """Of functions' lengths, in buckets; neither programs nor their number matter."""
    sizes = []
    original = interpreter.evaluate_one

    def noted(program, *args):
        sizes.append(tuple(lines.op.shape for lines in program))
        return original(program, *args)

    monkeypatch.setattr(interpreter, "evaluate_one", noted)
    data = tasks.linear_regression(0, 2, 4, 5, 5)
    population = random_population(ALL_OPS, 64)
    for first, last in ((0, 32), (32, 64), (16, 36), (0, 30), (20, 51)):
        evaluate(population[first:last], data, "jax")
    assert len(sizes) == len(set(sizes)) < 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backend": "torch"}, "backend: expected 'jax' or 'numba', got 'torch'"),
        ({"combine": "sum"}, "combine: expected 'mean' or 'median', got 'sum'"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        evaluate(examples.linear_regressor(), ones(), **options)


def test_without_numba_there_is_jax():
    code = """
import sys
sys.modules["numba"] = None
from bojax.zero import evaluate, evolve, examples, tasks
data = tasks.linear_regression(0, 2, 4, 100, 20)
print(evaluate(examples.linear_regressor(0.1), data, "jax").fitness > 0.9)
try:
    evolve(data)
except ImportError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "True\nevolve: expected numba, got none: pip install 'bojax[zero]'\n"
    )
