"""The number of noise levels of a trial, or the budget of evaluations from which it follows."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import Field

from designspace.registry.component import Spec
from designspace.spec.limits import at_most


class Budget(NamedTuple):
    """A limit on the evaluations per image."""

    evaluations: int
    total: bool
    """Whether it includes those that guidance adds."""


STEP_LIMIT = at_most(10_000, "more would take days and change next to nothing")


class Steps(Spec):
    """The number of noise levels, or the budget of evaluations per image from which it follows: at most one of both."""

    num_steps: Annotated[int, Field(ge=2), STEP_LIMIT] = 18
    nfe: Annotated[int, Field(ge=1), STEP_LIMIT] | None = None
    nfe_total: Annotated[int, Field(ge=1), STEP_LIMIT] | None = None

    @property
    def budget(self) -> Budget | None:
        """The budget; ``None`` if the number of noise levels is given."""
        given = self.nfe if self.nfe_total is None else self.nfe_total
        return None if given is None else Budget(given, self.nfe_total is not None)

    @property
    def field(self) -> str:
        """The name of the field that determines the number of noise levels."""
        return "num_steps" if self.budget is None else "nfe_total" if self.budget.total else "nfe"
