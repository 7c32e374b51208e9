"""Which trainings are stopped, and which never."""

import dataclasses
import math
import pickle
import sys
import threading
import time

import jaxtyping
import numpy as np
import pytest

import bojax
from bojax.curves import DOMHAN, PredictiveStopping
from bojax.tuning.study import StoppingRule

STOPPING = sys.modules[PredictiveStopping.__module__]
CURVE = np.array([0.9, 0.8, 0.75, 0.72])


@dataclasses.dataclass
class Posterior:
    """Answers as it is told, and records what it was asked."""

    better: float = 0.0
    ever_better: float = 0.0
    converged: bool = True
    calls: list = dataclasses.field(default_factory=list)

    def fit(self, y, horizon, **options):
        self.calls.append({"y": y, "horizon": horizon, **options})
        return self

    def prob_better(self, best, step):
        return self.better

    def prob_ever_better(self, best):
        return self.ever_better

    def mean(self, step):
        return np.array([0.7])

    def std(self, step):
        return np.array([0.1])


@pytest.fixture
def posterior(monkeypatch):
    posterior = Posterior()
    monkeypatch.setattr(STOPPING, "fit", posterior.fit)
    return posterior


def curves(k, horizon=10):
    return [np.linspace(1, 0.1 + 0.01 * i, horizon) for i in range(k)]


def test_a_rule_is_what_a_study_takes():
    assert isinstance(PredictiveStopping(horizon=10), StoppingRule)


def test_the_decision_says_what_is_predicted(posterior):
    posterior.better = 4e-4
    decision = PredictiveStopping(horizon=10).decide(CURVE, 0.123, curves(20))
    reason = "P(better than 0.123 at 10) = 0.0004 < 0.05 / 21"
    assert decision == bojax.Decision(True, False, 4e-4, 0.7, 0.1, reason)


@pytest.mark.parametrize(("k", "count"), [(0, 2), (1, 2), (2, 3), (20, 21)])
def test_the_bound_falls_with_the_number_of_finished_trainings(posterior, k, count):
    rule = PredictiveStopping(horizon=10, threshold=0.1)
    finished = curves(k) or None
    posterior.better = 0.0999 / count
    assert rule.decide(CURVE, 0.1, finished).stop
    posterior.better = 0.1001 / count
    decision = rule.decide(CURVE, 0.1, finished)
    assert not decision.stop
    assert decision.reason.endswith(f">= 0.1 / {count}")


def test_targets_are_the_end_or_the_best_on_the_way(posterior):
    posterior.ever_better = 0.5
    assert PredictiveStopping(horizon=10).decide(CURVE, 0.1).stop
    decision = PredictiveStopping(horizon=10, target="best").decide(CURVE, 0.1)
    assert not decision.stop
    assert decision.probability == 0.5
    assert "by 10" in decision.reason


@pytest.mark.parametrize(
    ("curve", "best", "options", "reason"),
    [
        (CURVE, 0.1, {"horizon": 4}, "at its end"),
        (CURVE, 0.1, {"horizon": 3}, "at its end"),
        (CURVE[:2], 0.1, {}, "fewer than 3"),
        ([0.9, math.nan, math.inf, 0.8], 0.1, {}, "fewer than 3"),
        ([], 0.1, {}, "fewer than 3"),
        (CURVE, math.inf, {}, "nothing to beat"),
        (CURVE, math.nan, {}, "nothing to beat"),
        ([*CURVE, math.nan], 0.1, {}, "no value"),
        ([*CURVE, math.inf], 0.1, {}, "no value"),
        (CURVE, 0.721, {}, "the best so far"),
        ([0.9, 0.3, 0.8], 0.31, {"target": "best"}, "the best so far"),
        ([0.9, 0.3, 0.8], 0.3, {"target": "best"}, "the best so far"),
        (CURVE, 0.1, {"every": 3}, "every 3"),
    ],
)
def test_never_stops_and_predicts_nothing(posterior, curve, best, options, reason):
    rule = PredictiveStopping(**{"horizon": 10, **options})
    decision = rule.decide(np.array(curve), best, curves(5))
    assert not decision.stop
    assert reason in decision.reason
    assert not posterior.calls


@pytest.mark.parametrize("doubt", [{"converged": False}, {"better": math.nan}])
def test_never_stops_in_doubt(posterior, doubt):
    vars(posterior).update(doubt)
    decision = PredictiveStopping(horizon=10).decide(CURVE, 0.1, curves(5))
    assert not decision.stop
    assert "in doubt" in decision.reason
    assert decision.mean == 0.7


def test_a_curve_that_was_better_once_is_judged_by_where_it_will_end(posterior):
    rule = PredictiveStopping(horizon=10)
    assert rule.decide(np.array([0.9, 0.3, 0.8]), 0.31).stop


