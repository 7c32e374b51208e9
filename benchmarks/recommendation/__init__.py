"""True values of what is recommended under noise, beside the luckiest point."""

import os

# One thread each. Read when the libraries are imported, hence here.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
