"""Digits told apart by evolved programs: `python -m benchmarks.zero.digits [MINUTES]`.

Scikit-learn's 8 by 8 digits: 36 pairs of digits to search on, 9 held out, projected at
random to 16 features and standardized. Evolution starts from empty programs with the
operations of the paper's baseline (supplement S10), evaluates on tasks of the search
pairs with a hurdle, is selected on other projections of them and is tested once on the
held-out pairs, beside programs written by hand: logistic regression and a network of
one hidden layer, each with the best learning rate (and scale) of a grid on the very
tasks that the evolved program is selected by. In the end, constants tuned on tasks of
the search pairs alone, at all 64 pixels.
"""

import sys
import time

import numpy as np

from benchmarks.zero.machine import write
from bojax.zero import (
    Memory,
    Op,
    SearchSpace,
    eliminate_dead_code,
    evaluate,
    evolve,
    examples,
    explain,
    tasks,
    tune,
)

SPACE = SearchSpace(
    setup=(
        Op.SCALAR_CONST,
        Op.SCALAR_GAUSSIAN,
        Op.SCALAR_UNIFORM,
        Op.VECTOR_GAUSSIAN,
        Op.VECTOR_UNIFORM,
        Op.MATRIX_GAUSSIAN,
        Op.MATRIX_UNIFORM,
    ),
    predict=(
        Op.SCALAR_SUM,
        Op.MATRIX_VECTOR_PRODUCT,
        Op.VECTOR_MAX,
        Op.VECTOR_INNER_PRODUCT,
        Op.VECTOR_SUM,
    ),
    learn=(
        Op.SCALAR_SUM,
        Op.SCALAR_DIFF,
        Op.SCALAR_PRODUCT,
        Op.SCALAR_VECTOR_PRODUCT,
        Op.VECTOR_SUM,
        Op.VECTOR_HEAVISIDE,
        Op.VECTOR_PRODUCT,
        Op.VECTOR_OUTER_PRODUCT,
        Op.MATRIX_SUM,
    ),
    most=(7, 11, 23),
    memory=Memory(5, 9, 2),
)
RATES = np.geomspace(0.003, 3, 13)
SCALES = (0.03, 0.1, 0.3, 1.0)


def standard_error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def best_by_hand(data: tasks.Tasks) -> dict:
    """Programs written by hand, with the best settings on these tasks."""
    logistic = [examples.affine_regressor(float(rate)) for rate in RATES]
    network = [
        examples.neural_network(float(rate), scale, scale)
        for rate in RATES
        for scale in SCALES
    ]
    return {
        name: max(programs, key=lambda each: evaluate(each, data).fitness)
        for name, programs in (("logistic", logistic), ("network", network))
    }


def main(minutes: float = 10.0, seed: int = 0, num_islands: int = 2) -> None:
    images = tasks.digits()
    search_pairs, held_out = tasks.split_pairs(seed)
    search = tasks.pairs_of_classes(images, 1, search_pairs, num_tasks=108)
    select = tasks.pairs_of_classes(images, 2, search_pairs, num_tasks=108)
    test = tasks.pairs_of_classes(images, 3, held_out, num_tasks=90)
    by_hand = best_by_hand(select)
    reference = float(evaluate(by_hand["logistic"], select).fitness)
    began = time.perf_counter()
    found = evolve(
        search,
        seed,
        SPACE,
        max_evaluations=10**10,
        select=select,
        population_size=100,
        num_islands=num_islands,
        migrate_every=10_000,
        restart_every=300_000,
        hurdle=True,
        timeout=60 * minutes,
        progress=sys.stderr.isatty(),
    )
    seconds = time.perf_counter() - began
    lines = [
        "# Digits told apart by evolved programs",
        "",
        (__doc__ or "").split("\n\n", 1)[1].strip(),
        "",
        f"Seed {seed}, {num_islands} islands of 100 programs, {seconds:.0f} s. "
        f"{found.savings}; {found.experiments} experiments. Logistic regression "
        f"reaches {reference:.4f} on the tasks to select by.",
        "",
        "Accuracy on the 9 held-out pairs, 10 projections each; the difference to "
        "logistic regression is over the same tasks, with its standard error.",
        "",
        "| program | instructions | search | select | held out | beside logistic |",
        "|" + " --- |" * 6,
    ]
    base = evaluate(by_hand["logistic"], test).by_task
    for name, program in {**by_hand, "evolved": found.program}.items():
        scores = evaluate(program, test).by_task
        short = eliminate_dead_code(program)
        lines.append(
            f"| {name} | {short.length.sum()} "
            f"| {evaluate(program, search).fitness:.4f} "
            f"| {evaluate(program, select).fitness:.4f} | {scores.mean():.4f} "
            f"| {np.mean(scores - base):+.4f} ± {standard_error(scores - base):.4f} |"
        )
    full = {"num_features": None}
    tuning = tasks.pairs_of_classes(images, 4, search_pairs, num_tasks=36, **full)
    final = tasks.pairs_of_classes(images, 5, held_out, num_tasks=45, **full)
    lines += [
        "",
        "At all 64 pixels, each with its constants tuned by 60 trials of BayesOpt on "
        "the search pairs:",
        "",
        "| program | as it was | tuned |",
        "| --- | --- | --- |",
    ]
    for name, program in {**by_hand, "evolved": found.program}.items():
        before = evaluate(program, final).fitness
        try:
            tuned, _ = tune(program, tuning, 60, progress=False)
            after = f"{evaluate(tuned, final).fitness:.4f}"
        except ValueError:
            after = "has no constants"
        lines.append(f"| {name} | {before:.4f} | {after} |")
    lines += [
        "",
        "```",
        str(eliminate_dead_code(found.program)),
        "```",
        "",
        "```",
        explain(found.program),
        "```",
    ]
    write("digits.md", lines)


if __name__ == "__main__":
    main(*(float(each) for each in sys.argv[1:2]))
