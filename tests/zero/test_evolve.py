"""Evolution: repeatable, resumable, and its savings change nothing."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest

from bojax.zero import (
    DEMO,
    Memory,
    Op,
    Program,
    SearchSpace,
    evaluate,
    evolve,
    examples,
    kernels,
    tasks,
)
from bojax.zero import island as islands
from bojax.zero.island import Settings
from bojax.zero.search_space import FIXED_LENGTH, rules

LINES = tasks.linear_regression(0, 3, 4, 30, 20)
SHORT = {"progress": False, "population_size": 50}


def run(key=0, data=LINES, **options):
    return evolve(data, key, **{**SHORT, "max_evaluations": 5000, **options})


def test_the_same_key_is_the_same_run():
    one, two, other = run(1), run(1), run(2)
    assert str(one.program) == str(two.program)
    np.testing.assert_array_equal(one.history, two.history)
    assert one.savings == two.savings
    assert str(one.program) != str(other.program)
    assert str(run(jax.random.key(3)).program) == str(run(jax.random.key(3)).program)


def test_the_fitness_is_that_of_the_program():
    found = run()
    assert found.fitness == evaluate(found.program, LINES).fitness
    assert found.history[-1].tolist() == [5000, found.fitness]
    assert np.all(np.diff(found.history[:, 1]) >= 0)
    assert found.success
    assert "5,000 evaluations" in found.message
    assert np.isnan(found.select_fitness)
    median = run(combine="median")
    assert median.fitness == evaluate(median.program, LINES, combine="median").fitness


def test_savings_add_up_and_change_nothing():
    found = run()
    savings = found.savings
    assert savings.evaluations == 5000 == sum(savings[1:6])
    assert savings.same_form > 1000
    assert savings.equivalent > 100
    assert savings.under_hurdle == 0
    without = run(remove_dead_code=False, equivalence=False)
    assert without.savings.in_full == 5000
    assert str(without.program) == str(found.program)
    np.testing.assert_array_equal(without.history, found.history)
    assert without.savings.train_steps > 2 * savings.train_steps
    for option in ({"remove_dead_code": False}, {"equivalence": False}):
        np.testing.assert_array_equal(run(**option).history, found.history)


def test_a_fingerprint_tells_what_behaves_alike():
    """Dead code, other names, swapped sides are equivalent; another rate is not."""
    base = examples.linear_regressor(0.1)
    text = str(base)
    alike = [
        text.replace("def Learn():\n", "def Learn():\n  s3 = s1 + s1\n"),
        text.replace("v1", "v9").replace("v2", "v1").replace("v9", "v2"),
        text.replace("dot(v0, v1)", "dot(v1, v0)").replace("s2 * s3", "s3 * s2"),
    ]
    other = text.replace("0.1", "0.1001")
    fingerprints = [
        _fingerprint(Program.parse(each, base.memory)) for each in (text, *alike, other)
    ]
    assert len(set(fingerprints[:-1])) == 1
    assert fingerprints[-1] != fingerprints[0]


def _fingerprint(program: Program) -> int:
    from bojax.zero.analysis import lower

    short = LINES.first_examples(10, 10)
    lanes = kernels.lanes(short, program.memory)
    low = lower(program, dead=True)
    code = np.zeros((3, program.width, 9), np.uint64)
    kernels.decode(
        low.op[0], low.addresses[0], low.slots[0], low.length[0], lanes.sizes, code
    )
    record = np.zeros((20, 3))
    kernels.evaluate_one(
        code,
        low.constants[0],
        low.length[0],
        lanes,
        np.zeros(kernels.memory_size(lanes.sizes)),
        np.zeros((6, 3)),
        record,
    )
    return int(islands.hash_errors(record))


def test_a_hurdle_stops_the_lower_three_quarters():
    found = run(hurdle=True, max_evaluations=20_000, equivalence=False)
    stopped = found.savings.under_hurdle
    reached = stopped + found.savings.in_full
    assert found.savings.evaluations == reached + found.savings.same_form
    # Of values that are unique, and of late: not a quarter of the programs exactly.
    assert 0.1 < stopped / reached < 0.95
    assert found.fitness == evaluate(found.program, LINES).fitness


def test_the_oldest_dies_and_the_best_of_a_tournament_has_a_child():
    data = kernels.lanes(LINES, DEMO.memory)
    first = kernels.lanes(LINES[:1], DEMO.memory)
    island, rng = islands.found(DEMO, 20), np.random.default_rng(0)
    arguments = rules(DEMO), Settings(20, 0.0), data, data, first, rng
    islands.advance(island, *arguments, 20)
    before = island.fitness.copy()
    # Exact copies of the best of 20 draws: one place after the other becomes it.
    islands.advance(island, *arguments, 5)
    np.testing.assert_array_equal(island.fitness[5:], before[5:])
    assert np.mean(island.fitness[:5] >= np.median(before)) == 1
    assert island.counts[islands.EVALUATIONS] == 25


def test_islands_exchange_and_repeat():
    options = {"num_islands": 2, "migrate_every": 500, "max_evaluations": 8000}
    one, two = run(4, **options), run(4, **options)
    np.testing.assert_array_equal(one.history, two.history)
    assert one.savings == two.savings
    alone = run(4, **{**options, "migrate_every": None})
    assert not np.array_equal(alone.history, one.history)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_islands": 2, "migrate_every": 500, "restart_every": 1500, "hurdle": True},
        {"select": tasks.linear_regression(1, 4, 4, 50, 20), "target": 0.99},
        {"select": tasks.linear_regression(1, 4, 4, 50, 20), "restart_every": 1500},
    ],
    ids=["plain", "islands", "target", "restarts"],
)
def test_resumed_is_as_if_it_had_not_been_interrupted(tmp_path, options):
    path = tmp_path / "search.npz"
    whole = run(5, max_evaluations=6000, **options)
    run(5, max_evaluations=2000, checkpoint=path, **options)
    resumed = run(5, max_evaluations=6000, checkpoint=path, **options)
    assert str(resumed.program) == str(whole.program)
    assert resumed.savings == whole.savings
    assert resumed.select_fitness == whole.select_fitness or "select" not in options
    assert resumed.experiments == whole.experiments
    both = np.intersect1d(whole.history[:, 0], resumed.history[:, 0])
    assert both[-1] == 6000
    for history in (whole.history, resumed.history):
        assert len(both) >= len(history) - 1
    np.testing.assert_array_equal(
        *(h[np.isin(h[:, 0], both)] for h in (whole.history, resumed.history))
    )
    done = run(5, max_evaluations=6000, checkpoint=path, **options)
    assert done.savings == whole.savings


def test_a_checkpoint_of_another_search_is_refused(tmp_path):
    path = tmp_path / "search.npz"
    run(6, max_evaluations=1000, checkpoint=path)
    for options in (
        {"key": 7},
        {"population_size": 60},
        {"hurdle": True},
        {"data": tasks.linear_regression(9, 3, 4, 30, 20)},
    ):
        with pytest.raises(ValueError, match="of another configuration"):
            run(**{"key": 6, **options}, max_evaluations=1000, checkpoint=path)
    whole = path.read_bytes()
    damaged = whole[:100] + b"nonsense" + whole[108:]
    for content in (b"", b"nonsense", whole[: len(whole) // 2], damaged):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="expected a file that evolve wrote"):
            run(6, max_evaluations=1000, checkpoint=path)
    np.savez(path, note=np.frombuffer(json.dumps([1]).encode(), np.uint8))
    with pytest.raises(ValueError, match="expected a file that evolve wrote"):
        run(6, max_evaluations=1000, checkpoint=path)


LEARNS = SearchSpace(
    (),
    (),
    (Op.SCALAR_DIFF, Op.SCALAR_PRODUCT, Op.SCALAR_VECTOR_PRODUCT, Op.VECTOR_SUM),
    (1, 1, 4),
    (0, 0, 4),
    (0, 0, 4),
    Memory(4, 3, 1),
    FIXED_LENGTH,
    examples.linear_regressor(0.1),
)


def test_learning_is_found_selected_and_tested():
    select = tasks.linear_regression(1, 10, 4, 500, 50)
    test = tasks.linear_regression(2, 10, 4, 500, 50)
    found = evolve(
        LINES,
        0,
        LEARNS,
        max_evaluations=300_000,
        select=select,
        test=test,
        target=0.9999,
        restart_every=20_000,
        progress=False,
    )
    assert found.success
    assert "target" in found.message
    assert found.select_fitness >= 0.9999
    assert found.select_fitness == evaluate(found.program, select).fitness
    assert found.test_fitness == evaluate(found.program, test).fitness > 0.999
    assert found.savings.evaluations < 300_000
    assert found.program.instructions(1) == LEARNS.start.instructions(1)
    assert "1.0000" in repr(found) or "0.9999" in repr(found)


def test_a_timeout_ends_it():
    found = run(timeout=0.2, max_evaluations=10**9)
    assert found.seconds < 5
    assert "timeout" in found.message
    assert found.savings.evaluations < 10**9


def test_an_interrupt_returns_what_was_found(monkeypatch):
    calls = []
    original = islands.advance

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(islands, "advance", interrupted)
    found = run(max_evaluations=10_000)
    assert not found.success
    assert found.message == "interrupted"
    assert found.fitness > 0


def test_other_kinds_of_tasks():
    digits = tasks.digits()
    pairs = tasks.pairs_of_classes(digits, 0, num_tasks=2, num_train=50, num_valid=50)
    space = SearchSpace(
        (Op.SCALAR_CONST,),
        tuple(Op),
        tuple(Op),
        (3, 5, 5),
        initial=(3, 5, 5),
        memory=Memory(5, 5, 2),
    )
    found = evolve(pairs, 0, space, max_evaluations=3000, progress=False)
    assert found.fitness == evaluate(found.program, pairs).fitness > 0.5
    several = tasks.all_classes(digits, 0, 2, 16, 50, 50)
    found = evolve(several, 0, space, max_evaluations=3000, progress=False)
    assert found.fitness == evaluate(found.program, several).fitness > 0.1


def test_progress_is_shown(capsys):
    run(max_evaluations=2000, progress=True)
    assert "best 0." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population_size": 1}, "population_size: .* at least 2, got 1"),
        ({"tournament_size": 0}, "tournament_size: .* 1 to 50, got 0"),
        ({"tournament_size": 51}, "tournament_size"),
        ({"mutation_probability": 1.5}, r"expected a number in \[0, 1\], got 1.5"),
        ({"num_islands": 0}, "num_islands: .* at least 1, got 0"),
        ({"max_evaluations": 0}, "max_evaluations: expected a number > 0, got 0"),
        ({"migrate_every": 0}, "migrate_every"),
        ({"restart_every": -5}, "restart_every"),
        ({"timeout": 0.0}, "timeout"),
        ({"combine": "best"}, "combine"),
        ({"key": -1}, "key: expected a nonnegative integer"),
        (
            {"select": tasks.all_classes(tasks.digits(), 0, 1)},
            "select: .* 'multiclass'",
        ),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        run(**options)


def test_sizes_that_are_no_integers_are_refused_by_name():
    """In a process of its own, for in the tests' types are checked before."""
    code = """
from bojax.zero import evolve, tasks
for name in ("population_size", "tournament_size", "num_islands"):
    try:
        evolve(tasks.linear_regression(0), **{name: 1e2})
    except ValueError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    for name, line in zip(
        ("population_size", "tournament_size", "num_islands"),
        done.stdout.splitlines(),
        strict=True,
    ):
        assert line.startswith(f"{name}: expected an integer")
        assert line.endswith("got 100.0")


def test_a_key_that_is_none_is_refused():
    with pytest.raises(TypeError, match="key: expected an integer"):
        run("zero")


def test_the_demo_gives_up_with_what_it_has(capsys):
    from bojax.zero import demo

    with pytest.raises(SystemExit, match=r"No program reached 0.9999: the timeout"):
        demo.run(0, 1, 0.5)
    assert "six operations" in capsys.readouterr().out
