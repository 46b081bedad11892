"""What every component owes: checks for any registered component, the built-in ones and yours.

.. code-block:: python

    import pytest
    from designspace.testing import checks
    from my_package import Cosine

    @pytest.mark.parametrize("check", checks(Cosine()), ids=lambda check: check.__name__)
    def test_contract(check):
        check()
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial, wraps

from designspace.data.rows import Data
from designspace.denoising.rows import CIn, CNoise, COut, CSkip, Network
from designspace.design import Design
from designspace.evaluation.rows import DenoiserMetric, Detector, Diagnostic, Metric
from designspace.registry.component import Component
from designspace.registry.known import ROWS
from designspace.sampling.rows import Scaling, Schedule, Stochasticity, TimeSteps
from designspace.sampling.solver import Solver
from designspace.testing import measuring, network, sampling, table1
from designspace.training.rows import LossWeight, NoiseDistribution

Check = Callable[[], None]


def checks(component: Component) -> list[Check]:
    """The checks that ``component`` has to pass; each is called without arguments and raises ``AssertionError``."""
    found = [
        _bound(check, component) for row, tests in _CHECKS.items() if isinstance(component, row) for check in tests
    ]
    return found


def checks_of(package: str) -> Iterator[tuple[str, Check]]:
    """The checks of all components that ``package`` defines and that need no field, with names for pytest."""
    for row, kind in ROWS.items():
        for name, cls in kind.known.items():
            required = any(field.is_required() for field in cls.model_fields.values())
            if f"{cls.__module__}.".startswith(f"{package}.") and not required:
                for check in checks(cls()):
                    yield f"{row}/{name}-{check.__name__}", check


def _bound(check: Callable[[Component], None], component: Component) -> Check:
    return wraps(check)(partial(check, component))


def is_documented(component: Component) -> None:
    """It has a docstring, and a built-in one of a row of Table 1 declares its formula and its sources."""
    cls = type(component)
    assert (cls.__doc__ or "").strip(), f"{cls.__name__} has no docstring"
    if cls.__module__.startswith("designspace.") and component.row in _WITH_FORMULA:
        assert component.sources, f"{cls.__name__} declares no sources"
        assert component.formula, f"{cls.__name__} declares no formula"


def round_trips(component: Component) -> None:
    """It is what its JSON says, can be a key, and has an identity."""
    text = json.dumps(component.model_dump(mode="json"), allow_nan=False)
    again = ROWS[component.row].model_validate(json.loads(text))
    assert again == component
    assert hash(again) == hash(component)
    assert json.dumps(again.identity(), allow_nan=False) == json.dumps(component.identity(), allow_nan=False)


_WITH_FORMULA = {row for row in ROWS if row in Design.model_fields}
_CHECKS: dict[type[Component], list[Callable[..., None]]] = {
    Component: [is_documented, round_trips],
    Schedule: [table1.inverse_and_derivative_fit],
    Scaling: [table1.derivative_fits_with_every_schedule],
    TimeSteps: [table1.levels_decrease, table1.one_level_is_refused],
    CSkip: [table1.keeps_shape],
    COut: [table1.keeps_shape],
    CIn: [table1.keeps_shape, table1.is_positive],
    CNoise: [table1.keeps_shape, table1.grows_with_the_noise],
    LossWeight: [table1.keeps_shape, table1.is_positive],
    NoiseDistribution: [table1.draws_are_levels],
    Solver: [sampling.converges_to_the_exact_end_point, sampling.does_not_depend_on_the_batch],
    Stochasticity: [sampling.lifts],
    Data: [measuring.gives_uint8_images],
    Network: [network.keeps_the_shape, network.is_the_same_each_time],
    Detector: [measuring.gives_features],
    Metric: [measuring.tells_distributions_apart],
    Diagnostic: [sampling.sees_what_the_flow_does],
    DenoiserMetric: [measuring.sees_what_the_denoiser_does],
}
