"""Labels of generated images, and the check that data and denoiser can provide them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.data.load import load_images
from designspace.errors import DataError, Problem, SpecError
from designspace.sampling.noise import generator

if TYPE_CHECKING:
    from designspace.denoising.rows import Denoiser
    from designspace.spec import Ablation
    from designspace.spec.trial import Trial

_UNKNOWN = "the network is trained without class labels"
_NEEDED = "to sample with labels, use labels: data, balanced, or a list"
Rule = str | tuple[int, ...]
"""``none``, ``data``, ``balanced``, or a list of labels, which has one entry if all images are of one class."""
LABELS = ("evaluate", "labels")
"""The path of the rule in a trial."""
FEW = 20
"""Up to this many classes are listed one by one in messages."""


@runtime_checkable
class Labelled(Protocol):
    """A denoiser whose network was trained either with or without class labels."""

    labels: bool


def labels_for(rule: str | Sequence[int], seed: int, images: range, data: Images) -> Tensor | None:
    """The labels of ``images``, int64 ``[len(images)]``: the label of image k is a function of (rule, seed, k).

    Args:
        rule: ``none``; ``data``: the label of an image drawn at random from ``data``; ``balanced``: the classes
            that have images, in turn; or a list of labels, which is repeated.
        seed: The seed of the trial.
        images: The indices k.
        data: The data set that provides the labels.

    Raises:
        DataError: If the rule needs labels and ``data`` has none.
    """
    if rule == "none":
        return None
    if not isinstance(rule, str):
        return torch.tensor([rule[k % len(rule)] for k in images])
    if data.labels is None:
        raise DataError(f"evaluate.labels: {rule}: the data set has no labels. Use labels: none, or a list of labels.")
    if rule == "data":
        return data.labels[[int(generator("label", seed, k).integers(len(data.labels))) for k in images]]
    return torch.tensor([data.present[k % len(data.present)] for k in images])


def require_labels(ablation: Ablation) -> None:
    """Check, before anything is computed, that data sets and denoisers have the classes that trials ask for.

    A list of labels needs no labelled data, unless the denoiser is made from the data. A network can be sampled with
    labels if it was trained with them, and without if some of them were left out or there were none.

    Raises ``SpecError``, which names the place in the YAML.
    """
    trials = (point.trial for point in ablation.points())
    asked = {(t.data, part, t.evaluate.labels): (t, part) for t in trials for part in t.conditional_denoisers}
    found: dict[Problem, None] = {}
    for _, group in groupby(sorted(asked.values(), key=lambda pair: str(pair[0].data)), key=lambda pair: pair[0].data):
        data: Images | None = None
        for trial, denoiser in group:
            rule = trial.evaluate.labels
            if rule == "none" and denoiser.needs_labels():
                found[ablation.problem(LABELS, rule, f"{denoiser.why_labels()}; {_NEEDED}")] = None
            elif rule != "none" and isinstance(denoiser, Labelled) and not denoiser.labels:
                found[_without_classes(ablation, trial, denoiser)] = None
            elif rule != "none":
                data = data or load_images(trial.data)
                found |= dict.fromkeys(ablation.problem(LABELS, rule, text) for text in _problems(rule, data, denoiser))
    if found:
        raise SpecError(list(found))


def _without_classes(ablation: Ablation, trial: Trial, denoiser: Denoiser) -> Problem:
    """That ``denoiser``, which may be the guide of ``trial``, would get labels that its network does not know."""
    field = "labels: true" if "labels" in type(denoiser).model_fields else ""
    if denoiser is trial.denoiser:
        mend = f"set denoiser.{field}, or use labels: none" if field else "use labels: none"
        return ablation.problem(LABELS, trial.evaluate.labels, f"{_UNKNOWN}: {mend}")
    ways = [f"guide.{field}"] * bool(field) + ["condition: none"] * ("condition" in type(trial.guidance).model_fields)
    mend = f"set {', or '.join(ways)}" if ways else "use another guide"
    what = (
        f"guidance {trial.guidance.name}: the guide, denoiser {denoiser.name}, would get the labels of the images, but"
    )
    return ablation.problem(("guidance",), trial.guidance, f"{what} {_UNKNOWN}: {mend}")


def _problems(rule: Rule, data: Images, denoiser: Denoiser) -> Iterator[str]:
    listed, known = not isinstance(rule, str), denoiser.known_classes(data)
    if data.labels is None and (denoiser.reads_data or not listed):
        yield "the data set has no labels; use labels: none" + ("" if denoiser.reads_data else ", or a list of labels")
        return
    wanted = sorted(set(rule)) if not isinstance(rule, str) else data.present
    if listed and denoiser.reads_data and (absent := [label for label in wanted if label not in data.present]):
        yield f"the data set has no image of class {absent[0]}; it has {_range(data.present)}"
    elif known is not None and wanted[-1] >= known:
        yield f"denoiser {denoiser.name} knows {_range(range(known))}, not {wanted[-1]}"


def _range(classes: Sequence[int]) -> str:
    """Classes in words: ``the classes 0 to 9``, ``the classes 0, 5, 9``."""
    if not classes:
        return "no classes"
    if len(classes) > FEW or list(classes) == list(range(len(classes))):
        return f"the classes {classes[0]} to {classes[-1]}"
    return f"the classes {', '.join(map(str, classes))}"
