"""Bayesian optimization: what it finds, what it avoids, when it fits afresh."""

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import problems
from bojax.acquisitions import UCB, LogEI
from bojax.acquisitions.feasible import log_probability_feasible
from bojax.data import Outcome
from bojax.strategies import BayesOpt, Sobol, TuRBO
from bojax.surrogates import GP, priors
from bojax.surrogates.outcomes import log_warp
from tests.contracts.test_strategies import COSTLY

BRANIN = problems.get("branin")
BRANIN_SPACE = BRANIN.space
CAPACITY = 64
branin = jax.jit(jax.vmap(BRANIN.fn))


@pytest.fixture(scope="module")
def strategy():
    return BayesOpt(BRANIN_SPACE)


def play(strategy, state, steps, objective=branin):
    for _ in range(steps):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, objective(points.x))
    return state


def history(state):
    count = int(state.trials.size)
    return np.asarray(state.trials.x[:count]), np.asarray(state.trials.y[:count, 0])


@pytest.fixture(scope="module")
def run(strategy):
    """Forty trials on Branin."""
    return play(strategy, strategy.init(jax.random.key(0), CAPACITY), 40)


def test_finds_the_optimum_of_branin_and_does_not_repeat_itself(run):
    x, y = history(run)
    assert y.min() < BRANIN.optimum + 1e-2
    assert len(np.unique(x, axis=0)) == 40
    assert np.all((x >= 0) & (x <= 1))


def test_is_much_better_than_its_own_design(strategy, run):
    x = Sobol(BRANIN_SPACE)
    design, _ = x.ask(x.init(jax.random.key(0)), 40)
    assert history(run)[1].min() < branin(design.x).min() - 0.1


def test_the_design_is_a_sobol_sequence(strategy, run):
    assert strategy.num_initial == 4
    design = Sobol(BRANIN_SPACE)
    expected, _ = design.ask(design.init(jax.random.key(0)), 5)
    x, _ = history(run)
    np.testing.assert_allclose(x[:4], expected.x[:4], atol=1e-6)
    assert np.abs(x[4] - expected.x[4]).max() > 1e-3


def numbers(d):
    return bojax.Space({f"x{j}": bojax.Float(0.0, 1.0) for j in range(d)})


def test_the_size_of_the_design():
    assert [BayesOpt(numbers(d)).num_initial for d in (1, 6, 30)] == [3, 8, 16]
    assert BayesOpt(numbers(3), num_initial=7).num_initial == 7
    with pytest.raises(ValueError, match="num_initial: expected at least 2, got 1"):
        BayesOpt(numbers(3), num_initial=1)


def test_the_design_goes_on_until_two_trials_have_succeeded(strategy):
    design = Sobol(BRANIN_SPACE)
    expected, _ = design.ask(design.init(jax.random.key(0)), 9)
    nothing = lambda x: jnp.full(x.shape[0], jnp.nan)
    state = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 6, nothing)
    state = play(strategy, state, 2)
    x, _ = history(state)
    np.testing.assert_allclose(x, expected.x[:8], atol=1e-6)
    points, _ = strategy.ask(state)
    assert np.abs(points.x[0] - expected.x[8]).max() > 1e-3


def test_fits_afresh_whenever_the_data_has_grown_by_three_tenths():
    # One search only: of two, each would be fitted at every second trial.
    strategy = BayesOpt(BRANIN_SPACE, restart_below=0.0)
    state = strategy.init(jax.random.key(0), CAPACITY)
    restart_at = []
    for count in range(30):
        points, state = strategy.ask(state)
        restart_at.append((count, int(state.memory.whole.restart_at)))
        state = strategy.tell(state, points, branin(points.x))
    expected = 0
    for count, found in restart_at:
        if count >= strategy.num_initial and count >= expected:
            expected = int(np.ceil(np.float32(count) * np.float32(1.3)))
        assert found == expected
    # From 4 to 30 observations that is every few trials.
    assert len({found for _, found in restart_at}) == 1 + 7


def valley(x):
    """One valley, soon known."""
    return jnp.sum((x - 0.3) ** 2, axis=1)


@pytest.fixture(scope="module")
def converged():
    """A run that has converged, on a line: soon all is known."""
    strategy = BayesOpt(numbers(1), restart_below=1e-3)
    state = strategy.init(jax.random.key(0), CAPACITY)
    return strategy, play(strategy, state, 14, valley)


