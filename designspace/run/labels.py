"""Labels of generated images, and the check that data and denoiser can provide them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.data.images import Images
from designspace.errors import DataError, SpecError
from designspace.sampling.noise import generator
from designspace.training.checkpoints import Trainable

if TYPE_CHECKING:
    from designspace.spec import Ablation

_UNLIKE = {
    True: "the network is trained with class labels (denoiser.labels: true): use labels: data, balanced, or a list",
    False: "the network is trained without class labels: set denoiser.labels: true, or use labels: none",
}


def labels_for(rule: str | Sequence[int], seed: int, images: range, data: Images) -> Tensor | None:
    """The labels of ``images``, int64 ``[len(images)]``: the label of image k is a function of (rule, seed, k).

    Args:
        rule: ``none``; ``data``: the label of an image drawn at random from ``data``; ``balanced``: k mod the number
            of classes; or a list of labels, which is repeated.
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
        return data.labels[[int(generator("label", seed, k).integers(len(data))) for k in images]]
    classes = len(data.classes) or int(data.labels.max()) + 1
    return torch.tensor([k % classes for k in images])


def require_labels(ablation: Ablation) -> None:
    """Check, before anything is computed, that each data set has the labels that its trials need.

    A list of labels needs no labelled data, unless the denoiser is made from the data. A network that is trained here
    must be sampled with labels if and only if it is trained with them.

    Raises ``SpecError``, which names the place in the YAML.
    """
    trials = [point.trial for point in ablation.points()]
    asked = {(t.data, t.evaluate.labels, t.denoiser.reads_data) for t in trials if t.evaluate.labels != "none"}
    needy = sorted((key for key in asked if key[2] or isinstance(key[1], str)), key=lambda key: str(key[0]))
    problems = []
    for source, group in groupby(needy, key=lambda key: key[0]):
        data = source.load()
        for _, rule, reads_data in group:
            missing = _missing(rule, data, reads_data)
            problems += [ablation.problem(("evaluate", "labels"), rule, text) for text in missing]
    told = {(t.denoiser.labels, t.evaluate.labels) for t in trials if isinstance(t.denoiser, Trainable)}
    problems += [
        ablation.problem(("evaluate", "labels"), rule, _UNLIKE[with_labels])
        for with_labels, rule in sorted(told, key=str)
        if with_labels == (rule == "none")
    ]
    if problems:
        raise SpecError(problems)


def _missing(rule: str | tuple[int, ...], data: Images, reads_data: bool) -> Iterator[str]:
    if data.labels is None:
        yield "the data set has no labels; use labels: none" + ("" if reads_data else ", or a list of labels")
    elif not isinstance(rule, str):
        there = sorted(set(data.labels.tolist()))
        absent = [label for label in rule if label not in there]
        if absent:
            yield f"the data set has no image of class {absent[0]}; it has {there[0]} to {there[-1]}"
