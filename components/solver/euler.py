from typing import ClassVar

from designspace.registry.literature import KARRAS_2022, SONG_2020
from designspace.sampling.runge_kutta import EULER, RungeKutta, Tableau


class Euler(RungeKutta, name="euler"):
    r"""Euler's method; one evaluation per step.

    With :math:`\sigma = t` and s = 1 it is DDIM (Song et al. 2020), and the step to t = 0 returns the output of the
    denoiser. Karras et al. (2022), Table 1.
    """

    formula = r"z_{i+1} = z_i + (t_{i+1} - t_i)\, \tfrac{dz}{dt}(z_i, t_i)"
    sources = (SONG_2020, KARRAS_2022)
    order_of_convergence: ClassVar[int] = 1

    @property
    def tableau(self) -> Tableau:
        return EULER
