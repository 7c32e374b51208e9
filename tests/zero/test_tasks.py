"""Data sets for programs."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bojax.zero import Program, Tasks, evaluate, tasks


def test_linear_tasks_are_linear():
    data = tasks.linear_regression(0, 3, 4, 50, 20)
    assert len(data) == 3
    for task in range(3):
        w = np.linalg.lstsq(data.x_train[task], data.y_train[task])[0]
        np.testing.assert_allclose(data.x_valid[task] @ w, data.y_valid[task])
    affine = tasks.linear_regression(0, 1, 4, 50, 20, affine=True)
    ones = np.ones((50, 1))
    x = np.concatenate([affine.x_train[0], ones], axis=1)
    residual = np.linalg.lstsq(x, affine.y_train[0])[1]
    assert residual < 1e-20
    assert np.linalg.lstsq(affine.x_train[0], affine.y_train[0])[1] > 1e-3


def test_the_same_key_is_the_same_tasks_and_another_is_not():
    one, same, other = (tasks.nonlinear_regression(k, 2, 4, 9, 9) for k in (1, 1, 2))
    np.testing.assert_array_equal(one.y_train, same.y_train)
    assert np.all(one.y_train != other.y_train)
    with pytest.raises(ValueError, match="key: expected a nonnegative integer, got -1"):
        tasks.linear_regression(-1)


def test_pairs_of_digits_are_standardized_and_apart():
    images = tasks.digits()
    data = tasks.pairs_of_classes(images, 0, [(3, 8), (1, 7)], 4, 16, 200, 100)
    np.testing.assert_allclose(data.x_train.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(data.x_train.std(axis=1), 1, atol=1e-12)
    assert set(np.unique(data.y_train)) == {0, 1}
    for task in range(4):
        rows = np.concatenate([data.x_train[task], data.x_valid[task]])
        assert len(np.unique(rows, axis=0)) == 300
    assert not np.allclose(data.x_train[0], data.x_train[2])
    full = tasks.pairs_of_classes(images, 0, [(3, 8)], 1, None, 200, 100)
    assert full.x_train.shape[2] == 64
    with pytest.raises(ValueError, match="pictures of classes 3 and 8, got 400"):
        tasks.pairs_of_classes(images, 0, [(3, 8)], 1, 16, 400, 100)
    with pytest.raises(ValueError, match="at least one pair"):
        tasks.pairs_of_classes(images, 0, [])


def test_all_digits():
    data = tasks.all_classes(tasks.digits(), 0, 2, 16, 100, 50)
    assert data.num_classes == 10
    with pytest.raises(ValueError, match="expected 0 to 3"):
        tasks.all_classes(tasks.digits(), 0, 2, 4, 100, 50)


def fake_cifar(folder, binary):
    rng = np.random.default_rng(0)
    for name in [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]:
        pixels = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
        labels = rng.integers(0, 10, 4, dtype=np.uint8)
        if binary:
            rows = np.concatenate([labels[:, None], pixels], axis=1)
            rows.tofile(folder / f"{name}.bin")
        else:
            with (folder / name).open("wb") as file:
                pickle.dump({b"data": pixels, b"labels": labels.tolist()}, file)


@pytest.mark.parametrize("binary", [True, False])
def test_cifar10_is_read_from_a_folder(tmp_path, binary):
    fake_cifar(tmp_path, binary)
    train, test = (tasks.cifar10(tmp_path, part) for part in (True, False))
    assert train.x.shape == (20, 3072)
    assert test.y.shape == (4,)
    assert train.y.max() < 10


def test_a_folder_without_cifar10_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        tasks.cifar10(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(b"123")
    with pytest.raises(ValueError, match="records of 3073 bytes, got 3 bytes"):
        tasks.cifar10(tmp_path)


class Harmful:
    def __reduce__(self):
        return (print, ("harm",))


def test_a_pickle_runs_no_code(tmp_path, capsys):
    for i in range(1, 6):
        (tmp_path / f"data_batch_{i}").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ValueError, match="expected arrays in CIFAR-10's files"):
        tasks.cifar10(tmp_path)
    assert capsys.readouterr().out == ""


def make(**changes):
    parts = {
        "x_train": np.ones((1, 2, 3)),
        "y_train": np.ones((1, 2)),
        "x_valid": np.ones((1, 2, 3)),
        "y_valid": np.ones((1, 2)),
    }
    return Tasks(**{**parts, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "x_train": np.ones((0, 2, 3)),
                "y_train": np.ones((0, 2)),
                "x_valid": np.ones((0, 2, 3)),
                "y_valid": np.ones((0, 2)),
            },
            "at least one task",
        ),
        ({"x_train": np.ones((1, 0, 3)), "y_train": np.ones((1, 0))}, "example"),
        ({"y_train": np.array([[1.0, np.nan]])}, "y_train: expected finite"),
        ({"kind": "ranking"}, "kind: expected one of regression"),
        (
            {"kind": "multiclass", "y_train": np.array([[1.0, np.inf]])},
            "y_train: expected finite",
        ),
        ({"y_train": np.ones((1, 5))}, r"got \(1, 2, 3\), \(1, 5\), \(1, 2, 3\)"),
        ({"x_valid": np.ones((1, 2, 4))}, r"x_valid \[d, m, f\]"),
        ({"x_train": np.ones((2, 3))}, r"expected x_train \[d, n, f\]"),
        ({"epochs": 0}, "epochs: expected at least 1, got 0"),
        ({"kind": "binary", "y_valid": np.full((1, 2), 0.5)}, "expected 0 to 1"),
        (
            {"x_train": np.ones((1, 2, 5000)), "x_valid": np.ones((1, 2, 5000))},
            "at most 4096 features, got 5000",
        ),
    ],
)
def test_bad_tasks_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_parts_of_tasks():
    data = tasks.linear_regression(0, 3, 4, 50, 20)
    np.testing.assert_array_equal(data[1].y_train[0], data.y_train[1])
    assert len(data[1:]) == 2
    short = data.first_examples(10, 5)
    assert short.x_train.shape == (3, 10, 4)
    assert short.x_valid.shape == (3, 5, 4)


def test_parts_of_tasks_have_as_many_classes():
    x = np.zeros((2, 4, 5))
    y = np.array([[0, 1, 3, 3], [0, 1, 0, 1]])
    data = Tasks(x, y, x, y, kind="multiclass")
    parts = data[1], data[1:], data.first_examples(2, 2), data[[1]].first_examples(1, 1)
    assert [part.num_classes for part in (data, *parts)] == [4] * 5
    # Where it predicts class 3 it errs, in a task in which there is none, too.
    program = Program.parse("def Setup():\n v3[0.7] = 1\ndef Predict():\n v2 = v3 + v0")
    for backend in ("jax", "numba"):
        scores = evaluate(program, data, backend).by_task
        np.testing.assert_allclose(scores, [0.5, 0])
        alone = evaluate(program, data[1], backend).by_task
        np.testing.assert_array_equal(alone, scores[1:])
    assert Tasks(x, y, x, y, kind="multiclass", num_classes=5).num_classes == 5
    for wrong in (3, 6):
        with pytest.raises(ValueError, match=f"num_classes: .* 4 to 5, .* got {wrong}"):
            Tasks(x, y, x, y, kind="multiclass", num_classes=wrong)
    few = tasks.all_classes(tasks.digits(), 0, 1, 16, 2, 1)
    assert few.num_classes == 10


def test_pairs_are_split_once():
    search, held_out = tasks.split_pairs(0)
    assert len(search) == 36
    assert sorted(search + held_out) == sorted(tasks.PAIRS)


def test_arrays_of_other_types_are_taken():
    data = make(
        x_train=jnp.ones((1, 2, 3)), y_train=[[1, 2]], y_valid=np.ones((1, 2), int)
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(data)} == {np.dtype(np.float64)}
