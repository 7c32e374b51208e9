"""Learning curves: what is believed of their rest, and whether it is worth the wait."""

from bojax.curves.fit import fit as fit
from bojax.curves.models import DOMHAN as DOMHAN
from bojax.curves.models import LCPFN_PRIOR as LCPFN_PRIOR
from bojax.curves.models import ROBUST as ROBUST
from bojax.curves.models import Ensemble as Ensemble
from bojax.curves.models import Model as Model
from bojax.curves.models import Robust as Robust
from bojax.curves.posterior import CurvePosterior as CurvePosterior
from bojax.curves.stopping import PredictiveStopping as PredictiveStopping
