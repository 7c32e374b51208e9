"""Pipelines of scikit-learn, tuned: `python -m benchmarks.searches.pipelines run`.

Digits (300 of them) and wine, with one value in twenty missing, 3-fold cross-validated
error. Missing values are filled in, what remains is scaled, reduced by a choice of
features or by principal components or not, and classified by a support vector machine
by kernel, a random forest, or a network by solver. Every training is kept in
`.cache/pipelines`. All searches have the same ten random configurations first. Regret
is the error above the least that any search found on the same data.
"""

import argparse
import functools
import pathlib
import warnings
import zlib
from collections.abc import Sequence

import jax
import joblib
import numpy as np
import scipy.stats
import threadpoolctl

import bojax
from benchmarks import rows
from benchmarks.searches.contenders import CONTENDERS
from benchmarks.searches.objectives import Objective
from benchmarks.statistics import mean_interval
from bojax.space import Space

RESULTS = pathlib.Path(__file__).parent / "results"
PATH = RESULTS / "pipelines.csv"
DATA, NUM_TRIALS, NUM_INITIAL, AT = ("digits", "wine"), 120, 10, (60, 120)
FIELDS = ("data", "search", "seed", *(f"best{n}" for n in AT))
SEARCHES, OURS = ("random", "bojax-tpe", "bojax-bayes", "optuna-tpe"), "bojax-bayes"
memory = joblib.Memory(".cache/pipelines", verbose=0)

SPACE = Space(
    {
        "fill": bojax.Categorical("mean", "median", "most_frequent"),
        "scale": bojax.Categorical("none", "unit", "normal"),
        "select": bojax.Categorical("all", "pca", "best"),
        "components": bojax.Float(0.1, 1.0, when={"select": "pca"}),
        "fraction": bojax.Float(0.1, 1.0, when={"select": "best"}),
        "model": bojax.Categorical("svm", "forest", "mlp"),
        "kernel": bojax.Categorical("linear", "rbf", "poly", when={"model": "svm"}),
        "c": bojax.Float(1e-3, 1e3, log=True, when={"model": "svm"}),
        "gamma": bojax.Float(1e-4, 1e1, log=True, when={"kernel": ("rbf", "poly")}),
        "degree": bojax.Int(2, 4, when={"kernel": "poly"}),
        "trees": bojax.Int(4, 64, log=True, when={"model": "forest"}),
        "depth": bojax.Int(1, 16, when={"model": "forest"}),
        "solver": bojax.Categorical("adam", "sgd", when={"model": "mlp"}),
        "width": bojax.Int(4, 64, log=True, when={"model": "mlp"}),
        "rate": [
            bojax.Float(1e-4, 1e-1, log=True, when={"solver": "adam"}),
            bojax.Float(1e-3, 1e0, log=True, when={"solver": "sgd"}),
        ],
        "momentum": bojax.Float(0.0, 0.99, when={"solver": "sgd"}),
    }
)


