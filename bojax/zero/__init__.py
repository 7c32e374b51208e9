"""AutoML-Zero: whole learning algorithms, evolved from mathematical operations.

References:
    Real, Liang, So and Le (2020), AutoML-Zero: evolving machine learning algorithms
    from scratch.
"""

from bojax.zero import examples as examples
from bojax.zero import tasks as tasks
from bojax.zero.analysis import canonical as canonical
from bojax.zero.analysis import canonical_hash as canonical_hash
from bojax.zero.analysis import eliminate_dead_code as eliminate_dead_code
from bojax.zero.evaluate import Evaluation as Evaluation
from bojax.zero.evaluate import evaluate as evaluate
from bojax.zero.evolve import Evolved as Evolved
from bojax.zero.evolve import Savings as Savings
from bojax.zero.evolve import evolve as evolve
from bojax.zero.explain import explain as explain
from bojax.zero.operations import Op as Op
from bojax.zero.program import Instruction as Instruction
from bojax.zero.program import Memory as Memory
from bojax.zero.program import Program as Program
from bojax.zero.search_space import DEMO as DEMO
from bojax.zero.search_space import EVERYTHING as EVERYTHING
from bojax.zero.search_space import Mutations as Mutations
from bojax.zero.search_space import SearchSpace as SearchSpace
from bojax.zero.tasks import Tasks as Tasks
from bojax.zero.transform import constants_space as constants_space
from bojax.zero.transform import to_jax as to_jax
from bojax.zero.transform import tune as tune
from bojax.zero.transform import with_factors as with_factors
