"""Models of the objective: a `Surrogate` is fitted and conditioned on data."""

from bojax.surrogates import kernels as kernels
from bojax.surrogates import priors as priors
from bojax.surrogates.base import Normal as Normal
from bojax.surrogates.base import Posterior as Posterior
from bojax.surrogates.base import Surrogate as Surrogate
from bojax.surrogates.gp import GP as GP
from bojax.surrogates.gp import GPPosterior as GPPosterior
from bojax.surrogates.paths import Paths as Paths
from bojax.surrogates.several import Several as Several
