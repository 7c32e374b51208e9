"""Evolution beside random search.

    python -m benchmarks.zero.success TASK RANDOM EVOLVED

The tasks of the paper's section 4.1: 8 features, 1000 training and 100 validation
examples, 3 tasks at a time, only the operations that are needed, functions of the
known solution's lengths. A program is acceptable if its error (RMSE, on average over
tasks as its fitness is) is at most 1.001 times that of the program written by hand,
with a learning rate of 0.01. The paper does not say which rate its reference had.

RANDOM programs are drawn in blocks of a million, each block with new tasks. Programs
whose prediction cannot depend on the example, or whose learning cannot depend on the
label, are not run: they cannot be acceptable. Evolution runs in experiments of 10,000
evaluations (100,000 for the affine regressor, as in the paper), each with new tasks,
of which at most one success counts. Success rates have exact Poisson intervals of 95 %,
their ratio an exact conditional binomial one.

Resumable: what was run is kept in results/success.csv, a line for each part.
"""

import csv
import sys
import time

import numpy as np
from scipy import stats

from benchmarks.zero.machine import RESULTS, write
from bojax.zero import (
    Memory,
    Op,
    SearchSpace,
    evaluate,
    evolve,
    examples,
    kernels,
    tasks,
)
from bojax.zero._compile import compiled
from bojax.zero.analysis import mark_live, pack
from bojax.zero.island import combine
from bojax.zero.kernels import decode, evaluate_one, memory_size
from bojax.zero.operations import INPUTS, SCALAR, VECTOR
from bojax.zero.search_space import FIXED_LENGTH, random_program, rules

FILE = RESULTS / "success.csv"
BLOCK = 1_000_000
_CONSTANTS = (Op.SCALAR_CONST, Op.VECTOR_CONST)
_STEP = (
    Op.SCALAR_DIFF,
    Op.SCALAR_PRODUCT,
    Op.SCALAR_VECTOR_PRODUCT,
    Op.VECTOR_SUM,
)


def _space(lengths, memory, setup, predict, learn, start=None) -> SearchSpace:
    least = tuple(n if start is None or i == 2 else 0 for i, n in enumerate(lengths))
    return SearchSpace(
        setup,
        predict,
        learn,
        most=lengths,
        least=least,
        initial=least,
        memory=memory,
        mutations=FIXED_LENGTH,
        start=start,
    )


_LINEAR, _AFFINE = examples.linear_regressor(), examples.affine_regressor()
TASKS = {
    # name: space, affine, evaluations of an experiment, the paper's ratio
    "linear-learn": (
        _space((5, 1, 4), Memory(4, 3, 1), (), (), _STEP, _LINEAR),
        False,
        10_000,
        2.9,
    ),
    "linear": (
        _space(
            (5, 1, 4), Memory(4, 3, 1), _CONSTANTS, (Op.VECTOR_INNER_PRODUCT,), _STEP
        ),
        False,
        10_000,
        5.6,
    ),
    "affine-learn": (
        _space((6, 2, 6), Memory(5, 3, 1), (), (), (Op.SCALAR_SUM, *_STEP), _AFFINE),
        True,
        10_000,
        150,
    ),
    "affine": (
        _space(
            (6, 2, 6),
            Memory(5, 3, 1),
            _CONSTANTS,
            (Op.SCALAR_SUM, Op.VECTOR_INNER_PRODUCT),
            (Op.SCALAR_SUM, *_STEP),
        ),
        True,
        100_000,
        23_000,
    ),
}


def draw_tasks(key: int, affine: bool) -> tasks.Tasks:
    return tasks.linear_regression(key, 3, 8, 1000, 100, affine)


def threshold(data: tasks.Tasks, affine: bool) -> float:
    """The fitness at 1.001 times the reference's error."""
    reference = _AFFINE if affine else _LINEAR
    fitness = evaluate(reference, data).fitness
    error = np.tan((1 - fitness) * np.pi / 2)
    return float(1 - 2 / np.pi * np.arctan(1.001 * error))


@compiled
def reads(op, addresses, length, live, component, kind, address):
    """Whether a live instruction of a function reads this."""
    for i in range(length[component]):
        if live[component, i]:
            for j in range(2):
                number = op[component, i]
                if INPUTS[number, j] == kind and addresses[component, i, j] == address:
                    return True
    return False


@compiled
def search_at_random(start, allowed, data, limit, rng, count, accepted):
    """Counts acceptable programs among random ones, and those that were run."""
    width = start[0].shape[1]
    op, addresses, constants, length = start
    live = np.zeros((3, width), np.bool_)
    alive, names = np.zeros((3, 4), np.int64), np.zeros((4, 64), np.int64)
    form = (
        np.zeros((3, width), np.int64),
        np.zeros((3, width, 3), np.int64),
        np.zeros((3, width, 3)),
        np.zeros((3, width), np.int64),
        np.zeros(3, np.int64),
    )
    code = np.zeros((3, width, 9), np.uint64)
    memory = np.zeros(memory_size(data.sizes))
    work, none = np.zeros((6, data.sizes[1])), np.zeros((0, 0))
    successes = num_run = 0
    for _ in range(count):
        random_program(start, allowed, rng)
        mark_live(op, addresses, length, False, alive, live)
        if not reads(op, addresses, length, live, 1, VECTOR, 0):
            continue
        if not reads(op, addresses, length, live, 2, SCALAR, 0):
            continue
        num_run += 1
        pack(op, addresses, constants, length, False, live, names, form)
        decode(form[0], form[1], form[3], form[4], data.sizes, code)
        evaluate_one(code, form[2], form[4], data, memory, work, none)
        if combine(work[0], False) >= limit:
            if successes < len(accepted):
                accepted[successes] = combine(work[0], False)
            successes += 1
    return successes, num_run


