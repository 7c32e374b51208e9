"""Surrogates judged by what they predict: `python -m benchmarks.surrogates run`."""

import os

# Read when the libraries are imported, hence here.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
