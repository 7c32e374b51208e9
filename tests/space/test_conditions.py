"""Conditions: what exists where, and which conditions are refused."""

import numpy as np
import pytest

from bojax.space import Categorical, Float, Int, Ordinal, Space

NESTED = Space(
    {
        "leaf": Int(1, 3, when={"branch": (0.25, 0.75), "kind": ["x", "z"]}),
        "kind": Categorical("x", "y", "z"),
        "root": Ordinal("small", "large"),
        "branch": Float(0, 1, when={"root": "large"}),
    }
)


def test_children_may_come_before_parents_and_be_several_levels_deep():
    space = NESTED
    assert space.names == ("leaf", "kind", "root", "branch")
    deep = {"leaf": 2, "kind": "z", "root": "large", "branch": 0.25}
    assert space.decode(space.encode(deep)) == deep
    without = {"kind": "y", "root": "large", "branch": 0.5}
    assert space.decode(space.encode(without)) == without
    # A child of an inactive parent does not exist, whatever the parent's column says.
    x = np.array([0.9, 0.1, 0.1, 0.5])
    assert space.active(x).tolist() == [False, True, True, False]
    assert space.project(x)[[0, 3]].tolist() == [0.5, 0.5]
    assert space.decode(x) == {"kind": "x", "root": "small"}
    assert space.is_conditional.tolist() == [True, False, False, True]


def test_intervals_are_closed():
    for branch, exists in (
        (0.2499999, False),
        (0.25, True),
        (0.75, True),
        (0.76, False),
    ):
        config = {"kind": "x", "root": "large", "branch": branch}
        if exists:
            config["leaf"] = 1
        x = NESTED.encode(config)
        assert NESTED.active(x)[0] == exists
        assert NESTED.decode(x) == pytest.approx(config)


def test_ends_of_intervals_survive_rounding():
    # exp(log(0.3)) is not 0.3, and float32 rounds 0.3's position up or down.
    ends = np.random.default_rng(0).uniform(2e-5, 0.9, (50, 2))
    ends.sort(axis=1)
    for low, high in ends:
        space = Space(
            {
                "lr": Float(1e-5, 1.0, log=True),
                "warm": Categorical(True, False, when={"lr": (low, high)}),
            }
        )
        for lr in (low, high):
            x = space.encode({"lr": lr, "warm": True})
            for dtype in (np.float32, np.float64):
                config = space.decode(x.astype(dtype))
                assert config == {"lr": lr, "warm": True}
                np.testing.assert_array_equal(space.encode(config), x)
                assert space.active(x.astype(dtype)).all()


def test_int_parents_take_a_number_several_in_a_list_or_an_interval():
    space = Space(
        {
            "layers": Int(1, 8),
            "one": Float(0, 1, when={"layers": 1}),
            "some": Float(0, 1, when={"layers": [2, 5]}),
            "many": Float(0, 1, when={"layers": (3, 100)}),
            "step": Int(0, 10, step=5),
            "at": Float(0, 1, when={"step": (1, 9)}),
            "ends": Float(0, 1, when={"step": {10, 0}}),
        }
    )
    for layers, step, names in (
        (1, 0, {"one", "ends"}),
        (2, 5, {"some", "at"}),
        (3, 10, {"many", "ends"}),
        (4, 5, {"many", "at"}),
        (5, 5, {"some", "many", "at"}),
        (8, 5, {"many", "at"}),
    ):
        values = {"layers": layers, "step": step}
        config = values | dict.fromkeys(names, 0.5)
        assert space.decode(space.encode(config)) == config