def test_decides_at_multiples(posterior):
    assert PredictiveStopping(horizon=10, every=2).decide(CURVE, 0.1).stop


def test_what_the_prediction_is_made_from(posterior):
    failed = np.array([0.9] * 6 + [math.nan] * 4)
    finished = [*curves(2), curves(1, horizon=12)[0], failed, CURVE]
    rule = PredictiveStopping(horizon=10, model=DOMHAN)
    decision = rule.decide(CURVE, 0.1, finished)
    assert decision.reason.endswith("/ 6")  # a short one counts, as a rival
    (call,) = posterior.calls
    np.testing.assert_array_equal(call["y"], CURVE)
    assert call["horizon"] == 10
    assert call["direction"] == "minimize"
    assert call["model"] is DOMHAN
    assert call["key"] == 4
    for told, whole in zip(call["finished"], finished[:4], strict=True):
        np.testing.assert_array_equal(told, whole)


@pytest.mark.parametrize("finished", [None, [], [CURVE]])
def test_without_finished_curves_the_model_is_alone(posterior, finished):
    PredictiveStopping(horizon=10).decide(CURVE, 0.1, finished)
    assert posterior.calls[0]["finished"] is None
    assert posterior.calls[0]["model"] is bojax.curves.ROBUST


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 1),
        ("horizon", True),
        ("threshold", 0),
        ("threshold", 1.0),
        ("threshold", math.nan),
        ("every", 0),
    ],
)
def test_arguments_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        PredictiveStopping(**{"horizon": 10, name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("horizon", 10.5),
        ("horizon", "long"),
        ("threshold", "low"),
        ("every", 1.5),
        ("target", "last"),
        ("model", "domhan"),
        ("background", 1),
    ],
)
def test_arguments_of_another_kind_are_named(name, value):
    # Under test, types are also checked by jaxtyping, which is there first.
    with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=name):
        PredictiveStopping(**{"horizon": 10, name: value})


def test_bad_curves_are_named():
    rule = PredictiveStopping(horizon=10)
    for name, arguments in {
        "curve": (CURVE[None], 0.1),
        "finished": (CURVE, 0.1, [CURVE[None]]),
    }.items():
        with pytest.raises((ValueError, jaxtyping.TypeCheckError), match=name):
            rule.decide(*arguments)


class Slow(Posterior):
    """Predicts when it is told to."""

    def __init__(self):
        super().__init__()
        self.asked, self.go = threading.Semaphore(0), threading.Semaphore(0)

    def fit(self, y, horizon, **options):
        self.asked.release()
        assert self.go.acquire(timeout=30)
        return super().fit(y, horizon, **options)


class Background:
    """A rule in the background whose predictions are let through one by one."""

    def __init__(self, monkeypatch):
        self.posterior = Slow()
        monkeypatch.setattr(STOPPING, "fit", self.posterior.fit)
        self.rule = PredictiveStopping(horizon=10, background=True)

    def decide(self, curve=CURVE, best=0.1):
        began = time.perf_counter()
        decision = self.rule.decide(curve, best)
        assert time.perf_counter() - began < 5
        return decision

    def started(self):
        assert self.posterior.asked.acquire(timeout=30)

    def under_way(self):
        asked = self.rule._aside._asked
        return [each.future for each in asked if not each.future.done()]

    def finish(self):
        """Lets one through, and waits for what it says."""
        future = self.under_way()[0]
        self.posterior.go.release()
        future.exception(timeout=30)


@pytest.fixture
def background(monkeypatch):
    background = Background(monkeypatch)
    yield background
    background.posterior.go.release(100)  # before `fit` is again what it was
    for future in background.under_way():
        future.exception(timeout=30)


def longer(*values):
    return np.append(CURVE, values)


def test_in_the_background_nothing_waits_and_late_decisions_hold(background):
    assert background.decide().reason == "still predicting"
    background.started()
    assert background.decide(longer(0.71)).reason == "still predicting"
    background.finish()
    decision = background.decide(longer(0.71, 0.7))  # that of two steps before
    assert decision.stop
    background.started()  # one for the six values
    background.finish()
    assert [len(call["y"]) for call in background.posterior.calls] == [4, 6]


def test_in_the_background_a_question_is_asked_once(background):
    background.decide()
    background.finish()
    assert background.decide().stop
    assert background.decide().stop
    assert len(background.rule._aside._asked) == 1


def test_in_the_background_the_newest_decision_counts(background):
    background.decide()
    background.finish()
    background.posterior.better = 1.0
    assert background.decide(longer(0.71)).stop
    background.finish()
    decision = background.decide(longer(0.71, 0.7))
    assert not decision.stop
    assert decision.probability == 1.0


