from torch import Tensor

from designspace.registry.literature import KARRAS_2022, KUTTA_1901
from designspace.sampling.flow import Flow, combine, tangent_step
from designspace.sampling.solver import Solver


class RK4(Solver, name="rk4"):
    """The classical Runge-Kutta method: order 4, four evaluations a step.

    with :math:`d = dz/dt` at :math:`t_i`, twice at :math:`t_i + h/2`, and at :math:`t_{i+1}`. The slope at t = 0 is
    undefined, so the step to it is Euler's. Kutta (1901); the flow is Eq. 4 of Karras et al. (2022).
    """

    formula = r"z_{i+1} = z_i + \tfrac{h}{6} (d_1 + 2 d_2 + 2 d_3 + d_4), \qquad h = t_{i+1} - t_i"
    sources = (KUTTA_1901, KARRAS_2022)

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        a, b, denoised = flow.at(sigma), flow.at(flow.sigma[i + 1]), flow.D(x, sigma)
        if b.t == 0:
            return tangent_step(x, denoised, a, b), None
        h, m = b.t - a.t, flow.at_time((a.t + b.t) / 2)
        z, slopes, x_stage, level = x * a.s, [], x, a
        for following, share in ((m, 0.5), (m, 0.5), (b, 1.0)):
            slopes.append(combine(*zip(level.slope(h), (x_stage, denoised), strict=True)))
            x_stage, level = combine((1 / following.s, z), (share / following.s, slopes[-1])), following
            denoised = flow.D(x_stage, level.sigma)
        slopes.append(combine(*zip(level.slope(h), (x_stage, denoised), strict=True)))
        weighted = zip((1 / 6, 1 / 3, 1 / 3, 1 / 6), slopes, strict=True)
        return combine((1 / b.s, z), *((w / b.s, slope) for w, slope in weighted)), None