def test_one_name_may_have_several_specifications():
    space = Space(
        {
            "optimizer": Categorical("adam", "sgd", "none"),
            "lr": [
                Float(1e-5, 1e-2, log=True, when={"optimizer": "adam"}),
                Float(1e-3, 1.0, log=True, when={"optimizer": "sgd"}),
            ],
            # As a parent, the name has the value of whichever specification exists.
            "warmup": Int(1, 9, when={"lr": (1e-2, 1e-1)}),
        }
    )
    assert space.num_columns == 4
    assert space.names == ("optimizer", "lr", "warmup")
    assert [column.name for column in space.columns] == [
        "optimizer",
        "lr",
        "lr",
        "warmup",
    ]
    for config in (
        {"optimizer": "adam", "lr": 1e-3},
        {"optimizer": "adam", "lr": 1e-2, "warmup": 3},
        {"optimizer": "sgd", "lr": 0.05, "warmup": 9},
        {"optimizer": "sgd", "lr": 1.0},
        {"optimizer": "none"},
    ):
        assert space.decode(space.encode(config)) == pytest.approx(config)
    assert space.encode({"optimizer": "sgd", "lr": 1.0}).tolist() == [0.5, 0.5, 1, 0.5]
    with pytest.raises(ValueError, match=r"config\['lr'\]: .* from 1e-05 to 0.01"):
        space.encode({"optimizer": "adam", "lr": 0.5})


def test_conditions_of_ancestors_make_specifications_disjoint():
    space = Space(
        {
            "a": Categorical("x", "y"),
            "b": Categorical("u", "v", when={"a": "y"}),
            "c": [Float(0, 1, when={"a": "x"}), Int(0, 1, when={"b": "u"})],
        }
    )
    assert space.decode(space.encode({"a": "y", "b": "u", "c": 1})) == {
        "a": "y",
        "b": "u",
        "c": 1,
    }


def test_specifications_of_a_parent_may_be_of_several_kinds():
    space = Space(
        {
            "a": Categorical("number", "word"),
            "p": [
                Float(0, 1, when={"a": "number"}),
                Categorical("x", None, when={"a": "word"}),
            ],
            "c": Int(0, 1, when={"p": "x"}),
            "d": Int(0, 1, when={"p": None}),
            "e": Int(0, 1, when={"p": (0.5, 2)}),
            "q": [Int(1, 9, when={"c": 0}), Categorical(2, "x", when={"c": 1})],
            "f": Int(0, 1, when={"q": [2, 7, "x"]}),
        }
    )
    for config in (
        {"a": "word", "p": "x", "c": 1, "q": 2, "f": 1},
        {"a": "word", "p": "x", "c": 1, "q": "x", "f": 1},
        {"a": "word", "p": "x", "c": 0, "q": 7, "f": 1},
        {"a": "word", "p": "x", "c": 0, "q": 6},
        {"a": "word", "p": None, "d": 1},
        {"a": "number", "p": 0.25},
        {"a": "number", "p": 0.5, "e": 0},
    ):
        assert space.decode(space.encode(config)) == config


def test_several_ways_to_exist():
    space = Space(
        {
            "n": Ordinal(1, 2, 3, 4, 5),
            "odd": Float(0, 1, when={"n": {1, 3, 5}}),
            "even": Float(0, 1, when={"n": [4, 2]}),
        }
    )
    for n in range(1, 6):
        config = {"n": n, "odd" if n % 2 else "even": 0.5}
        assert space.decode(space.encode(config)) == config


