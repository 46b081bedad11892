"""A trial: a fully resolved point of an ablation, with everything that its results depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from designspace.data.rows import Data
from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import Decoder, Denoiser
from designspace.design import Design
from designspace.evaluation.measure import PartlyKnown, Sample, Summary
from designspace.evaluation.rows import DenoiserMetric, Detector, Metric, Reference
from designspace.registry.component import Count, Spec
from designspace.registry.identity import Since, identified
from designspace.storage.files import content_key
from designspace.text import Label, did_you_mean

VERSION = 1
"""The version of the numbers that the framework itself computes (sampler, latents); components have their own versions.

It is part of every trial's id. Raise it when these numbers change, so that old results are not mistaken for new ones.
"""

RULES = ("none", "data", "balanced")


def _labels(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(type(label) is int and 0 <= label < 2**31 for label in value):
        return tuple(value)
    if value not in RULES:
        text = f"labels are one of {', '.join(RULES)}, or a list of class numbers, not {value!r}."
        raise PydanticCustomError("labels", "{text}", {"text": text + did_you_mean(value, RULES)})
    return value


def at_most(limit: int, why: str) -> AfterValidator:
    """The largest value of an integer field, and ``why`` there is a limit, which the message says."""

    def check(value: int) -> int:
        if value > limit:
            text = f"should be at most {limit}, not {value}: {why}"
            raise PydanticCustomError("too_large", "{text}", {"text": text})
        return value

    return AfterValidator(check)


class Evaluate(Spec):
    """How a trial is measured: the number of images, their class labels, the detector and the metrics."""

    images: Annotated[int, Field(ge=2), at_most(10_000_000, "the features of more images do not fit into memory")] = (
        2000
    )
    repeats: Annotated[int, Field(ge=1), at_most(1_000, "each repeat is a trial of its own")] = 1
    """The number of trials per point; their seeds are ``seed``, ``seed + 1``, ...

    If the denoiser is trained, each repeat also trains a network of its own: the seeds of the training (and of the
    network) are raised by the same numbers.
    """
    detector: Detector = Field(default="lite0", validate_default=True)
    metrics: tuple[Metric, ...] = Field(default=("frechet", "kid"), validate_default=True, min_length=1)
    labels: Annotated[Literal["none", "data", "balanced"] | tuple[int, ...], BeforeValidator(_labels)] = "none"
    """``none`` (unconditional), ``data`` (class frequencies of the data), ``balanced``, or a list that is repeated."""
    reference: Annotated[Reference | None, Since(None)] = None
    """The reference with which samples are compared; by default the data set."""
    reference_is: Literal["sample", "population", "auto"] = "auto"
    """What the reference stands for. A ``sample`` is drawn from a distribution, to which the distance is estimated by
    correcting for the bias of both sides. A ``population`` is itself what the distance is measured to. ``auto`` decides
    by the reference and the denoiser; see ``Trial.stands_for``. It only says how to read the numbers."""
    seed: Annotated[int, Field(ge=-(2**63)), at_most(2**63 - 1, "tables store seeds in 64 bits")] = 0

    @field_validator("metrics")
    @classmethod
    def _once(cls, metrics: tuple[Metric, ...]) -> tuple[Metric, ...]:
        names = [metric.name for metric in metrics]
        if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise PydanticCustomError("metric_twice", "{text}", {"text": f"'{twice[0]}' is given twice"})
        return metrics

    @model_validator(mode="after")
    def _enough(self) -> Self:
        for metric in self.metrics:
            if self.images < metric.least:
                text = f"metric {metric} needs at least {metric.least} images, not {self.images}"
                raise PydanticCustomError("few_images", "{text}", {"text": text})
        return self


MEASURED = sorted(Evaluate.model_fields.keys() - {"repeats", "seed", "reference_is"})
"""The fields of ``Evaluate`` that numbers of a trial depend on; the trial has a seed of its own."""


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
        copy.__dict__.pop("id", None)  # model_copy(update=...) makes another trial
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
    def denoisers(self) -> list[Denoiser]:
        """The denoiser and, if another one guides it, that one."""
        guide = self.guidance.guide_of(self.denoiser)
        return [self.denoiser] if guide is None else [self.denoiser, guide]

    @property
    def measured_on(self) -> Denoiser | None:
        """The denoiser on which the time steps are measured, if it is not that of the trial."""
        return _measured_on(self.design)

    def sampling_identity(self) -> dict[str, Any]:
        """Everything that a single sample of the denoiser depends on.

        This excludes the decoder, the number of images, metrics and unused rows.
        """
        parts = [*self.denoisers, self.measured_on]
        needs_data = any(part.reads_data for part in parts if part) or self.evaluate.labels in ("data", "balanced")
        return {
            "version": VERSION,
            "design": identified(self.design, used_rows(self.design, *self.denoisers)),
            "num_steps": self.num_steps,
            "data": self.data.identity() if needs_data else None,
            "denoiser": self.denoiser.identity(),
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
        """A hash that differs between trained networks; ``None`` if the denoiser has no network."""
        networks = [part for part in self.denoisers if part.has_network]
        if not networks:
            return None
        rows = identified(self.design, dict.fromkeys(row for part in networks for row in part.rows))
        about = {"design": rows, "data": self.data.identity() if any(part.reads_data for part in networks) else None}
        return content_key(about, *(part.identity() for part in networks))[:12]


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
    budget: int | None = None
    """The evaluations that the trial may use, if its number of steps follows from them."""


def used_rows(design: Design, *denoisers: Denoiser) -> list[str]:
    """The rows that samples depend on; a solver that does not step in time, for instance, uses no schedule."""
    in_time = ("schedule", "scaling") if design.solver.in_time else ()
    scaled = (
        ("c_in",) if design.start == "unit" and not denoisers[0].has_network else ()
    )  # networks have one of their own
    measured_on = _measured_on(design)
    parts = denoisers if measured_on is None else (*denoisers, measured_on)
    used = {
        "solver",
        "time_steps",
        "stochasticity",
        "to_zero",
        "start",
        *scaled,
        *in_time,
        *(row for part in parts for row in part.rows),
    }
    return [row for row in Design.model_fields if row in used]


def _measured_on(design: Design) -> Denoiser | None:
    other = getattr(design.time_steps, "denoiser", None)
    return other if isinstance(other, Denoiser) else None
