"""Peers through a pipe: a toy server that serves, fails, hangs, chatters and dies."""

import sys

import numpy as np
import pytest

import bojax
from benchmarks.regret import __main__ as command
from benchmarks.regret import runs
from benchmarks.regret.case import Case, Objective, initial_points
from benchmarks.regret.peers import PEERS, environments, pipe
from benchmarks.regret.peers.pipe import Isolated, Server, converse

_TOY = """
import os, sys, time
sys.path.insert(0, {servers!r})
from serving import serve

def start(levels, categorical, seed):
    told = []
    def ask():
        {ask}
        return [0 if k else (seed + len(told)) / 100 for k in levels]
    def tell(point, value):
        told.append((point, value))
        assert point[1] in (0, 1, 2) and value >= 0
    return ask, tell

serve(start)
"""


@pytest.fixture
def toy(tmp_path):
    """Makes the command of a server that does something before each answer."""

    def make(ask: str) -> list[str]:
        path = tmp_path / "serve_toy.py"
        path.write_text(_TOY.format(servers=str(pipe.SERVERS), ask=ask))
        return [sys.executable, "-S", str(path)]

    return make


@pytest.fixture
def objective() -> Objective:
    space = bojax.Space(
        {"a": bojax.Float(0.0, 1.0), "b": bojax.Categorical("p", "q", "r")}
    )

    def measure(x, seed, number):
        return float(x[0])

    def regret(x, y, seed):
        return y

    return Objective(Case("toy", space, measure, regret, 1e-8, 7), 3)


def test_a_run_through_the_pipe(toy, objective):
    x0 = initial_points(objective.case, 3)
    with Server(toy("print('chatter'); os.system('echo of a child')")) as server:
        converse(server, objective, x0, 3)
    np.testing.assert_array_equal(np.array(objective.x)[:4], x0)
    # The server saw the four initial points, and each of its own.
    np.testing.assert_allclose(objective.y[4:], [0.07, 0.08, 0.09], rtol=1e-15)
    assert [objective.case.numbers(x)[1] for x in objective.x[4:]] == [0, 0, 0]
    assert objective.left == 0
    assert objective.elapsed() > objective.elsewhere == server.seconds > 0


@pytest.mark.parametrize(
    ("ask", "match"),
    [
        ("raise ZeroDivisionError('mine')", "^ZeroDivisionError: mine$"),
        ("os._exit(7)", "^its process ended with status 7 at 'ask': no word$"),
        (
            "print('out of memory', file=sys.stderr); os.kill(os.getpid(), 9)",
            "^its process ended with status -9 at 'ask': out of memory$",
        ),
        (
            "return object()",
            "status 1 at 'ask': TypeError: Object of .* not JSON",
        ),
    ],
)
def test_what_goes_wrong_is_told(toy, objective, ask, match):
    with Server(toy(ask)) as server, pytest.raises(RuntimeError, match=match):
        converse(server, objective, initial_points(objective.case, 3), 3)


def test_an_answer_that_takes_too_long_is_not_waited_for(toy, objective):
    x0 = initial_points(objective.case, 3)
    with (
        Server(toy("time.sleep(60)"), limit=2.0) as server,
        pytest.raises(RuntimeError, match="ended with status -9 at 'ask'"),
    ):
        converse(server, objective, x0, 3)


def test_a_server_that_cannot_start_says_why():
    command = [sys.executable, "-S", "-c", "import surely_not_installed"]
    match = r"ended with status 1 at 'start': ModuleNotFoundError: .*surely_not"
    with Server(command) as server, pytest.raises(RuntimeError, match=match):
        server.call("start", levels=[0], categorical=[False], seed=0)


def test_a_process_that_dies_becomes_a_row(monkeypatch):
    def run(objective, x0, seed):
        command = [sys.executable, "-S", "-c", "raise SystemExit('no GPU')"]
        with Server(command) as server:
            converse(server, objective, x0, seed)

    peer = PEERS["hebo"]
    monkeypatch.setattr(type(peer), "run", lambda self, *rest: run(*rest))
    monkeypatch.setattr(type(peer), "versions", "HEBO==0")
    found = runs.one_run("hpolib", "hebo", "levy", 1000)
    assert found.error == (
        "RuntimeError: its process ended with status 1 at 'start': no GPU"
    )


@pytest.mark.parametrize("name", ["hebo", "vizier"])
def test_an_environment_that_is_missing_is_told_with_what_makes_it(
    name, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(pipe, "ENVIRONMENTS", tmp_path)
    options = command.argparse.Namespace(
        suites="hpolib", strategies=name, seeds="acceptance", first=1, problems="levy"
    )
    assert command.tasks(options) == []
    how = f"python -m benchmarks.regret.peers.environments {name} makes its environment"
    assert how in capsys.readouterr().out


@pytest.mark.parametrize("name", ["hebo", "vizier"])
def test_every_isolated_peer_has_a_server_and_pins(name):
    peer = PEERS[name]
    assert isinstance(peer, Isolated)
    assert name in environments.NAMES
    assert (pipe.SERVERS / f"serve_{name}.py").exists()
    pins = (pipe.SERVERS / f"{name}.txt").read_text().split()
    assert all("==" in pin for pin in pins)
    named = {pin.split("==")[0] for pin in pins}
    assert set(peer.packages) <= named


def test_versions_are_those_of_the_environment(monkeypatch, tmp_path):
    site = tmp_path / "toy" / "lib" / "python3.11" / "site-packages"
    for name, version in (("HEBO", "0.1"), ("other", "2")):
        folder = site / f"{name}-{version}.dist-info"
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    monkeypatch.setattr(pipe, "ENVIRONMENTS", tmp_path)
    peer = Isolated("toy", ("HEBO", "other"), "")
    assert peer.missing == []
    assert peer.versions == "HEBO==0.1 other==2"
    lacking = Isolated("toy", ("HEBO", "absent"), "").missing
    assert lacking[0].startswith("absent (python -m ")
