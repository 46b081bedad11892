"""The precision in which networks are evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

import torch

from designspace.registry.component import Spec
from designspace.registry.float32 import tf32
from designspace.registry.identity import Since

Precision = Literal["float32", "tf32", "bf16", "float16"]
TYPES = {"bf16": torch.bfloat16, "float16": torch.float16}


class HasPrecision(Spec):
    """The precision of a network in sampling: a mixin for denoisers.

    ``precision`` is that of the convolutions and products in the network: ``float32``; ``tf32``, float32 numbers with
    products of 10 bits on GPUs that have them; or ``bf16`` and ``float16`` by PyTorch's automatic casting. The
    preconditioning and the solver always compute in the precision of the sample.
    """

    precision: Annotated[Precision, Since("float32")] = "float32"


@contextmanager
def evaluated_in(precision: Precision, device: torch.device) -> Iterator[None]:
    """Evaluate what is called in the block in this precision. On the CPU, ``tf32`` is ``float32``."""
    if precision in TYPES:
        with torch.autocast(device.type, TYPES[precision]):
            yield
    elif precision == "tf32" and device.type == "cuda":
        with tf32():
            yield
    else:
        yield
