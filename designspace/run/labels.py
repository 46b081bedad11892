"""Labels that are asked for and that the data do not have: wrong input, said before anything is computed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from designspace.data.images import Images
from designspace.errors import SpecError
from designspace.run.kept import Kept
from designspace.training.checkpoints import Trainable

if TYPE_CHECKING:
    from designspace.spec import Ablation

_UNLIKE = {
    True: "the network is told the classes in training (denoiser.labels: true): use labels: data, balanced, or a list",
    False: "the network is trained without classes: give the denoiser labels: true, or use labels: none",
}


def require_labels(ablation: Ablation) -> None:
    """Read the data sets of which labels are asked for. Raises ``SpecError`` at the place of what they do not have.

    A list of labels is the network's own business, unless the denoiser is made of the data. A network that is trained
    here has to be sampled as it is trained: what it was never told it does not know.
    """
    trials = [point.trial for point in ablation.points()]
    asked = {(t.data, t.evaluate.labels, t.denoiser.reads_data) for t in trials if t.evaluate.labels != "none"}
    data: Kept[Images] = Kept()
    problems = []
    for source, rule, own in sorted(asked, key=lambda key: str(key[0])):
        if own or isinstance(rule, str):
            missing = _missing(rule, data.get(source, source.load), own)
            problems += [ablation.problem(("evaluate", "labels"), rule, text) for text in missing]
    told = {(t.denoiser.labels, t.evaluate.labels) for t in trials if isinstance(t.denoiser, Trainable)}
    problems += [
        ablation.problem(("evaluate", "labels"), rule, _UNLIKE[own])
        for own, rule in sorted(told, key=str)
        if own == (rule == "none")
    ]
    if problems:
        raise SpecError(problems)


def _missing(rule: str | tuple[int, ...], data: Images, own: bool) -> Iterator[str]:
    if data.labels is None:
        yield "the data set has no labels; use labels: none" + ("" if own else ", or a list of labels")
    elif not isinstance(rule, str):
        there = sorted(set(data.labels.tolist()))
        absent = [label for label in rule if label not in there]
        if absent:
            yield f"the data set has no image of class {absent[0]}; it has {there[0]} to {there[-1]}"
