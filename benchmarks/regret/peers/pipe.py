"""Peers that pin old packages: each in an environment of its own, through a pipe."""

import dataclasses
import importlib.metadata
import json
import pathlib
import subprocess
import tempfile
import threading
from typing import Any

import numpy as np

from benchmarks.regret.case import Objective

SERVERS = pathlib.Path(__file__).parent / "servers"
ENVIRONMENTS = pathlib.Path(__file__).parents[3] / ".cache" / "peers"
"""Where `benchmarks.regret.peers.environments` makes them."""

_LIMIT = 600.0
"""Seconds that an answer may take."""


class Server:
    """A process that answers a line of JSON with another.

    Args:
        command: what starts it.
        limit: seconds that an answer may take before the process is killed.
    """

    def __init__(self, command: list[str], limit: float = _LIMIT):
        self.limit = limit
        self.seconds = 0.0
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: Any) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def call(self, call: str, **arguments: Any) -> Any:
        """What it answers.

        Raises:
            RuntimeError: if it reports an error, or has ended, or takes too long.
        """
        late = threading.Timer(self.limit, self._process.kill)
        late.start()
        try:
            line = self._exchange(json.dumps({"call": call, **arguments}) + "\n")
        finally:
            late.cancel()
        if not line:
            raise RuntimeError(f"its process {self._end(call)}")
        answer = json.loads(line)
        self.seconds = answer["seconds"]
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]

    def _exchange(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self._process.stdout.readline()

    def _end(self, call: str) -> str:
        status = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "no word")
        return f"ended with status {status} at {call!r}: {last.strip()}"


@dataclasses.dataclass(frozen=True)
class Isolated:
    """A peer in an environment of its own, used as a `Peer`.

    Args:
        name: of its environment, and of its server, `servers/serve_<name>.py`.
        packages: the distributions to tell the versions of.
        settings: the model and its settings, in words.
    """

    name: str
    packages: tuple[str, ...]
    settings: str

    @property
    def python(self) -> pathlib.Path:
        """Of its environment."""
        return ENVIRONMENTS / self.name / "bin" / "python"

    @property
    def missing(self) -> list[str]:
        """What is not installed, and how to install it."""
        installed = self._installed()
        lacking = [name for name in self.packages if name not in installed]
        if not lacking:
            return []
        how = f"python -m benchmarks.regret.peers.environments {self.name}"
        return [f"{' '.join(lacking)} ({how} makes its environment)"]

    @property
    def versions(self) -> str:
        """Name and version of each distribution."""
        installed = self._installed()
        return " ".join(f"{name}=={installed[name]}" for name in self.packages)

    def _installed(self) -> dict[str, str]:
        paths = map(str, self.python.parents[1].glob("lib/python*/site-packages"))
        return {
            found.name: found.version
            for found in importlib.metadata.distributions(path=list(paths))
        }

    def run(self, objective: Objective, x0: np.ndarray, seed: int) -> None:
        """One run."""
        command = [str(self.python), str(SERVERS / f"serve_{self.name}.py")]
        with Server(command) as server:
            converse(server, objective, x0, seed)


def converse(server: Server, objective: Objective, x0: np.ndarray, seed: int) -> None:
    """A run by a server: the initial points are told, then it is asked for the rest."""
    case = objective.case

    def call(name: str, **arguments: Any) -> Any:
        result = server.call(name, **arguments)
        objective.elsewhere = server.seconds
        return result

    call("start", levels=case.levels, categorical=case.categorical, seed=seed)
    for point in x0:
        call("tell", point=case.numbers(point), value=objective(point))
    while objective.left:
        numbers = call("ask")
        call("tell", point=numbers, value=objective(case.point(numbers)))
