"""How a run went."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bojax.plots import _style
from bojax.tuning import Result, Study


def history(run: Result | Study, ax: Axes | None = None) -> Axes:
    """The value of every trial, and the best value so far.

    Trials that did not meet every constraint are crosses, and never the best. Failed
    ones are dark crosses at the edge where bad values are; trials that a stopping rule
    ended are hollow, at the last value that they reported.

    Args:
        run: a result, or a study, finished or not.
        ax: where to draw; default: a new figure.

    Returns:
        The axes, in the objective's own sense and units.

    Raises:
        ValueError: if there are several objectives.

    Example:
        >>> import bojax
        >>> space = bojax.Space({"a": bojax.Float(-1, 1)})
        >>> study = bojax.tuning.Study(space, bojax.strategies.Random(space))
        >>> for trial in study.ask(8):
        ...     study.tell(trial, trial.config["a"] ** 2)
        >>> ax = history(study)
        >>> ax.get_xlabel(), ax.get_ylabel()
        ('trial', 'value')
    """
    panel: Axes = _style.new_axes(6.0, 3.5, 1, 1)[0, 0] if ax is None else ax
    if not isinstance(run.direction, str):
        raise ValueError(
            f"run: expected one of one objective, got {len(run.direction)}; see `front`"
        )
    finished = [trial for trial in run.trials if trial.finished]
    number = np.array([trial.number for trial in finished], int)
    value = np.array([trial.value for trial in finished], float)
    state = np.array([trial.state for trial in finished], str)
    feasible = np.array([trial.feasible for trial in finished], bool)

    minimized = run.direction == "minimize"
    better = np.fmin if minimized else np.fmax
    best = better.accumulate(np.where(feasible, value, np.nan))
    panel.step(
        number, best, where="post", color=_style.SURROGATE, lw=1.8, label="best so far"
    )
    failed = state == "failed"
    unmet = ~feasible & ~failed
    done, stopped = (feasible & (state == s) for s in ("done", "stopped"))
    dot = _style.TRIAL
    panel.plot(number[done], value[done], **dot, alpha=0.8, label="trial")
    if stopped.any():
        panel.plot(
            number[stopped], value[stopped], **dot, mfc="none", label="stopped early"
        )
    if unmet.any():
        panel.plot(
            number[unmet], value[unmet], **_style.UNMET, label="constraint not met"
        )
    if failed.any():
        bad_edge = 0.98 if minimized else 0.02
        panel.plot(
            number[failed],
            np.full(failed.sum(), bad_edge),
            **{**dot, "marker": "x", "color": _style.INK},
            transform=panel.get_xaxis_transform(),
            label="failed",
        )
    panel.set_xlabel("trial")
    panel.set_ylabel("value")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(**_style.LEGEND)
    _style.tidy(panel)
    return panel
