"""Regret in single precision beside that in double; the package is the same."""

import os

# One thread each. Read when the libraries are imported, hence here.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
