from collections.abc import Callable

import torch
from torch import Tensor

from designspace.denoising.adapted import structure_of
from designspace.denoising.factory import FromFactory
from designspace.denoising.rows import BatchedDecoder
from designspace.errors import DataError
from designspace.registry.calling import described


class ModuleDecoder(FromFactory, BatchedDecoder, name="module"):
    """Your own decoder: a ``torch.nn.Module`` or a function of latents ``[B, ...]`` that gives images in [-1, 1].

    ``factory`` names the callable that makes it, ``package.module:callable`` or ``./file.py:callable`` relative to the
    YAML file. It is called with ``kwargs``, after torch is seeded with ``seed``. If it has a parameter ``device`` that
    ``kwargs`` does not give, it gets the name of the device that latents are on; a module is moved there anyway. A text
    in ``kwargs`` that begins with ``./``, ``../``, ``/`` or ``~/`` is a path relative to the YAML file; any other text
    that names a file is refused. ``files`` lists files and folders that the factory reads without being told in
    ``kwargs``.

    ``weights`` is a file with the state dict of the module: safetensors, or a checkpoint of ``torch.save`` without
    pickled classes. ``key`` says where in a checkpoint the state dict is. Latents are float32, and at most
    ``batch_size`` of them are decoded at once.

    Two decoders are the same if the source of the factory's file, the name of the callable, the arguments, and the
    contents of all files are the same, wherever the files are. Raises ``DataError`` if a part is missing or does not
    fit.
    """

    formula = r"y = \mathrm{decode}(x)"

    def make(self, device: torch.device) -> Callable[[Tensor], Tensor]:
        module = self.made({"device": str(device)})
        if not callable(module):
            gives = f"{self.factory} gives {described(module)}, which cannot be called"
            raise DataError(f"{gives}: let it return a torch.nn.Module or a function that decodes latents")
        if isinstance(module, torch.nn.Module):
            module = module.to(device).eval().requires_grad_(False)
        return lambda latents: _images(module(latents))


def _images(output: object) -> Tensor:
    """The images in what a decoder returned: a tensor, or an object of diffusers with one."""
    found = getattr(output, "sample", None) if not isinstance(output, Tensor) else output
    if not isinstance(found, Tensor):
        raise DataError(f"the decoder returns {structure_of(output)}; it must return the images, a tensor [B, C, H, W]")
    return found
