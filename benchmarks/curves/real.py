"""Forecasts from the finished curves of a study, on real ones: `python -m` this.

What is forecast is the last epoch, from the first 20, 40 and 60 % of the run. The
baseline is the last value plus what it missed on the finished curves. The constants of
the other were chosen on SVHN and on the first half of the rows of every other set, but
for the tails of its kernel, for which stopping was tried on all rows. What is printed
is of the second half.

- 20 finished: random subsets of the rows, and with each 50 other curves to forecast.
- all finished: 100 random curves are forecast, from all the others of the set.
- stopping: trials in random order, none of them stopped, so that of each it is known
  whether it became the incumbent. Would `P(last value beats the incumbent) < threshold`
  at any epoch from the third on have stopped it, and how many epochs would that save on
  the others? From the sixth trial on.

Losses are scored on a bounded scale: what exceeds twice the median loss before
training, and what has failed, is put there, in truths and forecasts alike.
"""

import time

import numpy as np

from benchmarks.curves import data, scores
from bojax.curves.study import Study

NAMES = (*data.ACCURACIES, *data.LOSSES)
CUTOFFS = (0.2, 0.4, 0.6)
SAMPLES = 1000
THRESHOLDS = {"0.05": lambda k: 0.05, "0.05 / (k + 1)": lambda k: 0.05 / (k + 1)}


def baseline(known: np.ndarray, finished: np.ndarray) -> np.ndarray:
    """Last value plus residuals, of values on the bounded scale."""
    t = known.shape[1]
    return known[:, -1:] + (finished[:, -1] - finished[:, t - 1])


