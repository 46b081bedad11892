"""The records in the files of a report, as pydantic models: results, failures and the description of an ablation.

Unknown fields are kept, so that files written by other versions can be read and written back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from designspace.results.domains import (
    Axes,
    Count,
    Evaluations,
    FurtherEvaluations,
    Levels,
    Number,
    Offset,
    OptionalCount,
    OptionalNumber,
    OptionalSeed,
    Part,
    Profile,
    Seconds,
    Seed,
    Spec,
    Spread,
)

SCHEMA: Final = 1
"""The version of the file format. It is raised when old files can no longer be read."""

DRAWS: Final = 8
"""The number of draws from the reference that ``drawn`` and ``drawn_sd`` are computed from."""


class Record(BaseModel):
    """The base class of records and of their parts."""

    model_config = ConfigDict(frozen=True, extra="allow")

    def plain(self) -> dict[str, Any]:
        """The fields that were set, as plain data for JSON."""
        found: dict[str, Any] = plain(self.model_dump(by_alias=True, exclude_unset=True))
        return found


class MetricValue(Record):
    """A metric of a trial. Distances have a standard error and a floor; observations have their own image count."""

    value: Number
    se: Spread = None
    """The standard error."""
    protocol: str
    """The name of how the value was measured; values with different names cannot be compared."""
    n: OptionalCount = None
    """For an observation, the number of images it was made on; other metrics are measured on all images."""
    higher_is_better: bool | None = False
    """``None`` if neither higher nor lower values are better."""
    floor: OptionalNumber = None
    """The metric between two halves of the reference or, for an observation, the error of its converged solution."""
    floor_n: OptionalCount = None
    """The number of images in each half."""
    skew: Offset = None
    """The distance by which the middle of a 95 % interval lies above the value, with and without bias correction."""
    effective_images: OptionalNumber = None
    """The number of equally influential images that would determine the standard error as well as all images do."""
    bias_corrected: OptionalNumber = None
    """The value for infinitely many generated images, if the reference is the whole population that it stands for."""
    bias_corrected_se: Spread = None
    both_corrected: OptionalNumber = None
    """The value for infinitely many images on both sides, if the reference is a sample of a distribution."""
    both_corrected_se: Spread = None
    """Its standard error, which includes the sampling of the reference."""
    drawn: OptionalNumber = None
    """The mean value of the metric for as many images, drawn from the reference itself."""
    drawn_sd: Spread = None
    """The standard deviation over the draws."""
    profile: Profile = None
    """For some observations, columns with one value per noise level."""


class Protocol(Record):
    """Everything that two distances must share to be compared, and, of the reference and the seed, what is told."""

    hash: str | None = None
    """The hash of the fields, without the seed and what describes the reference."""
    name: str | None = None
    """The name of the detector's protocol, for instance FID."""
    images: OptionalCount = None
    labels: Any = None
    """The rule of the labels of generated images, or their list."""
    pixels: str | None = None
    resize: str | None = None
    detector: Part = None
    """What the features depend on."""
    reference: Part = None
    """What images are compared with, and how many images it has."""
    formats: dict[str, int] | None = None
    """The number of files of the reference in each image format, such as ``{"jpeg": 10000}``; not part of the hash."""
    seed: OptionalSeed = None
    stands_for: Literal["population", "sample", "both"] | None = None
    """What the reference is: the population itself, for which ``bias_corrected`` is right; a sample of a distribution,
    for which ``both_corrected`` is; or both, as the training images of a network are. It is not part of the hash.
    Earlier versions recorded none."""


