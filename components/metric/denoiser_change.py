from typing import ClassVar

from designspace.evaluation.measure import Measured, Profile, mean
from designspace.evaluation.rows import Diagnostic
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.probe import Probe


class DenoiserChange(Diagnostic, name="denoiser_change"):
    """How much the denoised image changes on the way of a sample.

    of an image of d values, in units of the data: the length of the way of D along the converged solution x, the mean
    over ``images`` images. Where D does not change, a step of Euler's method with sigma = t, s = 1 is exact however
    long it is. It depends on the denoiser alone, not on solver, schedule and scaling. The profile is the change while
    sigma falls by a factor e. Karras et al. (2022), Section 3 and Fig. 3.
    """

    formula = r"\int \tfrac{1}{\sqrt d} \left|\frac{d}{d\ln\sigma} D(x(\sigma); \sigma)\right| d\ln\sigma"
    sources = (KARRAS_2022,)
    profile_of: ClassVar[str] = "change of D per factor e, RMS"

    def observe(self, probe: Probe) -> Measured:
        solution = probe.solution()
        change = solution.denoised.flatten(2).diff(dim=0).square().mean(2).sqrt().cpu()
        per_factor = change / solution.sigma.log().diff().abs()[:, None]
        middle = (solution.sigma[1:] * solution.sigma[:-1]).sqrt()
        return mean(change.sum(0), profile=Profile(middle, per_factor.mean(1)))
