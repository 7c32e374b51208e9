"""Figures: how a run went, and what surrogates and learning curves' models believe.

Every function returns the axes it drew on and shows nothing: save them with
`axes.figure.savefig`, or let a notebook display them.
"""

from bojax.plots.curves import curve as curve
from bojax.plots.curves import curves as curves
from bojax.plots.curves import families as families
from bojax.plots.fronts import front as front
from bojax.plots.planes import posterior_2d as posterior_2d
from bojax.plots.runs import history as history
from bojax.plots.slices import posterior_1d as posterior_1d
from bojax.plots.slices import slices as slices
