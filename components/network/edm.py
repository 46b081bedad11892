import math
from typing import Literal, Self

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn.functional import silu

from designspace.denoising.layers import Block, Convolution, Style
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
    one_hot,
    require_groups,
    require_size,
    sinusoids,
)
from designspace.registry.literature import HO_2020, KARRAS_2022, SONG_2021


class EDM(Network, name="edm"):
    """The U-Net of Song et al. (2021) as Karras et al. (2022) train it: DDPM++ by default, or NCSN++.

    The fields are the arguments of ``SongUNet`` in NVIDIA's checkpoints, and the parameters have the same names and
    shapes. Level l has images with sides of R / 2^l and ``model_channels`` times ``channel_mult[l]`` channels. It has
    ``num_blocks`` residual blocks in the encoder and one more in the decoder. The levels whose side is in
    ``attn_resolutions`` have self-attention with one head in each encoder block and in the last decoder block, and so
    has the first decoder block of the network.

    The noise level enters as ``model_channels`` times ``channel_mult_noise`` sinusoids of c_noise, whose frequencies
    are fixed (``embedding_type: positional``) or random (``fourier``). Linear maps of class and augmentation labels are
    added; a missing label (-1 or None) is a vector of zeros. Two layers turn the sum into the embedding e, which has
    ``model_channels`` times ``channel_mult_emb`` numbers and enters each block.

    ``resample_filter`` has the weights, in each direction, of the low-pass filter of up- and down-sampling. With
    ``encoder_type`` ``skip`` or ``residual``, the encoder also gets the filtered input at each smaller size; with
    ``decoder_type: skip``, the output is a sum of images of all levels. NCSN++ is ``embedding_type: fourier``,
    ``channel_mult_noise: 2``, ``encoder_type: residual`` and ``resample_filter: [1, 3, 3, 1]``.

    ``dropout``, and ``label_dropout``, the probability that a label is left out, apply to training. The initial weights
    are drawn with ``seed``. With ``learned_variance``, the output has twice as many channels, of which the second half
    is ignored. Raises ``DataError`` if the sides of images cannot be halved at each level. Ho et al. (2020), Appendix
    B; Song et al. (2021), Appendix H; Karras et al. (2022), Appendix F.
    """

    formula = r"""
        x &\gets \sqrt{\tfrac 1 2} \left(S x + B\, \mathrm{silu}(\mathrm{GN}(A\, \mathrm{silu}(\mathrm{GN}(x)) + E e))
            \right), \\
        x &\gets \sqrt{\tfrac 1 2} \left(x + P\, \mathrm{attention}(Q\, \mathrm{GN}(x))\right)
    """
    sources = (KARRAS_2022, SONG_2021, HO_2020)
    model_channels: Channels = 128
    channel_mult: Multiples = (1, 2, 2, 2)
    channel_mult_emb: Multiple = 4
    num_blocks: Blocks = 4
    attn_resolutions: Resolutions = (16,)
    dropout: Rate = 0.1
    label_dropout: Rate = 0.0
    embedding_type: Literal["positional", "fourier"] = "positional"
    channel_mult_noise: Multiple = 1
    encoder_type: Literal["standard", "skip", "residual"] = "standard"
    decoder_type: Literal["standard", "skip"] = "standard"
    resample_filter: Taps = (1.0, 1.0)
    learned_variance: bool = False
    seed: int = 0

    @property
    def widths(self) -> list[int]:
        """The channels of each level."""
        return [self.model_channels * multiple for multiple in self.channel_mult]

    @model_validator(mode="after")
    def _normalises(self) -> Self:
        plan = (self.model_channels, self.widths, self.num_blocks)
        require_groups([*encoder((1, 1, 1), *plan), *decoder((1, 1, 1), *plan)])
        return self

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> nn.Module:
        require_size("edm", shape, len(self.channel_mult))
        with seeded(self.seed):
            return _SongUNet(self, shape, classes, augment).eval()


