"""BoTorch on the protocols of which it published one run: more seeds, our first points.

`PYTHONPATH` must hold `botorch`. Names of protocols may follow the number of seeds.
"""

import sys

import botorch
import gpytorch
import jax
import jax.numpy as jnp
import numpy as np
import torch
from botorch.acquisition import PosteriorMean
from botorch.acquisition.cost_aware import InverseCostWeightedUtility
from botorch.acquisition.fixed_feature import FixedFeatureAcquisitionFunction
from botorch.acquisition.knowledge_gradient import qMultiFidelityKnowledgeGradient
from botorch.acquisition.multi_objective.logei import (
    qLogNoisyExpectedHypervolumeImprovement,
)
from botorch.acquisition.utils import project_to_target_fidelity
from botorch.generation.sampling import ConstrainedMaxPosteriorSampling
from botorch.models import (
    AffineFidelityCostModel,
    ModelListGP,
    SingleTaskGP,
    SingleTaskMultiFidelityGP,
)
from botorch.models.transforms import Standardize
from botorch.optim import optimize_acqf, optimize_acqf_mixed
from botorch.sampling import SobolQMCNormalSampler
from gpytorch.mlls import ExactMarginalLogLikelihood, SumMarginalLogLikelihood

from benchmarks.published import ackley10_constrained as ackley
from benchmarks.published import augmented_hartmann as hartmann
from benchmarks.published import branin_currin as front
from benchmarks.published.protocol import Protocol, main
from bojax import pareto

_PACKAGES = ("botorch", "gpytorch", "torch")


def _tensor(x) -> torch.Tensor:
    return torch.tensor(np.asarray(x, np.float64))


def _cube(d: int) -> torch.Tensor:
    return torch.stack([torch.zeros(d), torch.ones(d)]).double()


def _fitted(model):
    botorch.fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
    return model


def _branin_currin(seed: int) -> np.ndarray:
    """qLogNEHVI, batches one point after the other."""
    torch.manual_seed(seed)
    strategy = front.BayesOpt(front.SPACE, reference=front.PROBLEM.reference)
    state = strategy.init(jax.random.key(seed), 128, num_objectives=2)
    x = np.asarray(strategy.ask(state, front.INITIAL)[0].x)
    key, curve, values = jax.random.key(1000 + seed), [], np.zeros((0, 2))
    for batch in range(front.ROUNDS + 1):
        if batch:
            x = np.concatenate([x, _by_hypervolume(x, values)])
        y = np.asarray(front.objectives(jnp.asarray(x[len(values) :])))
        noise = jax.random.normal(jax.random.fold_in(key, batch), y.shape)
        values = np.concatenate([values, y + np.asarray(front.DEVIATION * noise)])
        true = np.asarray(front.objectives(jnp.asarray(x)))
        curve.append(pareto.hypervolume(true, front.REFERENCE))
    return np.array(curve)


