from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field

from designspace.data.images import Images
from designspace.denoising.adapted import Adapted
from designspace.denoising.factory import FromFactory
from designspace.denoising.rows import Network
from designspace.errors import DataError
from designspace.registry.calling import described
from designspace.registry.identity import Since
from designspace.registry.literature import KARRAS_2022


class Module(FromFactory, Network, name="module"):
    """Your own ``torch.nn.Module``, called as ``F(x [B, C, H, W], c_noise [B], labels [B] or None)``.

    ``factory`` names the callable that makes it, ``package.module:callable`` or ``./file.py:callable`` relative to the
    YAML file. It is called with ``kwargs``, after torch is seeded with ``seed``. If it has parameters named ``shape``,
    ``classes`` or ``augment`` that ``kwargs`` does not give, these are passed as well. A text in ``kwargs`` that begins
    with ``./``, ``../``, ``/`` or ``~/`` is a path relative to the YAML file; any other text that names a file is
    refused. ``files`` lists files and folders that the factory reads without being told in ``kwargs``.

    ``weights`` is a file with the state dict of the network: safetensors, or a checkpoint of ``torch.save`` without
    pickled classes. ``key`` says where in a checkpoint the state dict is: ``ema``, ``state.model``. ``shape`` is the
    shape of one sample, [C, H, W], by default that of the data set.

    Networks that differ from F are adapted by three fields. ``output`` is the key, attribute or index of the tensor in
    what the network returns; a tuple of one tensor, and ``sample`` if it is the only tensor, need none. ``noise: int``
    rounds c_noise to int64, for networks that look it up in a table. ``labels: one_hot`` passes labels as vectors, in
    which "no class" is zero, and ``labels: none`` passes none to a network of two arguments. Of an output with twice
    the channels of x, the second half is taken to be learned variances and ignored.

    Two networks are the same if the source of the factory's file, the name of the callable, the arguments, and the
    contents of all files are the same, wherever the files are. Raises ``DataError`` if a part is missing or does not
    fit. Karras et al. (2022), Eq. 7.
    """

    formula = r"F_\theta(c_\mathrm{in} x; c_\mathrm{noise})"
    sources = (KARRAS_2022,)
    runs_user_code: ClassVar[bool] = True
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = None
    output: Annotated[str | int | None, Since(None)] = None
    noise: Annotated[Literal["float", "int"], Since("float")] = "float"
    labels: Annotated[Literal["index", "one_hot", "none"], Since("index")] = "index"

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return self.shape or data.shape

    def build(self, shape: tuple[int, ...], classes: int = 0, augment: int = 0) -> torch.nn.Module:
        network = self.made({"shape": shape, "classes": classes, "augment": augment})
        if not isinstance(network, torch.nn.Module):
            gives = f"{self.factory} gives {described(network)}, not a torch.nn.Module"
            raise DataError(f"{gives}: let it return a Module whose forward(x, c_noise, labels=None) computes F")
        plain = (self.output, self.noise, self.labels) == (None, "float", "index")
        return (network if plain else Adapted(network, self.output, self.noise, self.labels, classes)).eval()
