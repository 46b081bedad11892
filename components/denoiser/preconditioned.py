from typing import ClassVar

import torch

from designspace.denoiser import Preconditioned
from designspace.design import Design
from designspace.images import Images
from designspace.rows import Conditional, Denoiser, Network


class PreconditionedDenoiser(Denoiser, name="preconditioned"):
    r"""A network F with the design's scalings.

    .. math:: D(x; \sigma) = c_\mathrm{skip} x + c_\mathrm{out} F(c_\mathrm{in} x; c_\mathrm{noise})

    Its noise conditioning limits and rounds the noise levels of the sampler.
    Karras et al. (2022), https://arxiv.org/abs/2206.00364, Eq. 7.
    """

    rows: ClassVar[tuple[str, ...]] = ("c_skip", "c_out", "c_in", "c_noise")
    network: Network

    def load(self, data: Images, design: Design, device: torch.device) -> Conditional:
        network = self.network.build().to(device).eval().requires_grad_(False)
        dtype = next((p.dtype for p in network.parameters() if p.is_floating_point()), torch.float32)
        return Preconditioned(network, design, self.network.shape_of(data), dtype)
