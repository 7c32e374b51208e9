"""Evolution of programs: islands on threads, migration, restarts, checkpoints.

References:
    Real, Liang, So and Le (2020), AutoML-Zero, section 3.2, supplement S3 and S7.
"""

import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from bojax.zero import island as islands
from bojax.zero import kernels
from bojax.zero._compile import require_numba
from bojax.zero.checkpoint import Search, fingerprint, load, save
from bojax.zero.evaluate import evaluate
from bojax.zero.island import Island, Settings
from bojax.zero.program import Memory, Program
from bojax.zero.search_space import DEMO, Rules, SearchSpace, rules
from bojax.zero.tasks import Tasks

_ROUND = 2000
"""Evaluations between two looks at the islands."""
_CANDIDATES = 20
"""How many programs of a population are tried on the tasks to select by."""
_SAVE_EVERY = 30.0
"""Seconds between two checkpoints."""


class Savings(NamedTuple):
    """What the stages of evaluation spared: how the evaluations ended.

    Args:
        evaluations: all of them.
        same_form: their canonical form, without dead code, had been seen.
        equivalent: they erred like another program in 10 + 10 steps.
        failed_early: they failed on all tasks within the first 10 steps.
        under_hurdle: they were below the hurdle on the first task.
        in_full: they were trained and validated on all tasks.
        train_steps: training steps that were run, counting each task's.
    """

    evaluations: int = 0
    same_form: int = 0
    equivalent: int = 0
    failed_early: int = 0
    under_hurdle: int = 0
    in_full: int = 0
    train_steps: int = 0

    def __str__(self) -> str:
        total = max(self.evaluations, 1)
        parts = [
            f"{count / total:.1%} {name.replace('_', ' ')}"
            for name, count in zip(self._fields[1:6], self[1:6], strict=True)
        ]
        return f"{self.evaluations:,} evaluations: {', '.join(parts)}"


@dataclasses.dataclass(frozen=True)
class Evolved:
    """What a search found.

    Args:
        program: the best on the tasks to select by or, without those, to search on.
        fitness: on the tasks to search on.
        select_fitness: on those to select by; NaN without them.
        test_fitness: on those to test on; NaN without them.
        savings: what the stages of evaluation spared.
        history: evaluations so far, and the best fitness of the experiment by then.
        experiments: how often evolution was started.
        seconds: how long it took.
        success: whether the target was reached, or all evaluations made without one.
        message: why the search ended.
    """

    program: Program
    fitness: float
    select_fitness: float
    test_fitness: float
    savings: Savings
    history: Float[np.ndarray, "t 2"]
    experiments: int
    seconds: float
    success: bool
    message: str

    def __repr__(self) -> str:
        return (
            f"message: {self.message}\n"
            f"success: {self.success}\n"
            f"fitness: {self.fitness:.6f} search, {self.select_fitness:.6f} select, "
            f"{self.test_fitness:.6f} test\n"
            f"savings: {self.savings}\n"
            f"{self.program}"
        )


