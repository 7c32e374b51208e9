import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

import bojax
from bojax.plots import history

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
VALUES = [0.5, 0.7, math.nan, 0.4, 0.6, 0.3]


class StopAt:
    """Stops the trial that reports a value."""

    def __init__(self, value: float):
        self.value = value

    def decide(self, curve, best, finished=None):
        return bojax.Decision(stop=bool(abs(curve[-1]) == self.value))


@pytest.fixture(scope="module", params=["minimize", "maximize"])
def study(request: pytest.FixtureRequest) -> bojax.Study:
    """The values told in turn, the fourth stopped early, and a trial under way."""
    strategy = bojax.strategies.Random(SPACE)
    study = bojax.Study(
        SPACE, strategy, direction=request.param, stopping=StopAt(VALUES[3])
    )
    trials = study.ask(7)
    study.report(trials[3], 1, VALUES[3])
    for trial, value in zip(trials, VALUES, strict=False):
        study.tell(trial, value)
    return study


def result(optimize, values=VALUES) -> bojax.Result:
    values = iter(values)
    strategy = bojax.strategies.Random(SPACE)
    return optimize(lambda _: next(values), SPACE, 6, strategy=strategy, progress=False)


def lines(ax) -> dict[str, tuple[list, list]]:
    return {
        line.get_label(): (list(line.get_xdata()), list(line.get_ydata()))
        for line in ax.lines
    }


BEST = {
    "minimize": [0.5, 0.5, 0.5, 0.4, 0.4, 0.3],
    "maximize": [0.5, 0.7, 0.7, 0.7, 0.7, 0.7],
}


def test_the_running_best_of_a_study_is_in_its_sense(study):
    ax = history(study)
    assert lines(ax)["best so far"] == ([0, 1, 2, 3, 4, 5], BEST[study.direction])
    (step,) = (line for line in ax.lines if line.get_label() == "best so far")
    assert step.get_drawstyle() == "steps-post"


@pytest.mark.parametrize("optimize", [bojax.minimize, bojax.maximize])
def test_the_running_best_of_a_result_is_in_its_sense(optimize):
    best = lines(history(result(optimize)))["best so far"][1]
    assert best == BEST[optimize.__name__]


def test_every_finished_trial_is_shown_as_what_it_is(study):
    drawn = lines(history(study))
    assert drawn["trial"] == ([0, 1, 4, 5], [0.5, 0.7, 0.6, 0.3])
    assert drawn["stopped early"] == ([3], [0.4])
    assert drawn["failed"][0] == [2]


def test_failed_trials_are_at_the_bad_edge(study):
    ax = history(study)
    (failed,) = (line for line in ax.lines if line.get_label() == "failed")
    position = failed.get_transform().transform((2, failed.get_ydata()[0]))
    height = ax.transAxes.inverted().transform(position)[1]
    assert (height > 0.9) if study.direction == "minimize" else (height < 0.1)


def test_the_running_best_meets_the_constraints():
    strategy = bojax.strategies.Random(SPACE)
    study = bojax.Study(SPACE, strategy, num_constraints=1, stopping=StopAt(VALUES[3]))
    trials = study.ask(4)
    study.report(trials[3], 1, VALUES[3])
    told = [(0.2, 5.0), (1.0, -1.0), (0.5, 0.0), (VALUES[3], 1.0)]
    for trial, (value, constraint) in zip(trials, told, strict=True):
        study.tell(trial, bojax.Outcome(value, constraints=constraint))
    drawn = lines(history(study))
    np.testing.assert_array_equal(drawn["best so far"][1], [np.nan, 1.0, 0.5, 0.5])
    assert drawn["trial"] == ([1, 2], [1.0, 0.5])
    assert drawn["constraint not met"] == ([0, 3], [0.2, VALUES[3]])
    assert "stopped early" not in drawn


def test_before_any_success():
    failed = result(bojax.minimize, [math.nan] * 5)
    assert lines(history(failed))["failed"][0] == [0, 1, 2, 3, 4]


def test_the_callers_axes_are_used(study):
    _, ax = plt.subplots()
    assert history(study, ax=ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("trial", "value")
