"""The cost of guidance by another network: a ratio of FLOPs, which does not depend on the machine."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from designspace.data.images import Images
from designspace.denoising.rows import Denoiser, PreconditioningRows
from designspace.registry.calling import calling
from designspace.registry.isolation import isolated
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
    """The FLOPs of one evaluation on one image: those of convolutions, matrix products and attention.

    The network is built on the CPU and need not be trained. A multiplication and an addition are two FLOPs.
    """
    with isolated(CPU, "denoiser", content_key(denoiser.identity())), calling(denoiser):
        network = denoiser.untrained(data, design, CPU) or denoiser.load(data, design, CPU)
    labels = torch.zeros(1, dtype=torch.int64) if denoiser.known_classes(data) else None
    x, sigma = torch.zeros(1, *network.shape), torch.tensor(1.0, dtype=torch.float64)
    from torch.utils.flop_counter import FlopCounterMode  # here, because the import is slow

    # Fused kernels of attention exist on some machines only, and PyTorch does not count those for the CPU.
    with FlopCounterMode(display=False) as counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        network.bind(labels)(x, sigma)
    return int(counter.get_total_flops())
