"""Bayesian optimization in JAX."""

from bojax.data import Dataset as Dataset
from bojax.data import Outcome as Outcome
from bojax.data import Points as Points
from bojax.data import Trials as Trials
from bojax.space import Categorical as Categorical
from bojax.space import Float as Float
from bojax.space import Int as Int
from bojax.space import Ordinal as Ordinal
from bojax.space import Space as Space