@functools.cache
def data(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows with missing values, and their classes."""
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(y))[:300]
    x, y = x[rows], y[rows]
    return np.where(rng.random(x.shape) < 0.05, np.nan, x), y


@memory.cache
def error(name: str, config: dict) -> float:
    """Of a pipeline, cross-validated; one where it cannot be trained."""
    from sklearn.decomposition import PCA
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_selection import SelectPercentile
    from sklearn.impute import SimpleImputer
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler
    from sklearn.svm import SVC

    x, y = data(name)
    steps: list = [SimpleImputer(strategy=config["fill"])]
    if config["scale"] != "none":
        steps.append(MinMaxScaler() if config["scale"] == "unit" else StandardScaler())
    if config["select"] == "pca":
        steps.append(PCA(max(1, round(config["components"] * x.shape[1]))))
    elif config["select"] == "best":
        steps.append(SelectPercentile(percentile=100 * config["fraction"]))
    if config["model"] == "svm":
        more = {k: config[k] for k in ("gamma", "degree") if k in config}
        steps.append(
            SVC(C=config["c"], kernel=config["kernel"], max_iter=20_000, **more)
        )
    elif config["model"] == "forest":
        steps.append(
            RandomForestClassifier(
                config["trees"], max_depth=config["depth"], random_state=0
            )
        )
    else:
        steps.append(
            MLPClassifier(
                (config["width"],),
                solver=config["solver"],
                learning_rate_init=config["rate"],
                momentum=config.get("momentum", 0.9),
                max_iter=60,
                random_state=0,
            )
        )
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    with warnings.catch_warnings(), threadpoolctl.threadpool_limits(1):
        warnings.simplefilter("ignore")
        scores = cross_val_score(make_pipeline(*steps), x, y, cv=folds, error_score=0)
    return float(1 - scores.mean())


def _plain(value: object) -> object:
    """As the cache knows it: a number of NumPy is a number."""
    return value.item() if isinstance(value, np.generic) else value


def objective(name: str) -> Objective:
    def fn(config: dict) -> float:
        return error(name, {k: _plain(config[k]) for k in sorted(config)})

    return Objective(SPACE, fn)


def stored() -> dict[tuple[str, str], dict[int, np.ndarray]]:
    """The least error after each of `AT`, by data and search, then by seed."""
    found: dict[tuple[str, str], dict[int, np.ndarray]] = {}
    for row in rows.read(PATH):
        values = np.array([float(row[f"best{n}"]) for n in AT])
        runs = found.setdefault((row["data"], row["search"]), {})
        runs[int(row["seed"])] = values
    return found


def run(seeds: range, searches: Sequence[str] = SEARCHES) -> None:
    """Do and store the runs that are not stored yet, seed by seed."""
    for seed in seeds:
        for name in DATA:
            key = jax.random.key(zlib.crc32(f"{name} {seed}".encode()))
            points = np.asarray(SPACE.sample(key, NUM_INITIAL))
            initial = [SPACE.decode(x) for x in points]
            for search in searches:
                if seed in stored().get((name, search), {}):
                    continue
                y = CONTENDERS[search](objective(name), initial, seed, NUM_TRIALS)
                best = [f"{min(y[:n]):.6g}" for n in AT]
                rows.append(PATH, FIELDS, (name, search, seed, *best))
                print(name, search, seed, best, flush=True)


def report() -> str:
    """Mean regrets and ranks, and what BayesOpt's differs by, as markdown."""
    runs = stored()
    lines = [
        "# Pipelines of scikit-learn",
        "",
        __doc__.split("\n\n", 1)[1].strip(),
        "",
        "Mean regret in percent and, in brackets, mean rank among the searches, paired",
        "by seed.",
        "",
        "| data | search | seeds | "
        + " | ".join(f"after {n} evaluations" for n in AT)
        + " |",
        "| --- | --- | --- |" + " --- |" * len(AT),
    ]
    ranks: dict[str, np.ndarray] = {}
    for name in DATA:
        own = [runs.get((name, search), {}) for search in SEARCHES]
        seeds = sorted(set.intersection(*map(set, own)))
        if not seeds:
            continue
        values = np.array([[r[seed] for seed in seeds] for r in own])
        least = min(v.min() for r in own for v in r.values())
        regret = 100 * (values - least)
        rank = ranks[name] = scipy.stats.rankdata(values, axis=0)
        for i, search in enumerate(SEARCHES):
            cells = [
                f"{regret[i, :, j].mean():.2f} ({rank[i, :, j].mean():.2f})"
                for j in range(len(AT))
            ]
            lines.append(f"| {name} | {search} | {len(seeds)} | {' | '.join(cells)} |")
    lines += [
        "",
        f"Rank of {OURS} less that of each other search, paired by seed (less than 0:",
        f"{OURS} is ahead): mean and 95 % bootstrap interval.",
        "",
        "| data | against | " + " | ".join(f"after {n}" for n in AT) + " |",
        "| --- | --- |" + " --- |" * len(AT),
    ]
    for name, rank in ranks.items():
        lines += _against(name, [rank])
    lines += _against("both", list(ranks.values()))
    return "\n".join([*lines, ""])


def _against(label: str, ranks: list[np.ndarray]) -> list[str]:
    """Rows of the paired differences in rank `[searches, seeds, at]`."""
    us = SEARCHES.index(OURS)
    lines = []
    for i, search in enumerate(SEARCHES):
        if i == us or not ranks:
            continue
        mean, (low, high) = mean_interval([rank[us] - rank[i] for rank in ranks])
        cells = [
            f"{m:+.2f} [{a:+.2f}, {b:+.2f}]"
            for m, a, b in zip(mean, low, high, strict=True)
        ]
        lines.append(f"| {label} | {search} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searches.pipelines")
    parser.add_argument("command", choices=("run", "report"))
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="+", default=SEARCHES, choices=SEARCHES)
    arguments = parser.parse_args()
    if arguments.command == "run":
        with threadpoolctl.threadpool_limits(1):
            run(range(arguments.seeds), arguments.searches)
    text = report()
    print(text)
    (RESULTS / "pipelines.md").write_text(text)


if __name__ == "__main__":
    main()
