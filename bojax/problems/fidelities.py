"""Functions that can be evaluated at less than full fidelity."""

import functools

from bojax.problems import synthetic
from bojax.problems.catalog import Problem, get
from bojax.space import Fidelity, Space
from bojax.space import Float as Real


@functools.cache
def augmented_hartmann() -> Problem:
    """Hartmann's function in six dimensions with a fidelity s.

        f(x, s) = -sum_i a_i(s) exp(-sum_j A_ij (x_j - P_ij)^2),  a_1 = 1 - 0.1 (1 - s)

    Returns:
        The problem, its optimum at s = 1; the same object at every call.

    Example:
        >>> problem = augmented_hartmann()
        >>> problem.space.num_columns, round(problem.optimum, 4)
        (7, -3.3224)

    References:
        Wu, Toscano-Palmerin, Frazier and Wilson (2019), Practical multi-fidelity
        Bayesian optimization for hyperparameter tuning, section 5.1.
    """
    plain = get("hartmann6")
    columns = {f"x{j}": Real(0.0, 1.0) for j in range(6)}
    return Problem(
        name="augmented_hartmann",
        fn=synthetic.augmented_hartmann,
        space=Space({**columns, "s": Fidelity(0.0, 1.0)}),
        optimum=plain.optimum,
        minimizers=tuple((*point, 1.0) for point in plain.minimizers),
        range=plain.range,
        source="Wu et al. (2019), section 5.1",
    )
