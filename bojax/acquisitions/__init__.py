"""What there is to gain from an evaluation, and where the most of it is."""

from bojax.acquisitions.analytic import EI as EI
from bojax.acquisitions.analytic import PI as PI
from bojax.acquisitions.analytic import UCB as UCB
from bojax.acquisitions.analytic import LogEI as LogEI
from bojax.acquisitions.analytic import expected_improvement as expected_improvement
from bojax.acquisitions.analytic import (
    log_expected_improvement as log_expected_improvement,
)
from bojax.acquisitions.analytic import (
    probability_of_improvement as probability_of_improvement,
)
from bojax.acquisitions.analytic import upper_confidence_bound as upper_confidence_bound
from bojax.acquisitions.average import Average as Average
from bojax.acquisitions.average import average as average
from bojax.acquisitions.base import Acquisition as Acquisition
from bojax.acquisitions.base import Belief as Belief
from bojax.acquisitions.cost import KnownCost as KnownCost
from bojax.acquisitions.cost import LearnedCost as LearnedCost
from bojax.acquisitions.cost import PerCost as PerCost
from bojax.acquisitions.entropy import JES as JES
from bojax.acquisitions.entropy import MES as MES
from bojax.acquisitions.entropy import sample_minima as sample_minima
from bojax.acquisitions.feasible import Feasible as Feasible
from bojax.acquisitions.feasible import (
    log_probability_feasible as log_probability_feasible,
)
from bojax.acquisitions.knowledge import KG as KG
from bojax.acquisitions.mace import MACE as MACE
from bojax.acquisitions.montecarlo import QUCB as QUCB
from bojax.acquisitions.montecarlo import QLogEI as QLogEI
from bojax.acquisitions.montecarlo import QLogNEI as QLogNEI
from bojax.acquisitions.optimize import optimize as optimize
from bojax.acquisitions.pareto import ParEGO as ParEGO
from bojax.acquisitions.pareto import QLogEHVI as QLogEHVI
from bojax.acquisitions.pareto import QLogNEHVI as QLogNEHVI
from bojax.acquisitions.pibo import PiBO as PiBO
from bojax.acquisitions.pibo import Prior as Prior
from bojax.acquisitions.thompson import Thompson as Thompson
from bojax.acquisitions.ucb_pe import UCBPE as UCBPE
