"""What the figures were measured on, and where they go."""

import os
import pathlib
import platform

import jax
import numba
import numpy as np

RESULTS = pathlib.Path(__file__).parent / "results"


def processor() -> str:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(": ")[1] for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def footer() -> str:
    return (
        f"{processor()}, {os.cpu_count()} cores; Python {platform.python_version()}, "
        f"numba {numba.__version__}, NumPy {np.__version__}, JAX {jax.__version__}; "
        f"load {os.getloadavg()[0]:.1f} at the end."
    )


def write(name: str, lines: list[str]) -> None:
    """Prints the lines, and writes them to a file of results."""
    text = "\n".join([*lines, "", footer()])
    print(text)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / name).write_text(text + "\n")
