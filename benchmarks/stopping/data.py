"""The recorded curves. The folder with their files is in the variable `BOJAX_DATA`.

- `curves/metaqnn_cifar10.csv.gz`, `curves/metaqnn_svhn.csv.gz`,
  `curves/deep_resnets_cifar10.csv.gz`: the tables of the same names in
  MITAutoML/accelerating_nas (MIT), compressed. Validation accuracies of 1,000 and 1,300
  convolutional networks over 20 epochs and of 486 ResNets over 50, in columns `acc_*`.
- `curves/taskset_imdb_*.npz`: two text-classification tasks of the slice of TaskSet in
  releaunifreiburg/DyHPO (Apache-2.0), 1,000 configurations of Adam each. `valid_loss`
  is [1000, 51]; the first column is before training. Some diverge or turn NaN.
"""

import csv
import functools
import gzip
import os
import pathlib

import numpy as np

_ACCURACIES = {
    "metaqnn-cifar10": "metaqnn_cifar10.csv.gz",
    "metaqnn-svhn": "metaqnn_svhn.csv.gz",
    "resnets-cifar10": "deep_resnets_cifar10.csv.gz",
}
_LOSSES = {
    "taskset-lstm": "taskset_imdb_patch128_LSTM128_avg_bs64.npz",
    "taskset-gru": "taskset_imdb_patch32_GRU64_avg_bs128.npz",
}
SETS = (*_ACCURACIES, *_LOSSES)


def _folder() -> pathlib.Path:
    if "BOJAX_DATA" not in os.environ:
        raise SystemExit("set BOJAX_DATA to the folder with the data; see data.py")
    return pathlib.Path(os.environ["BOJAX_DATA"]) / "curves"


@functools.cache
def load(name: str) -> np.ndarray:
    """The curves [n, t] of a set: errors or losses, lower is better."""
    if name in _LOSSES:
        return np.load(_folder() / _LOSSES[name])["valid_loss"].astype(float)
    with gzip.open(_folder() / _ACCURACIES[name], "rt", newline="") as stream:
        rows = list(csv.DictReader(stream))
    columns = [column for column in rows[0] if column.startswith("acc_")]
    return 1 - np.array([[float(row[column]) for column in columns] for row in rows])
