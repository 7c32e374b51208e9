"""The recorded studies, by short names; benchmarks/curves/data.py has their sources."""

from benchmarks.curves import data

_FILES = {
    "metaqnn-cifar10": "metaqnn_cifar10",
    "metaqnn-svhn": "metaqnn_svhn",
    "resnets-cifar10": "deep_resnets_cifar10",
    "taskset-lstm": "taskset_imdb_patch128_LSTM128_avg_bs64",
    "taskset-gru": "taskset_imdb_patch32_GRU64_avg_bs128",
}
SETS = tuple(_FILES)


def load(name: str):
    """The curves [n, t] of a set: errors or losses, lower is better."""
    return data.load(_FILES[name])
