"""Contract tests for components: checks that every component has to pass, whether it is built in or your own.

.. code-block:: python

    import pytest
    from designspace.testing import checks
    from my_package import Cosine

    @pytest.mark.parametrize("check", checks(Cosine()), ids=lambda check: check.__name__)
    def test_contract(check):
        check()

Loading a spec makes the quick ones of these checks for components that are not built in.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import Any

import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.denoising.guidance import Guidance
from designspace.denoising.rows import CIn, CNoise, COut, CSkip, Decoder, Denoiser, Network
from designspace.errors import BrokenRowError, DataError, RowError, UnmetRowError, brief
from designspace.evaluation.rows import DenoiserMetric, Detector, Diagnostic, Metric, Reference
from designspace.registry.calling import name_of
from designspace.registry.component import Component
from designspace.registry.isolation import drawing, drawn, isolated
from designspace.registry.known import ROWS
from designspace.sampling.rows import Scaling, Schedule, Stochasticity, TimeSteps
from designspace.sampling.solver import Solver
from designspace.testing import decoding, denoising, evaluation, general, guidance, sampling, training
from designspace.testing.assertions import UnmetError
from designspace.testing.context import Context
from designspace.training.rows import EMA, Augmentation, LossWeight, NoiseDistribution

Check = Callable[[], None]
FOLDER = Path(__file__).parent


def checks(component: Component) -> list[Check]:
    """The checks that ``component`` has to pass. Each takes no arguments.

    A check that fails raises ``AssertionError``. The message names the component, what was checked, what was expected
    and what was found.
    """
    return [_bound(check, component) for group in _CHECKS for check in _of_rows(group, component)]


def require_correct(component: Component, given: Context, images: Callable[[], Images]) -> None:
    """Make only the quick checks of correctness, with what ``component`` meets in a trial.

    Specs are checked with it. A component that raises an exception on small random images may be made for images of a
    certain shape; it is then checked on the data set, which ``images`` returns.

    Raises:
        UnmetError: The component is wrong; the message does not name it. Its own exceptions are passed on.
    """
    for check in _of_rows(_ALONE, component):
        _say_what_is_required(check, component)
    for check in _of_rows(_WITHIN, component):
        try:
            _say_what_is_required(check, component, given)
        except (DataError, UnmetError):
            raise
        except Exception:
            if not isinstance(component, _DEPENDS_ON_IMAGES):
                raise
            _say_what_is_required(check, component, replace(given, images=images()))


def _say_what_is_required(check: Callable[..., None], component: Component, *context: Context) -> None:
    # A component that draws from global generators meets the same numbers each time.
    with isolated(torch.device("cpu"), check.__name__), drawing(name_of(component)):
        try:
            check(component, *context)
        except UnmetRowError as error:
            raise _unmet(check, error.what) from error
        except BrokenRowError as error:
            if not (isinstance(component, Solver) and isinstance(error.__cause__, ValueError)):
                raise
        except RowError:
            return  # it refuses the steps or levels of this check; those of a trial are tried out later
        except ValueError:
            if not isinstance(component, Solver):  # which may refuse schedules in the same way
                raise
        except UnmetError as error:
            also = "; it draws from a global random generator" if drawn() else ""
            raise _unmet(check, f"{error}{also}") from error


def _unmet(check: Callable[..., None], what: str) -> UnmetError:
    return UnmetError(f"{what} (required: {' '.join((check.__doc__ or '').split()).removesuffix('.')})")


def _of_rows(
    group: Mapping[type[Component], list[Callable[..., None]]], component: Component
) -> list[Callable[..., None]]:
    return [check for row, tests in group.items() if isinstance(component, row) for check in tests]


def checks_of(package: str, examples: Iterable[Component] = ()) -> Iterator[tuple[str, Check]]:
    """The checks of all components that ``package`` defines, with names for pytest.

    A component is checked on its ``examples`` or, if it has none, with its default fields. If it has neither, because
    it has required fields, its only check is one that fails.
    """
    given = list(examples)
    for row, kind in ROWS.items():
        for name, cls in kind.known.items():
            if f"{cls.__module__}.".startswith(f"{package}."):
                yield from ((f"{row}/{name}-{check.__name__}", check) for check in _of_class(cls, given))


def _of_class(cls: type[Component], examples: list[Component]) -> Iterator[Check]:
    instances = [example for example in examples if type(example) is cls]
    required = [name for name, field in cls.model_fields.items() if field.is_required()]
    if required and not instances:
        yield _bound(partial(general.has_an_example, required), cls)
        return
    for instance in instances or [cls()]:
        yield from checks(instance)


def _bound(check: Callable[..., None], component: Component | type[Component]) -> Check:
    """The check bound to this component. Its message begins with the component and is never empty."""
    function = check.func if isinstance(check, partial) else check
    shown = component if isinstance(component, Component) else component.name

    @wraps(function)
    def run() -> None:
        try:
            check(component)
        except AssertionError as error:
            raise AssertionError(f"{component.row} {shown}: {error or function.__doc__}") from error
        except UnmetRowError as error:
            raise AssertionError(f"{component.row} {shown}: {error.what}") from error
        except DataError:
            raise
        except Exception as error:
            text = f"{_last_call(error)}: expected no error, got {brief(error)}"
            raise AssertionError(f"{component.row} {shown}: {text}") from error

    return run


def _last_call(error: Exception) -> str:
    """The line of a check that raised ``error``."""
    here = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent == FOLDER]
    return here[-1].line or here[-1].name


_ALONE: dict[type[Component], list[Callable[..., None]]] = {
    Component: [general.takes_the_arguments],
    Solver: [
        sampling.keeps_shape_and_dtype,
        sampling.is_exact_for_a_constant_denoiser,
        sampling.converges_to_the_exact_end_point,
        sampling.does_not_depend_on_the_batch,
        sampling.does_not_modify_its_input,
    ],
    Schedule: [
        sampling.sigma_increases_from_zero,
        sampling.sigma_inv_inverts_sigma,
        sampling.sigma_dot_is_the_derivative,
    ],
    Stochasticity: [sampling.noise_is_only_added],
    CSkip: [denoising.is_a_function_of_the_noise_level],
    COut: [denoising.is_a_function_of_the_noise_level],
    CIn: [denoising.is_a_function_of_the_noise_level, denoising.is_positive],
    CNoise: [denoising.is_a_function_of_the_noise_level, denoising.rounds_to_supported_levels],
    Guidance: [guidance.guides_a_denoiser],
    NoiseDistribution: [
        training.draws_noise_levels,
        training.has_the_density_of_its_quantiles,
        training.adapts_noise_levels,
    ],
    LossWeight: [denoising.is_a_function_of_the_noise_level, denoising.is_positive, training.learns_a_weight],
    EMA: [training.averages_parameters],
    Data: [evaluation.gives_uint8_images],
    Diagnostic: [evaluation.sees_what_the_flow_does],
    DenoiserMetric: [evaluation.sees_what_the_denoiser_does],
}
"""Quick checks of correctness, which ``require_correct`` makes as well."""
_WITHIN: dict[type[Component], list[Callable[[Any, Context], None]]] = {
    TimeSteps: [sampling.levels_decrease, sampling.respects_the_limits_of_a_denoiser],
    Scaling: [sampling.scales_the_signal],
    Network: [denoising.keeps_the_shape],
    Denoiser: [denoising.is_a_function_of_x_and_sigma],
    Decoder: [decoding.decodes_latents],
    Augmentation: [training.transforms_images],
    Detector: [evaluation.gives_features],
    Reference: [evaluation.is_a_reference],
    Metric: [evaluation.measures_a_number],
}
"""Quick checks of correctness that depend on the surroundings of the component."""
_FOR_AUTHORS: dict[type[Component], list[Callable[..., None]]] = {
    Component: [general.is_documented, general.round_trips],
    Solver: [sampling.converges_at_its_order],
    TimeSteps: [sampling.one_level_is_refused],
    CSkip: [denoising.passes_a_share_of_the_input],
    COut: [denoising.scales_the_output],
    CIn: [denoising.scales_the_input],
    CNoise: [denoising.tells_noise_levels_apart],
    Network: [denoising.is_built_for_evaluation, denoising.is_the_same_each_time],
    Denoiser: [denoising.keeps_the_limits_of_the_flow],
    Metric: [evaluation.tells_distributions_apart],
    Diagnostic: [evaluation.refuses_designs_that_draw_noise],
}
"""Slow checks, and checks of what does not make results wrong, such as documentation and good design."""
_CHECKS = (_ALONE, _WITHIN, _FOR_AUTHORS)
_DEPENDS_ON_IMAGES = (Network, Denoiser, Decoder, Augmentation, Detector, Metric)
