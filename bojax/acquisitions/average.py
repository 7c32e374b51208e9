"""An acquisition under several hyperparameters: the average over all of them."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from bojax.acquisitions.base import Acquisition, Belief, complete
from bojax.surrogates import Mixture, Several


class Average(Acquisition):
    """The mean of an acquisition over equally likely posteriors.

        alpha(x) = mean_s alpha_s(x)

    Of a logarithm such as `LogEI`, what is averaged is the value itself:

        log alpha(x) = log mean_s exp(log alpha_s(x))

    Args:
        acquisition: under each of them, stacked along a leading axis.

    References:
        Snoek, Larochelle and Adams (2012), Practical Bayesian optimization of machine
        learning algorithms, equation 4.
    """

    acquisition: Acquisition

    @property
    def logarithmic(self) -> bool:
        """Whether values are logarithms."""
        return self.acquisition.logarithmic

    @property
    def chooses_fidelity(self) -> bool:
        """Whether the acquisitions weigh the fidelity of an evaluation."""
        return self.acquisition.chooses_fidelity

    def complete(self, x: Float[Array, "q d"]) -> Float[Array, "rows d"]:
        """The batch with the rows that the first adds to it, which all then share."""
        return complete(jax.tree.map(lambda leaf: leaf[0], self.acquisition), x)

    @eqx.filter_jit
    def __call__(self, x: Float[Array, "q d"]) -> Float[Array, ""]:
        """The average at a batch."""
        values = jax.vmap(lambda acquisition: acquisition(x))(self.acquisition)
        if self.logarithmic:
            return jax.nn.logsumexp(values) - jnp.log(values.size)
        return jnp.mean(values)


def average(make: Callable[[Belief], Acquisition], belief: Belief) -> Acquisition:
    """What `make` makes of a belief: if that is of mixtures, averaged over components.

    Args:
        make: what makes an acquisition of a belief in one posterior for each output.
        belief: the belief. In a `Mixture` all outputs' components go by their index.
    """
    if not isinstance(belief.objectives.each, Mixture):
        return make(belief)
    objectives, constraints = belief.objectives, belief.constraints
    outputs = (
        _components(objectives),
        None if constraints is None else _components(constraints),
    )

    def component(objectives: Several, constraints: Several | None) -> Acquisition:
        return make(
            dataclasses.replace(belief, objectives=objectives, constraints=constraints)
        )

    return Average(eqx.filter_vmap(component)(*outputs))


def _components(outputs: Several) -> Several:
    """Stacked functions, one stack for each component of the mixtures."""
    mixtures = outputs.each
    assert isinstance(mixtures, Mixture)
    swap = lambda leaf: jnp.swapaxes(leaf, 0, 1)
    return Several(jax.tree.map(swap, mixtures.components))
