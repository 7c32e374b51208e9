"""What the head to head stands on: the recorder, the store, the reports."""

import argparse
import dataclasses
import sys

import numpy as np
import pytest

import bojax
from benchmarks.regret import __main__ as command
from benchmarks.regret import (
    contenders,
    defaults,
    gathered,
    report,
    runs,
    scoring,
    store,
)
from benchmarks.regret.case import Case, Objective, initial_points
from benchmarks.regret.peers import PEERS, Peer
from benchmarks.regret.suites import SUITES, coco, suite
from bojax.problems import Table


def bowl(noisy: bool = False, num_trials: int = 6) -> Case:
    space = bojax.Space(
        {"a": bojax.Float(0.0, 1.0), "b": bojax.Categorical("p", "q", "r")}
    )

    def measure(x, seed, number):
        return float(np.sum((x - 0.5) ** 2) + noisy * seed * number)

    def regret(x, y, seed):
        return float(np.sum((x - 0.5) ** 2))

    return Case("bowl", space, measure, regret, 1e-8, num_trials, noisy)


def options(**given) -> argparse.Namespace:
    usual = {
        "suites": "hpolib",
        "strategies": "bojax-random",
        "seeds": "acceptance",
        "first": 1,
        "problems": "levy",
    }
    return argparse.Namespace(**(usual | given))


def record(seed: int, error: str = "") -> store.Record:
    regret = np.zeros(0) if error else np.array([2.0, 0.5])
    return store.Record("bowl", seed, 0.1, "1", regret, 0.5, regret, error)


def test_points_and_numbers_are_each_other():
    case = bowl()
    assert case.levels == [0, 3]
    assert case.categorical == [False, True]
    assert case.numbers(np.array([0.25, 0.99])) == [0.25, 2]
    np.testing.assert_allclose(case.point([0.25, 2]), [0.25, 5 / 6])


def test_initial_points_are_paired_by_seed():
    first, again, other = (initial_points(bowl(), seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert first.shape == (4, 2)
    assert not np.array_equal(first, other)


def test_the_objective_remembers_and_ends():
    objective = Objective(bowl(num_trials=3), 0)
    for a in (0.9, 0.5, 0.7):
        objective(np.array([a, 0.5]))
    assert objective.left == 0
    with pytest.raises(RuntimeError, match="more than 3 evaluations"):
        objective(np.array([0.1, 0.5]))
    curve, chosen = objective.regrets(None)
    np.testing.assert_allclose(curve, [0.16, 0.0, 0.0], atol=1e-12)
    assert chosen == 0
    assert objective.regrets(2)[1] == pytest.approx(0.04)
    assert np.all(np.diff(objective.seconds) >= 0)


def test_the_choice_is_scored_without_noise_and_the_curve_by_the_least_measured():
    objective = Objective(bowl(noisy=True, num_trials=2), seed=5)
    objective(np.array([0.9, 0.5]))
    objective(np.array([0.5, 0.5]))
    curve, chosen = objective.regrets(None)
    # The second is better, but its noise is 5: the first has the least value.
    np.testing.assert_allclose(curve, [0.16, 0.16])
    assert chosen == pytest.approx(0.16)


def test_runs_are_kept_and_the_last_of_a_failure_counts(tmp_path):
    store.save("s", record(0), tmp_path)
    store.save("s", record(1, "it broke"), tmp_path)
    assert set(store.load("s", tmp_path)) == {("bowl", 0)}
    assert store.failures("s", tmp_path) == {("bowl", 1): "it broke"}
    store.save("s", record(1), tmp_path)
    assert set(store.load("s", tmp_path)) == {("bowl", 0), ("bowl", 1)}
    assert store.failures("s", tmp_path) == {}
    np.testing.assert_allclose(store.load("s", tmp_path)["bowl", 0].regret, [2, 0.5])


def test_a_row_that_was_torn_off_loses_no_other(tmp_path):
    store.save("s", record(0), tmp_path)
    with (tmp_path / "s.csv").open("a") as stream:
        stream.write("bowl,1,0.1,1,")
    assert set(store.load("s", tmp_path)) == {("bowl", 0)}
    store.save("s", record(2), tmp_path)
    assert set(store.load("s", tmp_path)) == {("bowl", 0), ("bowl", 2)}


def test_what_is_stored_is_not_run_again(monkeypatch):
    todo = command.tasks(options())
    assert todo == [("hpolib", "bojax-random", "levy", 1000)] or todo == []
    monkeypatch.setattr(store, "load", lambda name: {("levy", 1000): record(0)})
    assert command.tasks(options()) == []


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"strategies": "bojack"}, r"--strategies: .* optuna-gp.*got 'bojack'"),
        ({"problems": "branine"}, r"--problems: .*branin, .*got 'branine'"),
        ({"suites": "hpo"}, r"--suites: .*hpolib, tables, bbob.*got 'hpo'"),
        ({"seeds": "all"}, r"--seeds: expected some of acceptance, dev, got 'all'"),
    ],
)
def test_an_unknown_name_is_answered_by_those_known(given, match):
    with pytest.raises(SystemExit, match=match):
        command.tasks(options(**given))


