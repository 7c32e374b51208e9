"""Functions and tables with known optima, to measure strategies on."""

from bojax.problems.catalog import HPOLIB as HPOLIB
from bojax.problems.catalog import Problem as Problem
from bojax.problems.catalog import get as get
from bojax.problems.catalog import names as names
from bojax.problems.cells import cells as cells
from bojax.problems.conditional import branches as branches
from bojax.problems.fidelities import augmented_hartmann as augmented_hartmann
from bojax.problems.fronts import FrontProblem as FrontProblem
from bojax.problems.fronts import branin_currin as branin_currin
from bojax.problems.fronts import c2_dtlz2 as c2_dtlz2
from bojax.problems.fronts import zdt1 as zdt1
from bojax.problems.graphs import graph as graph
from bojax.problems.tables import TABLES as TABLES
from bojax.problems.tables import Table as Table
from bojax.problems.tables import table as table
