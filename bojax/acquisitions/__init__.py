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
from bojax.acquisitions.optimize import optimize as optimize