def test_a_search_that_has_converged_begins_anew_with_initial_points(converged):
    strategy, state = converged
    first = int(state.memory.first)
    assert strategy.num_initial < first < 14
    x, _ = history(state)
    design = Sobol(strategy.space)
    expected, _ = design.ask(design.init(jax.random.key(0)), 14)
    own = np.arange(first, 14, 2)[: strategy.num_initial]
    np.testing.assert_allclose(x[own], expected.x[own], atol=1e-6)
    # The others go on where all is known to be best.
    between = np.arange(first + 1, 14, 2)
    assert np.abs(x[between] - 0.3).max() < 0.1


def test_before_that_nothing_is_changed(converged):
    strategy, state = converged
    never = BayesOpt(strategy.space, restart_below=0.0)
    alone = play(never, never.init(jax.random.key(0), CAPACITY), 14, valley)
    first = int(state.memory.first)
    x, expected = history(state)[0][:first], history(alone)[0][:first]
    # Rounding moves a flat optimum by its root.
    atol = 3 * np.sqrt(np.finfo(np.float32).eps)
    np.testing.assert_allclose(x, expected, atol=atol)
    assert int(alone.memory.first) == -1


@pytest.mark.parametrize("begun", [False, True])
def test_where_noise_is_found_no_search_begins_anew_and_one_begun_ends(
    converged, begun
):
    strategy, state = converged
    if not begun:
        state = strategy.init(jax.random.key(0), CAPACITY)
    assert (int(state.memory.first) >= 0) == begun
    generator = np.random.default_rng(0)
    noisy = lambda x: valley(x) + 0.3 * generator.standard_normal(len(x))
    found = 0
    for _ in range(12):
        noise = bool(strategy.fitted_noise(state.memory))
        state = play(strategy, state, 1, noisy)
        found += noise
        if noise:
            assert int(state.memory.first) == -1
    assert found > 0


def test_batches_take_turns():
    strategy = BayesOpt(numbers(1), restart_below=1e-3)
    state = strategy.init(jax.random.key(0), CAPACITY)
    anew = []
    for _ in range(10):
        points, state = strategy.ask(state, 3)
        state = strategy.tell(state, points, valley(points.x))
        anew.append(bool(np.ptp(points.x) > 0.3))
    first = int(state.memory.first)
    assert first % 3 == 0
    # A batch of initial points is spread, that between two of them is not.
    assert anew[first // 3 : first // 3 + 2] == [True, False]


def test_the_threshold_for_a_new_search_is_no_less_than_zero():
    with pytest.raises(ValueError, match="restart_below: expected at least 0"):
        BayesOpt(numbers(1), restart_below=-1.0)


def failing(x):
    """Branin, which fails on two thirds of its valleys."""
    return jnp.where(x[:, 0] > 0.4, jnp.nan, branin(x))


def test_failed_trials_are_avoided(strategy):
    state = play(strategy, strategy.init(jax.random.key(1), CAPACITY), 40, failing)
    _, y = history(state)
    late = np.isnan(y[10:])
    # Three fifths of the space fail.
    assert late.mean() < 0.25
    assert np.nanmin(y) < BRANIN.optimum + 0.1


def test_where_trials_fail_is_learned():
    """Whether a point succeeds, and what it is worth if so, are told apart."""
    strategy = BayesOpt(numbers(1), learn_failures=True)
    x = jnp.linspace(0, 1, 16)[:, None]
    line = lambda x: 1 - x[:, 0]
    y = jnp.where(x[:, 0] > 0.6, jnp.nan, line(x))
    state = strategy.observe(strategy.init(jax.random.key(0), CAPACITY), x, y)
    fit = state.memory.whole
    belief, _ = eqx.filter_jit(strategy.believe)(fit, state.trials, jax.random.key(0))
    at = jnp.array([[0.1], [0.5], [0.7], [0.95]])
    log_probability = jax.vmap(
        lambda x: log_probability_feasible(belief.constraints, x)
    )(at)
    np.testing.assert_array_less(np.log(0.9), log_probability[:2])
    np.testing.assert_array_less(log_probability[2:], np.log(0.1))
    # The line goes on where nothing succeeds: failures are no bad values of it.
    mean, _ = jax.vmap(belief.objectives.marginal)(at)
    assert np.all(np.diff(mean[:, 0]) < 0)


def test_recommendations_are_successes_where_failures_are_learned():
    strategy = BayesOpt(numbers(2), learn_failures=True)
    state = play(strategy, strategy.init(jax.random.key(2), CAPACITY), 20, failing)
    _, y = history(state)
    assert np.isnan(y).any()
    assert float(y[strategy.recommend(state).row]) == np.nanmin(y)


def test_infinite_values_are_failures(strategy):
    state = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 5)
    points, state = strategy.ask(state)
    results = []
    for bad in (jnp.nan, jnp.inf, -jnp.inf):
        told = strategy.tell(state, points, jnp.full(1, bad))
        results.append(strategy.ask(told)[0].x)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_pending_points_are_respected(strategy):
    """What a pending point is believed to be is what the next ones have to beat."""
    # Far from converged: later on, points close to each other are worth asking for.
    state = play(strategy, strategy.init(jax.random.key(3), CAPACITY), 6)
    alone, _ = strategy.ask(state)
    asked = []
    for _ in range(4):
        points, state = strategy.ask(state)
        asked.append(np.asarray(points.x[0]))
    np.testing.assert_array_equal(asked[0], alone.x[0])
    apart = [np.abs(a - b).max() for i, a in enumerate(asked) for b in asked[:i]]
    assert min(apart) > 0.01


