from typing import ClassVar

import torch

from designspace.data.images import Images
from designspace.denoising.exact import ExactDenoiser
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.registry.literature import KARRAS_2022


class Exact(Denoiser, name="exact"):
    """The L2-optimal denoiser of the data set: what a network of unlimited capacity and training would learn.

    The sum is over the training images :math:`y_k` in [-1, 1], or over those with the sample's label. Sampling ends at
    training images, so distances show the error of the sampler and nothing else. For float32 samples the result is
    within 1e-4 of the value in float64. Karras et al. (2022), Appendix B.3.
    """

    formula = r"D(x; \sigma) = \sum_k \mathrm{softmax}_k\!\left(-\frac{|x - y_k|^2}{2 \sigma^2}\right) y_k"
    sources = (KARRAS_2022,)
    reads_data: ClassVar[bool] = True
    models_pixels: ClassVar[bool] = True

    def known_classes(self, data: Images) -> int:
        return data.class_count

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return data.shape

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return ExactDenoiser(data, device)
