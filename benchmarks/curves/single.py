"""Forecasts of one curve by itself, on real ones: `python -m` this.

What is forecast is the last epoch, from the first 20, 40 and 60 % of the run, by ROBUST
with nothing known of the study. Its priors and noise were chosen on SVHN. The curves
are 80 of the second half of each set. Losses are scored on a bounded scale: what
exceeds twice the median loss before training, and what has failed, is put there, and
what is below 0 at 0: after a value of 10,000 a forecast may lie anywhere.

`with the schedule`: the learning rate of the MetaQNN sets falls every five epochs, and
ROBUST is told.
"""

import os

import numpy as np

from benchmarks.curves import data, scores
from bojax import curves

CUTOFFS = (0.2, 0.4, 0.6)
NUM = 80
SCHEDULES = dict.fromkeys(("metaqnn_svhn", "metaqnn_cifar10"), (6.0, 11.0, 16.0))
PUBLISHED = {
    "metaqnn_cifar10": ".0216 .0270 .0145",
    "deep_resnets_cifar10": ".0521 .0305 .0182",
}


def draws(posterior: curves.CurvePosterior) -> np.ndarray:
    """What would be observed at the last step, `[n, s]`; weights are equal."""
    parts = posterior.components
    noise = np.random.default_rng(0).standard_normal(parts.weight.shape)
    return parts.center[:, :, -1] + parts.scale[:, :, -1] * noise


def measure(name: str, running: np.ndarray, worst: float, model) -> np.ndarray:
    """[cutoffs, (CRPS, coverage of each level)]."""

    def bounded(y: np.ndarray) -> np.ndarray:
        y = np.minimum(np.where(np.isnan(y), np.inf, y), worst)
        return np.maximum(y, 0) if name in data.LOSSES else y

    horizon, rows = running.shape[1], []
    for cutoff in CUTOFFS:
        t = round(cutoff * horizon)
        alive = np.isfinite(running[:, :t]).all(1)
        posterior = curves.fit(running[alive, :t], horizon, model=model)
        samples, truth = bounded(draws(posterior)), bounded(running[alive, -1])
        rows.append(
            [
                scores.crps(samples, truth).mean(),
                *scores.covered(samples, truth).mean(0),
            ]
        )
        print(name, cutoff, *(f"{value:.4f}" for value in rows[-1]), flush=True)
    return np.array(rows)


def main() -> None:
    lines = [
        "# Forecasts of one curve by itself",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "| set | CRPS at 20, 40, 60 % | sum | 50 % | 80 % | 95 % | 11 families |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    pooled = []
    for name in (*data.ACCURACIES, *data.LOSSES):
        whole = data.load(name)
        half = whole[len(whole) // 2 :]
        running = half[np.random.default_rng(0).permutation(len(half))[:NUM]]
        worst = 2 * np.nanmedian(whole[:, 0]) if name in data.LOSSES else np.inf
        models = {name: curves.ROBUST}
        if name in SCHEDULES:
            known = type(curves.ROBUST)(drops=SCHEDULES[name])
            models[f"{name}, with the schedule"] = known
        for label, model in models.items():
            found = measure(label, running, worst, model)
            if model is curves.ROBUST:
                pooled.append(found[:, 1:].mean(0))
            crps, mean = found[:, 0], found[:, 1:].mean(0)
            each = " ".join(f"{c:.4f}" for c in crps)
            covered = " | ".join(f"{m:.3f}" for m in mean)
            lines.append(
                f"| {label} | {each} | {crps.sum():.4f} | {covered} "
                f"| {PUBLISHED.get(name, '')} |"
            )
    mean = np.mean(pooled, 0)
    lines += [
        f"| **pooled**, no schedule | | | {' | '.join(f'{m:.3f}' for m in mean)} | |",
        "",
        f"XLA_FLAGS: {os.environ['XLA_FLAGS']}.",
    ]
    print("\n".join(lines))
    (data.RESULTS / "single.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
