"""Design-space ablations of diffusion models: which choice is better, at what cost, and how sure is that?"""

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
    Stochasticity,
)

import_builtin()
import_plugins()

from designspace.design import Design  # noqa: E402
from designspace.sampler import Samples, sample  # noqa: E402

__all__ = [
    "Augmentation", "CIn", "CNoise", "COut", "CSkip", "Data", "Denoiser", "Design", "Detector", "Guidance",
    "LossWeight", "Metric", "Network", "NoiseDistribution", "Samples", "Scaling", "Schedule", "Solver", "Stochasticity", "TimeSteps",
    "sample",
]  # fmt: skip