def test_a_report_of_an_unknown_reference_is_not_written(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["regret", "report", "--reference", "bojack"])
    with pytest.raises(SystemExit, match=r"--reference: .*bojax.*got 'bojack'"):
        command.main()


def test_a_folder_of_tables_that_is_missing_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("BOJAX_DATA", raising=False)
    with pytest.raises(ValueError, match="folder: expected a path, or one in BOJAX"):
        suite("tables")
    monkeypatch.setenv("BOJAX_DATA", str(tmp_path))
    with pytest.raises(SystemExit, match=r"--suites: tables: folder: expected it to"):
        command.tasks(options(suites="tables", problems=None))


def test_a_peer_that_is_missing_is_left_out(monkeypatch, capsys):
    absent = Peer(lambda *_: None, {"nowhere": "surely_not_installed"}, "")
    monkeypatch.setitem(PEERS, "cma", absent)
    assert command.tasks(options(strategies="cma")) == []
    assert "cma: not installed: nowhere" in capsys.readouterr().out


def test_a_peer_that_fails_becomes_a_row(monkeypatch):
    def breaks(objective, x0, seed):
        raise ZeroDivisionError("mine")

    def stops_early(objective, x0, seed):
        objective(x0[0])

    for run, text in (
        (breaks, "ZeroDivisionError: mine"),
        (stops_early, "RuntimeError: it stopped 59 evaluations early"),
    ):
        monkeypatch.setitem(PEERS, "cma", Peer(run, {"numpy": "numpy"}, ""))
        found = runs.one_run("hpolib", "cma", "levy", 1000)
        assert found.error == text
        assert len(found.regret) == 0


def test_a_strategy_of_ours_runs_to_the_end():
    found = runs.one_run("hpolib", "bojax-random", "levy", 1000)
    assert not found.error
    assert found.regret.shape == found.seconds.shape == (60,)
    assert found.chosen == found.regret[-1] >= 0
    assert np.all(np.diff(found.regret) <= 0)


def test_what_shares_a_space_is_compiled_in_one_process(monkeypatch):
    monkeypatch.setattr(store, "load", lambda name: {})
    both = "bojax,bojax-random,optuna-gp"
    monkeypatch.setitem(PEERS, "optuna-gp", Peer(lambda *_: None, {}, ""))
    chosen = {"problems": "branin,camelback,hartmann3", "first": 2}
    todo = command.tasks(options(strategies=both, **chosen))
    shares = command.shares(todo)
    assert sorted(map(len, shares)) == [1] * 6 + [2, 2, 4, 4]
    assert sorted(task for share in shares for task in share) == sorted(todo)


def test_two_processes_keep_every_run_or_say_what_broke(monkeypatch):
    kept = {}
    monkeypatch.setattr(store, "load", lambda name: {})
    monkeypatch.setattr(
        store, "save", lambda name, run: kept.update({run.problem: run})
    )
    two = options(problems="branin,hartmann3", workers=2)
    command._run(two)
    assert set(kept) == {"branin", "hartmann3"}
    for problem, run in kept.items():
        alone = runs.one_run("hpolib", "bojax-random", problem, 1000)
        np.testing.assert_array_equal(run.regret, alone.regret)
    monkeypatch.setattr(command, "tasks", lambda _: [("hpolib", "no one", "levy", 0)])
    with pytest.raises(KeyError, match="no one"):
        command._run(two)