def random_block(name: str, number: int) -> tuple[int, int, int, float]:
    """Programs, successes, programs that were run, seconds."""
    space, affine, *_ = TASKS[name]
    data = draw_tasks(10_000_000 + number, affine)
    allowed, width = rules(space), max(space.most)
    start = (
        np.zeros((3, width), np.uint8),
        np.zeros((3, width, 3), np.uint8),
        np.zeros((3, width, 3)),
        np.zeros(3, np.int64),
    )
    if space.start is not None:
        padded = space.start.pad(width, space.memory)
        parts = padded.op, padded.addresses, padded.constants, padded.length
        for mine, given in zip(start, parts, strict=True):
            mine[...] = given
    began = time.perf_counter()
    successes, num_run = search_at_random(
        start,
        allowed,
        kernels.lanes(data, space.memory),
        threshold(data, affine),
        np.random.default_rng([number, 1]),
        BLOCK,
        np.zeros(10),
    )
    return BLOCK, successes, num_run, time.perf_counter() - began


def experiment(name: str, number: int) -> tuple[int, int, int, float]:
    """One of evolution."""
    space, affine, evaluations, _ = TASKS[name]
    data = draw_tasks(20_000_000 + number, affine)
    limit = threshold(data, affine)
    found = evolve(
        data,
        number,
        space,
        max_evaluations=evaluations,
        target=limit,
        progress=False,
    )
    # Stopped at its one success; the evaluations that it would have made count.
    return evaluations, int(found.success), found.savings.in_full, found.seconds


def done(name: str) -> dict[str, list[list[float]]]:
    parts: dict[str, list[list[float]]] = {"random": [], "evolution": []}
    if FILE.exists():
        with FILE.open() as lines:
            for row in csv.DictReader(lines):
                if row["task"] == name:
                    values = [
                        row[k] for k in ("programs", "successes", "run", "seconds")
                    ]
                    parts[row["search"]].append([float(v) for v in values])
    return parts


def keep(name: str, search: str, number: int, result: tuple) -> None:
    RESULTS.mkdir(exist_ok=True)
    if not FILE.exists():
        FILE.write_text("task,search,number,programs,successes,run,seconds\n")
    with FILE.open("a") as lines:
        programs, successes, num_run, seconds = result
        lines.write(
            f"{name},{search},{number},{programs},{successes},{num_run},{seconds:.3f}\n"
        )


def poisson(successes: float) -> tuple[float, float]:
    """Exact 95 % limits of a Poisson mean."""
    low = stats.chi2.ppf(0.025, 2 * successes) / 2 if successes else 0.0
    return float(low), float(stats.chi2.ppf(0.975, 2 * (successes + 1)) / 2)


def ratio(one: float, of_one: float, two: float, of_two: float) -> tuple[float, float]:
    """Exact 95 % limits of the ratio of two Poisson rates, given their sum."""
    share = stats.binomtest(int(one), int(one + two)).proportion_ci(0.95, "exact")
    low, high = (p / (1 - p) * of_two / of_one if p < 1 else np.inf for p in share)
    return float(low), float(high)


def report() -> None:
    lines = [
        "# Evolution beside random search",
        "",
        (__doc__ or "").split("\n\n", 2)[2].strip(),
        "",
        "| task | search | programs | successes | rate [95 %] | run in full "
        "| programs/s |",
        "|" + " --- |" * 7,
    ]
    ratios = ["", "| task | difficulty | evolution / random [95 %] | the paper's |"]
    ratios += ["|" + " --- |" * 4]
    for name, (*_, papers) in TASKS.items():
        rates = {}
        for search, rows in done(name).items():
            if not rows:
                continue
            programs, successes, num_run, seconds = np.sum(rows, axis=0)
            low, high = poisson(successes)
            rates[search] = successes, programs
            lines.append(
                f"| {name} | {search} | {programs:.3g} | {successes:.0f} "
                f"| {successes / programs:.2e} [{low / programs:.1e}, "
                f"{high / programs:.1e}] | {num_run / programs:.2%} "
                f"| {programs / seconds:,.0f} |"
            )
        if len(rates) == 2 and rates["evolution"][0] + rates["random"][0]:
            (a, of_a), (b, of_b) = rates["evolution"], rates["random"]
            low, high = ratio(a, of_a, b, of_b)
            if b:
                middle = f"{a / of_a * of_b / b:.3g} [{low:.2g}, {high:.2g}]"
                difficulty = f"{of_b / b:.1e}"
            else:
                one_sided = stats.beta.ppf(0.05, a, b + 1)
                bound = one_sided / (1 - one_sided) * of_b / of_a
                middle, difficulty = f"> {bound:.2g} (one-sided 95 %)", f"> {of_b:.0e}"
            ratios.append(f"| {name} | {difficulty} | {middle} | {papers:g} |")
    write("success.md", lines + ratios)


def main(name: str, num_random: float, num_evolved: float) -> None:
    parts = done(name)
    for number in range(len(parts["random"]), round(num_random / BLOCK)):
        keep(name, "random", number, random_block(name, number))
    experiments = round(num_evolved / TASKS[name][2])
    for number in range(len(parts["evolution"]), experiments):
        keep(name, "evolution", number, experiment(name, number))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(sys.argv[1], *(float(each) for each in sys.argv[2:]))
    report()
