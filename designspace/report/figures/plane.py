"""What the pictures of the plane of time and sample show, for data of one number."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from designspace.report.entry import Entry
from designspace.report.study import Study
from designspace.text import one_line

NEEDED = ("t", "sigma", "s", "z", "density", "curves", "walks", "levels", "trajectory", "tangents")


@dataclass(frozen=True, eq=False)
class Plane:
    """A design in its plane."""

    entry: Entry
    arrays: dict[str, np.ndarray]

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[name]

    @property
    def name(self) -> str:
        """Schedule and scaling."""
        schedule, scaling = (self.entry.trial("design", row, "name") for row in ("schedule", "scaling"))
        return f"schedule {one_line(schedule)}, scaling {one_line(scaling)}"

    @property
    def solver(self) -> str:
        """The solver's name."""
        return one_line(self.entry.trial("design", "solver", "name"))

    @property
    def noisy(self) -> bool:
        """Whether noise is drawn on the way."""
        return "steps" not in self.arrays

    @cached_property
    def steps(self) -> int:
        """The number of steps."""
        return len(self["levels"]) - 1

    def shares_the_plane_of(self, other: Plane) -> bool:
        """Whether the curves are the same."""
        return all(np.array_equal(self[name], other[name]) for name in ("t", "sigma", "s"))

    @property
    def evenness(self) -> float:
        """How evenly the variance of the noise grows in time: 1 for sigma = sqrt(t), s = 1."""
        return float(np.corrcoef(self["t"], (self["s"] * self["sigma"]) ** 2)[0, 1])


def planes(study: Study) -> list[Plane]:
    """Those of all points that have one, the first seed of each."""
    found = [Plane(entry, study.plane(entry.rows[0])) for entry in study.entries]
    return [plane for plane in found if _whole(plane.arrays)]


def _whole(arrays: dict[str, np.ndarray]) -> bool:
    if not set(NEEDED) <= arrays.keys():
        return False
    t, k, n = len(arrays["t"]), arrays["curves"].shape[-1], len(arrays["levels"])
    shapes = {"density": (len(arrays["z"]), t), "curves": (t, k), "trajectory": (n, k), "sigma": (t,), "s": (t,)}
    return all(arrays[name].shape == shape for name, shape in shapes.items()) and bool(
        all(np.isfinite(arrays[name]).all() for name in NEEDED)
    )


def distinct(found: list[Plane]) -> list[Plane]:
    """One of each schedule and scaling."""
    kept: list[Plane] = []
    for plane in found:
        if not any(plane.shares_the_plane_of(other) for other in kept):
            kept.append(plane)
    return kept


@dataclass(frozen=True)
class Steps:
    """One step of Euler's and of Heun's method from the same point of a curve."""

    t: np.ndarray
    curve: np.ndarray
    """The curve between the two times."""
    start: tuple[float, float]
    end: float
    """The time at which they end."""
    euler: float
    heun: float
    second: float
    """Where the second slope leads, moved back to the start."""


def one_step(found: list[Plane]) -> Steps | None:
    """The step, of the fewest, in which Euler's method is furthest off; ``None`` without both methods in a plane."""
    eulers = [plane for plane in found if plane.solver == "euler"]
    for euler in sorted(eulers, key=lambda plane: plane.steps):
        for heun in (plane for plane in found if plane.solver == "heun"):
            if heun.shares_the_plane_of(euler) and np.array_equal(heun["levels"], euler["levels"]):
                return _furthest(euler, heun)
    return None


def _furthest(euler: Plane, heun: Plane) -> Steps:
    t, levels, curves = euler["t"], euler["levels"], euler["curves"]
    on_curve = np.stack([np.interp(levels, t, curve) for curve in curves.T], 1)
    last = len(levels) - 2  # not the step to zero, which is Euler's in both
    gaps = np.abs(euler["steps"][:last] - on_curve[1 : last + 1]) / np.abs(np.diff(levels))[:last, None] ** 0.5
    i, k = np.unravel_index(int(gaps.argmax()), gaps.shape)
    a, b, z = float(levels[i]), float(levels[i + 1]), float(on_curve[i, k])
    first, averaged = float(euler["steps"][i, k]), float(heun["steps"][i, k])
    inside = np.linspace(b, a, 50)
    return Steps(inside, np.interp(inside, t, curves[:, k]), (a, z), b, first, averaged, 2 * averaged - first)
