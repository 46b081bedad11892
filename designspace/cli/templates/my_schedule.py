"""A schedule of your own needs only its formula: the derivative and the inverse are computed from it."""

from torch import Tensor

from designspace import Positive, Schedule


class MySchedule(Schedule, name="my_schedule"):
    """The noise level grows linearly up to about ``knee``, and exponentially above it."""

    formula = r"\sigma(t) = k \sinh(t / k), \quad k = \mathrm{knee}"
    knee: Positive = 1.0

    def sigma(self, t: Tensor) -> Tensor:
        return self.knee * (t / self.knee).sinh()
