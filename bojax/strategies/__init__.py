"""Ways to search a space: each a `Strategy` with `init`, `ask` and `tell`."""

from bojax.strategies.base import Recommendation as Recommendation
from bojax.strategies.base import State as State
from bojax.strategies.base import Strategy as Strategy
from bojax.strategies.bayes import BayesOpt as BayesOpt
from bojax.strategies.cmaes import CMAES as CMAES
from bojax.strategies.evolution import RegularizedEvolution as RegularizedEvolution
from bojax.strategies.grid import Grid as Grid
from bojax.strategies.nsga2 import NSGA2 as NSGA2
from bojax.strategies.policies import Independent as Independent
from bojax.strategies.policies import Policy as Policy
from bojax.strategies.policies import Recurrent as Recurrent
from bojax.strategies.random import Random as Random
from bojax.strategies.reinforce import Reinforce as Reinforce
from bojax.strategies.sobol import Sobol as Sobol
from bojax.strategies.tpe import TPE as TPE
from bojax.strategies.turbo import TuRBO as TuRBO