def test_in_the_background_a_decision_is_that_of_the_training(background):
    background.decide()
    background.finish()
    other = CURVE + 0.01
    assert background.decide(other).reason == "still predicting"
    assert background.decide(longer(0.71)).stop
    assert background.decide(CURVE[:3]).reason == "still predicting"


@pytest.mark.parametrize(("best", "holds"), [(0.05, True), (0.2, False)])
def test_in_the_background_the_incumbent_may_only_get_better(background, best, holds):
    background.decide(best=0.1)
    background.finish()
    assert background.decide(longer(0.71), best=best).stop is holds


def test_in_the_background_the_best_so_far_is_not_stopped(background):
    background.decide()
    background.finish()
    assert not background.decide(longer(0.09)).stop


def test_in_the_background_errors_are_raised_once(background, monkeypatch):
    def fail(*args, **options):
        raise RuntimeError("no luck")

    monkeypatch.setattr(STOPPING, "fit", fail)
    background.decide()
    background.rule._aside._asked[0].future.exception(timeout=30)
    with pytest.raises(RuntimeError, match="no luck"):
        background.decide()
    background.rule._aside._asked.clear()
    monkeypatch.setattr(STOPPING, "fit", background.posterior.fit)
    assert background.decide().reason == "still predicting"


def test_in_the_background_old_predictions_are_forgotten(background):
    background.posterior.go.release(500)
    for i in range(STOPPING._KEPT + 10):
        background.decide(CURVE + i)
        background.rule._aside._asked[-1].future.result(timeout=30)
    background.decide(CURVE + 1000)
    assert len(background.rule._aside._asked) <= STOPPING._KEPT + 1


def test_rules_are_pickled_without_their_thread(background):
    background.decide()
    background.finish()
    copy = pickle.loads(pickle.dumps(background.rule))
    assert copy == background.rule
    assert hash(copy) == hash(background.rule)
    assert copy.decide(CURVE, 0.1).reason == "still predicting"
    plain = PredictiveStopping(horizon=10, threshold=0.1, every=2, model=DOMHAN)
    assert pickle.loads(pickle.dumps(plain)) == plain
    assert plain != PredictiveStopping(horizon=10)


STEPS = np.arange(1, 31)


def finished(rng):
    noise = 0.003 * rng.standard_normal((10, 30))
    return [0.1 + 0.01 * i + 0.5 / STEPS + noise[i] for i in range(10)]


def test_a_hopeless_training_is_stopped():
    rng = np.random.default_rng(0)
    hopeless = 0.9 + 0.1 / STEPS[:8] + 0.003 * rng.standard_normal(8)
    rule = PredictiveStopping(horizon=30)
    others = finished(rng)
    decision = rule.decide(hopeless, 0.117, others)
    assert decision.stop
    assert decision == rule.decide(hopeless, 0.117, others)
    assert 0.7 < decision.mean < 1.0


@pytest.mark.parametrize("target", ["final", "best"])
def test_a_winner_is_not_stopped(target):
    rng = np.random.default_rng(0)
    winner = 0.07 + 0.5 / STEPS + 0.003 * rng.standard_normal(30)
    rule = PredictiveStopping(horizon=30, target=target)
    others = finished(rng)
    for t in range(1, 9):
        decision = rule.decide(winner[:t], 0.117, others)
        assert not decision.stop
    assert decision.probability > 0.5


def test_finished_trainings_shorter_than_the_horizon_are_no_failures():
    rng = np.random.default_rng(0)
    winner = 0.07 + 0.5 / STEPS[:8] + 0.003 * rng.standard_normal(8)
    short = [curve[:20] for curve in finished(rng)]
    decision = PredictiveStopping(horizon=30).decide(winner, 0.117, short)
    assert decision.probability > 0.5


def hopeless_or_not(config):
    for step in STEPS[:20]:
        yield config["level"] + 0.3 / step


@pytest.mark.long
@pytest.mark.parametrize("sign", [1, -1])
def test_a_study_saves_epochs(sign):
    def objective(config):
        for value in hopeless_or_not(config):
            yield sign * value

    space = bojax.Space({"level": bojax.Float(0.0, 1.0)})
    levels = [0.1, 0.12, 0.14, 0.16, 0.95, 0.9]
    run = bojax.minimize if sign == 1 else bojax.maximize
    result = run(
        objective,
        space,
        len(levels),
        strategy=bojax.strategies.Random(space),
        stopping=PredictiveStopping(horizon=20),
        x0=[{"level": level} for level in levels],
        progress=False,
    )
    assert [trial.state for trial in result.trials[-2:]] == ["stopped"] * 2
    assert result.trials[0].state == "done"
    assert result.x == {"level": 0.1}
