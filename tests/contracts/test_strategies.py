"""What every strategy keeps: one grid over all of them."""

import inspect
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax import strategies
from bojax.data import Outcome, Points, Status
from bojax.strategies import (
    CMAES,
    NSGA2,
    TPE,
    BayesOpt,
    Grid,
    Random,
    Recurrent,
    RegularizedEvolution,
    Reinforce,
    Sobol,
    Strategy,
    TuRBO,
    base,
)


def not_both(values):
    """Neither large at once."""
    return values["a"] + values["rate"] - 1.2


# Nine configurations, on which runs can be compared exactly.
FINITE = bojax.Space(
    {
        "a": bojax.Int(1, 3),
        "kind": bojax.Categorical("p", "q"),
        "only_q": bojax.Ordinal(1, 4, when={"kind": "q"}),
    }
)
OPEN = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q"),
        "a": bojax.Float(0.0, 1.0),
        "rate": bojax.Float(0.01, 1.0, log=True),
        "only_q": bojax.Float(0.0, 1.0, when={"kind": "q"}),
    },
    constraints=[not_both],
)
CAPACITY = 16


def affordable(values):
    """Of what is run to its end, three layers are too dear."""
    return values["layers"] * values["epochs"] - 18.5


# Four configurations at full fidelity, where there is no warm-up.
COSTLY = bojax.Space(
    {
        "epochs": bojax.Fidelity(1, 9),
        "layers": bojax.Int(1, 3),
        "kind": bojax.Categorical("p", "q"),
        "warmup": bojax.Int(1, 2, when={"epochs": (1, 5)}),
    },
    constraints=[affordable],
)

MAKE = {
    "Random": Random,
    "Sobol": Sobol,
    "Grid": Grid,
    "BayesOpt": lambda space: BayesOpt(space, num_initial=3),
    "TuRBO": lambda space: TuRBO(space, num_initial=3, num_candidates=32),
    "TPE": lambda space: TPE(space, num_initial=3),
    "TPE, columns apart": lambda space: TPE(space, 3, multivariate=False),
    "RegularizedEvolution": lambda space: RegularizedEvolution(space, 3, 2, 0.3),
    "NSGA2": lambda space: NSGA2(space, population=3),
    "CMAES": lambda space: CMAES(space, population=3),
    "Reinforce": Reinforce,
    "Reinforce, recurrent": lambda space: Reinforce(space, Recurrent(space, width=4)),
}
MODELED = ("BayesOpt", "TuRBO")
CHEAP = tuple(name for name in MAKE if name not in MODELED)
SEVERAL_OBJECTIVES = ("Random", "Sobol", "Grid", "NSGA2", "BayesOpt")
ONE_OBJECTIVE = ("TuRBO", "TPE", "RegularizedEvolution", "Reinforce", "CMAES")
# Evolution, CMA-ES and reinforcement learning may come back to a point.
NEVER_REPEAT = ("Random", "Sobol", "Grid", *MODELED, "TPE", "TPE, columns apart")

every = pytest.mark.parametrize("name", MAKE)
never_repeats = pytest.mark.parametrize("name", NEVER_REPEAT)
every_space = pytest.mark.parametrize(
    ("name", "space"),
    [
        *((name, FINITE) for name in MAKE),
        *((name, OPEN) for name in CHEAP),
        *(pytest.param(name, OPEN, marks=pytest.mark.long) for name in MODELED),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)


@pytest.fixture(scope="module")
def made():
    """One strategy of each kind and space, so that equal ones compile once."""
    return {
        (name, space): make(space)
        for name, make in MAKE.items()
        for space in (FINITE, OPEN)
    }


def objective(x):
    peak = jnp.asarray([0.813, 0.27, 0.41, 0.69])[: x.shape[0]]
    return jnp.sum((x - peak.astype(x.dtype)) ** 2)


measure = jax.jit(jax.vmap(objective))


def play(strategy, state, steps):
    """Ask one point, tell it; the points in their order, and the state."""
    asked = []
    for _ in range(steps):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, measure(points.x))
        asked.append(np.asarray(points.x[0]))
    return np.stack(asked), state


def arrays(state):
    """The leaves as NumPy arrays, of keys their data."""
    return [
        np.asarray(jax.random.key_data(leaf) if is_key(leaf) else leaf)
        for leaf in jax.tree.leaves(state)
    ]


def is_key(leaf):
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def assert_same(state, other):
    assert jax.tree.structure(state) == jax.tree.structure(other)
    for a, b in zip(arrays(state), arrays(other), strict=True):
        np.testing.assert_array_equal(a, b)


