import math
from typing import Self

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn.functional import silu

from designspace.denoising.networks import refuse_unexpected, seeded
from designspace.denoising.rows import Network
from designspace.denoising.unets import (
    Block,
    Blocks,
    Channels,
    Convolution,
    Multiple,
    Multiples,
    Place,
    Rate,
    Resolutions,
    Style,
    decoder,
    encoder,
    heads_of,
    one_hot,
    require_groups,
    require_size,
    sinusoids,
)
from designspace.registry.literature import DHARIWAL_2021, KARRAS_2022

CHANNELS_PER_HEAD = 64


class ADM(Network, name="adm"):
    """The U-Net of Dhariwal and Nichol (2021) as trained by Karras et al. (2022) on ImageNet at 64 x 64 pixels.

    Parameters have the names and shapes of ``DhariwalUNet`` in NVIDIA's checkpoints, and fields those of its arguments.
    Level l of the network has images of side R / 2^l, ``model_channels`` times ``channel_mult[l]`` channels, and
    ``num_blocks`` residual blocks on the way down and one more on the way up. Those at the sides ``attn_resolutions``
    have self-attention with one head per 64 channels, as has the first block at the bottom.

    The embedding of the noise level, sinusoids of c_noise, passes through two layers of ``model_channels`` times
    ``channel_mult_emb`` numbers; each class adds a vector of its own, and no class (-1 or None) none. Augmentation
    labels are added before these layers. The embedding scales and shifts the second normalisation of each block.

    ``dropout`` and ``label_dropout``, the probability that a label is left out, apply to training. The initial weights
    are drawn with ``seed``; the last layers of all sums and of the network are zero. With ``learned_variance`` there
    are twice as many channels in the output, of which the second half is ignored. Raises ``DataError`` for images whose
    sides cannot be halved at each level. Dhariwal and Nichol (2021), Section 3; Karras et al. (2022), Appendix F.
    """

    formula = r"""
        x &\gets S x + B\, \mathrm{silu}\left((1 + E_1 e)\, \mathrm{GN}(A\, \mathrm{silu}(\mathrm{GN}(x))) + E_2 e
            \right), \\
        x &\gets x + P\, \mathrm{attention}(Q\, \mathrm{GN}(x)), \quad F_\theta = 0 \text{ at the start}
    """
    sources = (DHARIWAL_2021, KARRAS_2022)
    model_channels: Channels = 192
    channel_mult: Multiples = (1, 2, 3, 4)
    channel_mult_emb: Multiple = 4
    num_blocks: Blocks = 3
    attn_resolutions: Resolutions = (32, 16, 8)
    dropout: Rate = 0.1
    label_dropout: Rate = 0.0
    learned_variance: bool = False
    seed: int = 0

    @model_validator(mode="after")
    def _normalises(self) -> Self:
        require_groups([place for way in self.plan((1, 1, 1)) for place in way])
        return self

    def plan(self, shape: tuple[int, ...]) -> tuple[list[Place], list[Place]]:
        """The places of the encoder and the decoder."""
        widths = [self.model_channels * multiple for multiple in self.channel_mult]
        return encoder(shape, widths[0], widths, self.num_blocks), decoder(shape, widths[0], widths, self.num_blocks)

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> nn.Module:
        require_size("adm", shape, len(self.channel_mult))
        with seeded(self.seed):
            return _DhariwalUNet(self, shape, classes, augment).eval()


class _DhariwalUNet(nn.Module):
    def __init__(self, spec: ADM, shape: tuple[int, ...], classes: int, augment: int) -> None:
        super().__init__()
        self.spec, self.classes, self.augment = spec, classes, augment
        noise, width = spec.model_channels, spec.model_channels * spec.channel_mult_emb
        self.map_augment = nn.Linear(augment, noise, bias=False) if augment else None
        self.map_layer0, self.map_layer1 = nn.Linear(noise, width), nn.Linear(width, width)
        self.map_label = nn.Linear(classes, width, bias=False) if classes else None
        style = Style(width, adaptive=True, scale=1.0, eps=1e-5, project=False, dropout=spec.dropout)
        self._down, self._up = spec.plan(shape)
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        for layers, places in ((self.enc, self._down), (self.dec, self._up)):
            for place in places:
                heads = heads_of(place, spec.attn_resolutions, CHANNELS_PER_HEAD)
                block = place.part != "conv"
                layers[place.name] = (
                    Block(place, style, heads) if block else Convolution(place.cin, place.cout, 3)
                )
        self.out_norm = style.norm(self._up[-1].cout)
        self.out_conv = Convolution(self._up[-1].cout, shape[0] * (1 + spec.learned_variance), 3)
        _initialise(self)

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        embedding, skips = self._embedding(x, c_noise, labels, augment), list[Tensor]()
        for place in self._down:
            layer = self.enc[place.name]
            x = layer(x) if place.part == "conv" else layer(x, embedding)
            skips.append(x)
        for place in self._up:
            x = self.dec[place.name](torch.cat([x, skips.pop()], 1) if place.is_block else x, embedding)
        return self.out_conv(silu(self.out_norm(x)))  # type: ignore[no-any-return]

    def _embedding(self, x: Tensor, c_noise: Tensor, labels: Tensor | None, augment: Tensor | None) -> Tensor:
        refuse_unexpected(labels, augment, classes=bool(self.classes), augmented=bool(self.augment))
        n = self.spec.model_channels
        angle = sinusoids(c_noise, n, n // 2)
        found = torch.cat([angle.cos(), angle.sin()], 1).to(x.dtype)
        if self.map_augment is not None and augment is not None:
            found = found + self.map_augment(augment.to(x.dtype))
        found = self.map_layer1(silu(self.map_layer0(found)))
        if self.map_label is not None:
            dropout = self.spec.label_dropout if self.training else 0.0
            found = found + self.map_label(one_hot(labels, self.classes, x, dropout))
        return silu(found)


def _initialise(network: nn.Module) -> None:
    """PyTorch's own uniform weights and biases, zero in the last layers of sums, and unit normal for classes."""
    fan_in = 1
    for name, parameter in network.named_parameters():
        *_, layer, kind = name.split(".")
        if layer.startswith(("norm", "out_norm")):
            continue
        fan_in = parameter[0].numel() if kind == "weight" else fan_in  # a bias follows the weight of its layer
        if layer in ("conv1", "proj", "out_conv", "map_augment"):
            nn.init.zeros_(parameter)
        elif layer == "map_label":
            nn.init.normal_(parameter)
        else:
            nn.init.uniform_(parameter, -1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
