import fractions
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax
from bojax.tuning.trial import FAILED, Folders, measured, trial_key


@pytest.mark.parametrize(
    "value",
    [
        0.25,
        np.float32(0.25),
        np.array(0.25),
        jnp.array(0.25),
        fractions.Fraction(1, 4),
        bojax.Outcome(0.25),
        bojax.Outcome(jnp.array([0.25])[0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_numbers_of_any_library_are_values(value):
    assert measured("value", value).values == (0.25,)


def test_an_outcome_brings_its_variance():
    assert measured("value", bojax.Outcome(1.0, variance=0.5)).variances == (0.5,)
    assert measured("value", bojax.Outcome(1.0)).variances == (0.0,)


def test_failed_is_not_a_number():
    assert math.isnan(measured("value", FAILED).values[0])
    several = measured("value", FAILED, 2, 3)
    assert np.isnan(several.values + several.constraints).tolist() == [True] * 5
    assert not several.succeeded


@pytest.mark.parametrize(
    "value",
    [None, "0.3", b"1", True, np.True_, jnp.array(True), [0.1], (0.1, 0.2), {}, 1j,
     np.zeros(1), jnp.zeros(2), object()],
    ids=lambda value: f"{type(value).__name__}",
)  # fmt: skip
def test_anything_else_is_a_type_error_that_says_what_came(value):
    with pytest.raises(TypeError, match=rf"^value: expected .*{type(value).__name__}"):
        measured("value", value)


def test_long_values_are_not_printed_in_full():
    with pytest.raises(TypeError) as caught:
        measured("value", [0.123456789] * 1000)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("variance", [-1.0, math.nan, math.inf])
def test_a_variance_is_finite_and_not_negative(variance):
    with pytest.raises(ValueError, match="variance >= 0"):
        measured("value", bojax.Outcome(1.0, variance=variance))


def test_provisional_outcomes_are_not_told():
    with pytest.raises(ValueError, match=r"done=False.*Study\.report"):
        measured("value", bojax.Outcome(1.0, done=False))


def test_the_key_of_a_trial_is_no_draw_of_a_strategy():
    key = jax.random.key(0)
    draws = jax.vmap(lambda i: jax.random.key_data(jax.random.fold_in(key, i)))
    numbers = jnp.arange(1000)
    trials = jax.vmap(lambda i: jax.random.key_data(trial_key(key, i)))(numbers)
    words = np.concatenate([np.asarray(draws(numbers)), np.asarray(trials)])
    assert len(np.unique(words, axis=0)) == 2000


def test_folders_are_made_when_asked_for(tmp_path):
    folders = Folders(str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()
    assert folders.make(7) == tmp_path / "runs" / "trial-0007"
    assert folders.make(7).is_dir()


def test_without_a_base_folders_are_temporary_and_together():
    folders = Folders(None)
    first, second = folders.make(0), folders.make(1)
    assert first.parent == second.parent
    for folder in (first, second, first.parent):
        folder.rmdir()