def test_a_batch_is_what_asking_one_by_one_is():
    """But for the fit, which a batch shares: its points differ a little."""
    # Near a maximum, single precision could not tell where two programs put it.
    with jax.enable_x64(True):
        strategy = BayesOpt(BRANIN_SPACE)
        state = play(strategy, strategy.init(jax.random.key(3), CAPACITY), 6)
        points, after = strategy.ask(state, 4)
        first, _ = strategy.ask(state)
        np.testing.assert_allclose(points.x[0], first.x[0], atol=1e-6)
        x = np.asarray(points.x)
        apart = [np.abs(a - b).max() for i, a in enumerate(x) for b in x[:i]]
        assert min(apart) > 0.01
        assert points.number.tolist() == [6, 7, 8, 9]
        assert after.trials.pending[6:10].tolist() == [True] * 4
        # Told in another order and with one failure, the run goes on.
        back = jax.tree.map(lambda leaf: leaf[::-1], points)
        y = branin(back.x).at[1].set(jnp.nan)
        after = play(strategy, strategy.tell(after, back, y), 1)
        assert np.isfinite(after.trials.x[10]).all()


@pytest.mark.parametrize("power", [-80, 80])
def test_the_units_of_the_objective_do_not_matter(strategy, power):
    """A power of two scales every number without rounding."""
    unit = 2.0**power
    key = jax.random.key(3)
    plain = play(strategy, strategy.init(key, CAPACITY), 15)
    scaled = play(
        strategy, strategy.init(key, CAPACITY), 15, lambda x: unit * branin(x)
    )
    (x, y), (x_scaled, y_scaled) = history(plain), history(scaled)
    np.testing.assert_allclose(x_scaled[:6], x[:6], atol=1e-3)
    assert y_scaled.min() / unit < y.min() + 1


def test_double_precision():
    with jax.enable_x64(True):
        strategy = BayesOpt(BRANIN_SPACE)
        state = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 25)
        x, y = history(state)
    assert x.dtype == y.dtype == np.float64
    assert y.min() < BRANIN.optimum + 1e-2


def lower_bound(belief):
    return UCB(belief.posterior, 4.0)


@pytest.mark.long
def test_another_surrogate_acquisition_and_outcome():
    gp = GP(BRANIN_SPACE, mean="linear", priors=priors.short(2))
    strategy = BayesOpt(
        BRANIN_SPACE, gp, acquisition=lower_bound, num_initial=6, outcome=log_warp
    )
    state = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 30)
    assert history(state)[1].min() < BRANIN.optimum + 0.1
    slope = state.memory.whole.parameters.mean.slope
    assert bool(jnp.any(slope != gp.parameters.mean.slope))


def the_middle(acquisition, space, key, **options):
    assert {"near", "tried", "bounds"} <= set(options)
    x = jnp.full((1, space.num_columns), 0.5)
    return x, acquisition(x)


@pytest.mark.parametrize("make", [BayesOpt, TuRBO])
def test_what_no_ask_could_use_is_refused_at_once(make):
    elsewhere = GP(bojax.Space({"a": bojax.Float(0.0, 1.0)}))
    with pytest.raises(ValueError, match="surrogate: expected one of the space to"):
        make(BRANIN_SPACE, elsewhere)
    with pytest.raises(TypeError, match="acquisition: expected a function, got 'EI'"):
        make(BRANIN_SPACE, acquisition="EI")
    # Annotations are checked first here.
    for name, value in (("surrogate", "gp"), ("surrogate", GP), ("outcome", "log")):
        with pytest.raises(TypeError, match=name):
            make(BRANIN_SPACE, **{name: value})


