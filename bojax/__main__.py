"""The command line: `python -m bojax --help`."""

import argparse
import os
import pathlib
import sys
from collections.abc import Sequence

import jax


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command.

    Args:
        arguments: what stands after `python -m bojax`; by default the process's own.
    """
    parser = argparse.ArgumentParser(
        prog="python -m bojax",
        description="Bayesian optimization in JAX.",
        epilog="What is compiled is kept for next time in a folder named bojax in the "
        "user's cache, or in the one that BOJAX_CACHE names.",
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="tune a neural network that reads digits",
        description="Tunes a neural network that reads digits: a minute or two.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument(
        "--trials", type=_positive, default=40, help="configurations to try"
    )
    demo.add_argument(
        "--out", type=pathlib.Path, default="out", help="folder for the figures"
    )
    demo.add_argument("--seed", type=_seed, default=0, help="another seed, another run")
    demo.set_defaults(run=_demo)
    zero = commands.add_parser(
        "zero",
        help="evolve linear regression from scratch",
        description="Evolves programs of six mathematical operations until one of them "
        "learns linear regression, and explains it: a minute or a few. Needs numba.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    zero.add_argument("--seed", type=_seed, default=0, help="another seed, another run")
    zero.add_argument(
        "--islands", type=_positive, default=os.cpu_count() or 1, help="threads"
    )
    zero.add_argument("--seconds", type=_positive, default=900, help="when to give up")
    zero.set_defaults(run=_zero)
    parsed = parser.parse_args(arguments)
    _keep_compiled_programs()
    parsed.run(parsed)


def _demo(parsed: argparse.Namespace) -> None:
    from bojax import _demo

    _demo.run(parsed.trials, parsed.out, parsed.seed)


def _zero(parsed: argparse.Namespace) -> None:
    from bojax.zero import demo

    try:
        demo.run(parsed.seed, parsed.islands, parsed.seconds)
    except ImportError as error:
        raise SystemExit(str(error)) from error


def _positive(text: str) -> int:
    return _integer(text, 1, sys.maxsize)


def _seed(text: str) -> int:
    return _integer(text, 0, 2**32 - 1)  # JAX drops what is beyond 32 bits


def _integer(text: str, least: int, most: int) -> int:
    try:
        number = int(text)
    except ValueError:
        message = f"expected an integer, got {text!r}"
        raise argparse.ArgumentTypeError(message) from None
    if number < least:
        raise argparse.ArgumentTypeError(f"expected at least {least}, got {number}")
    if number > most:
        raise argparse.ArgumentTypeError(f"expected at most {most}, got {number}")
    return number


def cache_folder() -> pathlib.Path:
    """Where the command line keeps compiled programs."""
    if named := os.environ.get("BOJAX_CACHE"):
        return pathlib.Path(named)
    home = pathlib.Path.home()
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = home / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or home / ".cache"
    return pathlib.Path(base) / "bojax"


def _keep_compiled_programs() -> None:
    # Whoever set JAX's own option has decided already.
    if jax.config.values["jax_compilation_cache_dir"] is None:
        jax.config.update("jax_compilation_cache_dir", str(cache_folder()))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


if __name__ == "__main__":
    main()
