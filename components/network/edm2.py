import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import silu

from designspace.denoising.balanced import SILU, Weight, mixed, weights_of
from designspace.denoising.layers import attention, is_box, low_pass, resampled, unit_rms
from designspace.denoising.networks import refuse_unexpected, seeded
from designspace.denoising.rows import Network
from designspace.denoising.unets import (
    Blocks,
    Channels,
    Multiple,
    Multiples,
    Place,
    Rate,
    Resolutions,
    Taps,
    decoder,
    encoder,
    heads_of,
    one_hot,
    require_size,
)
from designspace.registry.component import Positive
from designspace.registry.literature import KARRAS_2024

Balance = Annotated[float, Field(ge=0, le=1)]


class EDM2(Network, name="edm2"):
    """The magnitude-preserving U-Net of Karras et al. (2024), their configuration G.

    The fields are the arguments of ``UNet`` in NVIDIA's checkpoints, and the parameters have the same names and shapes.
    Level l has images with sides of R / 2^l and ``model_channels`` times ``channel_mult[l]`` channels. It has
    ``num_blocks`` residual blocks in the encoder and one more in the decoder. All blocks of the levels whose side is in
    ``attn_resolutions``, and the first decoder block of the network, have self-attention with one head per
    ``channels_per_head`` channels.

    There are no biases. The weights of each output are used with norm 1; in training, the parameters themselves are
    scaled to a root mean square of 1 first. Sums are weighted so that they keep the magnitude of their terms:
    ``label_balance`` is the share t of the class label in the embedding, ``res_balance`` that of the residual branch,
    ``attn_balance`` that of attention, and ``concat_balance`` that of the skip connection in a concatenation.
    Activations are clipped to +-``clip_act``.

    The noise level enters as cosines of c_noise with random frequencies and phases, as many as the first level has
    channels, or ``channel_mult_noise`` times ``model_channels``. The embedding e has as many numbers as the widest
    level has channels, or ``channel_mult_emb`` times ``model_channels``. A missing class label (-1 or None) is a vector
    of zeros. A linear map of augmentation labels is added to the noise level; published networks do not have it.

    ``dropout`` applies to training. The initial weights are drawn with ``seed``. Raises ``DataError`` if the sides of
    images cannot be halved at each level. Karras et al. (2024), Section 2 and Appendix B.
    """

    formula = r"""
        x &\gets \mathrm{mix}\left(x, B\, \mathrm{silu}'((1 + g E e)\, A\, \mathrm{silu}'(x)), t\right), \quad
            \mathrm{mix}(a, b, t) = \frac{(1 - t) a + t b}{\sqrt{(1 - t)^2 + t^2}}, \\
        \mathrm{silu}'(x) &= \mathrm{silu}(x) / 0.596, \quad F_\theta = 0 \text{ at the start}
    """
    sources = (KARRAS_2024,)
    model_channels: Channels = 192
    channel_mult: Multiples = (1, 2, 3, 4)
    channel_mult_noise: Multiple | None = None
    channel_mult_emb: Multiple | None = None
    num_blocks: Blocks = 3
    attn_resolutions: Resolutions = (16, 8)
    label_balance: Balance = 0.5
    concat_balance: Balance = 0.5
    res_balance: Balance = 0.3
    attn_balance: Balance = 0.3
    channels_per_head: Multiple = 64
    clip_act: Positive | None = 256.0
    dropout: Rate = 0.0
    resample_filter: Taps = (1.0, 1.0)
    seed: int = 0

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> nn.Module:
        require_size("edm2", shape, len(self.channel_mult))
        with seeded(self.seed):
            return _UNet(self, shape, classes, augment).eval()


