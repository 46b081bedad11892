"""A trial: a fully resolved point of an ablation, with everything that its results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator

from designspace.data.rows import Data
from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import Decoder, Denoiser
from designspace.design import Design
from designspace.evaluation.measure import PartlyKnown, Sample, Summary
from designspace.evaluation.rows import DenoiserMetric, Diagnostic, Metric
from designspace.registry.component import Count, Spec
from designspace.registry.identity import Since, identified
from designspace.spec.evaluate import MEASURED, Evaluate
from designspace.spec.steps import Budget
from designspace.spec.used import measured_on, used_rows
from designspace.storage.files import content_key
from designspace.text import Label

VERSION = 1
"""The version of the numbers that the framework itself computes (sampler, latents); components have their own versions.

It is part of every trial's id. Raise it when these numbers change, so that old results are not mistaken for new ones.
"""

OPTIONAL = ("guidance", "decoder")
"""The fields of ``Trial`` that its identity leaves out if they are ``none``."""


def effective(guidance: Guidance) -> Guidance:
    """``guidance``, or ``none`` if it has no effect."""
    return guidance if guidance.effective else Guidance.get("none")()


class Trial(Spec):
    """A design with which a denoiser is sampled at ``num_steps`` noise levels, and how the samples are measured."""

    design: Design
    num_steps: Count
    data: Data
    denoiser: Denoiser
    guidance: Annotated[Guidance, Since("none")] = Field(default="none", validate_default=True)
    """Without effect, for instance with weight 1, it is replaced by ``none``: the trial is the same."""
    decoder: Annotated[Decoder, Since("none")] = Field(default="none", validate_default=True)
    evaluate: Evaluate
    seed: int

    @field_validator("guidance")
    @classmethod
    def _effective(cls, guidance: Guidance) -> Guidance:
        return effective(guidance)

    def __copy__(self) -> Self:
        copy = super().__copy__()
        for cached in ("id", "guide_trial"):  # model_copy(update=...) makes another trial
            copy.__dict__.pop(cached, None)
        return copy

    @cached_property
    def id(self) -> str:
        """The first 16 hex digits of the sha256 of ``identity()``. Raises ``DataError`` if a file is missing."""
        return Ids().of(self)

    def identity(self) -> dict[str, Any]:
        """Everything that the results depend on: fields and version (or source) of each row, and contents of files."""
        return {
            "version": VERSION,
            "design": identified(self.design),
            "num_steps": self.num_steps,
            "data": self.data.identity(),
            "denoiser": self.denoiser.identity(),
            **self._guide_identity(),
            **identified(self, OPTIONAL),
            "evaluate": identified(self.evaluate, MEASURED),
            "seed": self.seed,
        }

    def require_defined(self, metric: Metric) -> None:
        """Raise ``ValueError``, which says why, if ``metric`` is not defined for this trial."""
        if self.decoder.decodes and isinstance(metric, DenoiserMetric):
            raise ValueError(
                f"{metric.name} evaluates the denoiser on the images of the data set, but the denoiser works on the"
                f" latents of decoder {self.decoder.name}"
            )
        if self.guidance.by_step and isinstance(metric, Diagnostic):
            raise ValueError(
                f"metric {metric.name} evaluates the denoiser out of order, but guidance {self.guidance.name} depends"
                f" on the number of the step{self.guidance.by_step_remedy}"
            )
        metric.check(self.design, self.denoiser)

    def stands_for(self, known: Sample) -> Literal["sample", "population", "both"]:
        """What the reference, whose features or moments are ``known``, stands for.

        Unless the trial says so, published moments are those of a population, and other references are samples. The
        data set is the population for a denoiser that gives it back, such as ``exact``; a sample for a denoiser that
        does not read it; and both for a trained network, which may aim at the distribution or at its training images.
        """
        asked, denoiser = self.evaluate, self.denoiser
        if asked.reference_is != "auto":
            return asked.reference_is
        if isinstance(known, Summary | PartlyKnown):
            return "population"
        if asked.reference is not None:
            return "sample"
        return "both" if denoiser.has_network else "population" if denoiser.reads_data else "sample"

    @property
    def guide(self) -> Denoiser | None:
        """The other denoiser that guides the denoiser; ``None`` if there is none."""
        return self.guidance.guide_of(self.denoiser)

    @property
    def denoisers(self) -> list[Denoiser]:
        """The denoiser and, if another one guides it, that one."""
        return [self.denoiser, *filter(None, [self.guide])]

    @cached_property
    def guide_trial(self) -> Trial | None:
        """The same trial with the guide as its denoiser, and the labels that it gets; ``None`` if there is no guide."""
        if self.guide is None:
            return None
        labels = self.evaluate.labels if self.guidance.guide_gets_labels else "none"
        evaluate = self.evaluate.model_copy(update={"labels": labels})
        update = {"denoiser": self.guide, "guidance": Guidance.get("none")(), "evaluate": evaluate}
        return self.model_copy(update=update)

    @property
    def conditional_denoisers(self) -> list[Denoiser]:
        """Those of ``denoisers`` that get the labels of the images, if they have any."""
        return self.denoisers if self.guidance.guide_gets_labels else [self.denoiser]

    def _guide_identity(self) -> dict[str, Any]:
        """The entry of the guide, whose files the fields of the guidance need not name."""
        return {"guide": self.guide.identity()} if self.guide else {}

    @property
    def measured_on(self) -> Denoiser | None:
        """The denoiser on which the time steps are measured, if it is not that of the trial."""
        return measured_on(self.design)

    @property
    def measuring(self) -> Trial:
        """The trial on which measured time steps are placed.

        If the time steps name another denoiser, it has this one, no guidance, and the levels that the trial supports.
        """
        if (other := self.measured_on) is None:
            return self
        known, rule = self.denoiser.supported(self.design), self.design.time_steps
        design = self.design.with_time_steps(rule.within(*known.limits()) if known else rule)
        parts = {"denoiser": other, "guidance": Guidance.get("none")(), "seed": 0}
        return self.model_copy(update={**parts, "design": design})

    def sampling_identity(self) -> dict[str, Any]:
        """What a single sample depends on, which excludes decoder, number of images, metrics and unused rows."""
        parts = [*self.denoisers, *filter(None, [self.measured_on])]
        needs_data = any(part.reads_data for part in parts) or self.evaluate.labels in ("data", "balanced")
        return {
            "version": VERSION,
            "design": identified(self.design, used_rows(self.design, *self.denoisers)),
            "num_steps": self.num_steps,
            "data": self.data.identity() if needs_data else None,
            "denoiser": self.denoiser.identity(),
            **self._guide_identity(),
            **identified(self, ["guidance"]),
            **identified(self.evaluate, ["labels"]),
            "seed": self.seed,
        }

    def denoising_identity(self) -> dict[str, Any]:
        """What the denoiser's outputs and its loss on the data set depend on, which excludes the sampler."""
        rows = dict.fromkeys([*self.denoiser.rows, "c_noise", "noise_distribution", "loss_weight"])
        return {
            "version": VERSION,
            "design": identified(self.design, rows),
            "data": self.data.identity(),
            "denoiser": self.denoiser.identity(),
            "labelled": self.evaluate.labels != "none",
        }

    def network(self) -> str | None:
        """A hash that differs between training runs; ``None`` if the denoiser has no network."""
        networks = [part for part in self.denoisers if part.has_network]
        if not networks:
            return None
        rows = identified(self.design, dict.fromkeys(row for part in networks for row in part.rows))
        about = {"design": rows, "data": self.data.identity() if any(part.reads_data for part in networks) else None}
        return content_key(about, *(part.training_identity() for part in networks))[:12]


