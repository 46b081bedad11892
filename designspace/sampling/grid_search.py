"""Searches for the best noise levels among those of a fine grid."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from designspace.registry.component import Positive
from designspace.sampling.flow import rounding
from designspace.sampling.probe import MeasuredTimeSteps, Probe
from designspace.sampling.rows import TimeSteps


class GridSearch(MeasuredTimeSteps):
    """Levels chosen among ``T`` levels of ``edm`` by dynamic programming, whatever the solver of the design is.

    The first level and the end are fixed: the end is 0 or, if the design does not go to zero, the last level of the
    grid. A class defines ``indices``, and declares ``uses = ("time_steps/edm",)``.
    """

    follows_solver: ClassVar[bool] = False
    T: Annotated[int, Field(ge=3, le=1000)] = 61
    """The number of levels of the grid; for more than T/2 steps, the grid has T/2 levels more than there are steps."""
    sigma_min: Positive = 0.002
    sigma_max: Positive = 80.0

    def start(self) -> TimeSteps:
        return TimeSteps.get("edm").model_validate({"sigma_min": self.sigma_min, "sigma_max": self.sigma_max})

    @abstractmethod
    def indices(self, probe: Probe, grid: Sequence[float], steps: int) -> Sequence[int]:
        """The indices in ``grid`` at which each of ``steps`` steps begins, and that of the last level of the grid."""

    @torch.no_grad()
    def place(self, probe: Probe) -> Tensor:
        grid = self.grid(probe)
        chosen = self.indices(probe, grid, probe.flow.steps)
        return torch.tensor([grid[i] for i in chosen[: probe.num_steps]], dtype=torch.float64)

    def grid(self, probe: Probe) -> list[float]:
        """The decreasing levels of the grid that the denoiser supports, and 0 if the design goes to zero.

        Raises ``ValueError`` if there are fewer levels than ``probe.num_steps``.
        """
        fine = self.within(*probe.limits).sigmas(max(self.T, probe.num_steps + self.T // 2))
        levels = sorted(set(rounding(probe.D)(fine).double().tolist()), reverse=True)
        if len(levels) < probe.num_steps:
            what = f"{probe.num_steps} steps, but its grid has only {len(levels)} levels"
            raise ValueError(f"time_steps {self.name}: {what}")
        return [*levels, 0.0] if probe.design.to_zero else levels
