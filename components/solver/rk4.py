from typing import ClassVar

from designspace.registry.literature import KARRAS_2022, KUTTA_1901
from designspace.sampling.runge_kutta import RungeKutta, Tableau


class RK4(RungeKutta, name="rk4"):
    """The classical Runge-Kutta method; four evaluations per step.

    The slopes :math:`d = dz/dt` are taken at :math:`t_i`, twice at :math:`t_i + h/2`, and at :math:`t_{i+1}`. The slope
    at t = 0 is undefined, so the step to it is Euler's. Kutta (1901); the flow is Eq. 4 of Karras et al. (2022).
    """

    formula = r"z_{i+1} = z_i + \tfrac{h}{6} (d_1 + 2 d_2 + 2 d_3 + d_4), \qquad h = t_{i+1} - t_i"
    sources = (KUTTA_1901, KARRAS_2022)
    order_of_convergence: ClassVar[int] = 4

    @property
    def tableau(self) -> Tableau:
        return Tableau(((1 / 2,), (0, 1 / 2), (0, 0, 1)), (1 / 6, 1 / 3, 1 / 3, 1 / 6))
