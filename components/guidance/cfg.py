from typing import Annotated

from pydantic import Field

from designspace.denoising.guidance import PairGuidance
from designspace.registry.literature import HO_2022


class ClassifierFree(PairGuidance, name="cfg"):
    r"""Classifier-free guidance: the difference that the class makes to the denoiser, times a weight g.

    :math:`D_c` is the denoiser with the class of the image and :math:`D_u` the same denoiser without labels. ``weight``
    is g; 1 means no guidance, and g = w + 1 for the w of Ho and Salimans. Because the weights of the two sum to 1, the
    result is the same if noise, velocity or the output of the network is combined instead of D. Each guided evaluation
    costs one more. Ho and Salimans (2022), Eq. 6.
    """

    formula = r"D(x; \sigma) = D_u(x; \sigma) + g \left[D_c(x; \sigma) - D_u(x; \sigma)\right]"
    sources = (HO_2022,)
    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 1.5
