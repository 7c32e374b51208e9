"""Nothing that a test draws outlives it, or changes anybody's defaults."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest


@pytest.fixture(autouse=True)
def clean_figures(monkeypatch: pytest.MonkeyPatch):
    """Closes figures; nothing may be shown, or set for the figures of others."""
    shown = []
    monkeypatch.setattr(plt, "show", lambda *args, **kwargs: shown.append(args))
    before = dict(mpl.rcParams)
    yield
    plt.close("all")
    assert not shown
    assert dict(mpl.rcParams) == before
