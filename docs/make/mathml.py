"""Formulas as MathML, so that pages need no script and no file from elsewhere."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

INLINE = r'<span class="arithmatex">\\\((.*?)\\\)</span>'
BLOCK = r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>'
FUNCTIONS = "ln|log|exp|sin|cos|tan|arctan"
"""After these comes a space, if what follows is no bracket."""
FONT = r"\\(mathcal|mathbb) ?\{?([A-Z])\}?"
LETTERS = {"mathcalN": "𝒩", "mathcalU": "𝒰", "mathbbE": "𝔼", "mathbbR": "ℝ"}
"""Letters of fonts that browsers know as characters only."""
ARG = (r"\arg", r"\operatorname{arg}")
SIM = ("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
BAR = ('<mo stretchy="false">&#x0007C;</mo>', '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>')
"""The tilde would be set like a letter, not a relation, and bars with space about them."""


def rendered(page: str) -> str:
    r"""An HTML page with MathML in place of what arithmatex marks as ``\(..\)`` and ``\[..\]``."""
    page = re.sub(
        r'<span class="arithmatex">\\\((.*?)\\\)</span>', lambda m: mathml(html.unescape(m[1])), page, flags=re.S
    )
    return re.sub(
        r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>',
        lambda m: mathml(html.unescape(m[1]), display="block"),
        page,
        flags=re.S,
    )


def mathml(latex: str, display: str = "inline") -> str:
    """One formula. Raises ``ValueError`` if a command is not known, rather than show it."""
    latex = re.sub(FONT, lambda m: LETTERS.get(m[1] + m[2], m[0]), " ".join(latex.split()))
    latex = re.sub(rf"(\\(?:{FUNCTIONS}))(?=\s*\\[a-zA-Z]|\s+[a-zA-Z])", r"\1\\,", latex.replace(*ARG))
    latex = rf"\begin{{align*}}{latex}\end{{align*}}" if r"\\" in latex else latex
    found = convert(latex.replace(r"\mathtt", r"\mathrm"), display=display).replace(*SIM).replace(*BAR)
    if "\\" in re.sub("<[^>]*>", "", found):
        raise ValueError(f"a command of this formula is not known: {latex}")
    return found
