"""The checks that samples of the denoiser become images of the data's shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import torch

from designspace.data.images import Images
from designspace.data.load import load_images
from designspace.data.rows import Data
from designspace.denoising.rows import Denoiser
from designspace.errors import DataError, SpecError, brief
from designspace.interrupts import contained
from designspace.registry.component import Component
from designspace.registry.isolation import isolated
from designspace.spec.own import users_line

if TYPE_CHECKING:
    from designspace.spec import Ablation
    from designspace.spec.trial import Trial


def require_shapes(ablation: Ablation) -> None:
    """Check, before anything is computed, that samples have the shape of the data's images, once they are decoded.

    If there is a decoder, denoisers that do not say what shape their samples have are loaded for it, and decoders of
    the user's own are called once. Samples of a guide have the same shape as those of the denoiser.

    Raises ``SpecError``, which names the place in the YAML.
    """
    trials = [point.trial for point in ablation.points()]
    used = {(t.data, t.denoiser, t.decoder): t for t in trials if t.decoder.decodes or _says_its_shape(t.denoiser)}
    guided = {(t.data, t.denoiser, t.guidance): t for t in trials if len(t.denoisers) > 1}
    images = lru_cache(1)(load_images)
    found = dict.fromkeys(problem for trial in used.values() for problem in _problems(trial, images))
    found |= dict.fromkeys(problem for trial in guided.values() for problem in _guide_problems(trial, images))
    if found:
        raise SpecError([ablation.problem((component.row,), component, text) for component, text in found])


def _says_its_shape(denoiser: Denoiser) -> bool:
    return not denoiser.models_pixels and type(denoiser).shape_of is not Denoiser.shape_of


def require_images(trial: Trial, shape: Sequence[int], data: Images) -> None:
    """Raise ``DataError`` if the samples, which have this ``shape``, are images themselves, but not like the data."""
    if not trial.decoder.decodes and tuple(shape) != data.shape:
        raise DataError(_unlike(trial, shape, data))


def _problems(trial: Trial, images: Callable[[Data], Images]) -> Iterator[tuple[Component, str]]:
    """Yield what is wrong with the shapes of a trial or with its use of a decoder, and which component is to blame."""
    denoiser, decoder = trial.denoiser, trial.decoder
    if not decoder.decodes:
        data = images(trial.data)
        made = denoiser.shape_of(data)
        if made is not None and tuple(made) != data.shape:
            yield denoiser, _unlike(trial, made, data)
        return
    if denoiser.models_pixels:
        what = f"denoiser {denoiser.name} works on the pixels of the data set, which need no decoder"
        yield decoder, f"{what}: use decoder none, or a denoiser of latents"
        return
    data = images(trial.data)
    component: Component = denoiser
    try:
        with isolated(torch.device("cpu"), "shapes"), contained():
            latents = denoiser.shape_of(data) or _loaded_shape(trial, data)
            component = decoder
            made = tuple(decoder.shape_of(latents))
    except DataError as error:
        yield component, str(error)
        return
    except Exception as error:
        yield component, f"{component.row} {component.name} fails{users_line(error)}: {brief(error):.300}"
        return
    if made != data.shape:
        what = f"{decoder.name} makes images of {_size(made)} from the {_size(latents)} of denoiser {denoiser.name}"
        yield decoder, f"{what}, but the images of the data set are {_size(data.shape)}"


def _guide_problems(trial: Trial, images: Callable[[Data], Images]) -> Iterator[tuple[Component, str]]:
    """Yield what is wrong with the shape of the guide's samples, if the denoiser and its guide say their shapes."""
    denoiser, guide = trial.denoisers
    data = images(trial.data)
    own, other = denoiser.shape_of(data), guide.shape_of(data)
    if own is not None and other is not None and tuple(own) != tuple(other):
        what = f"guide {guide.name} makes samples of {_size(other)}, and denoiser {denoiser.name} of {_size(own)}"
        yield trial.guidance, f"{what}: they have to be of the same shape"


def _unlike(trial: Trial, shape: Sequence[int], data: Images) -> str:
    samples = f"denoiser {trial.denoiser.name} makes samples of {_size(shape)}"
    remedy = "use other data or, if the samples are latents, a decoder"
    return f"{samples}, but the images of the data set are {_size(data.shape)}: {remedy}"


def _loaded_shape(trial: Trial, data: Images) -> tuple[int, ...]:
    given = data, trial.design, torch.device("cpu")
    return tuple((trial.denoiser.untrained(*given) or trial.denoiser.load(*given)).shape)


def _size(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))
