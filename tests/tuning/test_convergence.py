"""The convergence stop: early where little is left, not where much is."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.strategies import BayesOpt, Random
from bojax.tuning import Converged
from bojax.tuning.convergence import regret_bound

SPACE = bojax.Space({"a": bojax.Float(0, 1)})


def bowl(config):
    return (config["a"] - 0.37) ** 2


def comb(config):
    """Too rough to be known anywhere but where it was measured."""
    return math.sin(1e4 * config["a"] ** 2)


def test_ends_the_run_with_a_regret_under_the_tolerance_and_says_why():
    stop = Converged(tolerance=1e-2, patience=2, num_searches=1)
    result = bojax.minimize(
        bowl,
        SPACE,
        40,
        strategy=BayesOpt(SPACE, restart_below=1e-3),
        callbacks=[stop],
        progress=False,
    )
    assert result.success
    assert len(result.trials) < 12
    assert result.fun < 1e-2
    assert result.message.startswith("converged: the regret is believed to be under")
    assert all(bound <= 1e-2 for bound in stop.bounds[-2:])


def test_goes_on_until_another_search_has_converged():
    stop = Converged(tolerance=1e-2, patience=2)
    result = bojax.minimize(bowl, SPACE, 40, callbacks=[stop], progress=False)
    assert result.message.startswith("converged")
    # The first two bounds under the tolerance were not enough.
    assert sum(bound <= 1e-2 for bound in stop.bounds) > 2


def test_under_noise_no_other_search_is_waited_for():
    generator = np.random.default_rng(0)

    def noisy(config):
        return bowl(config) + 0.03 * generator.standard_normal()

    stop = Converged(tolerance=0.3, patience=2)
    result = bojax.minimize(noisy, SPACE, 40, callbacks=[stop], progress=False)
    assert result.message.startswith("converged")
    # Of the first two bounds under the tolerance, the second ended the run.
    assert sum(bound <= 0.3 for bound in stop.bounds) == 2


def test_ends_a_run_that_learns_where_trials_fail():
    def edge(config):
        return math.nan if config["a"] > 0.6 else bowl(config)

    result = bojax.minimize(
        edge,
        SPACE,
        40,
        strategy=BayesOpt(SPACE, learn_failures=True),
        callbacks=[Converged(tolerance=1e-2, patience=2)],
        progress=False,
    )
    assert len(result.trials) < 40
    assert result.fun < 1e-2


def test_does_not_end_the_run_where_much_may_be_left():
    stop = Converged(tolerance=1e-2, patience=2)
    result = bojax.minimize(comb, SPACE, 14, callbacks=[stop], progress=False)
    assert len(result.trials) == 14
    assert math.isfinite(stop.bounds[-1])
    assert result.message == "all 14 trials were run"


def test_what_may_be_left_is_left_at_full_fidelity():
    space = bojax.Space({"a": bojax.Float(0, 1), "s": bojax.Fidelity(0, 1)})
    strategy = BayesOpt(space)

    def bound(x):
        """After values that are better by 5 at no fidelity than at the full one."""
        state = strategy.init(0, 16)
        y = 10 * (x[:, 0] - 0.37) ** 2 + 5 * x[:, 1]
        return float(regret_bound(strategy, strategy.observe(state, x, y)))

    a = jnp.linspace(0, 1, 6)
    cheap = jnp.stack([a, jnp.zeros(6)], axis=1)
    full = cheap.at[:, 1].set(1.0)
    assert bound(jnp.concatenate([cheap, cheap + 0.1])) == math.inf
    # The best is not known where it is cheap.
    known = bound(jnp.concatenate([full, cheap.at[:, 0].set(1.0)]))
    assert known < 1.0


@pytest.mark.parametrize(
    "arguments",
    [
        {"tolerance": 0.0},
        {"tolerance": math.nan},
        {"tolerance": 1.0, "patience": 0},
        {"tolerance": 1.0, "min_trials": 0},
        {"tolerance": 1.0, "num_searches": 0},
        {"tolerance": 1.0, "num_deviations": -1.0},
    ],
)
def test_bad_arguments_are_refused(arguments):
    *_, name = arguments
    with pytest.raises(ValueError, match=f"{name}: expected"):
        Converged(**arguments)


def test_a_strategy_without_a_surrogate_is_refused():
    study = bojax.Study(SPACE, Random(SPACE))
    with pytest.raises(TypeError, match="strategy: expected a BayesOpt"):
        Converged(1.0)(study, study.observe({"a": 0.5}, 1.0))


def test_several_objectives_are_refused_before_any_trial():
    ran = []
    options = {"num_objectives": 2, "progress": False}
    with pytest.raises(ValueError, match="num_objectives: expected 1 for Converged"):
        bojax.minimize(ran.append, SPACE, 4, callbacks=[Converged(1.0)], **options)
    assert ran == []
