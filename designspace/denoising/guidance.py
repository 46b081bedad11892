"""The row ``guidance``, and the guidance of a denoiser by a second one: D_g = D_u + g (D_c - D_u) and its relatives."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol, Self

import torch
from pydantic import Field
from torch import Tensor

from designspace.denoising.device import sent
from designspace.denoising.preconditioned import Space
from designspace.denoising.rows import Conditional, Denoiser, PreconditioningRows
from designspace.registry.component import Component, NonNegative
from designspace.sampling import rows
from designspace.sampling.counted import component_of, guiding, require_denoised
from designspace.sampling.probe import MeasuredTimeSteps
from designspace.sampling.solver import SamplingRows


class GuidedRows(SamplingRows, PreconditioningRows, Protocol):
    """The rows of a design that ``Guidance.check`` sees. A ``Design`` has them."""


class Guidance(Component, row="guidance"):
    """How the denoiser is guided, that is, combined with evaluations without the class or of another denoiser."""

    @property
    def effective(self) -> bool:
        """Whether the guided denoiser can differ from the denoiser itself; otherwise it costs nothing."""
        return True

    @property
    def by_step(self) -> bool:
        """Whether it depends on the steps of the solver, which then have to follow one another."""
        return bool(self.by_step_unless)

    @property
    def by_step_unless(self) -> list[str]:
        """The fields that make it depend on the steps, each with the value with which it would not: ``momentum: 0``."""
        return []

    @property
    def by_step_remedy(self) -> str:
        """What to do, at the end of a message, if it must not depend on the steps."""
        return f": use {' and '.join(self.by_step_unless)}" if self.by_step_unless else ""

    takes_guide: ClassVar[bool] = False
    """Whether ``wrap`` gets another denoiser, that of ``guide_of``, as its second argument."""

    @property
    def guide_gets_labels(self) -> bool:
        """Whether the denoiser of ``guide_of`` is evaluated with the labels of the images, if they have any."""
        return True

    def guide_of(self, denoiser: Denoiser) -> Denoiser | None:
        """The other denoiser that ``wrap`` gets, if ``takes_guide``; otherwise ``None``.

        Raises ``ValueError`` if there is none for this ``denoiser``.
        """
        return None

    def repeated(self, k: int) -> Self:
        """The guidance of repeat k: with a guide that is trained with other random numbers, if it is trained."""
        return self

    def check(self, design: GuidedRows, denoiser: Denoiser, *, labelled: bool) -> None:
        """Raise ``ValueError``, which says why, if the guidance is not defined for these.

        ``labelled`` says whether images are sampled with class labels. Raises ``DataError`` if a file is missing.
        """
        if self.by_step and (why := _why_no_step_numbers(design)):
            raise ValueError(f"it depends on the number of the step, but {why}{self.by_step_remedy}")

    @abstractmethod
    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        """The guided denoiser. ``guides`` is the loaded denoiser of ``guide_of``, if there is one.

        Whatever it evaluates besides ``denoiser.bind(labels)`` is wrapped with ``guiding``, so that it counts as
        ``nfe_guidance``: for instance ``guiding(denoiser.bind(None))``, the denoiser without labels. At noise levels
        where it evaluates nothing else, an evaluation costs one call. The attributes of ``denoiser.bind(labels)``, such
        as ``sigma_min``, ``sigma_max``, ``round_sigma`` and ``c_in``, have to be passed on. If it has a method
        ``at_step(i, sigma)``, this is called with the number and the noise level of each step before its evaluations.
        """


def _why_no_step_numbers(design: SamplingRows) -> str:
    """Why evaluations do not belong to numbered steps that follow one another; empty if they do."""
    solver, rule = design.solver, design.time_steps
    if solver.adaptive:
        return f"solver {solver.name} chooses its own steps"
    if not solver.in_order:
        return f"solver {solver.name} returns to higher noise levels"
    measured = isinstance(rule, MeasuredTimeSteps) and rule.denoiser is None  # another denoiser is not guided
    return f"time_steps {rule.name} tries out single steps" if measured else ""


class PairGuidance(Guidance):
    r"""Guidance of :math:`D_c`, the denoiser with the class of the image, by a second denoiser :math:`D_u`.

    It is applied where ``sigma_min`` < sigma <= ``sigma_max``; elsewhere the result is :math:`D_c`, which costs nothing
    more. ``per`` says which sigma is meant: that of the ``evaluation``, or that at which the ``step`` begins, so that
    all evaluations of a step are treated alike. With ``weight`` 1 there is no guidance.

    A subclass defines ``combine``. It may have a field ``space``, which is ``D`` or ``prediction``: what ``combine``
    gets is then D or the output of the network F that belongs to D by Eq. 7.
    """

    weight: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    sigma_min: NonNegative = 0.0
    sigma_max: Annotated[float, Field(gt=0)] = float("inf")
    per: Literal["evaluation", "step"] = "evaluation"

    @property
    def effective(self) -> bool:
        return self.weight != 1

    @property
    def by_step_unless(self) -> list[str]:
        return ["per: evaluation"] if self.per == "step" else []

    @property
    def of_prediction(self) -> bool:
        """Whether ``combine`` gets predictions of the network instead of D."""
        return bool(getattr(self, "space", "D") == "prediction")

    def check(self, design: GuidedRows, denoiser: Denoiser, *, labelled: bool) -> None:
        super().check(design, denoiser, labelled=labelled)
        if self.of_prediction and not denoiser.has_network:
            what = f"denoiser {denoiser.name} has no network, so there is no prediction of one"
            raise ValueError(f"{what}: use space: D")
        if self.takes_guide:
            return
        if getattr(denoiser, "labels", None) is False:
            train = "set denoiser.labels: true and label_dropout: 0.1, or " * ("labels" in type(denoiser).model_fields)
            raise ValueError(
                f"the network is trained without class labels, so there is nothing to guide to: {train}use autoguidance"
            )
        if not labelled:
            raise ValueError("it guides towards the class of each image: use evaluate.labels: balanced, data or a list")
        if denoiser.needs_labels():
            raise ValueError(denoiser.why_labels())

    def wrap(self, denoiser: Conditional, *guides: Conditional) -> Conditional:
        if not self.effective:
            return denoiser
        guide = guides[0] if guides else Unlabelled(denoiser)
        return _Guided(self, denoiser, guide, tuple(denoiser.shape))

    def without_guide(self, c: Tensor, step: int) -> Tensor | None:
        """The guided output, if it does not depend on the guide, which is then not evaluated; otherwise ``None``.

        The arguments are as in ``combine``.
        """
        return c if self.weight == 1 else None

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
    shape: tuple[int, ...]

    def bind(self, labels: Tensor | None) -> rows.D:
        return _GuidedD(self.guidance, self.denoiser.bind(labels), self.guide.bind(labels))


class _GuidedD:
    """``D(x, sigma)`` with guidance. It has the attributes of D without guidance, such as the levels it supports."""

    def __init__(self, guidance: PairGuidance, D: rows.D, guide: rows.D) -> None:
        self._guidance, self._D, self._guide = guidance, D, guiding(guide)
        self._names = component_of(D), component_of(guide)
        self._step: int | None = None
        self._level = torch.empty(0)
        self._memory: Any = None
        self._next: Any = None
        """What is remembered from this step on, ``None`` before its first guided evaluation."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._D, name)

    def at_step(self, i: int, sigma: float) -> None:
        """Begin step ``i`` at the noise level ``sigma``. Step 0 begins another trajectory, without a memory."""
        remembered = self._memory if self._next is None else self._next
        self._step, self._level = i, torch.tensor(sigma, dtype=torch.float64)
        self._memory, self._next = remembered if i else None, None

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        guidance = self._guidance
        if guidance.by_step and self._step is None:
            raise ValueError(f"guidance {guidance.name} depends on the number of the step: call it through sample")
        level = self._level if guidance.per == "step" else torch.as_tensor(sigma)
        inside = (level > guidance.sigma_min) & (level <= guidance.sigma_max)
        c = require_denoised(self._D(x, sigma), x, self._names[0]).to(x.dtype)
        if not bool(inside.any()):
            return c
        guided = self._guided(x, sigma, c)
        if bool(inside.all()):
            return guided
        return torch.where(sent(inside, x.device).reshape(-1, *[1] * (x.ndim - 1)), guided, c)

    def _guided(self, x: Tensor, sigma: Tensor, c: Tensor) -> Tensor:
        guidance, step, space = self._guidance, self._step or 0, Space()
        if guidance.of_prediction:
            space = Space.of_prediction(self._D, x, sigma)
        prediction = space.into(c)
        guided = guidance.without_guide(prediction, step)
        if guided is prediction:  # without rounding errors
            return c
        if guided is None:
            u = require_denoised(self._guide(x, sigma), x, self._names[1]).to(x.dtype)
            guided, memory = guidance.combine(prediction, space.into(u), step, self._memory)
            if guidance.by_step and self._next is None:
                self._next = memory
        return space.back(guided).to(x.dtype)