def evolve(
    tasks: Tasks,
    key: Any = 0,
    space: SearchSpace = DEMO,
    *,
    max_evaluations: int = 1_000_000,
    select: Tasks | None = None,
    test: Tasks | None = None,
    target: float | int | None = None,
    population_size: int = 1000,
    tournament_size: int = 10,
    mutation_probability: float | int = 0.9,
    num_islands: int = 1,
    migrate_every: int | None = None,
    restart_every: int | None = None,
    combine: str = "mean",
    remove_dead_code: bool = True,
    equivalence: bool = True,
    hurdle: bool = False,
    timeout: float | int | None = None,
    checkpoint: str | os.PathLike | None = None,
    progress: bool = True,
) -> Evolved:
    """Searches for a program that learns, by regularized evolution.

    A population of programs, random ones at first. Then again and again a few of them
    compete, a mutated copy of the best takes the place of the oldest program, and is
    evaluated, in stages: see `bojax.zero.island`. Needs numba.

    Ctrl-C returns what was found so far.

    Args:
        tasks: on which programs are evaluated.
        key: an integer, or a JAX key. The same key gives the same run, as long as no
            timeout ends it.
        space: which programs, and by which mutations.
        max_evaluations: of all islands and experiments together.
        select: tasks by which the best program of all experiments is chosen.
        test: tasks for the final fitness of the chosen program alone.
        target: fitness, on the tasks to select by if there are any, that ends the
            search.
        population_size: P, programs on an island.
        tournament_size: T, how many compete to be the parent.
        mutation_probability: U, of a child to differ from its parent.
        num_islands: each evolves on a thread of its own.
        migrate_every: evaluations of each island after which half of its population
            leaves and is replaced by as many from all islands at random.
        restart_every: evaluations of each island after which evolution starts anew.
        combine: "mean" or "median" of the tasks is a program's fitness.
        remove_dead_code: whether dead code is removed and canonical forms compared.
        equivalence: whether programs that err alike in 10 training and 10 validation
            steps are taken to be equivalent.
        hurdle: whether programs below the 75th percentile on the first task go no
            further.
        timeout: seconds after which the search ends.
        checkpoint: a file to keep the search in. If it exists the search goes on from
            there, as if it had not been interrupted.
        progress: whether to show a bar with the best fitness, on stderr.

    Returns:
        The best program, its fitness, and what was spared.

    Raises:
        ValueError: if an argument is out of range, tasks differ in kind, or the
            checkpoint is of another configuration.
        ImportError: if numba is missing.

    Example:
        >>> from bojax.zero import tasks
        >>> found = evolve(
        ...     tasks.linear_regression(0), max_evaluations=3000, progress=False
        ... )
        >>> found.savings.evaluations, found.fitness > 0.2
        (3000, True)
    """
    require_numba("evolve")
    settings = Settings(
        tournament_size,
        float(mutation_probability),
        remove_dead_code,
        equivalence,
        hurdle,
        combine == "median",
    )
    _check_options(
        settings,
        combine,
        population_size,
        num_islands,
        max_evaluations=max_evaluations,
        migrate_every=migrate_every,
        restart_every=restart_every,
        timeout=timeout,
    )
    for name, other in (("select", select), ("test", test)):
        if other is not None and other.kind != tasks.kind:
            raise ValueError(
                f"{name}: expected tasks of kind {tasks.kind!r}, got {other.kind!r}"
            )
    seed = _seed(key)
    allowed = rules(space, tasks.multiclass)
    runner = _Runner(tasks, space.memory, allowed, settings)
    plan = _Plan(space, seed, population_size, num_islands)
    path = None if checkpoint is None else pathlib.Path(checkpoint)
    name = fingerprint(
        tasks,
        select,
        space,
        settings,
        seed,
        population_size,
        num_islands,
        migrate_every,
        restart_every,
        target,
    )
    search = plan.start()
    if path is not None and path.exists():
        search = load(path, name, search, space)
    began, saved = time.monotonic() - search.seconds, time.monotonic()
    ended, message = False, f"all {max_evaluations:,} evaluations were made"
    success = target is None
    with (
        concurrent.futures.ThreadPoolExecutor(num_islands) as threads,
        _bar(max_evaluations, search.done, progress) as show,
    ):
        try:
            while not ended and search.done < max_evaluations:
                since = int(search.islands[0].counts[islands.EVALUATIONS])
                if since == restart_every:
                    plan.restart(search)
                    since = 0
                elif migrate_every is not None and since and since % migrate_every == 0:
                    _migrate(search)
                step = _step(
                    since,
                    -(-(max_evaluations - search.done) // num_islands),
                    restart_every,
                    migrate_every,
                )
                waiting = [
                    threads.submit(runner.advance, *each, step)
                    for each in zip(search.islands, search.generators, strict=True)
                ]
                for each in waiting:
                    each.result()
                search.done += step * num_islands
                search.seconds = time.monotonic() - began
                fitness = float(_best_island(search).best_fitness[0])
                search.history.append((search.done, fitness))
                show(fitness, search)
                at_end = since + step == restart_every
                if target is not None or at_end:
                    _consider(search, space.memory, select, combine, more=at_end)
                if target is not None and search.best_selected >= target:
                    ended, success = True, True
                    message = f"the target of {target:g} was reached"
                elif timeout is not None and search.seconds >= timeout:
                    ended = True
                    message = f"the timeout of {timeout:g} seconds has passed"
                due = time.monotonic() - saved >= _SAVE_EVERY
                if path is not None and (
                    ended or due or search.done >= max_evaluations
                ):
                    save(path, name, search)
                    saved = time.monotonic()
        except KeyboardInterrupt:
            success, message = False, "interrupted"
    if not (success and target is not None):
        # Not before it is saved: a search that goes on does not look now.
        _consider(search, space.memory, select, combine, more=True)
    savings = np.array(search.spent)
    for each in search.islands:
        savings += each.counts[:7]
    program = Program.of(memory=space.memory) if search.best is None else search.best
    tested = float("nan")
    if test is not None:
        tested = float(evaluate(program, test, "numba", combine).fitness)
    return Evolved(
        program,
        search.best_fitness,
        search.best_selected if select is not None else float("nan"),
        tested,
        Savings(*(int(count) for count in savings)),
        np.array(search.history, float).reshape(-1, 2),
        search.experiment + 1,
        time.monotonic() - began,
        success,
        message,
    )


class _Plan(NamedTuple):
    """How experiments start: each has draws of its own."""

    space: SearchSpace
    seed: int
    population_size: int
    num_islands: int

    def start(self) -> Search:
        search = Search([], self._generator(0, self.num_islands), [])
        self._found(search)
        return search

    def restart(self, search: Search) -> None:
        for each in search.islands:
            for i in range(7):
                search.spent[i] += int(each.counts[i])
        search.experiment += 1
        search.looked_at = -1.0
        self._found(search)

    def _found(self, search: Search) -> None:
        numbers = range(self.num_islands)
        search.islands = [
            islands.found(self.space, self.population_size) for _ in numbers
        ]
        search.generators = [self._generator(search.experiment, i) for i in numbers]

    def _generator(self, experiment: int, number: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, experiment, number])