def distinct(x):
    return len(np.unique(np.asarray(x), axis=0))


# What they look like.


def test_the_grid_is_complete():
    final = {
        name
        for name, value in vars(strategies).items()
        if inspect.isclass(value)
        and issubclass(value, Strategy)
        and not inspect.isabstract(value)
    }
    assert final == {name.partition(",")[0] for name in MAKE}


@every
def test_parameters_have_the_names_that_were_promised(name):
    cls = type(MAKE[name](FINITE))
    verbs = {
        "init": ["self", "key", "capacity", "num_objectives", "num_constraints"],
        "ask": ["self", "state", "q"],
        "tell": ["self", "state", "points", "y"],
        "observe": ["self", "state", "x", "y"],
        "grow": ["self", "state", "capacity"],
        "propose": ["self", "memory", "trials", "key", "numbers"],
        "start": ["self", "trials"],
    }
    for verb, parameters in verbs.items():
        assert list(inspect.signature(getattr(cls, verb)).parameters) == parameters
    assert next(iter(inspect.signature(cls).parameters)) == "space"
    # Book-keeping is the same for all.
    for verb in ("init", "ask", "reserve", "tell", "observe", "grow"):
        assert verb not in vars(cls)


# Runs.


@every_space
def test_points_are_representable_feasible_pending_and_numbered(name, space, made):
    strategy = made[name, space]
    state = strategy.init(jax.random.key(0), CAPACITY)
    for number in range(5):
        points, state = strategy.ask(state)
        x = points.x[0]
        np.testing.assert_allclose(x, space.project(x), atol=1e-6)
        assert bool(space.feasible(x))
        assert points.number.tolist() == points.trial.tolist() == [number]
        assert bool(state.trials.pending[number])
        assert int(state.num_asked) == number + 1
        state = strategy.tell(state, points, measure(points.x))
        assert not bool(state.trials.pending[number])
    np.testing.assert_array_equal(state.trials.y[:5, 0], measure(state.trials.x[:5]))
    assert not bool(state.overflow)


@every_space
def test_the_same_key_gives_the_same_run_and_another_another(name, space, made):
    strategy = made[name, space]
    runs = [
        play(strategy, strategy.init(jax.random.key(k), CAPACITY), 5) for k in (1, 1, 2)
    ]
    np.testing.assert_array_equal(runs[0][0], runs[1][0])
    assert_same(runs[0][1], runs[1][1])
    assert np.any(runs[0][0] != runs[2][0])


@pytest.mark.parametrize(
    ("name", "space"),
    [
        *((name, space) for name in CHEAP for space in (FINITE, OPEN)),
        *(
            pytest.param(name, space, marks=pytest.mark.long)
            for name in MODELED
            for space in (FINITE, OPEN)
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_run_follows_the_precision_in_which_it_is_made(name, space, made):
    strategy = MAKE[name](space)
    with jax.enable_x64(True):
        state = strategy.init(jax.random.key(0), CAPACITY)
        points, state = strategy.ask(state)
        _, after = play(strategy, state, 4)
    assert points.x.dtype == jnp.float64
    before, after = jax.tree.leaves(state), jax.tree.leaves(after)
    assert [leaf.dtype for leaf in before] == [leaf.dtype for leaf in after]
    state = made[name, space].init(jax.random.key(0), CAPACITY)
    single, _ = made[name, space].ask(state)
    assert single.x.dtype == jnp.float32
    assert np.all(np.isfinite(single.x))


@pytest.mark.parametrize(
    "name", [*CHEAP, *(pytest.param(n, marks=pytest.mark.long) for n in MODELED)]
)
def test_compiled_is_as_written(name, made):
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), CAPACITY)
    _, state = play(strategy, state, 4)
    points, after = strategy.ask(state)
    written, after_written = base._ask.__wrapped__(strategy, state, 1)
    np.testing.assert_array_equal(points.x, written.x)
    y = measure(points.x)
    told = strategy.tell(after, points, y)
    told_written = Strategy.tell.__wrapped__(strategy, after_written, written, y)
    assert_same(told.trials, told_written.trials)
    x = jnp.asarray(FINITE.enumerate(9)[:2], jnp.float32)
    assert_same(
        strategy.observe(state, x, measure(x)),
        Strategy.observe.__wrapped__(strategy, state, x, measure(x)),
    )


@every
def test_scanned_and_batched_runs_are_the_loop(name, made):
    strategy, steps = made[name, FINITE], 7

    def step(state, _):
        points, state = strategy.ask(state)
        return strategy.tell(state, points, jax.vmap(objective)(points.x)), points.x[0]

    def run(key):
        return jax.lax.scan(step, strategy.init(key, CAPACITY), None, steps)

    keys = jax.random.split(jax.random.key(0), 3)
    states, x = jax.jit(jax.vmap(run))(keys)
    for i, key in enumerate(keys):
        expected, state = play(strategy, strategy.init(key, CAPACITY), steps)
        np.testing.assert_array_equal(x[i], expected)
        one = jax.tree.map(lambda leaf, i=i: leaf[i], states)
        np.testing.assert_array_equal(one.trials.status, state.trials.status)
        assert jax.tree.structure(one) == jax.tree.structure(state)


@every
def test_resumed_is_uninterrupted(name, made):
    strategy = made[name, FINITE]
    key = jax.random.key(5)
    expected, end = play(strategy, strategy.init(key, CAPACITY), 7)
    first, state = play(strategy, strategy.init(key, CAPACITY), 4)
    saved = pickle.dumps(arrays(state))
    del state

    # Another process: only the strategy's arguments and the bytes are left.
    fresh = MAKE[name](FINITE)
    template = fresh.init(jax.random.key(0), CAPACITY)
    leaves = [
        jax.random.wrap_key_data(saved) if is_key(leaf) else jnp.asarray(saved)
        for leaf, saved in zip(
            jax.tree.leaves(template), pickle.loads(saved), strict=True
        )
    ]
    state = jax.tree.unflatten(jax.tree.structure(template), leaves)
    second, resumed = play(fresh, state, 3)
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)
    assert_same(resumed, end)


