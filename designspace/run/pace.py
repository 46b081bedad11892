"""How fast the parts of a trial are on this device, measured in seconds without training or sampling anything."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from designspace.data.images import to_uint8
from designspace.denoising.decoding import decoded
from designspace.evaluation.measure import Sample, Summary
from designspace.evaluation.rows import Metric
from designspace.registry.float32 import full_float32
from designspace.run.batch import speed_of
from designspace.run.generate import CHUNK
from designspace.run.shapes import require_images
from designspace.run.stages import Stages
from designspace.sampling.noise import latents
from designspace.storage.files import content_key
from designspace.training.checkpoints import Plan, batches_of
from designspace.training.loop import Trainer
from designspace.training.state import State

if TYPE_CHECKING:
    from designspace.spec.trial import Trial

T = TypeVar("T")

SMALL = 8
"""The batch on which a part is tried first."""
PATIENCE = 2.0
"""Seconds: a batch that would take longer is not tried, and training is measured for no longer."""
STEPS = 20
"""The largest number of training steps that are measured."""
SAMPLES = 2000
"""The largest number of features on which a metric is measured."""


class Paces:
    """Seconds per image of the parts of trials; what is alike is measured once, and an error is raised again."""

    def __init__(self, stages: Stages) -> None:
        self._stages = stages
        self._known: dict[object, Any] = {}

    def evaluation(self, trial: Trial) -> float:
        """Of an evaluation of the trial's denoiser, which need not be trained for it."""
        return self._denoised(trial)[0]

    def decoding(self, trial: Trial) -> float:
        """Of the trial's decoder."""
        return self._shown(trial)[0]

    def features(self, trial: Trial) -> float:
        """Of the trial's detector."""
        return self._detected(trial)[0]

    def training(self, trial: Trial, plan: Plan) -> float:
        """Of the training that the trial's denoiser needs."""
        return self._once(("training", self._alike(trial)), partial(_training_pace, plan, self._stages.device))

    def metric(self, trial: Trial, metric: Metric, reference: int) -> tuple[float, float]:
        """Seconds of a measurement of ``metric`` with its error, and of its value alone.

        ``reference`` is the number of images in the reference, or 0 if only its moments are known.
        """
        d, n = self._detected(trial)[1], trial.evaluate.images
        return self._once((metric, n, reference, d), partial(_metric_seconds, metric, n, reference, d))

    def _denoised(self, trial: Trial) -> tuple[float, Tensor]:
        key = "evaluation", self._alike(trial), trial.evaluate.labels
        return self._once(key, partial(_evaluation_pace, trial, self._stages))

    def _shown(self, trial: Trial) -> tuple[float, Tensor]:
        """The pace of the trial's decoder, 0 without one, and some outputs of its denoiser as images."""

        def measured() -> tuple[float, Tensor]:
            out, stages = self._denoised(trial)[1], self._stages
            if not trial.decoder.decodes:
                return 0.0, to_uint8(out)
            part = partial(decoded, trial.decoder, stages.loaded.decoder(trial))
            pace, images = _pace(lambda n: part(out[:n], stages.device, stages.batch_size or CHUNK), len(out))
            return pace, to_uint8(images)

        return self._once(("images", trial.decoder, self._alike(trial), trial.evaluate.labels), measured)

    def _detected(self, trial: Trial) -> tuple[float, int]:
        """The pace of the trial's detector and the number of its features."""

        def measured() -> tuple[float, int]:
            images, detector = self._shown(trial)[1], trial.evaluate.detector
            pace, features = _pace(lambda n: self._stages.loaded.detect(detector, images[:n]), len(images))
            return pace, features.shape[1]

        return self._once((trial.evaluate.detector, trial.decoder, self._alike(trial)), measured)

    def _alike(self, trial: Trial) -> object:
        return content_key(speed_of(trial.denoiser)), trial.data

    def _once(self, key: object, measure: Callable[[], T]) -> T:
        if key not in self._known:
            try:
                with full_float32():
                    self._known[key] = measure()
            except Exception as error:
                self._known[key] = error
        found = self._known[key]
        if isinstance(found, Exception):
            raise found
        return found  # type: ignore[no-any-return]


def _pace(call: Callable[[int], Tensor], n: int) -> tuple[float, Tensor]:
    """Seconds per image of ``call`` for batches of ``n`` images, or of fewer if these are slow, and what it returns."""
    call(min(SMALL, n))  # the first call includes one-time costs
    pace, out = _timed(call, min(SMALL, n))
    return (pace, out) if pace * n > PATIENCE or n <= SMALL else _timed(call, n)


def _timed(call: Callable[[int], Tensor], n: int) -> tuple[float, Tensor]:
    start = perf_counter()
    out = call(n).cpu()
    return (perf_counter() - start) / n, out


def _evaluation_pace(trial: Trial, stages: Stages) -> tuple[float, Tensor]:
    """The pace of the denoiser and some of its outputs."""
    given = stages.loaded.data(trial.data), trial.design, stages.device
    denoiser = trial.denoiser.untrained(*given) or trial.denoiser.load(*given)
    require_images(trial, denoiser.shape, given[0])
    sigma = trial.design.time_steps.sigmas(trial.num_steps)[trial.num_steps // 2]

    def evaluate(n: int) -> Tensor:
        labels = stages.loaded.labels(trial, range(n))
        D = denoiser.bind(None if labels is None else labels.to(stages.device))
        x = (latents(trial.seed, range(n), denoiser.shape) * sigma).float().to(stages.device)
        with torch.no_grad():
            return D(x, sigma)

    return _pace(evaluate, min(stages.batch_sizes.of(trial, denoiser), trial.evaluate.images))


def _training_pace(plan: Plan, device: torch.device) -> float:
    """The pace of a few steps from the beginning, without compilation."""
    recipe = plan.recipe.model_copy(update={"compile": False})
    state = State(plan.build(), recipe, device, plan.design)
    trainer, size = Trainer(state, plan.design, batches_of(plan, device)), recipe.batch_size
    trainer.run(size, lambda progress: None, lambda: None)  # the first step includes one-time costs
    start = perf_counter()
    trainer.run((STEPS + 1) * size, lambda progress: None, lambda: None, lambda: perf_counter() - start > PATIENCE)
    state.loss()  # waits for the device
    return (perf_counter() - start) / max(state.images - size, 1)


def _metric_seconds(metric: Metric, n: int, reference: int, d: int) -> tuple[float, float]:
    """Measured on random features, at most ``SAMPLES`` of them, and extrapolated in proportion to their number."""
    few = [min(size, SAMPLES) for size in (n, reference or n)]
    draw = torch.Generator().manual_seed(0)
    generated, other = (torch.randn(size, d, generator=draw) for size in few)
    known = Sample(other) if reference else Summary(Sample(other).moments)
    seconds = []
    for measure in (metric.measure, metric.value):
        start = perf_counter()
        measure(Sample(generated), known)
        seconds.append((perf_counter() - start) * (n + (reference or n)) / sum(few))
    return seconds[0], seconds[1]
