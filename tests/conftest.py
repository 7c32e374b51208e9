"""What every test shares: a quiet display, both precisions, repeatable examples."""

import gc
import importlib.metadata
import os
import pathlib

# Most of the suite's time is compilation, of programs that run once and briefly: let
# XLA optimize less. It reads this when it starts. An option that it does not know ends
# the process, so the one that may go is named to versions that are known to have it.
_FLAGS = ["--xla_backend_optimization_level=0"]
if importlib.metadata.version("jaxlib").startswith("0.10."):
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
os.environ.setdefault("XLA_FLAGS", " ".join(_FLAGS))

import hypothesis
import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

# Tracing makes objects by the million, and few are garbage: a collector that looks
# through all of them as often as Python's default does takes a tenth of the time.
gc.set_threshold(200_000, 50, 1000)

# Compiling makes a first example slow without anything being wrong with it.
hypothesis.settings.register_profile(
    "bojax",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("bojax")


@pytest.fixture(params=[False, True], ids=["float32", "float64"])
def x64(request: pytest.FixtureRequest):
    """Runs a test in single and again in double precision; says which."""
    with jax.enable_x64(request.param):
        yield request.param


_MOST_MAPPINGS = 30_000
"""Of memory by a process: Linux allows 65,530, and a compilation beyond crashes."""


@pytest.fixture(autouse=True, scope="module")
def _few_programs():
    """Drops compiled programs between modules before there are too many of them."""
    yield
    maps = pathlib.Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()