# Telling.


@every
def test_order_and_portions_of_telling_do_not_matter(name, made):
    strategy = made[name, FINITE]
    _, start = play(strategy, strategy.init(jax.random.key(1), CAPACITY), 3)
    points, start = strategy.ask(start, 3)
    y = measure(points.x)
    rows = lambda index: jax.tree.map(lambda leaf: leaf[np.array(index)], points)
    whole = strategy.tell(start, points, y)
    backwards = strategy.tell(start, rows([2, 1, 0]), y[::-1])
    part = strategy.tell(start, rows([2, 0]), y[np.array([2, 0])])
    assert part.trials.pending.tolist()[3:6] == [False, True, False]
    portions = strategy.tell(part, rows([1]), y[1:2])
    assert_same(whole, backwards)
    assert_same(whole, portions)
    # What is still pending is known as such to the next proposal.
    if name in NEVER_REPEAT:
        following, _ = strategy.ask(part)
        asked = np.asarray(points.x)
        assert not any(np.array_equal(following.x[0], x) for x in asked)


@every
def test_outcomes_that_are_failed_partial_repeated_or_unknown(name, made):
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), CAPACITY)
    points, state = strategy.ask(state)
    assert_same(strategy.tell(state, points, Outcome(jnp.ones(1), done=False)), state)
    noisy = strategy.tell(state, points, Outcome(2.0, variance=0.5))
    assert float(noisy.trials.y[0, 0]) == 2
    assert float(noisy.trials.variance[0, 0]) == 0.5
    again = strategy.tell(noisy, points, jnp.ones(1))
    assert float(again.trials.y[0, 0]) == 1
    assert float(again.trials.variance[0, 0]) == 0
    assert not bool(again.overflow)
    failed = strategy.tell(state, points, jnp.full(1, jnp.nan))
    assert bool(failed.trials.done[0])
    stranger = Points(points.x, points.number + 7, points.trial + 7)
    assert bool(strategy.tell(state, stranger, jnp.ones(1)).overflow)


@never_repeats
def test_failures_alone_do_not_end_a_run(name, made):
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), CAPACITY)
    seen = []
    for _ in range(6):
        points, state = strategy.ask(state)
        state = strategy.tell(state, points, jnp.full(1, jnp.nan))
        seen.append(points.x[0])
    assert distinct(seen) == 6


@never_repeats
def test_observed_points_are_known_and_take_no_number(name, made):
    strategy = made[name, FINITE]
    everything = FINITE.enumerate(9).astype(np.float32)
    known = jnp.asarray(everything[[0, 2, 3, 4, 5, 6, 8]])
    state = strategy.init(jax.random.key(0), CAPACITY)
    # Off their places, as a caller may have them.
    state = strategy.observe(state, jnp.clip(known + 0.01, 0, 1), measure(known))
    assert int(state.num_asked) == 0
    assert state.trials.number[:7].tolist() == [-1] * 7
    np.testing.assert_allclose(state.trials.x[:7], known, atol=1e-6)
    asked, state = play(strategy, state, 2)
    assert {tuple(x) for x in asked} == {tuple(x) for x in everything[[1, 7]]}
    assert state.trials.number[7:9].tolist() == [0, 1]


