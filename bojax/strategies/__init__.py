"""Ways to search a space: each a `Strategy` with `init`, `ask` and `tell`."""

from bojax.strategies.base import State as State
from bojax.strategies.base import Strategy as Strategy
from bojax.strategies.bayes import BayesOpt as BayesOpt
from bojax.strategies.grid import Grid as Grid
from bojax.strategies.random import Random as Random
from bojax.strategies.sobol import Sobol as Sobol
from bojax.strategies.tpe import TPE as TPE
