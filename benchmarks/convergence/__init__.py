"""The convergence stop: when it ends a run, and what is left."""
