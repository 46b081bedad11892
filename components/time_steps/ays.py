from typing import Literal

import numpy as np
import torch
from torch import Tensor

from designspace.registry.component import Positive
from designspace.registry.literature import SABOUR_2024
from designspace.sampling.levels import ramp
from designspace.sampling.rows import TimeSteps

TABLES = {
    "sd15": (14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152, 0.029),
    "sdxl": (14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.029),
    "svd": (700.0, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002),
    "deepfloyd": (160.41, 8.081, 3.315, 1.885, 1.207, 0.785, 0.553, 0.293, 0.186, 0.030, 0.006),
}


class AYS(TimeSteps, name="ays"):
    r"""Align Your Steps: levels that were optimised for Stable Diffusion 1.5, SDXL, SVD and DeepFloyd-IF (stage 1).

    Here s is the published table of the ``model``, interpolated in :math:`\ln\sigma` as its authors recommend, and L is
    its length. With ``end`` = ``zero``, the lowest level makes room for the step to 0, as in diffusers and ComfyUI: the
    N = 10 levels of ``sd15`` are the first ten of the table. With ``end`` = ``lowest``, N = L levels are the table
    itself; with ``to_zero: false``, these are the ten steps of the paper. The table is cut where it leaves
    ``sigma_min`` to ``sigma_max``. Sabour et al. (2024), Appendix B.
    """

    formula = r"""
        \mathrm{zero:}\ \sigma_i = s(\tfrac{i}{N} (L - 1)), \qquad
            \mathrm{lowest:}\ \sigma_i = s(\tfrac{i}{N-1} (L - 1)), \quad i < N
    """
    sources = (SABOUR_2024,)
    model: Literal["sd15", "sdxl", "svd", "deepfloyd"] = "sd15"
    end: Literal["zero", "lowest"] = "zero"
    sigma_min: Positive = 0.002
    sigma_max: Positive = 1000.0

    def sigmas(self, n: int) -> Tensor:
        table = np.log(TABLES[self.model])
        places = np.arange(len(table))
        low, high = np.clip(np.log([self.sigma_min, self.sigma_max]), table[-1], table[0])
        if low >= high:
            ends = f"{self.sigma_max:g} to {self.sigma_min:g}"
            raise ValueError(f"time_steps ays: no level of {self.model} lies in the range, {ends}")
        first, last = np.interp([-high, -low], -table, places)
        even = ramp(n) * (n - 1) / n if self.end == "zero" else ramp(n)
        return torch.from_numpy(np.exp(np.interp(first + even.numpy() * (last - first), places, table)))
