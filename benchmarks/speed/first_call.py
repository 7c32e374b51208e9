"""CPU seconds until the first proposal of a fresh process: `python -m` this.

In three processes: without a compilation cache, with an empty one, with the one that
the second has filled. The ask is that of a Study with the default BayesOpt on
Hartmann-6 after 12 observations.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

RESULTS = pathlib.Path(__file__).parent / "results"

_CHILD = """
import json, time
times = {"python": time.process_time()}
import jax
times["import jax"] = time.process_time()
import bojax
times["import bojax"] = time.process_time()
import numpy as np
from bojax import problems
study = bojax.Study(problems.get("hartmann6").space, key=0)
for x in np.random.default_rng(0).random((12, 6)):
    study.observe(study.space.decode(x), float(x.sum()))
times["observe"] = time.process_time()
trial = study.ask()
times["first ask"] = time.process_time()
study.tell(trial, 1.0)
study.ask()
times["tell and second ask"] = time.process_time()
print(json.dumps(times))
"""


def child(cache: str | None) -> dict[str, float]:
    """CPU seconds when each stage had ended, since the process began."""
    environment = dict(os.environ)
    environment.pop("JAX_COMPILATION_CACHE_DIR", None)
    if cache is not None:
        environment |= {
            "JAX_COMPILATION_CACHE_DIR": cache,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "0",
        }
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        runs = {
            "no cache": child(None),
            "empty cache": child(cache),
            "filled cache": child(cache),
        }
    stages = list(runs["no cache"])
    lines = [
        "# CPU seconds of a fresh process, in total at the end of each stage",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| | " + " | ".join(stages) + " |",
        "|" + " --- |" * (len(stages) + 1),
        *(
            f"| {name} | " + " | ".join(f"{run[s]:.2f}" for s in stages) + " |"
            for name, run in runs.items()
        ),
        "",
        f"XLA_FLAGS: {os.environ['XLA_FLAGS']}; one BLAS thread; "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end.",
    ]
    print("\n".join(lines))
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "first_call.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
