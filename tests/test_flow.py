"""The noise levels of a stochastic flow: churn on the grid of a denoiser, and ancestral steps in closed form."""

import itertools
import math

import pytest
import torch
from conftest import f64

import designspace as ds
from designspace.sampling.sample import churn, make_flow


def zero(x, sigma):
    return torch.zeros_like(x)


@pytest.mark.parametrize("preset", ["ddpm", "iddpm"])
def test_churn_lifts_to_levels_that_the_denoiser_knows(preset):
    """Algorithm 2, line 5, with the rounded level: the added noise leads exactly to this level."""
    design = ds.Design.preset(
        "edm",
        c_noise=preset,
        stochasticity={"name": "churn", "S_churn": 30, "S_min": 0.05, "S_max": 50, "S_noise": 1.007},
    )
    c_noise, num_steps = design.c_noise, 12

    def D(x, sigma):
        return zero(x, sigma)

    D.sigma_min, D.sigma_max = c_noise.limits()
    D.round_sigma = c_noise.round_sigma
    flow = make_flow(design, D, num_steps, lambda step, draw: None)
    lifts, lifted = churn(design, flow.sigma, num_steps, D), 0
    for sigma, lift in zip(flow.sigma, lifts, strict=False):
        wanted, S_noise = design.stochasticity.lift(sigma, num_steps)
        assert lift.sigma == pytest.approx(float(c_noise.round_sigma(f64(wanted))) if wanted > sigma else sigma)
        assert lift.std == pytest.approx(math.sqrt(max(lift.sigma**2 - sigma**2, 0)) * S_noise)
        lifted += lift.sigma > sigma and lift.sigma != wanted
    assert len(lifts) == num_steps
    assert lifted > 3


@pytest.mark.parametrize("eta", [0.0, 0.6, 1.0, 3.0])
def test_ancestral_steps_of_a_denoiser_that_gives_zero(eta):
    """Then a step to b multiplies the sample by b' / a and adds noise u with b'^2 + u^2 = b^2; all of b at most."""
    design = ds.Design.preset("edm", solver={"name": "euler_ancestral", "eta": eta})
    noise = [torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(k)) for k in range(8)]
    out = ds.sample(design, zero, torch.ones(5, 3, dtype=torch.float64), 6, step_noise=noise.__getitem__, record=True)
    for i, (a, b) in enumerate(itertools.pairwise(out.sigmas.tolist())):
        up = min(b, eta * b * math.sqrt(1 - (b / a) ** 2))
        expected = out.trajectory[i] * math.sqrt(b**2 - up**2) / a + up * noise[i]
        torch.testing.assert_close(out.trajectory[i + 1], expected, rtol=1e-12, atol=1e-12)
    assert eta != 3 or up == b
