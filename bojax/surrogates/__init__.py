"""Models of the objective: a `Surrogate` is fitted and conditioned on data."""

from bojax.surrogates import kernels as kernels
from bojax.surrogates import priors as priors
from bojax.surrogates.base import Normal as Normal
from bojax.surrogates.base import Posterior as Posterior
from bojax.surrogates.base import Surrogate as Surrogate
from bojax.surrogates.bayesian import Bayesian as Bayesian
from bojax.surrogates.bayesian import saas as saas
from bojax.surrogates.best import Best as Best
from bojax.surrogates.deep import Deep as Deep
from bojax.surrogates.gp import GP as GP
from bojax.surrogates.gp import GPPosterior as GPPosterior
from bojax.surrogates.mixture import Mixture as Mixture
from bojax.surrogates.multitask import MultiTask as MultiTask
from bojax.surrogates.multitask import source as source
from bojax.surrogates.paths import Paths as Paths
from bojax.surrogates.several import Several as Several
