"""Components that do what components should not do."""

import os
import random
import warnings

import numpy as np
import torch

import designspace as ds
from designspace.evaluation.measure import Measured


class Noisy(ds.Solver, name="noisy"):
    """An ancestral step that draws its noise from PyTorch's global generator."""

    stochastic = True

    def step(self, flow, x, i, sigma, memory):
        following = flow.sigma[i + 1]
        up = following * (1 - following**2 / sigma**2) ** 0.5
        down = (following**2 - up**2) ** 0.5
        D = flow.D(x, sigma)
        return D + (x - D) * down / sigma + torch.randn_like(x) * up, None


class Sloppy(ds.Solver, name="sloppy"):
    """Euler's method, which leaves other settings behind."""

    def step(self, flow, x, i, sigma, memory):
        torch.set_default_dtype(torch.float64)
        torch.set_autocast_enabled("cpu", True)
        warnings.simplefilter("error")
        os.chdir("/")
        D = flow.D(x, sigma)
        return D + (x - D) * flow.sigma[i + 1] / sigma, None


class Boom(ds.Solver, name="boom"):
    """Euler's method, which fails for images."""

    def step(self, flow, x, i, sigma, memory):
        if x.ndim == 4:
            raise ValueError("boom")
        D = flow.D(x, sigma)
        return D + (x - D) * flow.sigma[i + 1] / sigma, None


class Few(ds.Detector, name="few"):
    """One row of features for all images of a chunk, unless there are few."""

    def protocol(self):
        return "FD-few"

    def load(self, device):
        return lambda x: x.flatten(1).float() if len(x) < 60 else x.flatten(1).float().mean(0, keepdim=True)


class Net(torch.nn.Module):
    def __init__(self, at):
        super().__init__()
        self.at = at

    def forward(self, x, c_noise, labels=None):
        if c_noise[0] < self.at and len(x) > 2:  # the two images of the check pass
            return x * float("nan")
        return torch.nn.functional.dropout(x, 0.01 if self.at < -9 else 0.0)


def net(at):
    return Net(at).eval()


class Jittered(ds.Detector, name="jittered"):
    """Pixels with a little noise from Python's global generator."""

    def protocol(self):
        return "FD-jittered"

    def load(self, device):
        return lambda x: x.flatten(1).float() + random.random()


class Bootstrapped(ds.Metric, name="bootstrapped"):
    """The norm of the mean of features, with a standard error from NumPy's global generator."""

    def measure(self, generated, reference):
        n = len(generated)
        draws = [generated.features[np.random.randint(n, size=n)].mean(0).norm().item() for _ in range(20)]
        return Measured(generated.features.mean(0).norm().item(), float(np.std(draws)))


class Hasty(ds.Metric, name="hasty"):
    """The norm of the mean of features; where it is enough, that of half of them, drawn at random."""

    def measure(self, generated, reference):
        return Measured(generated.features.mean(0).norm().item())

    def value(self, generated, reference):
        return generated.features[random.sample(range(len(generated)), len(generated) // 2)].mean(0).norm().item()
