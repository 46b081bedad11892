"""The row ``guidance``, and the guidance of a denoiser by a second one: D_g = D_u + g (D_c - D_u) and its relatives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.device import sent
from designspace.denoising.preconditioned import over
from designspace.denoising.rows import Conditional, Denoiser
from designspace.registry.component import Component, NonNegative
from designspace.sampling import rows
from designspace.sampling.counted import guiding
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.sampling.solver import SamplingRows


class Guidance(Component, row="guidance"):
    """How the denoiser is guided, that is, combined with evaluations without the class or of another denoiser."""

    @property
    def effective(self) -> bool:
        """Whether the guided denoiser can differ from the denoiser itself; otherwise it costs nothing."""
        return True

    @property
    def by_step(self) -> bool:
        """Whether it depends on the steps of the solver, which then have to follow one another."""
        return False

    takes_guide: ClassVar[bool] = False
    """Whether ``wrap`` gets another denoiser, that of ``guide_of``, as its second argument."""

    def guide_of(self, denoiser: Denoiser) -> Denoiser | None:
        """The other denoiser that ``wrap`` gets, if ``takes_guide``; otherwise ``None``."""
        return None

    def repeated(self, k: int) -> Self:
        """The guidance of repeat k: with a guide that is trained with other random numbers, if it is trained."""
        return self

    def check(self, design: SamplingRows, denoiser: Denoiser, *, labelled: bool) -> None:
        """Raise ``ValueError``, which says why, if the guidance is not defined for these.

        ``labelled`` says whether images are sampled with class labels.
        """
        if not self.by_step:
            return
        solver, rule = design.solver, design.time_steps
        if solver.adaptive or not solver.in_order:
            takes = "chooses its own steps" if solver.adaptive else "returns to higher noise levels"
            raise ValueError(f"it depends on the number of the step, but solver {solver.name} {takes}")
        if isinstance(rule, MeasuredTimeSteps):
            raise ValueError(f"it depends on the number of the step, but time_steps {rule.name} tries out single steps")

    @abstractmethod
    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        """The guided denoiser. ``guides`` is the loaded denoiser of ``guide_of``, if there is one.

        Whatever it evaluates besides ``denoiser.bind(labels)`` is wrapped with ``guiding``, so that it counts as
        ``nfe_guidance``: for instance ``guiding(denoiser.bind(None))``, the denoiser without labels. At noise levels
        where it evaluates nothing else, an evaluation costs one call. The attributes of ``denoiser.bind(labels)``, such
        as ``sigma_min``, ``sigma_max``, ``round_sigma`` and ``c_in``, have to be passed on. If it has a method
        ``at_step(i, sigma)``, this is called with the number and the noise level of each step before its evaluations.
        """


class PairGuidance(Guidance):
    r"""Guidance of :math:`D_c`, the denoiser with the class of the image, by a second denoiser :math:`D_u`.

    It is applied where ``sigma_min`` < sigma <= ``sigma_max``; elsewhere the result is :math:`D_c`, which costs nothing
    more. ``per`` says which sigma is meant: that of the ``evaluation``, or that at which the ``step`` begins, so that
    all evaluations of a step are treated alike. With ``weight`` 1 there is no guidance.
    """

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    sigma_min: NonNegative = 0.0
    sigma_max: Annotated[float, Field(gt=0)] = float("inf")
    per: Literal["evaluation", "step"] = "evaluation"
    in_space: ClassVar[Literal["D", "prediction"]] = "D"
    """The space in which ``combine`` works, unless there is a field ``space``."""

    @property
    def effective(self) -> bool:
        return self.weight != 1

    @property
    def by_step(self) -> bool:
        return self.per == "step"

    @property
    def of_prediction(self) -> bool:
        """Whether ``combine`` gets predictions of the network instead of D."""
        return bool(getattr(self, "space", self.in_space) == "prediction")

    def check(self, design: SamplingRows, denoiser: Denoiser, *, labelled: bool) -> None:
        super().check(design, denoiser, labelled=labelled)
        if self.of_prediction and not denoiser.has_network:
            what = f"denoiser {denoiser.name} has no network, so there is no prediction of one"
            raise ValueError(f"{what}: use space: D")
        if self.guide_of(denoiser) is None:
            self._require_both(denoiser, labelled=labelled)

    def _require_both(self, denoiser: Denoiser, *, labelled: bool) -> None:
        """Raise ``ValueError`` unless D is defined with and without labels."""
        if not labelled:
            raise ValueError("it guides towards the class of each image: use evaluate.labels: balanced, data or a list")
        if denoiser.needs_labels():
            raise ValueError(denoiser.why_labels())

    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        if not self.effective:
            return denoiser
        return _Guided(self, denoiser, *guides) if guides else _Guided(self, denoiser, Unlabelled(denoiser))

    def combine(self, c: Tensor, u: Tensor, step: int, memory: Any) -> tuple[Tensor, Any]:
        """The guided output from ``c``, with the class, and ``u``, that of the guide, both ``[B, ...]``, and a memory.

        By default, this is u + g (c - u) without a memory.

        ``step`` is the number of the step. ``memory`` is what the first guided evaluation of the latest earlier step
        with one returned, ``None`` if there is none. Both are known only if ``by_step`` is true.
        """
        return torch.lerp(u, c, self.weight), None


@dataclass(frozen=True)
class Unlabelled:
    """A denoiser that is evaluated without labels, whatever they are."""

    denoiser: Conditional

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one sample."""
        return self.denoiser.shape

    def bind(self, labels: Tensor | None) -> rows.D:
        """``D(x, sigma)`` without labels."""
        return self.denoiser.bind(None)


