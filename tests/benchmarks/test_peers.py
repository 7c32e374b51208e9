"""The adapters of the peers that are installed."""

import numpy as np
import pytest

import bojax
from benchmarks.regret.case import Case, Objective, initial_points
from benchmarks.regret.peers import PEERS, TOLD, Peer

SPACE = bojax.Space(
    {
        "a": bojax.Float(0.0, 1.0),
        "b": bojax.Int(0, 3),
        "c": bojax.Categorical("p", "q", "r"),
    }
)
# What peers warn of is theirs to mend.
pytestmark = pytest.mark.filterwarnings("ignore")

DIRECT = [name for name, peer in PEERS.items() if isinstance(peer, Peer)]


def bowl(noisy: bool) -> Case:
    def measure(x, seed, number):
        return float(np.sum((x - 0.3) ** 2))

    def regret(x, y, seed):
        return y

    return Case("bowl", SPACE, measure, regret, 1e-8, 9, noisy)


def peer(name: str) -> Peer:
    found = PEERS[name]
    if found.missing:
        pytest.skip(f"{', '.join(found.missing)} not installed")
    assert isinstance(found, Peer)
    return found


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("name", DIRECT)
def test_a_run_starts_with_the_given_points_and_spends_its_budget(name, noisy):
    case, run = bowl(noisy), peer(name).run
    x0 = initial_points(case, 3)
    objectives = [Objective(case, 3) for _ in range(2)]
    for objective in objectives:
        assert run(objective, x0, 3) is None
    x = np.array(objectives[0].x)
    np.testing.assert_array_equal(x[: len(x0)], x0)
    assert len(x) == case.num_trials
    np.testing.assert_array_equal(x, [case.point(case.numbers(row)) for row in x])
    np.testing.assert_array_equal(x, objectives[1].x, "a seed decides")


@pytest.mark.parametrize("name", TOLD)
def test_who_is_told_of_exact_values_knows_nothing_where_there_is_noise(name):
    chosen = {}
    for noisy in (False, True):
        case = bowl(noisy)
        for each in (name, TOLD[name]):
            objective = Objective(case, 3)
            peer(each).run(objective, initial_points(case, 3), 3)
            chosen[noisy, each] = np.array(objective.x)
    np.testing.assert_array_equal(chosen[True, name], chosen[True, TOLD[name]])
    assert not np.array_equal(chosen[False, name], chosen[False, TOLD[name]])


@pytest.mark.parametrize("name", DIRECT)
def test_a_row_says_which_adapter_ran(name):
    words = peer(name).versions.split()
    assert words[0].startswith("adapter@")
    assert any(word.startswith("numpy==") for word in words)
