"""Numbers and names as text."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping, Sequence

MERGED = "ablation"
"""The axis of several reports in one."""
UNNAMED = (MERGED, "stage", "variant")
"""Axes whose values say themselves what they are."""


def number(value: float, se: float | None) -> str:
    """A value to two significant digits of its standard error, but seven of its own at most."""
    if not math.isfinite(value):
        return str(value)
    if not se or not math.isfinite(se):
        return f"{value:.4g}"
    most = 6 - (math.floor(math.log10(abs(value))) if value else 0)
    digits = min(1 - math.floor(math.log10(se)), max(most, 1))
    rounded = round(value, digits) + 0.0  # no zero has a sign
    return f"{rounded:.{max(digits, 0)}f}"


def measured(value: float, se: float | None) -> str:
    """``12.3 ± 0.4``, ``(1.23 ± 0.04)e-6``."""
    if se is None or not math.isfinite(value) or not math.isfinite(se):
        return number(value, None)
    size = max(abs(value), se)
    if size and not 1e-3 <= size < 1e7:
        power = math.floor(math.log10(size))
        return f"({measured(value / 10.0**power, se / 10.0**power)})e{power}"
    error = number(se, se)
    return f"{number(value, se)} ± {error if float(error) else f'{se:.2g}'}"


def p_value(p: float) -> str:
    """``p = 0.18``; the normal approximation says nothing of very small ones."""
    return "p below 0.0001" if p < 1e-4 else f"p = {p:.2g}"


def one_line(text: object) -> str:
    """Text without line breaks or control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())


def value_of(value: object) -> str:
    """A value of an axis: floats as short as they can be told apart."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return one_line(value)


def describe(axes: Mapping[str, object]) -> str:
    """``solver=heun, nfe=35``."""
    return ", ".join(f"{one_line(axis)}={value_of(value)}" for axis, value in axes.items()) or "baseline"


def config_name(axes: Mapping[str, object]) -> str:
    """What a configuration is called: ``heun``, ``heun, rho=7``; two rows are told apart: ``c_in=edm, c_out=vp``."""
    words = [axis for axis, value in axes.items() if isinstance(value, str) and axis != MERGED]
    unnamed = (*UNNAMED, *(words if len(words) == 1 else ()))
    last = [axis.rsplit(".", 1)[-1] for axis in axes]
    short = {axis: name if last.count(name) == 1 else axis for axis, name in zip(axes, last, strict=True)}
    named = [value_of(v) if axis in unnamed else f"{one_line(short[axis])}={value_of(v)}" for axis, v in axes.items()]
    return ", ".join(named) or "baseline"


def and_equal(names: Sequence[str]) -> str:
    """``heun and 2 equal``: the first of several names of the same thing."""
    return f"{names[0]} and {len(names) - 1} equal" if len(names) > 1 else names[0]


def escape(text: object) -> str:
    """Text that Markdown takes as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#$~" else c for c in one_line(text)).replace("&", "&amp;")


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """`` Did you mean 'heun'?``, or an empty string where nothing is near."""
    near = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
