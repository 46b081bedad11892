from collections.abc import Callable, Sequence

import torch
from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from designspace.registry.literature import PEI_2025
from designspace.sampling.flow import Flow, Level
from designspace.sampling.grid_search import GridSearch
from designspace.sampling.probe import Probe
from designspace.sampling.solver import Solver, take_step


class OSS(GridSearch, name="oss"):
    r"""Optimal stepsizes: levels at which the steps of a student stay nearest to the converged solution.

    For each image, dynamic programming finds for each number of steps k and each level j of the grid the smallest
    distance e between the student after k steps and the converged solution :math:`x^*`, the teacher. The student goes
    on from the state that had the smallest distance. The levels are the medians over ``images`` images of the indices
    in the grid. Pei, Hu and Gu (2025).

    The ``student`` is Euler's method in the plane of the design, as published; the solver of the design may be any. As
    an extension, it may be another deterministic one-step solver. For S steps on a grid of T levels, the search takes
    at most S (T - S) + 1 evaluations per image with Euler's method, and about T/2 times as many with others, in
    addition to 1,025 of the converged solution. The published teacher takes 200 steps of Euler's method instead.
    """

    formula = r"""
        e_k(j) = \min_{i < j} \left| \Phi_{i \to j}(x_{k-1,i}) - x^*_j \right|^2, \qquad
            x_{k,j} = \Phi_{i \to j}(x_{k-1,i}) \text{ for the best } i
    """
    sources = (PEI_2025,)
    uses = ("time_steps/edm", "solver/euler")
    student: Solver = Field(default="euler", validate_default=True)

    @field_validator("student")
    @classmethod
    def _deterministic_steps(cls, student: Solver) -> Solver:
        if not student.one_step or student.stochastic or student.adaptive or not student.in_order:
            text = f"the student is a deterministic one-step solver, such as euler, not {student.name}"
            raise PydanticCustomError("student", "{text}", {"text": text})
        return student

    def indices(self, probe: Probe, grid: Sequence[float], steps: int) -> Sequence[int]:
        teacher = torch.stack([probe.solution().at(sigma) for sigma in grid])
        last, images = len(grid) - 1, teacher.shape[1]
        steps_of = self.steps_between(probe.flow.on(tuple(grid)), teacher)
        from_level = torch.zeros(steps + 1, last + 1, images, dtype=torch.long, device=teacher.device)
        states, reachable = teacher, range(1)  # the student starts at the first level, where the solution does
        for k in range(1, steps + 1):
            least = torch.full((last + 1, images), torch.inf, dtype=torch.float64, device=teacher.device)
            reached = torch.zeros_like(teacher)
            end = last - (steps - k) + 1  # the steps after this one need a level each
            for i in reachable:
                ends = range(max(i + 1, last if k == steps else 0), end)
                there = steps_of(states[i], i, ends)
                gap = (there - teacher[ends.start : end]).flatten(2).square().sum(2).double()
                better = gap < least[ends.start : end]
                least[ends.start : end] = gap.where(better, least[ends.start : end])
                from_level[k, ends.start : end].masked_fill_(better, i)
                where = better.reshape(*better.shape, *[1] * (there.ndim - 2))
                reached[ends.start : end] = there.where(where, reached[ends.start : end])
            states, reachable = reached, range(k, end)
        return _median(from_level, last)

    def steps_between(self, flow: Flow, like: Tensor) -> Callable[[Tensor, int, range], Tensor]:
        """A function of ``x``, ``i`` and ``ends``: the student's states after steps from ``x`` at the ``i``-th level.

        These are ``[n, B, ...]``, after a step to each of ``ends``. A step of Euler's method is linear in x and D,
        which is evaluated only once; the dtype and the device of its coefficients are those of ``like``.
        """
        sigma = flow.sigma

        def by_solver(x: Tensor, i: int, ends: range) -> Tensor:
            pairs = (flow.on((sigma[i], sigma[j])) for j in ends)
            return torch.stack([take_step(self.student, pair, x, 0, sigma[i], None)[0] for pair in pairs])

        if self.student != Solver.get("euler")():
            return by_solver
        weights = _euler([flow.at(level) for level in sigma]).to(like)

        def by_euler(x: Tensor, i: int, ends: range) -> Tensor:
            of_x, of_D = weights[:, i, ends.start : ends.stop].reshape(2, -1, *[1] * x.ndim)
            reached: Tensor = of_x * x + of_D * flow.D(x, sigma[i])
            return reached

        return by_euler


def _euler(levels: Sequence[Level]) -> Tensor:
    """The weights of x and D in a step of Euler's method between any two levels, ``[2, n, n]``."""
    t, s = (torch.tensor(values, dtype=torch.float64) for values in zip(*((at.t, at.s) for at in levels), strict=True))
    along, towards = torch.tensor([level.slope(1.0) for level in levels[:-1]], dtype=torch.float64).T[..., None]
    h = t - t[:-1, None]
    return torch.stack([s[:-1, None] + h * along, h * towards]) / s


def _median(from_level: Tensor, last: int) -> list[int]:
    """The median over images of the levels on each image's best way to the level ``last``.

    The k-th level lies before the (k + 1)-th for each image, and therefore for the medians.
    """
    at = torch.full_like(from_level[0, 0], last)
    levels = [at]
    for step in from_level.flip(0)[:-1]:
        at = step.gather(0, at[None])[0]
        levels.insert(0, at)
    return torch.stack(levels).median(1).values.tolist()
