"""The rows of Table 1 and beyond it, with the choice of Karras et al. (2022), and where two trials differ."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from designspace.report.entry import Entry
from designspace.report.trainings import network_of
from designspace.results.records import Result
from designspace.text import value_of

ON_A_NETWORK = "an ablation of this row on a trained network, whose errors the sampler meets"
TRAINED = "networks that differ in this row alone, each trained several times (evaluate.repeats)"
LARGER = f"{TRAINED}, and large enough to learn small differences, which takes a GPU"
CLASSES = "an ablation with a network trained with classes"
NOTHING = {"name": "none"}
"""What a row contains that is not set, such as the augmentation."""
EARLIER = {"ema_half_life": "half_life", "ema_ramp_up": "ramp_up", "ema_sigma_rel": "sigma_rel"}
"""The fields of a trained denoiser that were those of its moving average, in results of earlier versions."""
EXACT = ("gaussian_mixture", "tree")
"""The denoisers without a network that know the distribution of the data, besides ``exact``."""
REPEATED = ("seed",)
"""Fields that differ between repeats only."""


class Endorsed(NamedTuple):
    """The values of a field that the paper calls about as good as its own."""

    text: str
    """All of them in words, with the paper's own: ``1 or 1.1``."""
    source: str
    values: tuple[float, ...] = ()
    between: tuple[float, float] = (math.inf, -math.inf)
    """The ends of a range, which are part of it."""

    def holds(self, value: object) -> bool:
        """Whether a value is one of them."""
        low, high = self.between
        return isinstance(value, int | float) and (value in self.values or low <= value <= high)


@dataclass(frozen=True, eq=False)
class Row:
    """A row of the table."""

    name: str
    formula: str
    """The paper's choice as a short formula or in words."""
    names: tuple[str, ...]
    """The names of the components that count as the paper's choice."""
    fields: Mapping[str, object] = field(default_factory=dict)
    """The fields that the paper sets, which are compared where a component has them."""
    endorsed: Mapping[str, Endorsed] = field(default_factory=dict)
    """Further values of these fields that the paper calls about as good."""
    place: tuple[str, ...] = ("design",)
    """Where the resolved spec of a trial has the row."""
    trained: bool = False
    """Whether the row changes the network or its training, so that other networks have to be trained for it."""
    needs: str = ON_A_NETWORK
    """What would be evidence on the row."""

    def of(self, trial: Mapping[str, Any]) -> dict[str, Any]:
        """The component of a trial, as plain data without the seeds."""
        part: Any = trial
        for key in self.place:
            part = part.get(key) if isinstance(part, Mapping) else None
        found = part.get(self.name) if isinstance(part, Mapping) else None
        if self.name == "ema" and found is None and isinstance(part, Mapping):
            found = {"name": "half_life"} | {new: part[old] for old, new in EARLIER.items() if old in part}
        found = {"name": found} if isinstance(found, str) else found
        return {k: v for k, v in (found or NOTHING).items() if k not in REPEATED}

    def is_papers(self, spec: Mapping[str, Any]) -> bool:
        """Whether a component is the paper's choice. Fields that the paper does not set may have any value."""
        if self.name == "stochasticity" and spec.get("S_churn") == 0:
            return True
        return spec.get("name") in self.names and all(
            self.is_papers_field(key, value) for key, value in spec.items() if key != "name"
        )

    def is_papers_field(self, name: str, value: object) -> bool:
        """Whether a field has the value of the paper, or none is given there."""
        return name not in self.fields or value == self.fields[name]

    def endorses(self, spec: Mapping[str, Any]) -> bool:
        """Whether a component is the paper's choice, or one that the paper calls about as good."""
        good = {key for key in self.endorsed if key in spec and self.endorses_field(key, spec[key])}
        return self.is_papers({key: value for key, value in spec.items() if key not in good})

    def endorses_field(self, name: str, value: object) -> bool:
        """Whether a field has a value of the paper, or one that the paper calls about as good."""
        return self.is_papers_field(name, value) or (name in self.endorsed and self.endorsed[name].holds(value))


ROWS = (
    # Sampling
    Row(
        "solver",
        "Heun's 2nd-order method",
        ("heun",),
        {"alpha": 1.0},
        {"alpha": Endorsed("1 or 1.1", "Appendix D.2", (1.1,))},
    ),
    Row(
        "time_steps",
        "(σ_max^(1/ρ) + i/(N-1) (σ_min^(1/ρ) - σ_max^(1/ρ)))^ρ, ρ = 7",
        ("edm",),
        {"sigma_min": 0.002, "sigma_max": 80.0, "rho": 7.0},
        {"rho": Endorsed("7, or any from 5 to 10", "Section 3, Fig. 13c", between=(5.0, 10.0))},
    ),
    Row("schedule", "σ(t) = t", ("linear",)),
    Row("scaling", "s(t) = 1", ("none",)),
    Row(
        "stochasticity",
        "no churn for CIFAR-10; S_churn = 40 for ImageNet-64",
        ("none",),
        {"S_churn": 0.0, "S_min": 0.05, "S_max": 50.0, "S_noise": 1.003},
        {
            "S_min": Endorsed("0.05 or 0.01", "Table 5", (0.01,)),
            "S_max": Endorsed("50 or 1", "Table 5", (1.0,)),
            "S_noise": Endorsed("1.003 or 1.007", "Table 5", (1.007,)),
        },
    ),
    # Network and preconditioning
    Row("network", "DDPM++, NCSN++ or ADM", ("edm", "adm"), place=("denoiser",), trained=True, needs=LARGER),
    Row("c_skip", "σ_d² / (σ² + σ_d²)", ("edm",), trained=True, needs=TRAINED),
    Row("c_out", "σ σ_d / √(σ² + σ_d²)", ("edm",), trained=True, needs=TRAINED),
    Row("c_in", "1 / √(σ² + σ_d²)", ("edm",), trained=True, needs=TRAINED),
    Row("c_noise", "ln(σ) / 4", ("edm",), trained=True, needs=TRAINED),
    # Training
    Row(
        "noise_distribution",
        "ln σ ~ N(-1.2, 1.2²)",
        ("edm",),
        {"P_mean": -1.2, "P_std": 1.2},
        trained=True,
        needs=TRAINED,
    ),
    Row("loss_weight", "(σ² + σ_d²) / (σ σ_d)²", ("edm",), trained=True, needs=TRAINED),
    Row(
        "augmentation",
        "12 % geometric, with labels (CIFAR-10)",
        ("edm",),
        {"x_flip": 0.5, "geometric": 0.12},
        place=("denoiser",),
        trained=True,
        needs=LARGER,
    ),
    Row("ema", "exponential, one half-life", ("half_life",), place=("denoiser",), trained=True, needs=TRAINED),
    # Beyond the table
    Row("guidance", "none", ("none",), {"weight": 1.0}, place=(), needs=CLASSES),
)
"""All rows, in the order of the table."""


