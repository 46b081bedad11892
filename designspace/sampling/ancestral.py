"""Ancestral solvers: a step of the ODE further down than asked for, and noise back up."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from designspace.registry.component import NonNegative
from designspace.sampling.flow import Flow, ancestral
from designspace.sampling.solver import Solver


def back_up(flow: Flow, x: Tensor, i: int, std: float, draw: int = 0) -> Tensor:
    """``x`` with the noise of step ``i`` that lifts it by ``std``; none is drawn for 0."""
    return torch.add(x, flow.noise(i, draw), alpha=std) if std > 0 else x


class Ancestral(Solver):
    r"""One-step methods with the levels of ``flow.ancestral``; ``eta`` = 0: the ODE's solver."""

    stochastic: ClassVar[bool] = True
    in_time: ClassVar[bool] = False
    eta: NonNegative = 1.0

    @abstractmethod
    def descend(self, flow: Flow, x: Tensor, sigma: float, down: float) -> Tensor:
        r"""The ODE's step from ``sigma`` to :math:`\sigma_\downarrow`, which is 0 in the last step."""

    def step(self, flow: Flow, x: Tensor, i: int, sigma: float, memory: None) -> tuple[Tensor, None]:
        down, up = ancestral(sigma, flow.sigma[i + 1], self.eta)
        return back_up(flow, self.descend(flow, x, sigma, down), i, up), None
