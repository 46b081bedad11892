"""Clipping of denoised images to the range of the data, as samplers of pixel diffusion models do."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

import torch
from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.component import Spec


class Clip(Spec):
    r"""What is done to :math:`D(x; \sigma)` before a solver sees it.

    Without ``quantile``, values are clipped to [-``limit``, ``limit``]. With it, this is the dynamic thresholding of
    Saharia et al. (2022), https://arxiv.org/abs/2205.11487: s is that quantile of the absolute values of each image, at
    least 1 and at most ``limit``, and D is clipped to [-s, s] and divided by s.
    """

    limit: Annotated[float, Field(gt=0)] = 1.0
    quantile: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        if self.quantile is not None and self.limit < 1:
            text = f"the limit of dynamic thresholding is at least 1, not {self.limit:g}"
            raise PydanticCustomError("clip", "{text}", {"text": text})
        return self

    @property
    def has_effect(self) -> bool:
        """False for an infinite limit."""
        return self.limit < math.inf or self.quantile is not None

    def __call__(self, denoised: Tensor) -> Tensor:
        """The clipped images ``[B, ...]``."""
        if self.quantile is None:
            return denoised.clamp(-self.limit, self.limit)
        flat = denoised.flatten(1).abs()
        flat = flat if flat.dtype == torch.float64 else flat.float()  # there is no quantile in half precision
        s = flat.quantile(self.quantile, dim=1).clamp(1, self.limit).to(denoised.dtype)
        s = s.reshape(-1, *[1] * (denoised.ndim - 1))
        return denoised.clamp(-s, s) / s


def _as_fields(value: Any) -> Any:
    if isinstance(value, Mapping | Clip) or value in ("own", None):
        return None if value == "own" else value
    if value == "none":
        return {"limit": math.inf}
    if isinstance(value, int | float) and not isinstance(value, bool):
        return {"limit": value}
    text = f"clip is own, none, a number or the fields {' and '.join(Clip.model_fields)}, not {value!r}"
    raise PydanticCustomError("clip", "{text}", {"text": text})


ClipField = Annotated[Clip | None, BeforeValidator(_as_fields)]
"""The type of the field ``clip``: fields of ``Clip``, a number for its ``limit``, ``none`` for an infinite one, or
``own`` (``None``) for what the model asks for."""


def chosen(field: Clip | None, own: Clip | None) -> Clip | None:
    """What is done to D, if anything, by a denoiser with this ``field`` and a model that asks for ``own``."""
    clip = own if field is None else field
    return clip if clip is not None and clip.has_effect else None