@never_repeats
def test_points_of_the_callers_choice_are_pending(name, made):
    strategy = made[name, FINITE]
    x = jnp.asarray(FINITE.enumerate(9)[:8], jnp.float32)
    points, state = strategy.reserve(strategy.init(jax.random.key(0), CAPACITY), x)
    assert points.number.tolist() == list(range(8))
    assert int(state.trials.pending.sum()) == int(state.num_asked) == 8
    following, _ = strategy.ask(state)
    np.testing.assert_allclose(following.x[0], FINITE.enumerate(9)[8], atol=1e-6)


# Finite spaces and full tables.


@never_repeats
def test_a_finite_space_is_exhausted_without_a_repeat(name, made):
    """Pending ones included: nothing is told here."""
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), CAPACITY)
    batches = []
    for _ in range(3):
        points, state = strategy.ask(state, 3)
        batches.append(points.x)
    assert distinct(np.concatenate(batches)) == FINITE.size == 9
    # Then it begins again rather than fail.
    points, _ = strategy.ask(state)
    np.testing.assert_allclose(points.x[0], FINITE.project(points.x[0]), atol=1e-6)


@never_repeats
def test_the_same_while_outcomes_come_in(name, made):
    strategy = made[name, FINITE]
    x, _ = play(strategy, strategy.init(jax.random.key(3), CAPACITY), 9)
    assert distinct(x) == 9


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.long] if "," in name else [])
        for name in MAKE
        if name != "BayesOpt"
    ],
)
def test_without_a_choice_of_fidelity_it_is_the_highest_from_the_start(name):
    strategy = MAKE[name](COSTLY)
    x, _ = play(strategy, strategy.init(jax.random.key(0), CAPACITY), 4)
    for config in map(COSTLY.decode, x):
        assert config.keys() == {"epochs", "layers", "kind"}
        assert config["epochs"] == 9
        assert config["layers"] < 3
    if name in NEVER_REPEAT:
        assert distinct(x) == 4


@pytest.mark.parametrize("name", CHEAP)
def test_a_full_table_is_flagged_and_a_grown_one_goes_on(name, made):
    strategy = made[name, FINITE]
    key = jax.random.key(0)
    small = strategy.init(key, 4)
    expected, _ = play(strategy, strategy.init(key, CAPACITY), 8)

    asked, full = play(strategy, small, 4)
    assert not bool(full.overflow)
    points, over = strategy.ask(full)
    assert bool(over.overflow)
    assert bool(strategy.tell(over, points, jnp.ones(1)).overflow)
    np.testing.assert_array_equal(over.trials.x, full.trials.x)

    more, grown = play(strategy, strategy.grow(full, CAPACITY), 4)
    np.testing.assert_array_equal(np.concatenate([asked, more]), expected)
    assert not bool(grown.overflow)
    observed = strategy.observe(full, points.x, jnp.ones(1))
    assert bool(observed.overflow)


@pytest.mark.parametrize("name", MODELED)
def test_bayesian_optimization_grows_too(name, made):
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), 3)
    points, state = strategy.reserve(state, jnp.asarray(FINITE.enumerate(9)[:3]))
    state = strategy.tell(state, points, measure(points.x))
    assert bool(strategy.reserve(state, points.x[:1])[1].overflow)
    grown = strategy.grow(state, CAPACITY)
    x, after = play(strategy, grown, 6)
    assert distinct(np.concatenate([points.x, x])) == 9
    assert not bool(after.overflow)


# Several objectives, and what is refused.


@pytest.mark.parametrize("name", SEVERAL_OBJECTIVES)
def test_several_objectives(name, made):
    strategy = made[name, FINITE]
    state = strategy.init(jax.random.key(0), 4, num_objectives=2)
    points, state = strategy.ask(state, 3)
    y = jnp.arange(6.0).reshape(3, 2)
    state = strategy.tell(state, points, Outcome(y, variance=2 * y))
    np.testing.assert_array_equal(state.trials.y[:3], y)
    np.testing.assert_array_equal(state.trials.variance[:3], 2 * y)


