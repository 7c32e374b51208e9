"""`python -m benchmarks.regret.peers.environments hebo vizier` makes environments.

Of Python 3.11, the newest that HEBO's numpy has a wheel for, with the packages that
`servers/<name>.txt` pins.
"""

import argparse
import shutil
import subprocess
import sys

from benchmarks.regret.peers.pipe import ENVIRONMENTS, SERVERS

_VERSION = (3, 11)
NAMES = tuple(sorted(path.stem for path in SERVERS.glob("*.txt")))


def _python() -> str:
    """One of the version that is needed."""
    if sys.version_info[:2] == _VERSION:
        return sys.executable
    name = "python{}.{}".format(*_VERSION)
    found = shutil.which(name)
    if found is None:
        sys.exit(f"python: expected {name} to be installed, for the old packages")
    return found


def make(name: str) -> None:
    """One environment; what was there is replaced."""
    folder = ENVIRONMENTS / name
    subprocess.run([_python(), "-m", "venv", "--clear", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    subprocess.run([*pip, "-r", str(SERVERS / f"{name}.txt")], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.regret.peers.environments"
    )
    parser.add_argument("names", nargs="+", choices=NAMES)
    for name in parser.parse_args().names:
        make(name)


if __name__ == "__main__":
    main()
