"""The cost of guidance by another network: a ratio of FLOPs, which does not depend on the machine."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from designspace.data.images import Images
from designspace.denoising.rows import Denoiser, PreconditioningRows
from designspace.registry.calling import calling
from designspace.registry.isolation import isolated
from designspace.sampling import rows
from designspace.storage.files import content_key

CPU = torch.device("cpu")


def guidance_cost(
    guide: Denoiser | None, denoiser: Denoiser, design: PreconditioningRows, data: Callable[[], Images]
) -> int | float:
    """The FLOPs of an evaluation of the guide divided by those of an evaluation of ``denoiser``.

    It is 1 without a ``guide``, when ``denoiser`` guides itself, and if one of the two has no network whose FLOPs can
    be counted. ``data`` gives the data set, with which networks are built.
    """
    if guide is None or not (guide.has_network and denoiser.has_network):
        return 1
    images = data()
    its, own = (flops(network, design, images) for network in (guide, denoiser))
    return 1 if its == own or not (its and own) else its / own


def flops(denoiser: Denoiser, design: PreconditioningRows, data: Images) -> int:
    """The FLOPs of one evaluation on one image, see ``flops_of``.

    The network is built on the CPU and need not be trained. A multiplication and an addition are two FLOPs.
    """
    with isolated(CPU, "denoiser", content_key(denoiser.identity())), calling(denoiser):
        network = denoiser.untrained(data, design, CPU) or denoiser.load(data, design, CPU)
    labels = torch.zeros(1, dtype=torch.int64) if denoiser.known_classes(data) else None
    x, sigma = torch.zeros(1, *network.shape), torch.tensor(1.0, dtype=torch.float64)
    return flops_of(network.bind(labels), x, sigma)


def flops_of(D: rows.D, x: Tensor, sigma: Tensor) -> int:
    """The FLOPs of ``D(x, sigma)``: those of convolutions, matrix products and attention."""
    # Fused kernels of attention exist on some machines only; otherwise it consists of matrix products.
    counter = _Flops()  # type: ignore[no-untyped-call]
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        D(x, sigma)
    return counter.total


class _Flops(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the FLOPs of what is computed in the block.

    ``torch.utils.flop_counter`` gives the same numbers, but imports PyTorch's compiler, which takes seconds.
    """

    total: int = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise PyTorch wraps the method below, which imports its compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if of := _FORMULAS.get(func.overloadpacket):
            self.total += of(out, *args)
        return out


def _product(out: Tensor, a: Tensor, b: Tensor, *rest: object) -> int:
    return 2 * out.numel() * a.shape[-1]


def _sum_with_product(out: Tensor, added: Tensor, a: Tensor, b: Tensor, *rest: object) -> int:
    return _product(out, a, b)


def _convolution(out: Tensor, x: Tensor, weight: Tensor, *rest: Any) -> int:
    *_, transposed, _, _ = rest
    return 2 * (x if transposed else out).numel() * math.prod(weight.shape[1:])


_FORMULAS: dict[object, Callable[..., int]] = {
    torch.ops.aten.mm: _product,
    torch.ops.aten.bmm: _product,
    torch.ops.aten.addmm: _sum_with_product,
    torch.ops.aten.baddbmm: _sum_with_product,
    torch.ops.aten.convolution: _convolution,
}
"""A multiplication and an addition are two FLOPs."""
