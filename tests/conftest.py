"""What every test shares: a quiet display, both precisions, repeatable examples."""

import os

import hypothesis
import jax
import pytest

os.environ.setdefault("MPLBACKEND", "Agg")

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