@dataclass(frozen=True)
class _Guided:
    guidance: PairGuidance
    denoiser: Conditional
    guide: Conditional

    @property
    def shape(self) -> tuple[int, ...]:
        return self.denoiser.shape

    def bind(self, labels: Tensor | None) -> rows.D:
        return _GuidedD(self.guidance, self.denoiser.bind(labels), guiding(self.guide.bind(labels)))


class _GuidedD:
    """``D(x, sigma)`` with guidance. It has the attributes of D without guidance, such as the levels it supports."""

    def __init__(self, guidance: PairGuidance, D: rows.D, guide: rows.D) -> None:
        self._guidance, self._D, self._guide = guidance, D, guide
        self._step: int | None = None
        self._level = torch.empty(0)
        self._memory: Any = None
        self._next: Any = None
        """What is remembered from this step on, ``None`` before its first guided evaluation."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._D, name)

    def at_step(self, i: int, sigma: float) -> None:
        """Begin step ``i`` at the noise level ``sigma``."""
        remembered = self._memory if self._next is None else self._next
        self._step, self._level = i, torch.tensor(sigma, dtype=torch.float64)
        self._memory, self._next = remembered if i else None, None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        guidance = self._guidance
        if guidance.by_step and self._step is None:
            raise ValueError(f"guidance {guidance.name} depends on the number of the step: call it through sample")
        level = self._level if guidance.per == "step" else torch.as_tensor(sigma)
        inside = (level > guidance.sigma_min) & (level <= guidance.sigma_max)
        c = self._D(x, sigma)
        if not bool(inside.any()):
            return c
        guided = self._guided(x, sigma, c, self._guide(x, sigma))
        if bool(inside.all()):
            return guided
        return torch.where(sent(inside, x.device).reshape(-1, *[1] * (x.ndim - 1)), guided, c)

    def _guided(self, x: Tensor, sigma: Tensor, c: Tensor, u: Tensor) -> Tensor:
        if not self._guidance.of_prediction:
            return self._combined(c, u)
        skip, out = (over(row(torch.as_tensor(sigma, dtype=torch.float64)), x) for row in (self.c_skip, self.c_out))
        return skip * x + out * self._combined((c - skip * x) / out, (u - skip * x) / out)

    def _combined(self, c: Tensor, u: Tensor) -> Tensor:
        guided, memory = self._guidance.combine(c, u, self._step or 0, self._memory)
        self._next = memory if self._next is None else self._next
        return guided