def test_tables_return_a_repeat_and_are_scored_by_the_mean(monkeypatch):
    from benchmarks.regret.suites import tables

    space = bojax.Space({"a": bojax.Categorical("p", "q", "r")})
    values = np.array([[1.0, 2.0, 5.0], [3.0, np.nan, 5.0]])
    monkeypatch.setattr(tables.problems, "table", lambda name: Table(space, values))
    case = tables.table("phoneme")
    p, q = (space.encode({"a": name}) for name in "pq")
    assert {case.measure(p, 0, i) for i in range(20)} == {1.0, 3.0}
    assert case.measure(q, 0, 0) == 2.0
    assert case.regret(p, 1.0, 0) == case.regret(q, 2.0, 0) == 0.0
    assert case.noisy


def test_coco_has_its_optimum():
    pytest.importorskip("cocoex", reason="coco-experiment is not installed")
    case = coco.bbob()["bbob-f01-d02"]
    value = case.measure(np.array([0.3, 0.3]), 1, 0)
    assert case.regret(np.array([0.3, 0.3]), value, 1) > 0


def test_coco_asks_for_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "cocoex", None)
    coco._suite.cache_clear()
    with pytest.raises(ValueError, match="bbob needs the package coco-experiment"):
        suite("bbob")


def test_what_scores_a_run_is_kept_beside_it(tmp_path):
    case = bowl()
    scoring.keep("bowls", {"bowl": case}, tmp_path)
    scoring.keep("bowls", {"bowl": case}, tmp_path)
    found = scoring.load("bowls", tmp_path)
    assert found == {"bowl": scoring.Score("bowl", 2, 1e-8)}
    np.testing.assert_allclose(found["bowl"](np.array([0.01, 1e-9])), [-2, -8])
    assert scoring.load("balls", tmp_path) == {}
    other = dataclasses.replace(case, floor=1e-6)
    with pytest.raises(
        ValueError, match=r"bowl: its stored runs are scored as .*1e-08"
    ):
        scoring.keep("bowls", {"bowl": other}, tmp_path)


def test_what_is_kept_of_hpolib_is_what_scores_it(tmp_path):
    scoring.keep("hpolib", suite("hpolib"), tmp_path)
    assert scoring.load("hpolib", tmp_path) == scoring.load("hpolib")


def test_the_report_needs_neither_coco_nor_tables(monkeypatch):
    monkeypatch.delenv("BOJAX_DATA", raising=False)
    monkeypatch.setitem(sys.modules, "cocoex", None)
    monkeypatch.setattr(report.figures, "draw", lambda runs, path: None)
    for name in SUITES:
        text = report.section(name, "cma")
        assert "Mean rank among" in text
        assert "cma less the other" in text


def test_few_pairs_are_not_tested(monkeypatch, tmp_path):
    scoring.keep("hpolib", {"bowl": bowl()}, tmp_path)
    scores = scoring.load("hpolib", tmp_path)
    monkeypatch.setattr(gathered.scoring, "load", lambda name: scores)
    stored = {
        "cma": {("bowl", seed): record(seed) for seed in range(1000, 1020)},
        "few": {("bowl", seed): record(seed) for seed in range(1000, 1009)},
        "many": {("bowl", seed): record(seed) for seed in range(1000, 1010)},
    }
    monkeypatch.setattr(gathered.store, "load", stored.get)
    found = gathered.Runs("hpolib", ("cma", "few", "many"))
    text = report.tests(found, "cma", ["few", "many"])
    assert "| bowl | +0.00 (n 9) | +0.00 (p 1, n 10) |" in text
    assert "over the 1 tests" in text


def test_what_peers_were_told_is_beside_the_ranks(monkeypatch, tmp_path):
    scoring.keep("hpolib", {"bowl": bowl()}, tmp_path)
    scores = scoring.load("hpolib", tmp_path)
    monkeypatch.setattr(gathered.scoring, "load", lambda name: scores)

    def reached(regret):
        runs = {("bowl", s): record(s) for s in range(1000, 1010)}
        return {k: dataclasses.replace(r, chosen=regret) for k, r in runs.items()}

    stored = {
        "bojax": reached(0.01),
        "botorch": reached(10.0),
        "botorch-told": reached(0.1),
    }
    monkeypatch.setattr(gathered.store, "load", lambda name: stored.get(name, {}))
    monkeypatch.setattr(report.store, "failures", lambda name: {})
    monkeypatch.setattr(report.figures, "draw", lambda runs, path: None)
    text = report.section("hpolib", "bojax")
    assert "Mean rank among 2, on the 10 runs" in text
    row = "| botorch | **-2.00 [-2.00, -2.00]** (10) | **-1.00 [-1.00, -1.00]** (10) |"
    assert row in text
    assert text.count("botorch-told") == 0
    del stored["botorch-told"]
    assert report.told("hpolib", "bojax") == ""