class _Runner:
    """What islands need to evolve, in the layout of the kernels."""

    def __init__(
        self, tasks: Tasks, memory: Memory, allowed: Rules, settings: Settings
    ):
        few = islands.EXAMPLES
        self.arguments = (
            allowed,
            settings,
            kernels.lanes(tasks, memory),
            kernels.lanes(tasks.first_examples(few, few), memory),
            kernels.lanes(tasks[:1], memory),
        )

    def advance(self, island: Island, rng: np.random.Generator, count: int) -> None:
        islands.advance(island, *self.arguments, rng, count)


def _step(
    since: int, left: int, restart_every: int | None, migrate_every: int | None
) -> int:
    """How many evaluations until there is something to do."""
    steps = [_ROUND, left]
    if restart_every is not None:
        steps.append(restart_every - since)
    if migrate_every is not None:
        steps.append(migrate_every - since % migrate_every)
    return min(steps)


def _best_island(search: Search) -> Island:
    return max(search.islands, key=lambda each: each.best_fitness[0])


def _consider(
    search: Search, memory: Memory, select: Tasks | None, combine: str, more: bool
) -> None:
    """Keeps the best program if it is the best of all on the tasks to select by.

    Args:
        search: where it is kept.
        memory: of the programs.
        select: the tasks; None: by the fitness of the search.
        combine: of several tasks.
        more: whether to try several programs of each population.
    """
    best = _best_island(search)
    candidates = []
    if best.best_fitness[0] > search.looked_at:
        search.looked_at = float(best.best_fitness[0])
        program = Program(
            best.best_op[None].copy(),
            best.best_addresses[None].copy(),
            best.best_constants[None].copy(),
            best.best_length[None].astype(np.int32),
            memory,
        )
        candidates.append((program, best.best_fitness.copy()))
    for each in search.islands if more and select is not None else ():
        # The best ones that differ in fitness.
        chosen = np.unique(each.fitness, return_index=True)[1][::-1][:_CANDIDATES]
        parts = each.op[chosen], each.addresses[chosen], each.constants[chosen]
        length = each.length[chosen].astype(np.int32)
        candidates.append((Program(*parts, length, memory), each.fitness[chosen]))
    for programs, fitness in candidates:
        selected = fitness
        if select is not None:
            selected = evaluate(programs, select, "numba", combine).fitness
        number = int(np.argmax(selected))
        if selected[number] > search.best_selected:
            search.best = programs[number]
            search.best_fitness = float(fitness[number])
            search.best_selected = float(selected[number])