class _SongUNet(nn.Module):
    def __init__(self, spec: EDM, shape: tuple[int, ...], classes: int, augment: int) -> None:
        super().__init__()
        self.spec, self.classes, self.augment = spec, classes, augment
        noise, width = spec.model_channels * spec.channel_mult_noise, spec.model_channels * spec.channel_mult_emb
        self.map_noise = _Fourier(noise) if spec.embedding_type == "fourier" else _Positional(noise)
        self.map_label = nn.Linear(classes, noise) if classes else None
        self.map_augment = nn.Linear(augment, noise, bias=False) if augment else None
        self.map_layer0, self.map_layer1 = nn.Linear(noise, width), nn.Linear(width, width)
        plan = (shape, spec.model_channels, spec.widths, spec.num_blocks)
        self._down, self._up = encoder(*plan), decoder(*plan)
        self._style = Style(
            width,
            adaptive=False,
            scale=math.sqrt(0.5),
            eps=1e-6,
            project=True,
            dropout=spec.dropout,
            taps=spec.resample_filter,
        )
        self.enc, self.dec = nn.ModuleDict(), nn.ModuleDict()
        aux = shape[0]
        for place in self._down:
            attends = place.is_block and place.side in spec.attn_resolutions
            self.enc[place.name] = self._layer(place, attends)
            if place.part == "down":
                aux = self._add_aux(place, aux)
        for place in self._up:
            attends = place.part == "in0" or (place.last and place.side in spec.attn_resolutions)
            self.dec[place.name] = self._layer(place, attends)
            if place.last:
                self._add_output(place, shape[0] * (1 + spec.learned_variance))
        _initialise(self)

    def _layer(self, place: Place, attends: bool) -> nn.Module:
        return (
            Convolution(place.cin, place.cout, 3) if place.part == "conv" else Block(place, self._style, int(attends))
        )

    def _add_aux(self, place: Place, channels: int) -> int:
        """The layers that bring the image to a level of the encoder; to the number of its channels there."""
        taps = self._style.taps
        if self.spec.encoder_type == "residual":
            self.enc[f"{place.size}_aux_residual"] = Convolution(channels, place.cout, 3, "after", taps)
            return place.cout
        if self.spec.encoder_type == "skip":
            self.enc[f"{place.size}_aux_down"] = Convolution(channels, channels, 0, "down", taps)
            self.enc[f"{place.size}_aux_skip"] = Convolution(channels, place.cout, 1)
        return channels

    def _add_output(self, place: Place, channels: int) -> None:
        """The layers that make an image of what a level of the decoder gives."""
        if place.level and self.spec.decoder_type == "standard":
            return
        if self.spec.decoder_type == "skip" and place.level < len(self.spec.channel_mult) - 1:
            self.dec[f"{place.size}_aux_up"] = Convolution(channels, channels, 0, "up", self._style.taps)
        self.dec[f"{place.size}_aux_norm"] = self._style.norm(place.cout)
        self.dec[f"{place.size}_aux_conv"] = Convolution(place.cout, channels, 3)

    def forward(
        self, x: Tensor, c_noise: Tensor, labels: Tensor | None = None, augment: Tensor | None = None
    ) -> Tensor:
        embedding, aux = self._embedding(x, c_noise, labels, augment), x
        skips: list[Tensor] = []
        for place in self._down:
            layer = self.enc[place.name]
            x = layer(x) if place.part == "conv" else layer(x, embedding)
            if place.part == "down":
                x, aux = self._with_aux(place, x, aux)
            skips.append(x)
        output: Tensor | None = None
        for place in self._up:
            x = self.dec[place.name](torch.cat([x, skips.pop()], 1) if place.is_block else x, embedding)
            if place.last and f"{place.size}_aux_conv" in self.dec:
                output = self._output(place, x, output)
        assert output is not None
        return output

    def _embedding(self, x: Tensor, c_noise: Tensor, labels: Tensor | None, augment: Tensor | None) -> Tensor:
        refuse_unexpected(labels, augment, classes=bool(self.classes), augmented=bool(self.augment))
        found = self.map_noise(c_noise).to(x.dtype)
        if self.map_label is not None:
            dropout = self.spec.label_dropout if self.training else 0.0
            found = found + self.map_label(one_hot(labels, self.classes, x, dropout) * math.sqrt(self.classes))
        if self.map_augment is not None and augment is not None:
            found = found + self.map_augment(augment.to(x.dtype))
        return silu(self.map_layer1(silu(self.map_layer0(found))))

    def _with_aux(self, place: Place, x: Tensor, aux: Tensor) -> tuple[Tensor, Tensor]:
        """What a level of the encoder gives and the image that comes with it, from those before."""
        if self.spec.encoder_type == "residual":
            x = (x + self.enc[f"{place.size}_aux_residual"](aux)) * self._style.scale
            return x, x
        if self.spec.encoder_type == "skip":
            aux = self.enc[f"{place.size}_aux_down"](aux)
            x = x + self.enc[f"{place.size}_aux_skip"](aux)
        return x, aux

    def _output(self, place: Place, x: Tensor, before: Tensor | None) -> Tensor:
        """The image up to this level, given the one of half its size from the levels below."""
        image: Tensor = self.dec[f"{place.size}_aux_conv"](silu(self.dec[f"{place.size}_aux_norm"](x)))
        return image if before is None else image + self.dec[f"{place.size}_aux_up"](before)


class _Positional(nn.Module):
    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n

    def forward(self, c_noise: Tensor) -> Tensor:
        angle = sinusoids(c_noise, self.n, self.n // 2 - 1)
        return torch.cat([angle.sin(), angle.cos()], 1)


class _Fourier(nn.Module):
    freqs: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.register_buffer("freqs", 16 * torch.randn(n // 2))

    def forward(self, c_noise: Tensor) -> Tensor:
        angle = c_noise[:, None] * (2 * math.pi * self.freqs)
        return torch.cat([angle.sin(), angle.cos()], 1)


def _initialise(network: nn.Module) -> None:
    """Xavier's uniform weights, small ones in the last layer of each sum, and biases of zero."""
    for name, parameter in network.named_parameters():
        *_, layer, kind = name.split(".")
        if parameter.ndim > 1:
            gain = 1e-5 if layer in ("conv1", "proj") or layer.endswith("aux_conv") else 1.0
            nn.init.xavier_uniform_(parameter, math.sqrt(0.2) if layer == "qkv" else gain)
        elif kind == "bias":
            nn.init.zeros_(parameter)
