"""From a strategy to a finished run: compiled, by hand, or from one call."""

from bojax.tuning.convergence import Converged as Converged
from bojax.tuning.convergence import regret_bound as regret_bound
from bojax.tuning.minimize import Result as Result
from bojax.tuning.minimize import maximize as maximize
from bojax.tuning.minimize import minimize as minimize
from bojax.tuning.simulate import History as History
from bojax.tuning.simulate import simulate as simulate
from bojax.tuning.study import Study as Study
from bojax.tuning.trial import FAILED as FAILED
from bojax.tuning.trial import Trial as Trial
