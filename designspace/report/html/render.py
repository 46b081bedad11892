"""Templates, and what is put into them so that nothing in it can run."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from designspace.drawing.look import COLOURS, FAINT

if TYPE_CHECKING:
    from jinja2 import Environment

SCRIPTS = ("core", "yaml", "table", "swatch", "plot", "axes", "traces", "dots", "figure", "trials", "main")
LOOK = {"colours": COLOURS, "faint": FAINT}
NONE = "'none'"


def render(template: str, scripts: Sequence[str] = (), **parts: Any) -> bytes:
    """A page with its style and scripts in it. Only these scripts may run, and nothing may be loaded."""
    may_run = " ".join(f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'" for text in scripts)
    policy = f"default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src {may_run or NONE}"
    page = _environment().get_template(template)
    text = page.render(policy=policy, scripts=scripts, style=read("style.css"), **parts)
    return text.encode("utf-8", "replace")  # names may hold halves of surrogate pairs


def embedded(value: Any) -> str:
    """JSON that may stand in a script element: without characters that HTML or older JavaScript knows."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)
    return re.sub("[&<>\u007f-\u009f\u2028\u2029\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def picture(png: bytes) -> str:
    """The picture as the address of an image."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def scripts() -> list[str]:
    """Plotly, once, and our own."""
    from plotly.offline import get_plotlyjs

    own = "\n".join(read(f"{name}.js") for name in SCRIPTS)
    return [get_plotlyjs(), f'(() => {{\n"use strict";\n{own}\n}})();']


def read(name: str) -> str:
    """One of the files that pages are made of."""
    return (files(__package__) / "templates" / name).read_text("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(read), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