def test_another_search_of_the_acquisition():
    strategy = BayesOpt(BRANIN_SPACE, search=the_middle, num_initial=2)
    state = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 2)
    points, _ = strategy.ask(state)
    np.testing.assert_array_equal(points.x, [[0.5, 0.5]])


def test_known_noise_is_in_squared_units_of_the_objective(strategy):
    """A thousandth of the spread of the values is next to nothing, in any units."""
    key, unit = jax.random.key(4), 1e3
    asked = []
    for deviation in (0.0, 1e-3 * 50 * unit):
        state = strategy.init(key, CAPACITY)
        for _ in range(10):
            points, state = strategy.ask(state)
            told = Outcome(unit * branin(points.x), variance=deviation**2)
            state = strategy.tell(state, points, told)
        asked.append(history(state)[0])
    np.testing.assert_allclose(asked[1][:7], asked[0][:7], atol=0.05)


MIXED = bojax.Space(
    {
        "optimizer": bojax.Categorical("adam", "sgd"),
        "layers": bojax.Int(1, 4),
        "rate": [
            bojax.Float(1e-5, 1e-1, log=True, when={"optimizer": "adam"}),
            bojax.Float(1e-3, 1e1, log=True, when={"optimizer": "sgd"}),
        ],
        "momentum": bojax.Float(0.0, 0.99, when={"optimizer": "sgd"}),
    }
)


@jax.jit
@jax.vmap
def training(x):
    """Best with sgd, three layers, rate 0.1, momentum 0.9: then zero."""
    values = MIXED.values(x)
    log_rate = jnp.log10(values["rate"])
    adam = 0.5 + (log_rate + 3) ** 2
    sgd = (log_rate + 1) ** 2 + 4 * (values["momentum"] - 0.9) ** 2
    return (
        jnp.where(values["optimizer"] == 0, adam, sgd) + (values["layers"] - 3) ** 2 / 4
    )


def test_conditional_spaces():
    strategy = BayesOpt(MIXED)
    state = play(strategy, strategy.init(jax.random.key(1), CAPACITY), 40, training)
    x, y = history(state)
    np.testing.assert_allclose(x, jax.vmap(MIXED.project)(x), atol=1e-6)
    best = MIXED.decode(x[np.argmin(y)])
    assert best["optimizer"] == "sgd"
    assert best["layers"] == 3
    assert y.min() < 0.05


def arrays_in_double(jaxpr):
    """What a traced program computes in double precision, scalars apart."""
    found = []
    for equation in jaxpr.eqns:
        for variable in equation.outvars:
            if variable.aval.shape and variable.aval.dtype == jnp.float64:
                found.append(str(equation.source_info.traceback))
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found += arrays_in_double(inner)
    return found


def test_nothing_is_computed_in_double_precision_for_single():
    """As a TPU needs it: where double precision is on, trials in single stay there."""
    space = bojax.Space(
        {
            "kind": bojax.Categorical("p", "q"),
            "a": bojax.Int(1, 9),
            "only_q": bojax.Float(0.01, 1.0, log=True, when={"kind": "q"}),
        }
    )
    strategy = BayesOpt(space)
    x = space.sample(jax.random.key(0), 8)
    state = strategy.init(jax.random.key(0), CAPACITY)
    state = strategy.observe(state, x, jnp.sum(x, axis=1))
    assert state.trials.x.dtype == jnp.float32

    def ask(state):
        return eqx.filter(strategy.ask(state), eqx.is_array)

    with jax.enable_x64(True):
        assert arrays_in_double(jax.make_jaxpr(ask)(state).jaxpr) == []
        in_double = jax.tree.map(
            lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf,
            state,
        )
        assert arrays_in_double(jax.make_jaxpr(ask)(in_double).jaxpr)


def test_an_acquisition_that_knows_no_fidelity_searches_at_the_highest():
    """Every configuration once, those alone that meet the constraint there."""
    strategy = BayesOpt(COSTLY, num_initial=2, acquisition=LogEI)
    state = strategy.init(jax.random.key(0), 16)
    x = jnp.array([[0.1, 0.1, 0.2, 0.2], [0.4, 0.9, 0.8, 0.8]])
    state = strategy.observe(state, x, jnp.array([0.3, 0.5]))
    asked = []
    for _ in range(4):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, jnp.sum(points.x**2, axis=1))
        asked.append(COSTLY.decode(points.x[0]))
    each = [(layers, kind) for layers in (1, 2) for kind in ("p", "q")]
    expected = [{"epochs": 9, "layers": layers, "kind": kind} for layers, kind in each]
    assert sorted(asked, key=repr) == sorted(expected, key=repr)
