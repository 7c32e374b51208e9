"""HEBO behind a pipe."""

import random

import numpy as np
import pandas
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO
from serving import serve


def start(levels, categorical, seed):
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    columns = []
    for i, (k, unordered) in enumerate(zip(levels, categorical, strict=True)):
        if unordered:
            column = {"type": "cat", "categories": list(range(k))}
        elif k:
            column = {"type": "int", "lb": 0, "ub": k - 1}
        else:
            column = {"type": "num", "lb": 0.0, "ub": 1.0}
        columns.append({"name": f"x{i}", **column})
    names = [column["name"] for column in columns]
    optimizer = HEBO(DesignSpace().parse(columns), scramble_seed=seed)

    def ask():
        found = optimizer.suggest(1)
        numbers = [found[name].iloc[0] for name in names]
        return [int(v) if k else float(v) for v, k in zip(numbers, levels, strict=True)]

    def tell(point, value):
        optimizer.observe(pandas.DataFrame([point], columns=names), np.array([[value]]))

    return ask, tell


serve(start)
