"""Design-space ablations of diffusion models: which choice is better, at what cost, and how certain is the answer?

Every public name is imported when it is first used, so that commands which need no PyTorch start without it.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

# Before torch is imported: where other work has the cores, threads that wait by spinning made the detector ten times
# slower (13 s against 1.3 s for 200 images on two cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from designspace import plots
    from designspace.data.rows import Data
    from designspace.denoising.guidance import Guidance
    from designspace.denoising.preconditioned import precondition
    from designspace.denoising.rows import CIn, CNoise, COut, CSkip, Decoder, Denoiser, Network
    from designspace.design import Design
    from designspace.errors import DataError, SpecError
    from designspace.evaluation.frechet import frechet
    from designspace.evaluation.moments import Moments
    from designspace.evaluation.rows import Detector, Metric, Reference
    from designspace.registry.component import Count, Finite, Fraction, NonNegative, Positive
    from designspace.registry.literature import Source
    from designspace.report.answers import Chosen, Compared
    from designspace.report.best import Best, best
    from designspace.report.results import Results
    from designspace.run.run import run
    from designspace.run.trackers import Tracked, Tracker
    from designspace.sampling.counted import count_call, guiding
    from designspace.sampling.rows import Scaling, Schedule, Stochasticity, TimeSteps
    from designspace.sampling.sample import Samples, sample
    from designspace.sampling.solver import Solver
    from designspace.spec import Ablation, Trial, load
    from designspace.training.rows import EMA, AdaptedLevels, Augmentation, LearnedWeight, LossWeight, NoiseDistribution
    from designspace.tune.search import Search, tune

    __version__: str

# fmt: off
__all__ = [
    "EMA", "Ablation", "AdaptedLevels", "Augmentation", "Best", "CIn", "CNoise", "COut", "CSkip", "Chosen", "Compared",
    "Count", "Data", "DataError", "Decoder", "Denoiser", "Design", "Detector", "Finite", "Fraction", "Guidance",
    "LearnedWeight", "LossWeight", "Metric", "Moments", "Network", "NoiseDistribution", "NonNegative", "Positive",
    "Reference", "Results", "Samples", "Scaling", "Schedule", "Search", "Solver", "Source", "SpecError",
    "Stochasticity", "TimeSteps", "Tracked", "Tracker", "Trial", "best", "count_call", "frechet", "guiding", "load",
    "plots", "precondition", "run", "sample", "tune",
]
_HOMES = {
    "data.rows": ["Data"],
    "denoising.guidance": ["Guidance"],
    "denoising.preconditioned": ["precondition"],
    "denoising.rows": ["CIn", "CNoise", "COut", "CSkip", "Decoder", "Denoiser", "Network"],
    "design": ["Design"],
    "errors": ["DataError", "SpecError"],
    "evaluation.frechet": ["frechet"],
    "evaluation.moments": ["Moments"],
    "evaluation.rows": ["Detector", "Metric", "Reference"],
    "registry.component": ["Count", "Finite", "Fraction", "NonNegative", "Positive"],
    "registry.literature": ["Source"],
    "report.answers": ["Chosen", "Compared"],
    "report.best": ["Best", "best"],
    "report.results": ["Results"],
    "run.run": ["run"],
    "run.trackers": ["Tracked", "Tracker"],
    "sampling.counted": ["count_call", "guiding"],
    "sampling.rows": ["Scaling", "Schedule", "Stochasticity", "TimeSteps"],
    "sampling.sample": ["Samples", "sample"],
    "sampling.solver": ["Solver"],
    "spec": ["Ablation", "Trial", "load"],
    "training.rows": ["EMA", "AdaptedLevels", "Augmentation", "LearnedWeight", "LossWeight", "NoiseDistribution"],
    "tune.search": ["Search", "tune"],
}
# fmt: on
_HOME = {name: f"designspace.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name == "plots":
        return import_module("designspace.plots")
    if name == "__version__":
        from importlib.metadata import version  # here, because this module takes longer to import than the package

        return version("designspace")
    if name not in _HOME:
        raise AttributeError(f"module 'designspace' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


class _Package(ModuleType):
    """``designspace.run`` and ``designspace.tune`` are functions, although packages have the same names.

    Importing ``designspace.run.stages`` makes Python set the attribute ``run`` of this package; that is ignored.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in ("run", "tune") or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
