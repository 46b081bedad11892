from typing import ClassVar

import torch

from designspace.denoising.rows import Denoiser
from designspace.evaluation.measure import Measured, Profile, mean
from designspace.evaluation.rows import Diagnostic
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.probe import Probe
from designspace.sampling.solver import SamplingRows


class TruncationError(Diagnostic, name="truncation_error"):
    r"""The local error of each step of the solver, started on the converged solution.

    The error :math:`\tau_i` is for images of d values, in units of the data. The value is :math:`\sum_i \tau_i`,
    averaged over ``images`` images; the profile is the root mean square of :math:`\tau_i` over the images, against
    :math:`\sigma_i`. The history of multistep solvers is taken from the solution as well. The metric is not defined for
    adaptive solvers, which choose their own steps. Karras et al. (2022), Appendix D.1 and Fig. 13a.
    """

    formula = r"\tau_i = \sqrt{\tfrac1d |x_{i+1} - x^*(\sigma_{i+1})|^2}, \qquad x_i = x^*(\sigma_i)"
    sources = (KARRAS_2022,)
    profile_of: ClassVar[str] = "local error, RMS"

    def observe(self, probe: Probe) -> Measured:
        errors = probe.local_errors()
        levels = torch.tensor(probe.flow.sigma[:-1], dtype=torch.float64)
        return mean(errors.sum(0), profile=Profile(levels, errors.square().mean(1).sqrt()))

    def check(self, design: SamplingRows, denoiser: Denoiser) -> None:
        super().check(design, denoiser)
        if design.solver.adaptive:
            raise ValueError(f"metric {self.name}: solver {design.solver} chooses its own steps")
