from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.flow import Flow, Level, combine, tangent_step
from designspace.sampling.solver import Solver


class Heun(Solver, name="heun"):
    r"""Order 2, two evaluations a step: the family of two-stage methods, Heun's for ``alpha`` = 1.

    with :math:`d = dz/dt`; ``alpha`` = 1/2 is the midpoint method, 2/3 Ralston's, and ``alpha`` > 1 raises
    ``ValueError`` where :math:`t_i + \alpha h` is negative. The step to t = 0 is Euler's, so N steps cost 2N - 1
    evaluations; with ``euler_last`` = false only where :math:`t_i + \alpha h = 0`, as printed in Algorithm 3. Karras et
    al. (2022), Algorithms 1 and 3.
    """

    formula = r"""
        z' &= z_i + \alpha h\, d_i, \qquad h = t_{i+1} - t_i \\
            z_{i+1} &= z_i + h \left[(1 - \tfrac{1}{2\alpha}) d_i + \tfrac{1}{2\alpha}\, d(z', t_i + \alpha h)\right]
    """
    sources = (KARRAS_2022,)
    alpha: Positive = 1.0
    euler_last: bool = True

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        a, b = flow.at(sigma), flow.at(flow.sigma[i + 1])
        denoised = flow.D(x, sigma)
        m = self._middle(flow, a, b)
        if m is None:
            return tangent_step(x, denoised, a, b), None
        h, w = b.t - a.t, 1 / (2 * self.alpha)
        to_x, to_D = (part / m.s for part in a.slope(m.t - a.t))
        to_x += a.s / m.s
        denoised_m = flow.D(combine((to_x, x), (to_D, denoised)), m.sigma)
        (a_x, a_D), (m_x, m_D) = a.slope((1 - w) * h), m.slope(w * h)
        on_x, on_D = a.s + a_x + m_x * to_x, a_D + m_x * to_D  # the second stage's x is made of the first's
        return combine((on_x / b.s, x), (on_D / b.s, denoised), (m_D / b.s, denoised_m)), None

    def _middle(self, flow: Flow, a: Level, b: Level) -> Level | None:
        """The level of the second stage, or ``None`` where the step is Euler's."""
        if self.alpha == 1:
            return b if b.t > 0 else None
        if b.t == 0 and (self.euler_last or self.alpha >= 1):
            return None
        return flow.at_time(a.t + self.alpha * (b.t - a.t))

    def check(self, flow: Flow) -> None:
        for i in range(flow.steps - 1):
            a, b = flow.at(flow.start(i)), flow.at(flow.sigma[i + 1])
            if a.t + self.alpha * (b.t - a.t) <= 0:
                raise ValueError(
                    f"solver heun: alpha = {self.alpha} steps to a negative noise level from sigma = {a.sigma:.4g}"
                    f" towards {b.sigma:.4g}; use a smaller alpha or more steps than {flow.num_steps}"
                )
