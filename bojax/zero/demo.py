"""The demo: a program that learns linear regression is evolved from six operations.

The setting is that of the published code's demo: 4 features, 10 tasks of 100 training
and 100 validation examples, functions of 10, 2 and 8 instructions. The best program is
tried on 100 tasks with 1000 training examples, until it reaches 0.9999 there, and in
the end on 100 others.
"""

import time

from bojax.zero.analysis import eliminate_dead_code
from bojax.zero.evolve import evolve
from bojax.zero.explain import explain
from bojax.zero.search_space import DEMO
from bojax.zero.tasks import linear_regression

TARGET = 0.9999
RESTART_EVERY = 500_000


def run(seed: int = 0, num_islands: int = 2, seconds: float | int = 900) -> None:
    """Searches, prints the program that was found and explains it.

    Args:
        seed: another one, another run.
        num_islands: threads.
        seconds: when to give up.
    """
    began = time.perf_counter()
    print(
        "Evolving programs that learn y = w . x from examples, out of six operations.\n"
        "The first run compiles for about half a minute."
    )
    found = evolve(
        linear_regression(seed),
        seed,
        DEMO,
        max_evaluations=10**9,
        select=linear_regression(seed + 1_000_000, 100, num_train=1000),
        test=linear_regression(seed + 2_000_000, 100, num_train=1000),
        target=TARGET,
        num_islands=num_islands,
        restart_every=RESTART_EVERY,
        timeout=seconds,
    )
    if not found.success:
        raise SystemExit(
            f"No program reached {TARGET}: {found.message}; the best came to "
            f"{found.select_fitness:.4f}. Another seed may be luckier."
        )
    print(f"\nThe program that was found:\n\n{found.program}")
    short = eliminate_dead_code(found.program)
    print(f"\nThe same without dead code:\n\n{short}")
    print(f"\n{explain(found.program)}")
    print(
        f"\nFitness {found.fitness:.6f} on the tasks of the search, "
        f"{found.select_fitness:.6f} on those to select by, "
        f"{found.test_fitness:.6f} on new ones."
    )
    print(f"{found.savings}; {found.experiments} experiments.")
    print(f"{time.perf_counter() - began:.0f} s")
