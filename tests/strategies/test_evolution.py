"""Evolution: what is alive, who is a parent, how children differ, what comes of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import bojax
from bojax import pareto
from bojax.strategies import NSGA2, Random, RegularizedEvolution
from bojax.strategies.evolution import winner, youngest
from bojax.strategies.variation import crossover, mutate

TREE = bojax.Space(
    {
        "kind": bojax.Categorical("p", "q", "r"),
        "depth": bojax.Int(1, 5),
        "units": bojax.Int(1, 100, log=True, when={"kind": "q"}),
        "rate": bojax.Float(1e-4, 1.0, log=True, when={"kind": ("p", "q")}),
        "fixed": bojax.Categorical("only"),
    }
)


def test_a_mutation_changes_one_parameter_and_what_hangs_on_it():
    parents = TREE.sample(jax.random.key(0), 300)
    keys = jax.random.split(jax.random.key(1), 300)
    children = jax.jit(jax.vmap(lambda k, x: mutate(TREE, k, x)))(keys, parents)
    changed = np.zeros(len(TREE.names))
    for a, b in zip(np.asarray(parents), np.asarray(children), strict=True):
        np.testing.assert_allclose(b, TREE.project(b), atol=1e-6)
        before, after = TREE.decode(a), TREE.decode(b)
        differ = [
            name
            for name in before.keys() & after.keys()
            if not np.isclose(a, b, atol=1e-6)[TREE.names.index(name)]
        ]
        # A number may step within the rounding of a wide bin on a logarithmic scale.
        assert len(differ) <= 1
        if before.keys() != after.keys():
            assert differ == ["kind"]
        changed[[TREE.names.index(name) for name in differ]] += 1
    assert changed[4] == 0
    assert np.all(changed[:4] > 20)


def test_what_comes_to_exist_is_uniform_and_other_categories_are_equally_likely():
    parent = jnp.asarray(TREE.encode({"kind": "r", "depth": 3, "fixed": "only"}))
    keys = jax.random.split(jax.random.key(2), 4000)
    children = np.asarray(jax.vmap(lambda k: mutate(TREE, k, parent))(keys))
    moved = children[np.abs(children[:, 0] - float(parent[0])) > 1e-3]
    kinds = np.floor(3 * moved[:, 0]).astype(int)
    assert stats.binomtest(int((kinds == 0).sum()), len(kinds)).pvalue > 1e-3
    assert stats.kstest(moved[:, 3], "uniform").pvalue > 1e-3


def test_a_child_has_each_parameter_from_a_parent_that_has_it():
    mother, father = (
        jnp.asarray(TREE.encode(config))
        for config in (
            {"kind": "q", "depth": 1, "units": 7, "rate": 0.1, "fixed": "only"},
            {"kind": "r", "depth": 5, "fixed": "only"},
        )
    )
    keys = jax.random.split(jax.random.key(3), 400)
    children = jax.vmap(lambda k: crossover(TREE, k, mother, father))(keys)
    seen = {
        (config["kind"], config["depth"])
        for config in map(TREE.decode, np.asarray(children))
    }
    assert seen == {("q", 1), ("q", 5), ("r", 1), ("r", 5)}
    for config in map(TREE.decode, np.asarray(children)):
        if config["kind"] == "q":
            assert config["units"] == 7
            assert np.isclose(config["rate"], 0.1, rtol=1e-4)


def test_the_young_are_alive_and_the_best_of_a_tournament_wins():
    done = jnp.array([True, True, False, True, True, False])
    assert youngest(done, 3).tolist() == [False, True, False, True, True, False]
    assert youngest(done, 9).tolist() == done.tolist()
    y = jnp.array([0.0, 3.0, 0.0, 2.0, 1.0, 0.0])
    alive = youngest(done, 3)
    keys = jax.random.split(jax.random.key(0), 3000)
    rows = np.asarray(jax.vmap(lambda k: winner(k, alive, y, 2))(keys))
    # Of two draws with replacement: both the worst 1/9, none the best 4/9.
    expected = np.array([1, 3, 5]) / 9 * len(keys)
    assert stats.chisquare(np.bincount(rows)[[1, 3, 4]], expected).pvalue > 1e-3


def test_the_best_dies_of_age():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    strategy = RegularizedEvolution(space, population=4, tournament=16)
    state = strategy.init(jax.random.key(0), 16)
    x = jnp.array([0.05, 0.9, 0.91, 0.92, 0.93])[:, None]
    state = strategy.observe(state, x, jnp.arange(5.0))
    points, _ = strategy.ask(state, 30)
    assert float(points.x.mean()) > 0.6  # around 0.9, though 0.05 was the best


def test_failures_are_no_parents():
    space = bojax.Space({"a": bojax.Float(0.0, 1.0)})
    for strategy in (RegularizedEvolution(space, 4, 16), NSGA2(space, 2)):
        state = strategy.init(jax.random.key(0), 16)
        x = jnp.array([0.05, 0.06, 0.9, 0.07])[:, None]
        y = jnp.array([jnp.nan, jnp.inf, 1.0, -jnp.inf])
        state = strategy.observe(state, x, y)
        points, _ = strategy.ask(state, 30)
        assert float(points.x.mean()) > 0.6


def quadratic(x, key):
    return jnp.sum((x - jnp.asarray([0.8, 0.3, 0.5, 0.1])) ** 2)


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_evolution_beats_random_search(chance):
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abcd"})
    keys = jax.random.split(jax.random.key(0), 8)
    ours, theirs = (
        np.median(bojax.simulate(strategy, quadratic, 120, keys).best_y[:, -1])
        for strategy in (RegularizedEvolution(space, crossover=chance), Random(space))
    )
    assert ours < theirs / 2


def test_nsga2_dominates_more_than_random_search():
    space = bojax.Space({name: bojax.Float(0.0, 1.0) for name in "abcd"})

    def both(x):
        """Zitzler, Deb and Thiele's first problem, in four columns."""
        g = 1 + 3 * jnp.sum(x[1:])
        return jnp.stack([x[0], g * (1 - jnp.sqrt(x[0] / g))])

    def run(strategy, key):
        def step(state, _):
            points, state = strategy.ask(state)
            return strategy.tell(state, points, jax.vmap(both)(points.x)), None

        start = strategy.init(key, 128, num_objectives=2)
        return jax.lax.scan(step, start, None, 120)[0].trials.y[:120]

    volumes = []
    for strategy in (NSGA2(space), Random(space)):
        runs = jax.jit(jax.vmap(lambda key, s=strategy: run(s, key)))(
            jax.random.split(jax.random.key(0), 6)
        )
        reference = np.array([1.1, 6.0])
        volumes.append([pareto.hypervolume(np.asarray(y), reference) for y in runs])
    assert min(volumes[0]) > max(volumes[1])