def test_scores_are_of_what_was_chosen_or_of_the_least_measured(monkeypatch, tmp_path):
    scoring.keep("hpolib", {"bowl": bowl()}, tmp_path)
    scores = scoring.load("hpolib", tmp_path)
    monkeypatch.setattr(gathered.scoring, "load", lambda name: scores)
    run = dataclasses.replace(record(1000), chosen=2.0)
    monkeypatch.setattr(gathered.store, "load", {"cma": {("bowl", 1000): run}}.get)
    for chosen, regret in ((True, 2.0), (False, 0.5)):
        found = gathered.Runs("hpolib", ("cma",), chosen=chosen).scores["cma"]
        assert found["bowl", 1000] == pytest.approx(np.log10(regret))


def test_circles_widen_from_those_who_did_everything(monkeypatch, tmp_path):
    scoring.keep("hpolib", {n: bowl() for n in ("a", "b")}, tmp_path)
    scores = scoring.load("hpolib", tmp_path)
    monkeypatch.setattr(gathered.scoring, "load", lambda name: scores)

    def did(problems, count):
        return {(p, s): record(s) for p in problems for s in range(1000, 1000 + count)}

    stored = {
        "all": did("ab", 20),
        "broad": did("ab", 3),
        "narrow": did("a", 4),
        "least": did("a", 1),
    }
    monkeypatch.setattr(gathered.store, "load", stored.get)
    assert gathered.Runs("hpolib", tuple(stored)).circles == [
        ["all"],
        ["all", "broad"],
        ["all", "broad", "narrow"],
        ["all", "broad", "narrow", "least"],
    ]


def test_designs_of_other_sizes_are_nested():
    case = bowl()
    four = initial_points(case, 3, of_d=4)
    assert four.shape == (8, 2)
    np.testing.assert_array_equal(four[:4], initial_points(case, 3))


def test_a_design_of_its_own_replaces_the_given_points():
    own = np.array([[0.2, 1 / 6], [0.3, 0.5], [0.4, 5 / 6]])
    run = contenders.bojax_run(bojax.strategies.Random, lambda case, seed: own)
    objective = Objective(bowl(num_trials=4), 0)
    assert run(objective, initial_points(objective.case, 0), 0) is None
    np.testing.assert_array_equal(objective.x[:3], own)
    assert objective.left == 0


def test_the_spread_design_is_representable():
    x = contenders._spread(bowl(), 3)
    assert x.shape == (4, 2)
    assert np.all((x >= 0) & (x < 1))
    assert {round(6 * v) for v in x[:, 1]} <= {1, 3, 5}
    assert not np.array_equal(x, contenders._spread(bowl(), 4))


def test_the_ablation_is_paired_with_the_default(monkeypatch, tmp_path):
    scoring.keep("hpolib", {n: bowl() for n in ("a", "b")}, tmp_path)
    scores = scoring.load("hpolib", tmp_path)
    monkeypatch.setattr(
        gathered.scoring, "load", lambda name: scores if name == "hpolib" else {}
    )

    def did(factor, seeds):
        return {
            (p, s): dataclasses.replace(record(s), chosen=factor * (s + 1))
            for p in "ab"
            for s in seeds
        }

    # The variant did only some of the seeds: there it is a hundred times worse.
    stored = {contenders.DEFAULT: did(1, range(20)), "bojax-rbf": did(100, range(3))}
    monkeypatch.setattr(gathered.store, "load", lambda name: stored.get(name, {}))
    monkeypatch.setattr(defaults.store, "load", lambda name: stored.get(name, {}))
    text = defaults.choice()
    assert "| kernel | bojax-rbf | **+2.00 [+2.00, +2.00]** (6) | - |" in text
    assert "| kernel | bojax-matern32 | - | - |" in text
    assert "| bojax-rbf | 2.26 | 2.26 |" in text


def test_every_suite_has_seeds_and_words():
    for _, seeds, words in SUITES.values():
        assert "acceptance" in seeds
        assert words.endswith(".")
