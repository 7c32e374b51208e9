"""Spaces of neural networks: their graphs, their costs, and the networks themselves."""

from bojax.nas.base import Architectures as Architectures
from bojax.nas.base import Cost as Cost
from bojax.nas.base import Graph as Graph
from bojax.nas.cell import Cell as Cell
from bojax.nas.chain import Chain as Chain
from bojax.nas.inheritance import deepened as deepened
from bojax.nas.inheritance import inherit as inherit
from bojax.nas.kernel import Aligned as Aligned
from bojax.nas.kernel import ChainKernel as ChainKernel
from bojax.nas.kernel import PathKernel as PathKernel
from bojax.nas.morphisms import add_skip as add_skip
from bojax.nas.morphisms import deepen as deepen
from bojax.nas.morphisms import grow_kernel as grow_kernel
from bojax.nas.morphisms import widen as widen
from bojax.nas.population import Population as Population
from bojax.nas.population import Room as Room
from bojax.nas.population import stack as stack
from bojax.nas.population import train as train
from bojax.nas.population import unstack as unstack
