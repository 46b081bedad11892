from functools import cached_property
from typing import Annotated, ClassVar

import torch
from pydantic import Field

from designspace.data.images import Images
from designspace.denoising.factory import FromFactory
from designspace.denoising.function import Range, bindable
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.registry.component import NonNegative
from designspace.registry.literature import KARRAS_2022
from designspace.sampling.rows import SupportedLevels


class FunctionDenoiser(FromFactory, Denoiser, name="function"):
    r"""Your own denoiser as a function ``D(x, sigma, labels)``, whatever it is made of.

    ``x`` is float32 ``[B, ...]`` on the device of the run, ``sigma`` the noise level, float64 on the CPU and either
    0-dim or ``[B]``, and ``labels`` int64 ``[B]`` or ``None``; a function without labels may be ``D(x, sigma)``. It
    returns the denoised ``x``, the estimate of the clean image, in the shape of ``x``. The score is
    :math:`(D - x) / \sigma^2`. One call counts as one evaluation, whatever happens in it.

    ``factory`` names the callable that makes it, ``package.module:callable`` or ``./file.py:callable`` relative to the
    YAML file. It is called with ``kwargs``, after torch is seeded with ``seed``. If it has parameters named ``shape``,
    ``classes`` or ``device`` that ``kwargs`` does not give, these are passed as well. It returns the function, or a
    ``torch.nn.Module``, which is moved to the device and loaded with ``weights`` as those of network ``module`` are. A
    text in ``kwargs`` that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to the YAML file. ``files``
    lists files and folders that the factory reads without being told in ``kwargs``.

    ``shape`` is the shape of one sample, by default that of the data set; ``classes`` the number of classes that D
    knows, 0 for none; ``sigma_min`` and ``sigma_max`` the range of noise levels that D supports.

    Two denoisers are the same if the source of the factory's file, the name of the callable, the arguments, and the
    contents of all files are the same, wherever the files are. Raises ``DataError`` if a part is missing or does not
    fit. Karras et al. (2022), Eq. 3.
    """

    formula = r"D(x; \sigma)"
    sources = (KARRAS_2022,)
    runs_user_code: ClassVar[bool] = True
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    classes: Annotated[int, Field(ge=0)] | None = None
    sigma_min: NonNegative = 0.0
    sigma_max: Annotated[float, Field(gt=0)] = float("inf")

    def known_classes(self, data: Images) -> int | None:
        return self.classes

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape or data.shape

    def supported(self, design: PreconditioningRows) -> SupportedLevels:
        return self._levels

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        shape, classes = self.shape_of(data), data.class_count if self.classes is None else self.classes
        function = self.made({"shape": shape, "classes": classes, "device": str(device)})
        return bindable(function, self.factory, shape, self._levels, device)

    @cached_property
    def _levels(self) -> Range:
        return Range(self.sigma_min, self.sigma_max)