def test_the_parents_of_a_batch_are_those_of_each_of_its_points():
    """What is pending is no parent: asked for at once or one by one is the same."""
    strategy = NSGA2(TREE, population=4)
    state = strategy.init(jax.random.key(0), 32, num_objectives=2)
    x = TREE.sample(jax.random.key(1), 8)
    state = strategy.observe(state, x, jnp.stack([x[:, 1], 1 - x[:, 2]], axis=1))
    at_once, _ = strategy.ask(state, 4)
    for k in range(4):
        points, state = strategy.ask(state)
        np.testing.assert_array_equal(points.x[0], at_once.x[k])


def test_bad_arguments_are_errors_that_name_them():
    with pytest.raises(ValueError, match="population: expected at least 1, got 0"):
        RegularizedEvolution(TREE, population=0)
    with pytest.raises(ValueError, match="tournament: expected at least 1, got 0"):
        RegularizedEvolution(TREE, tournament=0)
    with pytest.raises(ValueError, match="crossover: expected a chance from 0 to 1"):
        RegularizedEvolution(TREE, crossover=1.5)
    with pytest.raises(ValueError, match="population: expected at least 1, got 0"):
        NSGA2(TREE, population=0)
    with pytest.raises(ValueError, match="crossover: expected a chance from 0 to 1"):
        NSGA2(TREE, crossover=-0.1)
