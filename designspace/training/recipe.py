"""How a network is trained: what is neither a row of Table 1 nor the network."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from designspace.registry.component import Fraction, NonNegative, Positive, Spec

Images = Annotated[int, Field(ge=1)]


class Recipe(Spec):
    r"""Adam with a warm-up and a moving average of the parameters; times are in images seen, whatever the batch.

    The learning rate grows linearly to ``learning_rate`` over ``warm_up`` images and stays. The average forgets half
    of itself in ``ema_half_life`` images, or in ``ema_ramp_up`` of those seen, if that is less; with ``ema_sigma_rel``
    it is the power-function average of that relative width instead (Karras et al., 2023, https://arxiv.org/abs/2312.02696,
    Section 3). ``accumulate`` splits a batch into parts that are computed one after the other. ``precision``,
    ``compile`` and ``channels_last`` make it faster on a GPU. A component mixes this in.
    """

    seed: int = 0
    batch_size: Images = 128
    accumulate: Images = 1
    learning_rate: Positive = 1e-3
    warm_up: NonNegative = 10_000.0
    ema_half_life: Positive = 50_000.0
    ema_ramp_up: Fraction = 0.05
    ema_sigma_rel: Annotated[float, Field(gt=0, lt=0.28)] | None = None
    precision: Literal["float32", "bf16"] = "float32"
    compile: bool = False
    channels_last: bool = False
