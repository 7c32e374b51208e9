"""Vizier's default algorithm behind a pipe."""

import os
import pathlib
import sys

os.environ["XLA_FLAGS"] = (
    "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
)

import jax
from serving import serve
from vizier import algorithms, pyvizier

# Not by vizier.algorithms.designers, which wants the packages of all its designers.
from vizier._src.algorithms.designers.gp_ucb_pe import VizierGPUCBPEBandit
from vizier.pyvizier.converters import padding

jax.config.update("jax_enable_x64", True)
# It traces and compiles at each ask: this spares the compiler.
jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(sys.prefix) / "cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def start(levels, categorical, seed):
    problem = pyvizier.ProblemStatement()
    root = problem.search_space.root
    names = [f"x{i}" for i in range(len(levels))]
    for name, k, unordered in zip(names, levels, categorical, strict=True):
        if unordered:
            root.add_categorical_param(name, [str(i) for i in range(k)])
        elif k:
            root.add_int_param(name, 0, k - 1)
        else:
            root.add_float_param(name, 0.0, 1.0)
    problem.metric_information.append(
        pyvizier.MetricInformation("y", goal=pyvizier.ObjectiveMetricGoal.MINIMIZE)
    )
    designer = VizierGPUCBPEBandit(
        problem,
        rng=jax.random.PRNGKey(seed),
        padding_schedule=padding.PaddingSchedule(
            num_trials=padding.PaddingType.POWERS_OF_2
        ),
    )
    told = []

    def ask():
        numbers = designer.suggest(1)[0].parameters.as_dict()
        return [
            int(numbers[name]) if k else float(numbers[name])
            for name, k in zip(names, levels, strict=True)
        ]

    def tell(point, value):
        numbers = [
            str(v) if unordered else v
            for v, unordered in zip(point, categorical, strict=True)
        ]
        trial = pyvizier.Trial(
            id=len(told) + 1, parameters=dict(zip(names, numbers, strict=True))
        )
        trial.complete(pyvizier.Measurement({"y": value}))
        told.append(trial)
        designer.update(
            algorithms.CompletedTrials([trial]), algorithms.ActiveTrials([])
        )

    return ask, tell


serve(start)