class Ids:
    """The ids of trials that share components, each of which is described and encoded only once.

    An object of this class remembers the contents of files and code that it has seen, so a new one is needed to find
    out whether they have changed.
    """

    def __init__(self) -> None:
        self._texts: dict[tuple[str, int], tuple[object, str]] = {}

    def of(self, trial: Trial) -> str:
        """The first 16 hex digits of the sha256 of the JSON of ``trial.identity()``, with its keys sorted."""
        parts = {
            "version": str(VERSION),
            "design": self._fields(trial.design, Design.model_fields),
            "num_steps": str(trial.num_steps),
            "data": self._text("data", trial.data, trial.data.identity),
            "denoiser": self._text("denoiser", trial.denoiser, trial.denoiser.identity),
            "evaluate": self._fields(trial.evaluate, MEASURED),
            "seed": str(trial.seed),
        }
        if guide := trial.guide:
            parts["guide"] = self._text("guide", guide, guide.identity)
        texts = [*(f'"{name}": {part}' for name, part in parts.items()), self._fields(trial, OPTIONAL)[1:-1]]
        text = ", ".join(sorted(filter(None, texts)))
        return hashlib.sha256(f"{{{text}}}".encode()).hexdigest()[:16]

    def _fields(self, section: Design | Evaluate | Trial, names: Iterable[str]) -> str:
        """The JSON of the fields of a section that ``identified`` does not leave out."""
        texts = (self._text(name, getattr(section, name), partial(identified, section, [name])) for name in names)
        return f"{{{', '.join(sorted(text[1:-1] for text in texts if text != '{}'))}}}"

    def _text(self, name: str, part: object, identity: Callable[[], Any]) -> str:
        """The JSON of the identity of ``part``, which is kept alive so that its ``id`` stays its own."""
        key = name, id(part)
        if key not in self._texts:
            self._texts[key] = part, json.dumps(identity(), sort_keys=True, allow_nan=False)
        return self._texts[key][1]


@dataclass(frozen=True)
class Point:
    """A point of the ablation's grid and its trial; several points may share one trial."""

    axes: dict[str, Label]
    trial: Trial
    budget: Budget | None = None
    """The evaluations that the trial may use, if its number of steps follows from them."""
