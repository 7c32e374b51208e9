"""The suites by name; each makes its problems when it is asked for them."""

from collections.abc import Callable

from benchmarks.regret.case import Case
from benchmarks.regret.suites import coco, functions, tables

SUITES: dict[str, tuple[Callable[[], dict[str, Case]], dict[str, range], str]] = {
    "hpolib": (
        functions.hpolib,
        {"acceptance": range(1000, 1020), "dev": range(20)},
        "The functions of HPOlib, 60 evaluations.",
    ),
    "tables": (
        tables.tables,
        {"acceptance": range(1000, 1020), "dev": range(20)},
        "Tables of trainings, 100 evaluations, each a repeat at random; scored by the "
        "mean over the repeats of the configuration chosen.",
    ),
    "bbob": (
        coco.bbob,
        {"acceptance": range(1, 4)},
        "COCO's 24 functions in 2 and 5 dimensions and ten in 10, instances 1 to 3, "
        "20 d evaluations.",
    ),
    "bbob-mixint": (
        coco.bbob_mixint,
        {"acceptance": range(1, 4)},
        "The same in 5 dimensions, of which four take 2, 4, 8 and 16 values.",
    ),
}
"""Name: its problems by name, the seeds of each set (instances of COCO's), in words."""


def suite(name: str) -> dict[str, Case]:
    """The problems of a suite by name.

    Raises:
        ValueError: if there is no such suite, or what it needs is not there.
    """
    if name not in SUITES:
        raise ValueError(f"suite: expected one of {', '.join(SUITES)}, got {name!r}")
    return SUITES[name][0]()
