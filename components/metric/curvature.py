from typing import ClassVar

import torch
from torch import Tensor

from designspace.evaluation.measure import Measured, Profile, mean
from designspace.evaluation.rows import Diagnostic
from designspace.registry.literature import KARRAS_2022, LIU_2022_RECTIFIED_FLOW
from designspace.sampling.probe import Probe


class Curvature(Diagnostic, name="curvature"):
    """How far the trajectories of the flow are from straight lines in the plane of time and scaled sample.

    The value is the length of a trajectory of d values divided by its chord, in units of the time and of the noise at
    the start, averaged over ``images`` images of the converged solution. It is 1 for a straight line at constant speed,
    on which one step of Euler's method is exact. It depends on schedule, scaling and denoiser; of the solver and the
    time steps, only the range of levels matters. The profile is the angle, in degrees, by which the trajectory turns
    while sigma falls by a factor of e. Karras et al. (2022), Fig. 3; the comparison with the chord is due to Liu et al.
    (2022).
    """

    formula = r"""
        \frac{\int \sqrt{d\tau^2 + |d\zeta|^2}}{\sqrt{1 + |\zeta(1) - \zeta(0)|^2}} \ge 1,
            \qquad \tau = \frac{t}{T}, \quad \zeta = \frac{s(t)\, x}{s(T)\, \sigma_0 \sqrt d},
            \quad T = \sigma^{-1}(\sigma_0)
    """
    sources = (KARRAS_2022, LIU_2022_RECTIFIED_FLOW)
    profile_of: ClassVar[str] = "turning, degrees per factor e"

    def observe(self, probe: Probe) -> Measured:
        solution, schedule = probe.solution(), probe.design.schedule
        t = schedule.sigma_inv(solution.sigma)
        s = probe.design.scaling.s(t, schedule).to(solution.x)
        z = (solution.x.flatten(2) * s[:, None, None]).cpu()
        z = z / (float(s[0] * solution.sigma[0]) * z.shape[2] ** 0.5)
        points = torch.cat([(t / t[0])[:, None, None].expand(-1, z.shape[1], 1), z], 2)
        steps = points.diff(dim=0)
        length, chord = (torch.linalg.vector_norm(way, dim=2) for way in (steps, points[-1:] - points[:1]))
        turning = _angles(steps, length) / solution.sigma.log().diff().abs()[1:, None]
        return mean(length.sum(0) / chord[0], profile=Profile(solution.sigma[1:-1], turning.mean(1)))


def _angles(steps: Tensor, length: Tensor) -> Tensor:
    """The angles between consecutive steps, in degrees, from chords of the unit circle, which suits small angles."""
    unit = steps / length[..., None]
    return torch.rad2deg(2 * torch.asin((torch.linalg.vector_norm(unit.diff(dim=0), dim=2) / 2).clamp(max=1)))
