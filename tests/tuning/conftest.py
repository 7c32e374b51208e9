import pytest

import bojax
from bojax.strategies import Random

# One space and one strategy for all, so that the suite compiles them once.
SPACE = bojax.Space(
    {
        "a": bojax.Float(-1.0, 1.0),
        "b": bojax.Categorical("u", "v"),
        "c": bojax.Float(1e-3, 1.0, log=True, when={"b": "v"}),
    }
)


@pytest.fixture
def space():
    return SPACE


@pytest.fixture
def strategy():
    return Random(SPACE)
