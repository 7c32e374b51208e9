import matplotlib.pyplot as plt
import numpy as np
import pytest

import bojax
from bojax.plots import front, history

SPACE = bojax.Space({"a": bojax.Float(0.0, 1.0)})
VALUES = [(1.0, 4.0), (3.0, 3.0), (0.0, 0.0), (2.0, 2.0), (4.0, 1.0)]
MET = [True, True, False, True, True]


@pytest.fixture(scope="module", params=[(1, 1), (1, -1), (-1, -1)])
def study(request: pytest.FixtureRequest) -> bojax.Study:
    """The same run in each direction: the values' signs differ, nothing else."""
    direction = ["minimize" if sign > 0 else "maximize" for sign in request.param]
    strategy = bojax.strategies.Random(SPACE)
    study = bojax.Study(SPACE, strategy, direction=direction, num_constraints=1)
    study.signs = np.array(request.param)
    for value, met in zip(VALUES, MET, strict=True):
        constraint = -1.0 if met else 1.0
        told = bojax.Outcome(list(study.signs * value), constraints=constraint)
        study.tell(study.ask(), told)
    study.tell(study.ask(), bojax.FAILED)
    study.ask()
    return study


def lines(ax) -> dict[str, np.ndarray]:
    return {line.get_label(): np.array(line.get_data()).T for line in ax.lines}


def test_the_front_and_the_rest_are_told_apart(study):
    drawn = lines(front(study, 5.0 * study.signs)[0])
    points = {tuple(study.signs * point) for point in [[1, 4], [2, 2], [4, 1]]}
    assert set(map(tuple, drawn["front"])) == points
    np.testing.assert_array_equal(drawn["constraint not met"], [[0, 0]])
    assert len(drawn["trial"]) == 4
    np.testing.assert_array_equal(drawn["reference"], [5.0 * study.signs])


def test_the_hypervolume_grows_with_each_trial_that_counts(study):
    (volume,) = front(study, 5.0 * study.signs)[1].lines
    assert list(volume.get_xdata()) == [0, 1, 2, 3, 4]
    # By hand: of one point, of two, and so on; the infeasible one adds nothing.
    assert list(volume.get_ydata()) == [4, 6, 6, 10, 11]


def test_without_a_reference_it_is_a_tenth_beyond_the_front(study):
    drawn = lines(front(study)[0])
    np.testing.assert_allclose(drawn["reference"], [4.3 * study.signs], rtol=1e-6)


def test_a_result_is_drawn_in_its_sense():
    strategy = bojax.strategies.Random(SPACE)
    values = iter(VALUES)
    result = bojax.maximize(
        lambda _: list(next(values)),
        SPACE,
        5,
        strategy=strategy,
        num_objectives=2,
        progress=False,
    )
    assert result.direction == ("maximize", "maximize")
    drawn = lines(front(result, [-1.0, -1.0])[0])
    assert sorted(map(tuple, drawn["front"])) == [(1, 4), (3, 3), (4, 1)]


def test_it_draws_where_it_is_told_and_before_anything_is_known(study):
    _, axes = plt.subplots(1, 2)
    assert front(study, axes=axes)[1] is axes[1]
    strategy = bojax.strategies.Random(SPACE)
    empty = bojax.Study(SPACE, strategy, direction=["minimize"] * 2)
    assert front(empty)[0].get_xlabel() == "first objective"


def test_bad_arguments_are_named(study):
    with pytest.raises(ValueError, match="reference: expected two numbers"):
        front(study, [1.0])
    with pytest.raises(ValueError, match="axes: expected 2"):
        front(study, axes=plt.subplots()[1])
    one = bojax.Study(SPACE, bojax.strategies.Random(SPACE))
    with pytest.raises(ValueError, match="run: expected one of two objectives, got 1"):
        front(one)
    with pytest.raises(ValueError, match="run: expected one of one objective, got 2"):
        history(study)
