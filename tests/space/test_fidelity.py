"""Fidelities, and a space in which they are held at the highest."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bojax.space as bs
from bojax.space import Float, Int, Space


def test_fidelities_are_numbers_whose_highest_is_the_real_thing():
    space = Space({"a": Float(0.0, 1.0), "epochs": bs.Fidelity(1, 81, log=True)})
    assert space.is_fidelity.tolist() == [False, True]
    assert space.decode(space.at_full_fidelity(jnp.zeros(2)))["epochs"] == 81
    assert Space.from_json(space.to_json()) == space
    stepped = Space({"s": bs.Fidelity(0.25, 1.0, step=0.25)})
    assert stepped.decode(stepped.at_full_fidelity(jnp.zeros(1))) == {"s": 1.0}
    assert repr(bs.Fidelity(1, 9)) == "Fidelity(1.0, 9.0)"
    with pytest.raises(ValueError, match=r"high: expected a whole number of steps"):
        bs.Fidelity(0.0, 1.0, step=0.3)
    with pytest.raises(ValueError, match=r"low"):
        bs.Fidelity(2.0, 1.0)


def few_at_once(values):
    return values["layers"] * values["epochs"] - 18.5


HELD = Space(
    {
        "epochs": bs.Fidelity(1, 9, log=True),
        "layers": Int(1, 3),
        "share": bs.Fidelity(0.0, 1.0, step=0.25),
        "warmup": Int(1, 4, when={"epochs": (1, 5)}),
        "cooldown": Int(1, 2, when={"epochs": (5, 9), "share": (0.75, 2.0)}),
        "warm": Float(0.0, 1.0, when={"warmup": 2}),
    },
    constraints=[few_at_once],
)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_space_at_full_fidelity_has_those_points_of_it_that_are(dtype):
    full = HELD.full_fidelity
    assert full.full_fidelity is full
    assert full.is_fidelity.tolist() == HELD.is_fidelity.tolist()
    draws = np.random.default_rng(0).random((20, HELD.num_columns)).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        x = jax.vmap(full.project)(draws)
        np.testing.assert_array_equal(jax.vmap(full.project)(x), x)
        np.testing.assert_array_equal(HELD.at_full_fidelity(x), x)
        np.testing.assert_array_equal(full.at_full_fidelity(x), x)
        expected = jax.vmap(HELD.project)(HELD.at_full_fidelity(jnp.asarray(draws)))
        np.testing.assert_allclose(x, expected, rtol=0, atol=4 * np.finfo(dtype).eps)
        for space in (HELD, full):
            assert float(space.values(x[0])["epochs"]) == pytest.approx(9)
    for point in np.asarray(x):
        config = full.decode(point)
        assert config == HELD.decode(point)
        assert config.keys() == {"epochs", "layers", "share", "cooldown"}
        assert (config["epochs"], config["share"]) == (9, 1)
        np.testing.assert_allclose(full.encode(config), point, atol=1e-6)


def test_a_space_at_full_fidelity_is_counted_and_constrained_there():
    full = HELD.full_fidelity
    assert full.size == 6
    assert full.num_levels.tolist() == [1, 3, 1, 4, 2, 0]
    assert len(full.enumerate(6)) == 4
    sampled = np.asarray(full.sample(jax.random.key(0), 20))
    assert {HELD.decode(x)["layers"] for x in sampled} == {1, 2}
    with pytest.raises(ValueError, match=r"expected the full fidelity 9\.0, got 8"):
        full.encode({"epochs": 8, "layers": 1, "share": 1, "cooldown": 1})
    dear = Space({"layers": Int(3, 4), "epochs": bs.Fidelity(1, 9)}, [few_at_once])
    with pytest.raises(ValueError, match=r"no feasible point .* at full fidelity"):
        _ = dear.full_fidelity
    plain = Space({"layers": Int(3, 4)})
    assert plain.full_fidelity is plain


def test_a_space_at_full_fidelity_is_a_value():
    full = HELD.full_fidelity
    for again in (
        bs.Space.from_json(full.to_json(), [few_at_once]),
        pickle.loads(pickle.dumps(full)),
    ):
        assert again == full
        assert hash(again) == hash(full)
    assert full != HELD
