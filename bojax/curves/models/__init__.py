"""Priors over learning curves, behind one type."""

from bojax.curves.models.base import Model as Model
from bojax.curves.models.base import Noise as Noise
from bojax.curves.models.domhan import Ensemble as Ensemble
from bojax.curves.models.lcpfn import LCPFN as LCPFN
from bojax.curves.models.robust import Robust as Robust

# Their counts are properties, which pyright takes for fields.
DOMHAN = Ensemble()  # pyright: ignore[reportCallIssue]
LCPFN_PRIOR = LCPFN()
ROBUST = Robust()  # pyright: ignore[reportCallIssue]
