"""Searches by name: each yields configurations and is sent their values."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks.searches.objectives import Objective
from bojax import strategies
from bojax._numerics import bucket
from bojax.space import Categorical, Float, Ordinal, Space

Run = Callable[[Objective, list[dict], int, int], list[float]]
"""(objective, initial configurations, seed, evaluations) -> all values, in order."""


def ours(factory: Callable[[Space], Any]) -> Run:
    """A strategy of bojax by its pure layer, in double precision."""

    def run(objective: Objective, initial: list[dict], seed: int, count: int):
        y = [objective.fn(config) for config in initial]
        space = objective.space
        with jax.enable_x64(True):
            strategy = factory(space)
            state = strategy.init(jax.random.key(seed), capacity=bucket(count))
            x = jax.numpy.asarray(np.stack([space.encode(c) for c in initial]))
            state = strategy.observe(state, x, jax.numpy.asarray(y))
            while len(y) < count:
                points, state = strategy.ask(state)
                y.append(objective.fn(space.decode(points.x[0])))
                state = strategy.tell(state, points, jax.numpy.asarray(y[-1:]))
        return y

    return run


def distributions(space: Space) -> list[Any]:
    """Each column as Optuna knows it; ordinal values by their place."""
    from optuna import distributions as kinds

    found = []
    for _, parameter in space.columns:
        if isinstance(parameter, Categorical):
            kind = kinds.CategoricalDistribution(parameter.values)
        elif isinstance(parameter, Ordinal):
            kind = kinds.IntDistribution(0, len(parameter.values) - 1)
        elif isinstance(parameter, Float):
            kind = kinds.FloatDistribution(
                parameter.low, parameter.high, log=parameter.log
            )
        else:
            kind = kinds.IntDistribution(
                parameter.low, parameter.high, log=parameter.log
            )
        found.append(kind)
    return found


def _columns(space: Space, config: dict) -> list[int]:
    active = space.active(np.asarray(space.encode(config)))
    return np.flatnonzero(active).tolist()


def optuna(make: Callable[[Any, int], Any]) -> Run:
    """A sampler of Optuna, asked for each parameter as its conditions are met."""

    def run(objective: Objective, initial: list[dict], seed: int, count: int):
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        space = objective.space
        axes = distributions(space)
        names = [f"{j}-{column.name}" for j, column in enumerate(space.columns)]
        study = optuna.create_study(sampler=make(optuna.samplers, seed))
        y = [objective.fn(config) for config in initial]
        for config, value in zip(initial, y, strict=True):
            params, kinds = {}, {}
            for j in _columns(space, config):
                name, parameter = space.columns[j]
                given = config[name]
                if isinstance(parameter, Ordinal):
                    given = parameter.values.index(given)
                params[names[j]], kinds[names[j]] = given, axes[j]
            study.add_trial(
                optuna.trial.create_trial(
                    params=params, distributions=kinds, value=value
                )
            )
        while len(y) < count:
            trial = study.ask()
            config = suggest(trial, space, axes, names)
            y.append(objective.fn(config))
            study.tell(trial, y[-1])
        return y

    return run


def suggest(trial: Any, space: Space, axes: list, names: list[str]) -> dict:
    """A configuration, parents first: a column is asked for where it exists."""
    x = np.full(space.num_columns, 0.5)
    config: dict = {}
    for j in space.order:
        if not space.active(x)[j]:
            continue
        name, parameter = space.columns[j]
        value = trial._suggest(names[j], axes[j])
        if isinstance(parameter, Ordinal):
            value = parameter.values[value]
        config[name] = value
        x[j] = parameter.scale.center(parameter.find(value))
    return config


CONTENDERS: dict[str, Run] = {
    "random": ours(strategies.Random),
    "bojax-tpe": ours(strategies.TPE),
    "bojax-tpe-columns": ours(lambda s: strategies.TPE(s, multivariate=False)),
    "bojax-bayes": ours(strategies.BayesOpt),
    "optuna-tpe": optuna(lambda s, seed: s.TPESampler(seed=seed)),
    "optuna-tpe-group": optuna(
        lambda s, seed: s.TPESampler(seed=seed, multivariate=True, group=True)
    ),
}
"""All start from the same ten random configurations."""
