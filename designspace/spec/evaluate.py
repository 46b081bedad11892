"""The section ``evaluate`` of a trial: how it is measured."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from designspace.evaluation.rows import Detector, Metric, Reference
from designspace.registry.component import Spec
from designspace.registry.identity import Since
from designspace.spec.limits import at_most
from designspace.text import did_you_mean

RULES = ("none", "data", "balanced")


def _labels(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(type(label) is int and 0 <= label < 2**31 for label in value):
        return tuple(value)
    if value not in RULES:
        text = f"labels are one of {', '.join(RULES)}, or a list of class numbers, not {value!r}."
        if value == "fixed" or (type(value) is int and value >= 0):
            text += f" For images of a single class, list it: [{0 if value == 'fixed' else value}]."
        raise PydanticCustomError("labels", "{text}", {"text": text + did_you_mean(value, RULES)})
    return value


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
    """``none`` (unconditional), ``data`` (class frequencies of the data), ``balanced``, or a list that is repeated.

    A list of one label, such as ``[3]``, gives images of this class only. The rule is part of the protocol, so that
    values of different rules are not compared.
    """
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
