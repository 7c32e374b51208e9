"""The server's end of the pipe, on the standard library alone: a line of JSON each way.

It is run by the peer's own Python, which has neither bojax nor these benchmarks.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

Ask = Callable[[], list]
Tell = Callable[[list, float], None]


def serve(start: Callable[..., tuple[Ask, Tell]]) -> None:
    """Answers until the pipe is closed.

    Args:
        start: (levels, categorical, seed) of a run to what asks for a point, as
            `Case.numbers` has it, and what tells a point and its value.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    # Whatever else is printed is no answer.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    calls: dict[str, Callable] = {}

    def answer(call: str, **arguments: Any) -> Any:
        if call != "start":
            return calls[call](**arguments)
        calls["ask"], calls["tell"] = start(**arguments)

    for line in sys.stdin:
        try:
            said = {"result": answer(**json.loads(line))}
        except Exception as e:
            said = {"error": f"{type(e).__name__}: {e}"}
        said["seconds"] = time.process_time()
        print(json.dumps(said), file=answers, flush=True)
