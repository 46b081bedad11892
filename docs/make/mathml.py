"""Formulas as MathML, so that pages need no script and no file from elsewhere."""

from __future__ import annotations

import html
import re

from latex2mathml.converter import convert

INLINE = r'<span class="arithmatex">\\\((.*?)\\\)</span>'
BLOCK = r'<div class="arithmatex">\s*\\\[(.*?)\\\]\s*</div>'
FUNCTIONS = "ln|log|exp|sin|cos|tan|arctan"
"""Names of functions that are followed by a space unless a bracket follows."""
FONT = r"\\(mathcal|mathbb) ?\{?([A-Z])\}?"
LETTERS = {"mathcalN": "𝒩", "mathcalU": "𝒰", "mathbbE": "𝔼", "mathbbR": "ℝ"}
"""Letters that browsers show in these fonts only as characters of their own."""
ARG = (r"\arg", r"\operatorname{arg}")
SIM = ("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")
BAR = ('<mo stretchy="false">&#x0007C;</mo>', '<mo stretchy="false" lspace="0" rspace="0">&#x0007C;</mo>')
"""Corrections: the converter sets the tilde like a letter instead of a relation, and bars with space around them."""


def rendered(page: str) -> str:
    r"""The HTML page with MathML in place of the formulas that arithmatex marks as ``\(..\)`` and ``\[..\]``."""
    page = re.sub(INLINE, lambda m: mathml(html.unescape(m[1])), page, flags=re.S)
    return re.sub(BLOCK, lambda m: mathml(html.unescape(m[1]), display="block"), page, flags=re.S)


def mathml(latex: str, display: str = "inline") -> str:
    """A formula as MathML. Raises ``ValueError`` if it has an unknown command, which would be shown as text."""
    latex = re.sub(FONT, lambda m: LETTERS.get(m[1] + m[2], m[0]), " ".join(latex.split()))
    latex = re.sub(rf"(\\(?:{FUNCTIONS}))(?=\s*\\[a-zA-Z]|\s+[a-zA-Z])", r"\1\\,", latex.replace(*ARG))
    latex = rf"\begin{{align*}}{latex}\end{{align*}}" if r"\\" in latex else latex
    found = convert(latex.replace(r"\mathtt", r"\mathrm"), display=display).replace(*SIM).replace(*BAR)
    if "\\" in re.sub("<[^>]*>", "", found):
        raise ValueError(f"a command of this formula is not known: {latex}")
    return found
