"""What samples depend on: the rows of a design, and the denoiser on which time steps are measured."""

from __future__ import annotations

from designspace.denoising.rows import Denoiser
from designspace.design import Design


def used_rows(design: Design, *denoisers: Denoiser) -> list[str]:
    """The rows that samples depend on; a solver that does not step in time, for instance, uses no schedule."""
    in_time = ("schedule", "scaling") if design.solver.in_time else ()
    # Networks have a c_in of their own.
    scaled = ("c_in",) if design.start == "unit" and not denoisers[0].has_network else ()
    parts = [*denoisers, *filter(None, [measured_on(design)])]
    used = {
        "solver",
        "time_steps",
        "stochasticity",
        "to_zero",
        "start",
        *scaled,
        *in_time,
        *(row for part in parts for row in part.rows),
    }
    return [row for row in Design.model_fields if row in used]


def measured_on(design: Design) -> Denoiser | None:
    """The denoiser that measured time steps name, instead of that of the trial."""
    other = getattr(design.time_steps, "denoiser", None)
    return other if isinstance(other, Denoiser) else None