class Result(Record):
    """A line of results.jsonl: what was measured at one point of the grid, with one seed."""

    schema_version: Literal[1] = Field(alias="schema")
    id: str
    """The trial's id, which several points may share."""
    ablation: str = ""
    trial: Spec = None
    """The resolved spec."""
    seed: Seed
    network: str | None = None
    """A hash that tells trained networks apart; ``None`` without a network, and in results of earlier versions."""
    nfe: Evaluations
    """Counted evaluations per image; the mean if an adaptive solver takes more for some images than for others."""
    nfe_sd: Spread = None
    nfe_guidance: FurtherEvaluations = 0
    """Further calls of networks per image, which guidance adds; recorded only if there are any."""
    guidance_cost: Evaluations = 1
    """The FLOPs of one of these calls divided by those of an evaluation among ``nfe``; recorded only if it is not 1."""
    nfe_idle: FurtherEvaluations = 0
    """The evaluations among ``nfe`` that move nothing, because levels fall together; recorded only if there are any."""
    nfe_search: FurtherEvaluations = 0
    """Calls of networks that found measured time steps, per image of those on which they are measured.

    The converged solution counts, even if another trial computed it. Recorded only for such time steps.
    """
    images: Count
    features: OptionalCount = None
    """The width of the features that distances were measured with."""
    unseeded: list[str] = []
    """Components that drew from a global random generator, as ``row/name``: images depend on the batch size."""
    protocol: Protocol | None = None
    """Earlier versions recorded none."""
    metrics: dict[str, MetricValue]
    seconds: Seconds = None
    sigmas: Levels = None
    """The noise levels at which the solver's steps start and end."""
    provenance: Part = None
    axes: Axes

    @property
    def nfe_total(self) -> int | float:
        """The cost per image in evaluations: ``nfe``, and ``nfe_guidance`` times ``guidance_cost``."""
        return self.nfe + self.nfe_guidance * self.guidance_cost

    @property
    def levels_repeated(self) -> int:
        """The number of positive noise levels that equal the one before, because the denoiser rounds both to it."""
        return sum(a == b for a, b in pairwise(self.sigmas or ()))


class Failure(Record):
    """A line of failures.jsonl: why a point has no result."""

    schema_version: Literal[1] = Field(alias="schema")
    id: str
    ablation: str = ""
    axes: Axes
    error: str
    not_finite: list[int] = []
    """The indices of the images that were not finite, if that was the reason."""
    traceback: str = ""
    time: str = ""


class GridPoint(Record):
    """A point of the grid and the id of its trial."""

    id: str
    axes: Axes


Expect = dict[str, Any]
"""A claim's expectation, as written in the ablation; reports know which kinds they can check."""


class Claim(Record):
    """What the author of an ablation expects."""

    say: str = ""
    why: str = ""
    """Why the claim concerns only the budget that it names."""
    expect: Expect = {}


class Source(Record):
    """A publication that a component comes from."""

    authors: str
    year: int
    title: str
    url: str


class Description(Record):
    """The file ablation.json: everything that a report needs to know about an ablation, besides its results."""

    schema_version: Literal[1] = Field(alias="schema")
    name: str
    question: str
    axes: list[str]
    claims: list[Claim]
    baseline: dict[str, Any] = {}
    """The fields of the ablation that define the baseline."""
    baseline_axes: Axes = {}
    """The axis values of the baseline, with which other values are compared."""
    metrics: list[str]
    points: list[GridPoint]
    components: list[str] = []
    """The files and modules of the user's own components, as written in the ablation."""
    sources: dict[str, list[Source]] | None = None
    """The publications behind each component, by ``row/name``. Earlier versions recorded none."""
    identities: dict[str, str] = {}
    """A hash of what results depend on, for each component as resolved specs have it: its code, fields and files."""

    @model_validator(mode="after")
    def _each_point_has_all_axes(self) -> Self:
        for point in self.points:
            for axis in self.axes:
                if axis not in point.axes:
                    raise ValueError(f"a point has no value on the axis '{axis}'")
        return self


def further_counts(results: Sequence[Result]) -> list[str]:
    """The names of what is known of evaluations, besides ``nfe``, unless it is trivial for all ``results``."""
    found = ["nfe_guidance", "nfe_total"] if any(row.nfe_guidance for row in results) else []
    found += ["guidance_cost"] if any(row.guidance_cost != 1 for row in results) else []
    return found + [name for name in ("nfe_idle", "nfe_search") if any(getattr(row, name) for row in results)]


def plain(value: Any) -> Any:
    """``value`` as plain data for JSON, with infinity as the string ``inf`` and NaN as null."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
