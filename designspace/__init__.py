"""Design-space ablations of diffusion models: which choice is better, at what cost, and how sure is that?"""

import os

# Before torch is imported: where other work has the cores, threads that wait by spinning made the detector ten times
# slower (13 s against 1.3 s for 200 images on two cores).
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from designspace.discovery import import_builtin, import_plugins

from designspace.table1 import (  # isort: skip  # the order of Table 1 is the order of the rows
    CIn,
    CNoise,
    COut,
    CSkip,
    LossWeight,
    NoiseDistribution,
    Scaling,
    Schedule,
    Solver,
    TimeSteps,
)
from designspace.rows import (
    Augmentation,
    Data,
    Denoiser,
    Detector,
    Guidance,
    Metric,
    Network,
    Reference,
    Stochasticity,
)

import_builtin()
import_plugins()

from designspace.denoiser import precondition  # noqa: E402
from designspace.design import Design  # noqa: E402
from designspace.evaluation.frechet import frechet  # noqa: E402
from designspace.evaluation.moments import Moments  # noqa: E402
from designspace.images import DataError  # noqa: E402
from designspace.run import run  # noqa: E402
from designspace.sampler import Samples, sample  # noqa: E402
from designspace.spec import Ablation, Trial, load  # noqa: E402
from designspace.spec.errors import SpecError  # noqa: E402

# fmt: off
__all__ = [
    "Ablation", "Augmentation", "CIn", "CNoise", "COut", "CSkip", "Data", "DataError", "Denoiser", "Design",
    "Detector", "Guidance", "LossWeight", "Metric", "Moments", "Network", "NoiseDistribution", "Reference", "Samples",
    "Scaling", "Schedule", "Solver", "SpecError", "Stochasticity", "TimeSteps", "Trial", "frechet", "load",
    "precondition", "run", "sample",
]
# fmt: on
