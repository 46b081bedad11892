"""A component of your own. Defining the class registers it; the ablation lists this file and refers to the name."""

import math

from torch import Tensor

from designspace import Positive, Source, TimeSteps  # other rows: Solver, Schedule, CSkip, ...; see `designspace list`
from designspace.sampling.levels import ramp


class MySteps(TimeSteps, name="my_steps"):  # the name that YAML files use
    """Uniform in the angle whose tangent is the noise level: the cosine schedule with s = 0."""

    # Optional: `designspace table` and `show` print the formula, and reports cite the sources.
    formula = r"""
        \sigma_i = \tan \theta_i, \qquad \theta_i = \theta_0 + \tfrac{i}{N-1} (\theta_{N-1} - \theta_0),
            \quad \theta_0 = \arctan \sigma_\max, \quad \theta_{N-1} = \arctan \sigma_\min
    """
    sources = (
        Source(
            "Nichol and Dhariwal",
            2021,
            "Improved Denoising Diffusion Probabilistic Models",
            "https://arxiv.org/abs/2102.09672",
        ),
    )

    # Hyper-parameters with types and defaults. Set them with {name: my_steps, sigma_max: 40}, or vary them along an
    # axis time_steps.sigma_max.
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def sigmas(self, n: int) -> Tensor:
        """The n noise levels in decreasing order, float64; the sampler adds the last step to 0."""
        start, end = math.atan(self.sigma_max), math.atan(self.sigma_min)
        return (start + ramp(n) * (end - start)).tan()  # ramp(n): from 0 to 1 in n - 1 equal steps
