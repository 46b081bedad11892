"""What the page for users of k-diffusion says to type gives the published updates of its samplers, written down here.

The updates are those of Karras et al. (2022), Algorithms 1 and 2; of Lu et al. (2022), DPM-Solver-2 and
DPM-Solver++(2S) and (2M), and the SDE form of the latter; of linear multistep methods in sigma; and the ancestral
forms, which descend to a level below the next one and add noise to return to it.
"""

import math
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from numpy.polynomial import Polynomial
from ruamel.yaml import YAML

import designspace as ds

PAGE = (Path(__file__).parents[1] / "docs" / "coming_from.md").read_text("utf-8")
SECTION = PAGE.partition("## k-diffusion")[2].partition("## Sweeps")[0]
ROWS = {re.split(r"[(`]", call)[0]: typed for call, typed in re.findall(r"^\| `(.*?)` \| `(.*?)` \|$", SECTION, re.M)}
(CHURN,) = re.findall(r"^\| their .*? \| `(stochasticity: .*?)` \|$", SECTION, re.M)
N, LOW, HIGH, RHO = 10, 0.03, 14.6, 7
KARRAS = [(HIGH ** (1 / RHO) + i / (N - 1) * (LOW ** (1 / RHO) - HIGH ** (1 / RHO))) ** RHO for i in range(N)]
STEPS = list(pairwise([*KARRAS, 0.0]))
DRAW = torch.Generator().manual_seed(0)
LATENTS, *NOISE = torch.randn(1 + N, 16, 4, dtype=torch.float64, generator=DRAW)
MEANS = torch.tensor([[0.4, -0.6, 0.2, 0.1], [-0.5, 0.3, -0.2, 0.6]], dtype=torch.float64)


def D(x, sigma):
    """The ideal denoiser of two Gaussian peaks."""
    total = 0.01 + float(sigma) ** 2
    weights = (-((x[:, None] - MEANS) ** 2).sum(-1) / (2 * total)).softmax(1)
    return ((0.01 * x[:, None] + float(sigma) ** 2 * MEANS) / total * weights[..., None]).sum(1)


def slope(x, sigma):
    return (x - D(x, sigma)) / sigma


def euler(x, i, s, t):
    return x + (t - s) * slope(x, s)


def heun(x, i, s, t):
    there = euler(x, i, s, t)
    return x + (t - s) * (slope(x, s) + slope(there, t)) / 2 if t else there


def dpm_2(x, i, s, t):
    middle = math.sqrt(s * t)
    return x + (t - s) * slope(euler(x, i, s, middle), middle) if t else euler(x, i, s, t)


def dpmpp_2s(x, i, s, t):
    """In the logarithm of sigma, of length h: half a step with D, and the whole step with D there."""
    if not t:
        return D(x, s)
    middle = math.sqrt(s * t)
    there = middle / s * x + (1 - middle / s) * D(x, s)
    return t / s * x + (1 - t / s) * D(there, middle)


def ancestral(step):
    """The variance of the noise is that of the posterior of a Gaussian: Ho et al. (2020), Eq. 7."""

    def stepped(x, i, s, t):
        up = t * math.sqrt((s**2 - t**2) / s**2)
        return step(x, i, s, math.sqrt(t**2 - up**2)) + up * NOISE[i]

    return stepped


def churned(step):
    def stepped(x, i, s, t):
        lifted = s * (1 + min(10 / N, math.sqrt(2) - 1)) if 0 <= s <= 50 else s
        return step(x + math.sqrt(lifted**2 - s**2) * NOISE[i], i, lifted, t)

    return stepped


def lms():
    """Adams-Bashforth of order 4 in sigma: the integral of the polynomial through the last slopes."""
    known = []

    def stepped(x, i, s, t):
        known.insert(0, (s, slope(x, s)))
        del known[4:]
        for at, value in known:
            others = [other for other, _ in known if other != at]
            basis = math.prod((Polynomial([-other, 1]) / (at - other) for other in others), start=Polynomial([1.0]))
            x = x + (basis.integ()(t) - basis.integ()(s)) * value
        return x

    return stepped


def multistep(sde):
    """DPM-Solver++(2M), or SDE-DPM-Solver++(2M): extrapolates D to the middle of the step in the logarithm of sigma."""
    before = []

    def stepped(x, i, s, t):
        found = D(x, s)
        if not t:
            return found
        h = math.log(s / t)
        ahead = found
        if before:
            old, length = before.pop()
            ahead = found + (found - old) * h / (2 * length)
        before.append((found, h))
        if not sde:
            return math.exp(-h) * x + (1 - math.exp(-h)) * ahead
        return math.exp(-2 * h) * x + (1 - math.exp(-2 * h)) * ahead + t * math.sqrt(1 - math.exp(-2 * h)) * NOISE[i]

    return stepped


UPDATES = {
    "sample_euler": lambda: euler,
    "sample_heun": lambda: heun,
    "sample_dpm_2": lambda: dpm_2,
    "sample_lms": lms,
    "sample_dpmpp_2m": lambda: multistep(sde=False),
    "sample_dpmpp_2m_sde": lambda: multistep(sde=True),
    "sample_euler_ancestral": lambda: ancestral(euler),
    "sample_dpm_2_ancestral": lambda: ancestral(dpm_2),
    "sample_dpmpp_2s_ancestral": lambda: ancestral(dpmpp_2s),
}


def same_samples(step, typed):
    x = LATENTS * STEPS[0][0]
    for i, (s, t) in enumerate(STEPS):
        x = step(x, i, s, t)
    levels = YAML(typ="safe").load(ROWS["get_sigmas_karras"])["time_steps"] | {"sigma_min": LOW, "sigma_max": HIGH}
    design = ds.Design.preset("edm", time_steps=levels, **typed)
    ours = ds.sample(design, D, LATENTS, N, noise=lambda step, draw: NOISE[step])
    torch.testing.assert_close(ours.sigmas[:N], torch.tensor(KARRAS, dtype=torch.float64), rtol=1e-12, atol=0)
    torch.testing.assert_close(ours.x, x, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", UPDATES)
def test_what_the_page_says_to_type_is_the_published_update(name):
    same_samples(UPDATES[name](), YAML(typ="safe").load(ROWS[name]))


@pytest.mark.parametrize("name", ["sample_euler", "sample_heun", "sample_dpm_2"])
def test_churn_is_that_of_algorithm_2(name):
    churn = YAML(typ="safe").load(CHURN)
    same_samples(churned(UPDATES[name]()), YAML(typ="safe").load(ROWS[name]) | churn)
