"""The evaluations of the denoiser that observations and measured time steps need, counted without the denoiser."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from designspace.evaluation.denoiser_probe import denoising
from designspace.evaluation.rows import DenoiserMetric, Observation
from designspace.run.stages import Stages
from designspace.sampling import rows
from designspace.sampling.counting import Half, search_nfe
from designspace.sampling.noise import latents
from designspace.sampling.probe import MeasuredTimeSteps, Probe
from designspace.training.rows import training_rows

if TYPE_CHECKING:
    from designspace.spec.trial import Trial


def evaluations(trial: Trial, metric: Observation, stages: Stages) -> float:
    """The evaluations that a metric of the sampler or the denoiser needs, without the search for time steps."""
    rule = trial.design.time_steps
    if isinstance(rule, MeasuredTimeSteps):  # the number of evaluations does not depend on where the levels lie
        trial = trial.model_copy(update={"design": trial.design.with_time_steps(rule.start())})
    counted = Counted(trial)
    if not isinstance(metric, DenoiserMetric):
        metric.observe(counted.probe(metric.images))  # type: ignore[attr-defined]
        return counted.evaluations
    with suppress(Exception):  # it may need a network, for its gradients
        data = stages.loaded.data(trial.data)
        counted.shape = data.shape
        loaded = counted, counted if trial.denoiser.has_network else None
        metric.observe(
            denoising(data, training_rows(trial.design), loaded, metric.images, torch.device("cpu"), labelled=False)
        )
    return counted.evaluations or 3 * metric.images * (metric.levels + 1)  # a gradient costs two evaluations more


def search_nfe_of(trial: Trial) -> int | float:
    """The calls of networks per image that the search for measured time steps takes; see ``search_nfe``."""
    seen, guidance = trial.measuring, trial.measuring.guidance

    def guided(D: Half) -> rows.D:
        return guidance.wrap(D, *[D] * guidance.takes_guide).bind(None)

    return search_nfe(seen.design, seen.num_steps, seen.denoiser.supported(seen.design), guided)


class Counted:
    """The ideal denoiser of a Gaussian in place of the trial's own, which counts the images of its evaluations."""

    shape: tuple[int, ...] = (1,)

    def __init__(self, trial: Trial) -> None:
        self._trial, self.evaluations = trial, 0
        if row := trial.denoiser.supported(trial.design):
            self.sigma_min, self.sigma_max = row.limits()
            self.round_sigma = row.round_sigma
        self.c_skip, self.c_out = torch.zeros_like, torch.ones_like

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        self.evaluations += len(x)
        shrink = 0.25 / (0.25 + torch.as_tensor(sigma) ** 2)
        return x * (shrink.to(x) if shrink.ndim == 0 else shrink.to(x).reshape(-1, *[1] * (x.ndim - 1)))

    def bind(self, labels: Tensor | None) -> Counted:
        return self

    def probe(self, images: int) -> Probe:
        """A probe of the trial with this denoiser, which guides itself if the trial has guidance."""
        trial, guidance = self._trial, self._trial.guidance
        start = latents(trial.seed, range(images), self.shape).double()
        D = guidance.wrap(self, *[self] * guidance.takes_guide).bind(None)
        return Probe(trial.design, D, start, trial.num_steps)
