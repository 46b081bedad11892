from typing import ClassVar

from designspace.evaluation.measure import Measured, Profile, mean
from designspace.evaluation.rows import Diagnostic
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.probe import Probe


class DenoiserChange(Diagnostic, name="denoiser_change"):
    """How much the denoised image changes along the trajectory of a sample.

    The value is the length of the path of D along the converged solution x, for images of d values in units of the
    data, averaged over ``images`` images. Where D does not change, a step of Euler's method with sigma = t and s = 1 is
    exact, however long it is. The value depends on the denoiser alone, not on solver, schedule and scaling. The profile
    is the change while sigma falls by a factor of e. Karras et al. (2022), Section 3 and Fig. 3.
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
