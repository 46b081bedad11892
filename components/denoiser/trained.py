import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

import torch
from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError
from torch import nn

from designspace.data.images import Images
from designspace.denoising.precision import Precision
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.denoising.rows import Conditional, Denoiser, Network, PreconditioningRows
from designspace.errors import DataError
from designspace.registry.component import Fraction
from designspace.registry.identity import Since
from designspace.registry.literature import KARRAS_2022
from designspace.storage.files import content_key
from designspace.training.checkpoints import Plan, trained
from designspace.training.recipe import Recipe
from designspace.training.rows import Augmentation, training_rows

FORMER = {"ema_half_life": "half_life", "ema_ramp_up": "ramp_up", "ema_sigma_rel": "std"}
"""Fields of earlier versions, and what they are called in ``ema``."""
INEXACT = 0.1
"""The largest relative error of an average that causes no warning."""


class Trained(Recipe, Denoiser, name="trained"):
    """A network that is trained on the data of the ablation, with the rows of the design.

    Training sees ``training_images`` images, whatever the batch size; the denoiser uses the average ``ema`` of the
    parameters. All trials that share data, network, recipe and the rows c_*, noise_distribution and loss_weight share
    one training run, and a longer run continues a shorter one. So do trials that differ only in the ``std`` of
    ``ema: power``. The former fields ``ema_half_life``, ``ema_ramp_up`` and ``ema_sigma_rel`` are still read.

    ``labels`` says whether the network is told the class. With the probability ``label_dropout`` it is told "no class"
    (-1) instead, so that it also learns images without labels, which classifier-free guidance needs; 0.1 is usual.
    ``snapshots`` are fractions of the training after which its state is kept on the way, as a guide for autoguidance;
    they change no results. ``precision`` is that of training, and ``sampling_precision`` that in which the network is
    evaluated afterwards: ``float32``, ``tf32``, ``bf16`` or ``float16``. Karras et al. (2022), Eq. 8.
    """

    formula = r"""
        \min_\theta \mathbb E\left[\lambda(\sigma) \left|D_\theta(y + n; \sigma) - y\right|^2\right], \quad
            \sigma \sim p_\mathrm{train}, \quad n \sim \mathcal N(0, \sigma^2 I)
    """
    sources = (KARRAS_2022,)
    version: ClassVar[int] = 2
    rows: ClassVar[tuple[str, ...]] = ("c_skip", "c_out", "c_in", "c_noise", "noise_distribution", "loss_weight")
    reads_data: ClassVar[bool] = True
    models_pixels: ClassVar[bool] = True
    has_network: ClassVar[bool] = True
    network: Network
    training_images: Annotated[int, Field(ge=0, le=100_000_000_000)] = 1_000_000
    augmentation: Augmentation | None = None
    labels: bool = False
    label_dropout: Annotated[float, Field(ge=0, lt=1), Since(0.0)] = 0.0
    sampling_precision: Annotated[Precision, Since("float32")] = "float32"
    snapshots: Annotated[tuple[Fraction, ...], Field(max_length=16)] = ()

    @field_validator("label_dropout")
    @classmethod
    def _of_labels(cls, label_dropout: float, info: ValidationInfo) -> float:
        if label_dropout and not info.data.get("labels", True):
            text = "leaves out labels, but the network is trained without any: set denoiser.labels: true"
            raise PydanticCustomError("no_labels", "{text}", {"text": text})
        return label_dropout

    @model_validator(mode="before")
    @classmethod
    def _former_fields(cls, value: Any) -> Any:
        """Read the fields of the average, which were fields of the denoiser once."""
        if not isinstance(value, Mapping) or not (given := {k: value[k] for k in FORMER if k in value}):
            return value
        if "ema" in value:
            name = next(iter(given))
            now = "{name: power, std: ...}" if FORMER[name] == "std" else f"{{name: half_life, {FORMER[name]}: ...}}"
            text = f"{name} is a field of ema now: write ema: {now} instead of both"
            raise PydanticCustomError("former_field", "{text}", {"text": text})
        std = given.pop("ema_sigma_rel", None)
        ema = {"name": "half_life"} | {FORMER[k]: each for k, each in given.items()}
        kept = {k: each for k, each in value.items() if k not in FORMER}
        return kept | {"ema": ema if std is None else {"name": "power", "std": std}}

    def identity(self) -> dict[str, Any]:
        found = {name: value for name, value in super().identity().items() if name != "snapshots"}
        return found | _as_before(found.pop("ema"))

    def training_identity(self) -> dict[str, Any]:
        tracked = self.ema.tracked()
        chosen_before = tracked == (self.ema,)
        found = {name: value for name, value in self.identity().items() if name != "sampling_precision"}
        return found | ({} if chosen_before else {"ema": [ema.identity() for ema in tracked]})

    def cautions(self) -> list[str]:
        steps = math.ceil(self.training_images / self.batch_size)
        if not steps or (error := self.ema.error([*(s for s in self.ema.kept(steps) if s < steps), steps])) <= INEXACT:
            return []
        what = f"the snapshots of {steps:,} steps give the average {self.ema} with weights that are off by {error:.0%}"
        return [f"{what}: choose another width, or train for longer"]

    def why_labels(self) -> str:
        if not self.labels or self.label_dropout or self.network.drops_labels:
            return ""
        why = "the network is trained with labels and without label_dropout, so it does not know images without labels"
        return f"{why}: set denoiser.label_dropout: 0.1"

    def known_classes(self, data: Images) -> int:
        return data.class_count if self.labels else 0

    def shape_of(self, data: Images) -> tuple[int, ...]:
        return data.shape

    def load(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        state = trained(self.plan(data, design), self.training_images, device)
        made = self._preconditioned(state.average, design, data)
        return replace(made, learned=state.learned)

    def untrained(self, data: Images, design: PreconditioningRows, device: torch.device) -> Conditional:
        return self._preconditioned(self._build(data).to(device), design, data)

    def _preconditioned(self, network: nn.Module, design: PreconditioningRows, data: Images) -> PreconditionedNetwork:
        return PreconditionedNetwork(network, design, data.shape, precision=self.sampling_precision)

    def repeated(self, k: int) -> Self:
        """The same training with the seeds ``seed + k`` of batches and noise, and of the network if it has one."""
        seeded = {"seed": self.network.seed + k} if hasattr(self.network, "seed") else {}
        return self.model_copy(update={"seed": self.seed + k, "network": self.network.model_copy(update=seeded)})

    def snapshot(self, fraction: float) -> Self:
        """The denoiser after the whole number of batches that is nearest to the fraction of the training.

        It keeps those of its own snapshots that come before.
        """
        step, stops = self._step(fraction), sorted(map(self._step, self.snapshots))
        if step >= math.ceil(self.training_images / self.batch_size):
            few = f"{self.training_images:,} training images in batches of {self.batch_size:,}"
            raise ValueError(f"{few} are too few for a snapshot at {fraction:g} of the training")
        before = tuple(stop / step for stop in stops if stop < step)
        return self.model_copy(update={"training_images": step * self.batch_size, "snapshots": before})

    def keeps(self, fraction: float) -> bool:
        return self._step(fraction) in map(self._step, self.snapshots)

    def _step(self, fraction: float) -> int:
        return max(1, round(fraction * self.training_images / self.batch_size))

    def plan(self, data: Images, design: PreconditioningRows) -> Plan:
        """What to train, with the key under which its states are cached."""
        rows = training_rows(design)
        own = {k: v for k, v in self.training_identity().items() if k != "training_images"}
        key = content_key(own, {row: getattr(rows, row).identity() for row in self.rows}, data.content_hash)
        later = {"snapshots", "sampling_precision"}
        spec = {name: value for name, value in self.model_dump(mode="json").items() if name not in later}
        return Plan(
            key,
            rows,
            data,
            self,
            self.augmentation,
            self.labels,
            self.label_dropout,
            lambda: self._build(data),
            spec | {"augment": self._augment},
            tuple(map(self._step, self.snapshots)),
        )

    @property
    def _augment(self) -> int:
        return self.augmentation.size if self.augmentation else 0

    def _build(self, data: Images) -> nn.Module:
        classes = self.known_classes(data)
        if self.label_dropout and self.network.needs_labels(classes):
            raise DataError(
                f"network {self.network.name} has no entry for images without labels: leave out label_dropout"
            )
        return self.network.build(data.shape, classes, self._augment)


def _as_before(ema: dict[str, Any]) -> dict[str, Any]:
    """The identity of an average; that of the first version of ``half_life`` is the one of earlier versions."""
    if ema["name"] != "half_life" or ema.get("version") != 1:
        return {"ema": ema}
    return {former: ema.get(name) for former, name in FORMER.items()}
