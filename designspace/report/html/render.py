"""Rendering a page from templates, scripts and data, such that no data can be executed as code."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = ("core", "yaml", "table", "swatch", "plot", "axes", "traces", "dots", "figure", "trials", "main")


def render(template: str, scripts: Sequence[str] = (), **parts: Any) -> bytes:
    """The page with its style and scripts. Its security policy allows only these scripts and no network access."""
    hashes = [base64.b64encode(sha256(text.encode()).digest()).decode() for text in scripts]
    may_run = " ".join(f"'sha256-{found}'" for found in hashes) or "'none'"
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {may_run}"
    page = _environment().get_template(template)
    text = page.render(policy=policy, scripts=scripts, style=_read("style.css"), **parts)
    return text.encode("utf-8", "replace")  # names may contain lone surrogates


def embedded(value: Any) -> str:
    """JSON for a script element, with the special characters of HTML and of older JavaScript escaped."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return re.sub("[&<>\u007f-\u009f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def cell(number: float | None, text: str) -> Any:
    """A cell of a table: a number and its text, only the number if its text is the same, or only text."""
    if number is None or not math.isfinite(number):
        return text
    short = whole if (whole := round(number)) == number else float(f"{number:.8g}")
    return short if f"{short:.8g}" == text.replace(",", "") and "e" not in text else [short, text]


def picture(png: bytes) -> str:
    """The picture as a data URL."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def scripts() -> list[str]:
    """The scripts of a page: Plotly and the page's own code."""
    from plotly.offline import get_plotlyjs

    own = "\n".join(_read(f"{name}.js") for name in SCRIPTS)
    return [get_plotlyjs(), f'(() => {{\n"use strict";\n{own}\n}})();']


def _read(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
