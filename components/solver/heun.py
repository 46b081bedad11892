from typing import ClassVar

from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.runge_kutta import RungeKutta, Tableau


class Heun(RungeKutta, name="heun"):
    r"""Heun's method or, with another ``alpha``, a different two-stage method of order 2; two evaluations per step.

    Here :math:`d = dz/dt`. ``alpha`` = 1 is Heun's method, 2/3 is Ralston's, and 1/2 is the midpoint method. ``alpha``
    > 1 raises ``ValueError`` where :math:`t_i + \alpha h` is negative. The step to t = 0 is Euler's, so that N steps
    cost 2N - 1 evaluations. With ``euler_last`` = false it is Euler's only if ``alpha`` is 1 or more, as in Algorithm
    3. Karras et al. (2022), Algorithms 1 and 3.
    """

    formula = r"""
        z' &= z_i + \alpha h\, d_i, \qquad h = t_{i+1} - t_i \\
            z_{i+1} &= z_i + h \left[(1 - \tfrac{1}{2\alpha}) d_i + \tfrac{1}{2\alpha}\, d(z', t_i + \alpha h)\right]
    """
    sources = (KARRAS_2022,)
    order_of_convergence: ClassVar[int] = 2
    alpha: Positive = 1.0
    euler_last: bool = True

    @property
    def tableau(self) -> Tableau:
        second = 1 / (2 * self.alpha)
        return Tableau(((self.alpha,),), (1 - second, second), self.euler_last)