class _UNet(nn.Module):
    def __init__(self, spec: EDM2, shape: tuple[int, ...], classes: int, augment: int) -> None:
        super().__init__()
        widths = [spec.model_channels * multiple for multiple in spec.channel_mult]
        noise = spec.model_channels * spec.channel_mult_noise if spec.channel_mult_noise else widths[0]
        width = spec.model_channels * spec.channel_mult_emb if spec.channel_mult_emb else max(widths)
        self.spec, self.classes, self.augment = spec, classes, augment
        self.out_gain = nn.Parameter(torch.zeros(()))
        self.emb_fourier = _Fourier(noise)
        self.emb_noise = Weight(noise, width)
        self.emb_augment = Weight(augment, width) if augment else None
        self.emb_label = Weight(classes, width) if classes else None
        plan = (widths[0], widths, spec.num_blocks)
        self._down, self._up = encoder((shape[0] + 1, *shape[1:]), *plan), decoder(shape, *plan)
        self.enc = nn.ModuleDict({place.name: _layer(place, spec, width, up=False) for place in self._down})
        self.dec = nn.ModuleDict({place.name: _layer(place, spec, width, up=True) for place in self._up})
        self.out_conv = Weight(widths[0], shape[0], 3)

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        embedding = self._embedding(x, c_noise, labels, augment)
        skips: list[Tensor] = []
        x = torch.cat([x, torch.ones_like(x[:, :1])], 1)
        for place in self._down:
            layer = self.enc[place.name]
            x = layer(x) if place.part == "conv" else layer(x, embedding)
            skips.append(x)
        for place in self._up:
            x = _joined(x, skips.pop(), self.spec.concat_balance) if place.is_block else x
            x = self.dec[place.name](x, embedding)
        return self.out_conv(x) * self.out_gain  # type: ignore[no-any-return]

    def _embedding(self, x: Tensor, c_noise: Tensor, labels: Tensor | None, augment: Tensor | None) -> Tensor:
        refuse_unexpected(labels, augment, classes=bool(self.classes), augmented=bool(self.augment))
        found = self.emb_noise(self.emb_fourier(c_noise).to(x.dtype))
        if self.emb_augment is not None and augment is not None:
            found = found + self.emb_augment(augment.to(x.dtype))
        if self.emb_label is not None:
            label = self.emb_label(one_hot(labels, self.classes, x) * math.sqrt(self.classes))
            found = mixed(found, label, self.spec.label_balance)
        return silu(found) / SILU


class _Block(nn.Module):
    """A block of the encoder, which normalises the channels of each pixel, or of the decoder (``up``)."""

    kernel: Tensor | None

    def __init__(self, place: Place, spec: EDM2, width: int, *, up: bool) -> None:
        super().__init__()
        self.spec, self.up, self.part = spec, up, place.part
        self.register_buffer(
            "kernel", None if is_box(spec.resample_filter) else low_pass(spec.resample_filter), persistent=False
        )
        self.emb_gain = nn.Parameter(torch.zeros(()))
        self.own, other = weights_of(spec.res_balance)  # the weights of sums are gains of the layers before them
        self.conv_res0 = Weight(place.cin if up else place.cout, place.cout, 3, 1 / SILU)
        self.emb_linear = Weight(width, place.cout)
        self.conv_res1 = Weight(place.cout, place.cout, 3, other / SILU)
        self.conv_skip = Weight(place.cin, place.cout, 1) if place.cin != place.cout else None
        self.heads = heads_of(place, spec.attn_resolutions, spec.channels_per_head)
        if self.heads:
            self.attn_own, other = weights_of(spec.attn_balance)
            self.attn_qkv, self.attn_proj = (
                Weight(place.cout, 3 * place.cout, 1),
                Weight(place.cout, place.cout, 1, other),
            )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        if self.part in ("up", "down"):
            x = resampled(x, self.kernel, up=self.part == "up")
        if not self.up:
            x = unit_rms(x if self.conv_skip is None else self.conv_skip(x), (1,))
        factor = 1 + self.emb_linear(embedding) * self.emb_gain
        y = silu(self.conv_res0(silu(x)) * factor[:, :, None, None])
        y = self.conv_res1(functional.dropout(y, self.spec.dropout, self.training))
        if self.up and self.conv_skip is not None:
            x = self.conv_skip(x)
        x = torch.add(y, x, alpha=self.own)
        if self.heads:
            y = self.attn_proj(attention(self.attn_qkv(x), self.heads, unit=True))
            x = torch.add(y, x, alpha=self.attn_own)
        cut = self.spec.clip_act
        return x if cut is None else x.clamp(-cut, cut)


class _Fourier(nn.Module):
    freqs: Tensor
    phases: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 2 * math.pi * torch.randn(n))
        self.register_buffer("phases", 2 * math.pi * torch.rand(n))

    def forward(self, c_noise: Tensor) -> Tensor:
        return torch.cos(c_noise[:, None] * self.freqs + self.phases) * math.sqrt(2)


def _layer(place: Place, spec: EDM2, width: int, *, up: bool) -> nn.Module:
    return Weight(place.cin, place.cout, 3) if place.part == "conv" else _Block(place, spec, width, up=up)


def _joined(x: Tensor, skip: Tensor, t: float) -> Tensor:
    """The channels of both, weighted so that each part contributes as the balance t says."""
    a, b = x.shape[1], skip.shape[1]
    own, other = weights_of(t)
    whole = math.sqrt(a + b)
    return torch.cat([x * (whole / math.sqrt(a) * own), skip * (whole / math.sqrt(b) * other)], 1)