def _migrate(search: Search) -> None:
    """Half of each population, at random, is replaced from all that was sent."""
    size = len(search.islands[0].fitness)
    half = size // 2
    leaving = [search.own.permutation(size)[:half] for _ in search.islands]
    pool = [
        np.concatenate(
            [each[i][rows] for each, rows in zip(search.islands, leaving, strict=True)]
        )
        for i in range(5)
    ]
    order = search.own.permutation(len(pool[0]))
    for number, (each, rows) in enumerate(zip(search.islands, leaving, strict=True)):
        taken = order[number * half : (number + 1) * half]
        for array, sent in zip(each[:5], pool, strict=True):
            np.asarray(array)[rows] = sent[taken]


def _seed(key: Any) -> int:
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if key < 0:
            raise ValueError(f"key: expected a nonnegative integer, got {key}")
        return int(key)
    is_array = isinstance(key, jax.Array)
    if is_array and jnp.issubdtype(key.dtype, jax.dtypes.prng_key) and not key.shape:
        data = np.asarray(jax.random.key_data(key)).astype(np.uint32)
        return int.from_bytes(data.tobytes(), "little")
    raise TypeError(f"key: expected an integer or one jax.random.key, got {key!r}")


def _check_options(
    settings: Settings,
    combine: str,
    population_size: int,
    num_islands: int,
    **counts: Any,
) -> None:
    if combine not in ("mean", "median"):
        raise ValueError(f"combine: expected 'mean' or 'median', got {combine!r}")
    sizes = (
        ("population_size", population_size, 2, np.inf),
        ("tournament_size", settings.tournament_size, 1, population_size),
        ("num_islands", num_islands, 1, np.inf),
    )
    for name, size, least, most in sizes:
        if not isinstance(size, int | np.integer) or not least <= size <= most:
            limits = f"at least {least}" if most == np.inf else f"{least} to {most}"
            raise ValueError(f"{name}: expected an integer, {limits}, got {size}")
    if not 0 <= settings.mutation_probability <= 1:
        raise ValueError(
            "mutation_probability: expected a number in [0, 1], got "
            f"{settings.mutation_probability}"
        )
    for name, count in counts.items():
        if count is not None and not count > 0:
            raise ValueError(f"{name}: expected a number > 0, got {count}")


@contextlib.contextmanager
def _bar(
    planned: int, done: int, progress: bool
) -> Iterator[Callable[[float, Search], None]]:
    """A progress bar with the best fitness; gives a function to call after a round."""
    if not progress:
        yield lambda fitness, search: None
        return
    with warnings.catch_warnings():  # on notebooks without widgets
        warnings.simplefilter("ignore")
        from tqdm.auto import tqdm

        bar = tqdm(
            total=planned,
            initial=done,
            unit="program",
            unit_scale=True,
            dynamic_ncols=True,
            mininterval=0.2,
        )

    def show(fitness: float, search: Search) -> None:
        bar.set_postfix_str(
            f"experiment {search.experiment + 1}, best {fitness:.6f}", refresh=False
        )
        bar.update(min(search.done, planned) - bar.n)

    with contextlib.closing(bar):
        yield show
