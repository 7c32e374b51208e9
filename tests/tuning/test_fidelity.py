"""Only what was evaluated at full fidelity can be the best, or in the front."""

import pytest

import bojax
from bojax.strategies import Random
from bojax.tuning import FAILED, Study

SPACE = bojax.Space({"a": bojax.Float(0, 1), "epochs": bojax.Fidelity(1, 81, log=True)})
RANDOM = Random(SPACE)


def cheap(a=0.5):
    return {"a": a, "epochs": 9}


def full(a=0.5):
    return {"a": a, "epochs": 81}


@pytest.mark.parametrize("noisy", [False, True])
def test_the_best_is_at_full_fidelity(noisy):
    study = Study(SPACE, RANDOM, noisy=noisy)
    study.observe(full(), FAILED)
    study.observe(cheap(), 0.0)
    assert study.best is None
    assert study.front == []
    trial = study.ask()  # others than BayesOpt choose no fidelity
    study.tell(trial, 2.0)
    assert study.best is trial
    better = study.observe(full(), 1.0)
    study.observe(cheap(), 0.5)
    assert study.best is better
    assert study.front == [better]
    assert repr(study).endswith("5 trials, best 1)")


def test_the_front_is_at_full_fidelity():
    study = Study(SPACE, RANDOM, direction=["minimize"] * 2)
    study.observe(cheap(), [0.0, 0.0])
    assert study.front == []
    trials = [study.observe(full(a), [a, 1 - a]) for a in (0.25, 0.75)]
    assert study.front == trials


def test_what_a_rule_has_to_beat_is_at_full_fidelity():
    class Rule:
        def decide(self, curve, best, finished=None):
            seen.append(best)
            return bojax.Decision()

    seen = []
    study = Study(SPACE, RANDOM, stopping=Rule())
    study.observe(cheap(), 0.0)
    study.report(study.ask(), 1, 5.0)
    study.observe(full(), 1.0)
    study.report(study.ask(), 1, 5.0)
    assert seen == [float("inf"), 1.0]


def test_a_run_says_that_nothing_succeeded_at_full_fidelity():
    def fun(config):
        return FAILED if config["epochs"] == 81 else config["a"]

    options = {"strategy": RANDOM, "progress": False}
    result = bojax.minimize(fun, SPACE, 2, x0=cheap(), **options)
    assert result.x is None
    assert not result.success
    assert result.message.endswith("and none succeeded at full fidelity")
