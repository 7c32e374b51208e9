"""A BoTorch model in the state of a fitted posterior of bojax."""

import numpy as np


def botorch_model(posterior):
    """SingleTaskGP on standardized values, negated, with the same hyperparameters.

    Args:
        posterior: of the default GP on numbers, nothing pending.
    """
    import gpytorch
    import torch
    from botorch.models import SingleTaskGP

    mask = np.asarray(posterior.data.mask)
    parameters = posterior.parameters
    y = (posterior.data.y - posterior.location) / posterior.scale
    observed = posterior.data.x, y
    x, y = (torch.tensor(np.array(each, np.float64)[mask]) for each in observed)
    d = x.shape[1]
    kernel = gpytorch.kernels.ScaleKernel(
        gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=d)
    )
    likelihood = gpytorch.likelihoods.GaussianLikelihood(
        noise_constraint=gpytorch.constraints.GreaterThan(1e-8)
    )
    model = SingleTaskGP(
        x,
        -y[:, None],
        likelihood=likelihood,
        covar_module=kernel,
        mean_module=gpytorch.means.ConstantMean(),
        outcome_transform=None,
    ).to(x)

    def number(leaf):
        return torch.tensor(np.exp(np.asarray(leaf, np.float64)))

    inner = parameters.kernel.kernel
    model.covar_module.outputscale = number(parameters.kernel.log_variance)
    model.covar_module.base_kernel.lengthscale = number(inner.log_lengthscale)
    model.likelihood.noise = number(parameters.log_noise)
    model.mean_module.constant = -float(parameters.mean.bias)
    model.eval()
    return model
