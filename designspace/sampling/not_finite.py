"""Where a run whose samples are not finite leaves the finite numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from designspace.sampling import rows
from designspace.sampling.counted import CountedDenoiser
from designspace.sampling.sample import follow, prepare
from designspace.sampling.solver import SamplingRows


@torch.no_grad()
def first_not_finite(
    design: SamplingRows, D: rows.D, who: str, latents: Tensor, num_steps: int, noise: Callable[[int, int], Tensor]
) -> str:
    """Repeat a run and check every value: ``the network gave NaN at step 1 of 18, sigma 80``.

    ``who`` says what D is. ``latents`` and ``noise`` have the dtype and the device of the run. Each check waits for the
    device, which is why the run itself makes none.
    """
    flow = prepare(design, D, num_steps, noise)
    flow = replace(flow, D=CountedDenoiser(_Checked(D, who)))
    of = "" if design.solver.adaptive else f" of {flow.steps}"
    step = 0
    try:
        for step, x in enumerate(follow(design.solver, flow, latents)):
            if what := _not_finite(x):
                sigma = flow.sigma[max(step - 1, 0)]
                return f"solver '{design.solver.name}' gave {what} at step {step}{of}, sigma {sigma:.4g}"
    except _FoundError as found:
        return f"{found.what} at step {step + 1}{of}, sigma {found.sigma:.4g}"
    return "a repetition of the same run is finite, so one of its components is not reproducible"


class _FoundError(FloatingPointError):
    def __init__(self, what: str, sigma: float) -> None:
        self.what, self.sigma = what, sigma


class _Checked:
    """D, with the noise levels that it supports, which raises an error if its output is the first to be not finite."""

    def __init__(self, D: rows.D, who: str) -> None:
        self._D, self._who = D, who

    def __getattr__(self, name: str) -> object:
        return getattr(self._D, name)

    def __call__(self, x: Tensor, sigma: Tensor) -> Tensor:
        out = self._D(x, sigma)
        if (what := _not_finite(out)) and not _not_finite(x):
            raise _FoundError(f"{self._who} gave {what}", sigma.max().item())
        return out


def _not_finite(x: Tensor) -> str:
    """What ``x`` contains besides finite numbers: ``NaN``, ``infinity`` or nothing."""
    if bool(x.isfinite().all()):
        return ""
    return "NaN" if bool(x.isnan().any()) else "infinity"