A = Categorical("x", "y")
WIDE = Ordinal(*range(22))
BAD = [
    ({"a": A, "b": Float(0, 1, when={"c": 1})}, "when of 'b': .* 'a', 'b', got 'c'"),
    ({"a": Float(0, 1, when={"a": (0, 1)})}, "no circle of conditions, got 'a' -> 'a'"),
    (
        {
            "a": Int(0, 1, when={"b": 1}),
            "b": Int(0, 1, when={"c": 1}),
            "c": Int(0, 1, when={"a": 1}),
        },
        "no circle of conditions, got 'a' -> 'b' -> 'c' -> 'a'",
    ),
    (
        {"a": A, "b": Float(0, 1, when={"a": "z"})},
        "when of 'b': expected one of 'x', 'y' for 'a', got 'z'",
    ),
    ({"a": A, "b": Float(0, 1, when={"a": ["x", "z"]})}, r"got \['x', 'z'\]"),
    ({"a": Float(0, 1), "b": Float(0, 1, when={"a": 0.5})}, "an interval .* got 0.5"),
    ({"a": Float(0, 1), "b": Float(0, 1, when={"a": (2, 3)})}, r"got \(2, 3\)"),
    ({"a": Float(0, 1), "b": Float(0, 1, when={"a": (0.6, 0.4)})}, r"got \(0.6, 0.4\)"),
    (
        {"a": Float(0, 1), "b": Float(0, 1, when={"a": (0, 0.5, 1)})},
        r"got \[0, 0.5, 1\]",
    ),
    ({"a": Float(0, 1), "b": Float(0, 1, when={"a": [0, 1]})}, r"got \[0, 1\]"),
    ({"a": Int(0, 9), "b": Float(0, 1, when={"a": (2, "x")})}, r"got \[2, 'x'\]"),
    ({"a": Int(0, 9), "b": Float(0, 1, when={"a": [2, 10]})}, "in a list, .* 10]"),
    (
        {"a": Float(0, 1), "b": Float(0, 1, when={"a": (0, float("nan"))})},
        r"got \(0, nan\)",
    ),
    ({"a": Int(0, 9), "b": Float(0, 1, when={"a": 10})}, "a value, .* or an .* got 10"),
    ({"a": Int(0, 9), "b": Float(0, 1, when={"a": True})}, "got True"),
    ({"a": Int(0, 9), "b": Float(0, 1, when={"a": "1"})}, "got '1'"),
    ({"a": Int(0, 9, step=3), "b": Float(0, 1, when={"a": (4, 5)})}, r"got \(4, 5\)"),
    (
        {"a": A, "b": A, "c": [Int(0, 1, when={"a": "x"}), Int(0, 1, when={"b": "x"})]},
        "'c': expected specifications under disjoint conditions",
    ),
    ({"a": A, "c": [Int(0, 1, when={"a": "x"}), Int(0, 1)]}, "disjoint conditions"),
    ({"c": [Int(0, 1), Int(0, 1)]}, "disjoint conditions"),
    (
        {
            "a": Float(0, 1),
            "c": [Int(0, 1, when={"a": (0, 0.5)}), Int(0, 1, when={"a": (0.5, 1)})],
        },
        "disjoint conditions",
    ),
    (
        {
            "a": A,
            "b": Int(0, 1, when={"a": "x"}),
            "c": Int(0, 1, when={"a": "y", "b": 1}),
        },
        "when of 'c': expected conditions that can be met together",
    ),
    (
        dict.fromkeys("abcd", WIDE)
        | {"e": Int(0, 1, when=dict.fromkeys("abcd", tuple(range(0, 22, 2))))},
        "when of 'e': expected at most 10000 ways .* got 14641",
    ),
]


@pytest.mark.parametrize(("parameters", "message"), BAD)
def test_bad_conditions_are_refused(parameters, message):
    with pytest.raises(ValueError, match=message):
        Space(parameters)


def test_touching_levels_are_disjoint():
    space = Space(
        {
            "a": Int(0, 9),
            "c": [Int(0, 1, when={"a": (0, 4)}), Int(5, 6, when={"a": (5, 9)})],
        }
    )
    assert space.decode(space.encode({"a": 5, "c": 6})) == {"a": 5, "c": 6}


def test_a_hundred_conditional_parameters():
    parameters = {"n": Int(1, 100)}
    for i in range(1, 100):
        parameters[f"width{i}"] = Int(1, 8, when={"n": (i + 1, 100)})
    space = Space(parameters)
    assert space.size == sum(8.0**i for i in range(100))
    x = space.project(np.full(100, 0.505))
    assert len(space.decode(x)) == 51