def test_what_is_told_has_a_row_for_each_point(made):
    strategy = made["Random", FINITE]
    state = strategy.init(jax.random.key(0), 4, num_objectives=3)
    points, state = strategy.ask(state, 2)
    y = jnp.arange(6.0).reshape(2, 3)
    for argument, told in (
        ("y", y.T),
        ("y", y.ravel()),
        ("variance", Outcome(y, variance=jnp.ones(2))),
        ("variance", Outcome(y, variance=y.T)),
        ("cost", Outcome(y, cost=1.0)),
        ("done", Outcome(y, done=jnp.ones(3, bool))),
    ):
        with pytest.raises(ValueError, match=f"{argument}: expected 2"):
            strategy.tell(state, points, told)
        with pytest.raises(ValueError, match=f"{argument}: expected 2"):
            strategy.observe(state, points.x, told)
    told = strategy.tell(state, points, Outcome(y, variance=0.5))
    np.testing.assert_array_equal(told.trials.variance[:2], np.full((2, 3), 0.5))
    # One point is a row without being told so.
    told = strategy.tell(state, jax.tree.map(lambda leaf: leaf[1:], points), y[1])
    np.testing.assert_array_equal(told.trials.y[1], y[1])


def test_bayesian_optimization_of_several_objectives_under_a_constraint(made):
    """Every configuration once, whatever is feasible; the run is the same again."""
    strategy = made["BayesOpt", FINITE]

    def play_several(steps, seed):
        state = strategy.init(jax.random.key(seed), CAPACITY, 2, 1)
        for _ in range(steps):
            points, state = strategy.ask(state)
            x = points.x
            y = jnp.concatenate([measure(x), x[:, 0]])
            outcome = Outcome(y[None], constraints=x[:, 1] - 0.5, cost=jnp.ones(1))
            state = strategy.tell(state, points, outcome)
        return state

    state = play_several(9, 0)
    assert distinct(state.trials.x[:9]) == 9
    np.testing.assert_array_equal(state.trials.cost[:9], 1)
    feasible = np.asarray(state.trials.x[:9, 1] <= 0.5)
    np.testing.assert_array_equal(state.trials.feasible[:9], feasible)
    assert_same(state, play_several(9, 0))


@pytest.mark.parametrize("name", ONE_OBJECTIVE)
def test_several_objectives_are_refused_by_what_has_one(name, made):
    with pytest.raises(
        ValueError, match=f"num_objectives: expected 1 for {name}, got 2"
    ):
        made[name, FINITE].init(jax.random.key(0), num_objectives=2)


def test_what_a_strategy_cannot_search_is_refused_before_any_trial(made):
    strategy = made["BayesOpt", FINITE]
    with pytest.raises(ValueError, match="num_objectives: expected 1 to 4 for Bayes"):
        strategy.init(jax.random.key(0), num_objectives=5)
    evaluated = []
    with pytest.raises(ValueError, match="num_objectives: expected 1 for TPE, got 2"):
        bojax.minimize(
            lambda config: evaluated.append(config) or [0.0, 1.0],
            FINITE,
            4,
            strategy=made["TPE", FINITE],
            num_objectives=2,
            x0=[{"a": 1, "kind": "p"}],
            progress=False,
        )
    assert not evaluated


def test_counts_and_seeds_are_integers_of_any_kind(made):
    strategy = made["Random", FINITE]
    state = strategy.init(jax.random.key(3), 4)
    again = strategy.init(np.int64(3), np.int64(4), np.int64(1), np.int64(0))
    assert_same(state, again)
    assert_same(strategy.ask(state, 2), strategy.ask(again, np.int64(2)))
    for key in ("seed", 0.0, True, jax.random.split(jax.random.key(0))):
        with pytest.raises(TypeError, match="key: expected an integer or one jax"):
            strategy.init(key)


@every
def test_bad_arguments_are_errors_that_name_them(name, made):
    strategy = made[name, FINITE]
    with pytest.raises(ValueError, match="num_constraints: expected at least 0"):
        strategy.init(jax.random.key(0), num_constraints=-1)
    for argument in ("capacity", "num_objectives"):
        with pytest.raises(ValueError, match=f"{argument}: expected at least 1, got 0"):
            strategy.init(jax.random.key(0), **{argument: 0})
    state = strategy.init(jax.random.key(0), CAPACITY)
    with pytest.raises(ValueError, match="q: expected at least 1, got 0"):
        strategy.ask(state, 0)
    points, state = strategy.reserve(state, jnp.full((2, 3), 0.5))
    with pytest.raises(ValueError, match="y: expected 2 points of 1 values, got shape"):
        strategy.tell(state, points, jnp.ones(3))
    with pytest.raises(ValueError, match="capacity: expected at least 16, got 8"):
        strategy.grow(state, 8)
    assert state.trials.status.tolist()[:3] == [Status.PENDING] * 2 + [Status.EMPTY]
