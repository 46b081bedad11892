"""How many steps a design can take, counted before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from designspace.denoising.rows import Denoiser
from designspace.design import Design
from designspace.errors import brief
from designspace.sampling.counting import count_nfe, steps_for
from designspace.spec.errors import BadValueError, DocPath
from designspace.spec.paths import Setting, written

counted = lru_cache(4096)(count_nfe)
affordable = lru_cache(4096)(steps_for)


def afforded(design: Design, denoiser: Denoiser, num_steps: int, nfe: int | None, settings: Sequence[Setting]) -> int:
    """``num_steps``, or those that ``nfe`` evaluations afford. Raises ``BadValueError`` if ``design`` cannot take them.

    Counted at the noise levels that the denoiser knows, if it depends on the row c_noise, which tells.
    An error's place is found in ``settings``. What a component raises, other than ``ValueError``, is left to the run
    to record, unless it has to be counted.
    """
    known = design.c_noise if "c_noise" in denoiser.rows else None
    try:
        if nfe is not None:
            return affordable(design, nfe, known=known)
        counted(design, num_steps, known=known)
    except ValueError as error:
        place = written(settings, ("nfe",)) if nfe is not None else _culprit(str(error), settings)
        raise BadValueError(place, str(error)) from error
    except Exception as error:  # a component raises: without an axis nfe, running it will record that
        if nfe is not None:
            raise BadValueError(written(settings, ("nfe",)), f"cannot count evaluations: {brief(error)}") from error
    return num_steps


def _culprit(text: str, settings: Sequence[Setting]) -> DocPath:
    """The row that an error of the sampler begins with, or the number of steps; rather one that varies."""
    row = text.split(maxsplit=1)[0]
    locations = [("design", row)] if row in Design.model_fields else []
    for varies in (True, False):
        for location in [*locations, ("num_steps",)]:
            for setting in settings[::-1]:
                if setting.varies is varies and setting.path[: len(location)] == location:
                    return setting.place
    return written(settings, [*locations, ("design",)][0])