def forecast(known: np.ndarray, finished: np.ndarray) -> np.ndarray:
    t, horizon = known.shape[1], finished.shape[1]
    study = Study(finished, t)
    last = np.array([horizon - t - 1])
    # In pieces, for the memory.
    pieces = np.array_split(known, max(1, len(known) * len(finished) // 20_000))
    return np.concatenate(
        [study(p, steps=last).paths(SAMPLES)[:, :, 0] for p in pieces]
    )


def measure(running: np.ndarray, finished: np.ndarray, worst: float) -> np.ndarray:
    """[cutoffs, methods, (CRPS, log score, coverage of each level)]."""

    def bounded(y: np.ndarray) -> np.ndarray:
        return np.minimum(np.where(np.isnan(y), np.inf, y), worst)

    truth = bounded(running[:, -1])
    rows = []
    for cutoff in CUTOFFS:
        t = round(cutoff * running.shape[1])
        both = (
            baseline(bounded(running[:, :t]), bounded(finished)),
            forecast(running[:, :t], finished),
        )
        for samples in map(bounded, both):
            rows.append(
                [
                    scores.crps(samples, truth).mean(),
                    np.median(scores.log_score(samples, truth)),
                    *scores.covered(samples, truth).mean(0),
                ]
            )
    return np.reshape(rows, (len(CUTOFFS), 2, -1))


def worst_of(name: str, curves: np.ndarray) -> float:
    return 2 * np.nanmedian(curves[:, 0]) if name in data.LOSSES else np.inf


def with_twenty(name: str, curves: np.ndarray, subsets: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(subsets):
        some = curves[rng.permutation(len(curves))[:70]]
        rows.append(measure(some[20:], some[:20], worst_of(name, curves)))
    return np.mean(rows, 0)


def with_all(name: str, curves: np.ndarray, rows: np.ndarray) -> np.ndarray:
    some = np.random.default_rng(0).permutation(rows)[:100]
    others = np.delete(curves, some, axis=0)
    return measure(curves[some], others, worst_of(name, curves))


def stopping(curves: np.ndarray, orders: int = 30, trials: int = 100) -> list[float]:
    """Winners, then for each threshold: share of winners stopped, of epochs saved.

    The share of epochs is estimated on four trials of each order that did not win.
    """
    rng = np.random.default_rng(0)
    won, lost = [], []
    for _ in range(orders):
        some = curves[rng.permutation(len(curves))[:trials]]
        some = np.where(np.isnan(some), np.inf, some)
        best = np.minimum.accumulate(some[:, -1])
        winner = np.flatnonzero(some[1:, -1] < best[:-1]) + 1
        winner = winner[winner >= 5]
        loser = rng.choice(np.setdiff1d(np.arange(5, trials), winner), 4, replace=False)
        won += [stopped_at(some, k, best[k - 1]) for k in winner]
        lost += [stopped_at(some, k, best[k - 1]) for k in loser]
    false = (np.array(won) < 1).mean(0)
    saved = 1 - np.array(lost).mean(0)
    return [len(won), *np.stack([false, saved], 1).ravel()]


def stopped_at(curves: np.ndarray, k: int, best: float) -> list[float]:
    """For each threshold the share of its epochs that trial `k` would have run."""
    horizon = curves.shape[1]
    share = dict.fromkeys(THRESHOLDS, 1.0)
    for t in range(3, horizon):
        study = Study(curves[:k], t)
        mixture = study(curves[k : k + 1, :t], steps=np.array([horizon - t - 1]))
        chance = mixture.prob_below(best)[0, 0]
        for rule, threshold in THRESHOLDS.items():
            if share[rule] == 1 and chance < threshold(k):
                share[rule] = t / horizon
        if max(share.values()) < 1:
            break
    return list(share.values())


def reproduced() -> list[str]:
    """The published values of the baseline, and which curves gave them."""
    published = {
        "metaqnn_cifar10": ".0208 .0078 .0028",
        "deep_resnets_cifar10": ".0213 .0141 .0032",
    }
    lines = []
    for name, values in published.items():
        curves = data.load(name)
        order = np.random.default_rng(0).permutation(len(curves))
        running, finished = curves[order[:100]], curves[order[100:400]]
        crps = measure(running, finished, np.inf)[:, :, 0].T
        own = " | ".join(" ".join(f"{c:.4f}"[1:] for c in row) for row in crps)
        lines.append(f"| {name} | {values} | {own} |")
    return lines


def table(results: dict[str, np.ndarray]) -> list[str]:
    lines = [
        "| set | method | CRPS at 20, 40, 60 % | sum | 50 % | 80 % | 95 % "
        "| 50 / 80 / 95 % at each cutoff | median log score |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, result in results.items():
        for method, rows in zip(
            ("baseline", "study"), result.swapaxes(0, 1), strict=True
        ):
            crps = " ".join(f"{c:.4f}" for c in rows[:, 0])
            cover = " | ".join(f"{c:.3f}" for c in rows[:, 2:].mean(0))
            each = ", ".join(" / ".join(f"{c:.2f}" for c in row) for row in rows[:, 2:])
            lines.append(
                f"| {name} | {method} | {crps} | {rows[:, 0].sum():.4f} | {cover} "
                f"| {each} | {rows[:, 1].mean():.2f} |"
            )
    return lines


def main() -> None:
    start = time.perf_counter()
    twenty, everything, stops = {}, {}, []
    for name in NAMES:
        curves = data.load(name)
        rows = np.arange(len(curves) // 2, len(curves))
        twenty[name] = with_twenty(name, curves[rows])
        everything[name] = with_all(name, curves, rows)
        winners, *shares = stopping(curves[rows])
        cells = " | ".join(f"{share:.3f}" for share in shares)
        stops.append(f"| {name} | {winners} | {cells} |")
        print(name, f"{time.perf_counter() - start:.0f} s", flush=True)
    heads = " | ".join(f"stopped, {r} | saved, {r}" for r in THRESHOLDS)
    text = [
        "# Forecasts from finished curves, on real ones",
        "",
        "Written by `python -m benchmarks.curves.real`, which says how.",
        "",
        "## 20 finished curves, the second half of each set",
        "",
        *table(twenty),
        "",
        "## All other curves finished, 100 curves of the second half",
        "",
        *table(everything),
        "",
        "## Stopping, the second half of each set",
        "",
        "`k` is the number of finished trials: before anything is known of a trial,",
        "its chance to become the incumbent is 1 / (k + 1).",
        "",
        f"| set | winners | {heads} |",
        "|---|---|" + "---|---|" * len(THRESHOLDS),
        *stops,
        "",
        "## CRPS of the baseline, reproduced: 100 curves from 300 others",
        "",
        "| set | published | baseline | study |",
        "|---|---|---|---|",
        *reproduced(),
    ]
    print("\n".join(text))
    data.RESULTS.mkdir(exist_ok=True)
    (data.RESULTS / "real.md").write_text("\n".join(text) + "\n")


if __name__ == "__main__":
    main()
