from typing import ClassVar

import torch

from designspace.data.images import Images
from designspace.denoising.precision import HasPrecision
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional, Denoiser, Network, PreconditioningRows
from designspace.registry.literature import KARRAS_2022


class Preconditioned(HasPrecision, Denoiser, name="preconditioned"):
    """A network F with the scalings of the design.

    The rows c_* should be those that the network was trained with. The row c_noise limits and rounds the noise levels
    of the sampler to those that the network supports. Labels are passed to the network. ``precision`` is that of the
    network in sampling. Karras et al. (2022), Eq. 7.
    """

    formula = r"""
        D(x; \sigma) = c_\mathrm{skip}(\sigma)\, x
            + c_\mathrm{out}(\sigma)\, F(c_\mathrm{in}(\sigma)\, x; c_\mathrm{noise}(\sigma))
    """
    sources = (KARRAS_2022,)
    reads_data: ClassVar[bool] = True  # shape and classes
    rows: ClassVar[tuple[str, ...]] = ("c_skip", "c_out", "c_in", "c_noise")
    has_network: ClassVar[bool] = True
    network: Network

    def known_classes(self, data: Images) -> int:
        return data.class_count

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.network.shape_of(data)

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        shape = self.network.shape_of(data)
        network = self.network.build(shape, self.known_classes(data)).to(device).eval().requires_grad_(False)
        return PreconditionedNetwork(network, design, shape, precision=self.precision)