def _by_hypervolume(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    observed, values = _tensor(x), -_tensor(y)
    variance = _tensor(front.DEVIATION**2).expand_as(values)
    model = ModelListGP(
        *(
            SingleTaskGP(
                observed,
                values[:, [j]],
                variance[:, [j]],
                outcome_transform=Standardize(1),
            )
            for j in range(2)
        )
    )
    botorch.fit_gpytorch_mll(SumMarginalLogLikelihood(model.likelihood, model))
    acquisition = qLogNoisyExpectedHypervolumeImprovement(
        model,
        ref_point=(-front.REFERENCE).tolist(),
        X_baseline=observed,
        prune_baseline=True,
        sampler=SobolQMCNormalSampler(torch.Size([128])),
    )
    chosen, _ = optimize_acqf(
        acquisition,
        _cube(2),
        front.BATCH,
        num_restarts=10,
        raw_samples=512,
        sequential=True,
        options={"batch_limit": 5, "maxiter": 200},
    )
    return chosen.detach().numpy()


def _ackley10(seed: int) -> np.ndarray:
    """SCBO: a trust region as its tutorial has it."""
    torch.manual_seed(seed)
    state = ackley.STRATEGY.init(jax.random.key(seed), ackley.TOTAL, num_constraints=2)
    x = np.asarray(ackley.STRATEGY.ask(state, ackley.INITIAL)[0].x)
    y, g = _outcomes(x)
    length, successes, failures = 0.8, 0, 0
    patience = int(np.ceil(max(4 / ackley.BATCH, x.shape[1] / ackley.BATCH)))
    while len(x) < ackley.TOTAL:
        best = _place(y, g)
        new = _from_box(x, y, g, x[best], length)
        new_y, new_g = _outcomes(new)
        before = (y[best], np.maximum(g[best], 0).sum())
        x, y, g = (np.concatenate(p) for p in ((x, new), (y, new_y), (g, new_g)))
        after = (y[_place(y, g)], np.maximum(g[_place(y, g)], 0).sum())
        if after[1] == 0 and before[1] == 0:
            better = after[0] > before[0] + 1e-3 * abs(before[0])
        else:
            better = after[1] < before[1]
        successes, failures = (successes + 1, 0) if better else (0, failures + 1)
        if successes == 10:
            length, successes = min(2 * length, 1.6), 0
        elif failures == patience:
            length, failures = length / 2, 0
        if length < 2.0**-7:
            length = 0.8
    feasible = np.all(g <= 0, axis=1)
    return np.maximum.accumulate(np.where(feasible, y, -np.inf))


def _outcomes(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    outcome = ackley.evaluate(jnp.asarray(x))
    return -np.asarray(outcome.y), np.asarray(outcome.constraints)


def _place(y: np.ndarray, g: np.ndarray) -> int:
    """The best feasible row, or that of least violation."""
    violation = np.maximum(g, 0).sum(1)
    if np.any(violation == 0):
        return int(np.argmax(np.where(violation == 0, y, -np.inf)))
    return int(np.argmin(violation))


def _from_box(x, y, g, center, length) -> np.ndarray:
    d = x.shape[1]
    observed = _tensor(x)

    def modeled(values):
        kernel = gpytorch.kernels.ScaleKernel(
            gpytorch.kernels.MaternKernel(
                nu=2.5,
                ard_num_dims=d,
                lengthscale_constraint=gpytorch.constraints.Interval(0.005, 4.0),
            )
        )
        likelihood = gpytorch.likelihoods.GaussianLikelihood(
            noise_constraint=gpytorch.constraints.Interval(1e-8, 1e-3)
        )
        model = SingleTaskGP(
            observed,
            _tensor(values)[:, None],
            likelihood=likelihood,
            covar_module=kernel,
            outcome_transform=Standardize(1),
        )
        return _fitted(model)

    middle = _tensor(center)
    low, high = (middle - length / 2).clamp(0, 1), (middle + length / 2).clamp(0, 1)
    draws = torch.quasirandom.SobolEngine(d, scramble=True).draw(2000).double()
    moved = torch.rand(2000, d) <= min(20 / d, 1.0)
    one = torch.randint(0, d, (2000,))
    moved[torch.arange(2000), one] = True
    candidates = torch.where(moved, low + (high - low) * draws, middle)
    objective = modeled(y)
    constraints = ModelListGP(*(modeled(g[:, j]) for j in range(g.shape[1])))
    with torch.no_grad(), gpytorch.settings.max_cholesky_size(float("inf")):
        sampler = ConstrainedMaxPosteriorSampling(
            objective, constraints, replacement=False
        )
        return sampler(candidates, num_samples=ackley.BATCH).numpy()


def _augmented_hartmann(seed: int) -> np.ndarray:
    """The knowledge gradient of several fidelities, at those of the first points."""
    torch.manual_seed(seed)
    x = np.asarray(hartmann.first_points(seed))
    curve, paid = [], 0.0
    for _ in range(hartmann.ROUNDS):
        new = _by_knowledge(_fidelity_model(x))
        paid += (5.0 + new[:, 6]).sum()
        x = np.concatenate([x, new])
        mean = _at_full_fidelity(_fidelity_model(x))
        best, _ = optimize_acqf(mean, _cube(7)[:, :6], 1, 10, 1024)
        full = np.append(best.detach().numpy()[0], 1.0)
        curve.append(-float(hartmann.PROBLEM.fn(jnp.asarray(full))))
    print(f"cost {paid:.1f}")
    return np.array(curve)


def _fidelity_model(x: np.ndarray) -> SingleTaskMultiFidelityGP:
    y = -_tensor(hartmann.measure(jnp.asarray(x)))[:, None]
    model = SingleTaskMultiFidelityGP(
        _tensor(x), y, data_fidelities=[6], outcome_transform=Standardize(1)
    )
    return _fitted(model)


def _at_full_fidelity(model) -> FixedFeatureAcquisitionFunction:
    return FixedFeatureAcquisitionFunction(PosteriorMean(model), 7, [6], [1.0])


def _by_knowledge(model) -> np.ndarray:
    target = {6: 1.0}
    cost = AffineFidelityCostModel(fidelity_weights=target, fixed_cost=5.0)
    _, now = optimize_acqf(
        _at_full_fidelity(model),
        _cube(7)[:, :6],
        1,
        num_restarts=10,
        raw_samples=1024,
        options={"batch_limit": 10, "maxiter": 200},
    )
    acquisition = qMultiFidelityKnowledgeGradient(
        model,
        num_fantasies=128,
        current_value=now,
        cost_aware_utility=InverseCostWeightedUtility(cost_model=cost),
        project=lambda X: project_to_target_fidelity(X, target, 7),
    )
    chosen, _ = optimize_acqf_mixed(
        acquisition,
        _cube(7),
        fixed_features_list=[{6: s} for s in hartmann.FIDELITIES],
        q=hartmann.BATCH,
        num_restarts=5,
        raw_samples=128,
        options={"batch_limit": 5, "maxiter": 200},
    )
    return chosen.detach().numpy()


_PROTOCOLS = {
    "branin_currin": (_branin_currin, "qLogNEHVI, known noise"),
    "ackley10_constrained": (_ackley10, "SCBO, Thompson sampling from 2,000 points"),
    "augmented_hartmann": (_augmented_hartmann, "qMFKG, 128 fantasies, a fixed cost"),
}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(
        *(
            Protocol(
                name=f"{name}_botorch",
                method=method,
                description=f"The protocol of {name}, from the same first points.",
                published=f"see {name}",
                run=run,
                seeds=5,
                packages=_PACKAGES,
            )
            for name, (run, method) in _PROTOCOLS.items()
            if name in sys.argv[2:] or len(sys.argv) < 3
        )
    )
