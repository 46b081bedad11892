from typing import Annotated

from pydantic import Field

from designspace.denoising.guidance import PairGuidance
from designspace.registry.component import NonNegative
from designspace.registry.literature import KYNKAANNIEMI_2024


class Interval(PairGuidance, name="interval"):
    r"""Classifier-free guidance in an interval of noise levels, without guidance above and below it.

    ``weight`` is g as for ``cfg``. The defaults are those of the authors for EDM2-XXL on ImageNet-512: their steps 17
    to 22 of 32, computed as noise levels for rho = 7 between 0.002 and 80. They decide once per step; ``per:
    evaluation`` decides by the noise level of each evaluation, so that the second one of Heun's method may be on the
    other side.
    Only guided evaluations cost one more. Kynkäänniemi et al. (2024), Eq. 5.
    """

    formula = r"""
        D(x; \sigma) = D_u(x; \sigma) + g(\sigma) \left[D_c(x; \sigma) - D_u(x; \sigma)\right], \quad
            g(\sigma) = g \text{ if } \sigma_\min < \sigma \le \sigma_\max, \text{ otherwise } 1
    """
    sources = (KYNKAANNIEMI_2024,)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 2.0
    sigma_min: NonNegative = 0.189
    sigma_max: Annotated[float, Field(gt=0)] = 1.609