@dataclass(frozen=True)
class Change:
    """What differs between two trials."""

    rows: tuple[Row, ...]
    field: str = ""
    """The field that alone differs, if it is a single one of a single row."""
    settings: tuple[str, ...] = ()
    """What differs besides the rows, such as ``learning_rate``."""

    @property
    def name(self) -> str:
        """``solver``, ``time_steps.rho`` or ``c_skip + c_out``."""
        return " + ".join(row.name for row in self.rows) + (f".{self.field}" if self.field else "")

    @property
    def trained(self) -> bool:
        """Whether the trials have different networks."""
        return any(row.trained for row in self.rows)

    @property
    def beyond(self) -> bool:
        """Whether only a field differs that the paper does not set."""
        return bool(self.field) and self.field not in self.rows[0].fields

    def is_papers(self, trial: Mapping[str, Any]) -> bool:
        """Whether a trial has the paper's choice in what differs."""
        return self._holds(trial, Row.is_papers_field, Row.is_papers)

    def endorses(self, trial: Mapping[str, Any]) -> bool:
        """Whether a trial has, in what differs, the paper's choice or one that the paper calls about as good."""
        return self._holds(trial, Row.endorses_field, Row.endorses)

    def _holds(self, trial: Mapping[str, Any], field: Callable[..., bool], component: Callable[..., bool]) -> bool:
        """Whether ``field`` holds of the field that alone differs, or ``component`` of all rows."""
        if self.beyond:
            return False
        if self.field and self.field in (spec := self.rows[0].of(trial)):
            return field(self.rows[0], self.field, spec[self.field])
        return all(component(row, row.of(trial)) for row in self.rows)


def change(a: Result, b: Result) -> Change | None:
    """What differs between the trials of two results; ``None`` unless they have the same data and kind of model.

    Rows of the network and of its training have no effect on a denoiser without a network and do not count there.
    """
    one, two = a.trial or {}, b.trial or {}
    models = [(trial.get("data"), (trial.get("denoiser") or {}).get("name"), _model(trial)) for trial in (one, two)]
    if models[0] != models[1]:
        return None
    learned = network_of(a) is not None
    rows = tuple(row for row in ROWS if row.of(one) != row.of(two) and (learned or not row.trained))
    return Change(rows, _field(rows, one, two), tuple(_settings(one, two))) if rows else None


def word(rows: tuple[Row, ...], trial: Mapping[str, Any]) -> str:
    """The components of a trial in these rows: ``ddpm``, ``vp + vp``."""
    return " + ".join(value_of(row.of(trial).get("name")) for row in rows)


def model_of(entry: Entry) -> str:
    """The model in words: ``exact denoiser``, ``network digits``, ``networks, 32,000 training images``."""
    name = str(entry.trial("denoiser", "name") or "denoiser")
    if name == "trained":
        return f"networks, {entry.trial('denoiser', 'training_images') or 0:,} training images"
    if name == "pretrained":
        return f"network {entry.trial('denoiser', 'model')}"
    return "exact denoiser" if name == "exact" else f"exact denoiser ({name})" if name in EXACT else f"denoiser {name}"


def _model(trial: Mapping[str, Any]) -> object:
    return (trial.get("denoiser") or {}).get("model")


def _field(rows: tuple[Row, ...], one: Mapping[str, Any], two: Mapping[str, Any]) -> str:
    if len(rows) != 1:
        return ""
    a, b = rows[0].of(one), rows[0].of(two)
    differing = [key for key in {**a, **b} if a.get(key) != b.get(key)]
    return differing[0] if len(differing) == 1 and differing != ["name"] and a.get("name") == b.get("name") else ""


def _settings(one: Mapping[str, Any], two: Mapping[str, Any]) -> Iterator[str]:
    """Further fields of the denoiser and of the design that differ."""
    known = {*(row.name for row in ROWS), *EARLIER, *REPEATED, "name", "model"}
    for part in ("denoiser", "design"):
        a: Mapping[str, Any] = one.get(part) or {}
        b: Mapping[str, Any] = two.get(part) or {}
        yield from (key for key in {**a, **b} if key not in known and a.get(key) != b.get(key))
