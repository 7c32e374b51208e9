"""Real learning curves, from the folder that the environment variable BOJAX_DATA names.

In its subfolder `curves`:

- `metaqnn_svhn.csv.gz`, `metaqnn_cifar10.csv.gz`, `deep_resnets_cifar10.csv.gz`:
  validation accuracy of 1,300 and 1,000 CNNs over 20 epochs and of 486 ResNets over 50,
  in columns `acc_*`. From https://github.com/MITAutoML/accelerating_nas (MIT), the data
  of Baker, Gupta, Raskar and Naik (2018).
- `taskset_imdb_patch128_LSTM128_avg_bs64.npz` and
  `taskset_imdb_patch32_GRU64_avg_bs128.npz`: `valid_loss` [1000, 51] of two RNNs under
  1,000 configurations of Adam each; the first column is the loss before training. The
  slice of TaskSet in https://github.com/releaunifreiburg/DyHPO (Apache-2.0).
- `lcpfn_prior.npz`: `observed` and noise-free `mean`, [400, 100] each, drawn with
  https://github.com/automl/lcpfn (MIT) from its prior.
"""

import csv
import functools
import gzip
import os
import pathlib

import numpy as np

ACCURACIES = ("metaqnn_svhn", "metaqnn_cifar10", "deep_resnets_cifar10")
RESULTS = pathlib.Path(__file__).parent / "results"
LOSSES = (
    "taskset_imdb_patch128_LSTM128_avg_bs64",
    "taskset_imdb_patch32_GRU64_avg_bs128",
)


@functools.cache
def load(name: str) -> np.ndarray:
    """Curves [k, H] of a set, lower is better: the error or the loss.

    NaN from where a training has failed.
    """
    path = _folder() / (name + (".csv.gz" if name in ACCURACIES else ".npz"))
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: not there; benchmarks/curves/data.py says where it comes from"
        )
    if name in LOSSES:
        return np.load(path)["valid_loss"].astype(float)
    with gzip.open(path, "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [column for column in rows[0] if column.startswith("acc_")]
    columns.sort(key=lambda column: int(column[4:]))
    return 1 - np.array([[float(row[column]) for column in columns] for row in rows])


def lcpfn_curves() -> np.ndarray:
    """Noisy curves [400, 100] of LC-PFN's prior."""
    return np.load(_folder() / "lcpfn_prior.npz")["observed"]


def _folder() -> pathlib.Path:
    folder = os.environ.get("BOJAX_DATA")
    if not folder:
        raise RuntimeError(
            "BOJAX_DATA: expected the folder with the data, found it unset; "
            "benchmarks/curves/data.py says what belongs there"
        )
    return pathlib.Path(folder) / "curves"
