"""Posteriors of learning curves: by importance sampling, SMC and MCMC."""
