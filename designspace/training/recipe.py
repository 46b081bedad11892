"""The training recipe: optimizer, batch size, moving average and precision."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designspace.registry.component import NonNegative, Positive, Spec
from designspace.registry.identity import Since
from designspace.training.rows import EMA

Images = Annotated[int, Field(ge=1, le=1_000_000)]
"""A number of images of a batch; the limit excludes mistakes, since no memory holds larger batches."""


class Recipe(Spec):
    """Adam with a linear warm-up and an exponential moving average of the parameters.

    All durations are numbers of images seen, independent of the batch size. The learning rate grows linearly to
    ``learning_rate`` over the first ``warm_up`` images and then stays constant. With ``decay_after``, it falls after
    that number of images like the inverse of the square root of the images seen (Karras et al., 2024,
    https://arxiv.org/abs/2312.02696, Appendix B). It depends on the images seen before a step, as in Karras et al.
    (2022), so that the learning rate of the first step is 0. ``ema`` is the average of the parameters. ``accumulate``
    splits each batch into parts that are processed one after another. With ``stratified``, the noise levels of a batch
    of B images are its B quantiles :math:`(k + r) / B` with random numbers r in (0, 1): each level has the same
    distribution as before, but the levels of a batch are spread evenly, so that the loss has a smaller variance.
    ``precision``, ``compile`` and ``channels_last`` speed up training on a GPU. The class is a mixin for components.
    """

    seed: int = 0
    batch_size: Images = 128
    accumulate: Images = 1
    learning_rate: Positive = 1e-3
    warm_up: NonNegative = 10_000.0
    decay_after: Annotated[Positive | None, Since(None)] = None
    ema: EMA = Field(default="half_life", validate_default=True)
    stratified: Annotated[bool, Since(False)] = False
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = False
    channels_last: bool = False
