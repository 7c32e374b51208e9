"""Warm ask of TPE beside Optuna's, 1,000 trials and 20 parameters: `python -m` this.

Ten numbers, five whole numbers and five categories. In turns within one process, one
BLAS thread; by `bojax.Study`, as people call it, and by Optuna's study in memory.
"""

import pathlib
import time

import numpy as np
import threadpoolctl

import bojax
from benchmarks.searches.contenders import distributions

RESULTS = pathlib.Path(__file__).parent / "results"
SPACE = bojax.Space(
    {
        **{f"x{i}": bojax.Float(0.0, 1.0) for i in range(10)},
        **{f"n{i}": bojax.Int(1, 12) for i in range(5)},
        **{f"c{i}": bojax.Categorical(*"pqrs") for i in range(5)},
    }
)
NUM_TRIALS, ASKS = 1000, 40


def value(config: dict) -> float:
    return sum((config[f"x{i}"] - 0.3) ** 2 for i in range(10)) + sum(
        (config[f"n{i}"] / 12 - 0.5) ** 2 + (config[f"c{i}"] != "q") for i in range(5)
    )


def main() -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rng = np.random.default_rng(0)
    study = bojax.Study(SPACE, bojax.strategies.TPE(SPACE), key=0)
    axes = dict(zip(SPACE.names, distributions(SPACE), strict=True))
    other = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(NUM_TRIALS - ASKS // 2):
        config = SPACE.decode(rng.random(20))
        study.observe(config, value(config))
        other.add_trial(
            optuna.trial.create_trial(
                params=config, distributions=axes, value=value(config)
            )
        )
    times: dict[str, list[float]] = {"bojax": [], "optuna": []}
    with threadpoolctl.threadpool_limits(1):
        for _ in range(ASKS):
            start = time.perf_counter()
            trial = study.ask()
            times["bojax"].append(time.perf_counter() - start)
            study.tell(trial, value(trial.config))
            start = time.perf_counter()
            theirs = other.ask(axes)
            times["optuna"].append(time.perf_counter() - start)
            other.tell(theirs, value(theirs.params))
    lines = [
        "# Warm ask of TPE",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| search | asks | median, ms | 95 %, ms | first, ms |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, seconds in times.items():
        warm = 1e3 * np.array(seconds[1:])
        lines.append(
            f"| {name} | {len(warm)} | {np.median(warm):.1f} | "
            f"{np.quantile(warm, 0.95):.1f} | {1e3 * seconds[0]:.0f} |"
        )
    print("\n".join(lines))
    (RESULTS / "ask.md").write_text("\n".join([*lines, ""]))


if __name__ == "__main__":
    main()
