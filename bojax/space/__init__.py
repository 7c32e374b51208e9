"""Search spaces: parameters, conditions and constraints on the unit cube."""

from bojax.space.codec import Column as Column
from bojax.space.parameters import Categorical as Categorical
from bojax.space.parameters import Fidelity as Fidelity
from bojax.space.parameters import Float as Float
from bojax.space.parameters import FullFidelity as FullFidelity
from bojax.space.parameters import Int as Int
from bojax.space.parameters import Ordinal as Ordinal
from bojax.space.parameters import Parameter as Parameter
from bojax.space.space import Space as Space
