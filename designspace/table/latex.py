r"""LaTeX formulas as text for a terminal: ``\sqrt{\sigma^2 + 1}`` becomes ``√(σ² + 1)``.

Only the commands that occur in formulas of components are known; a formula with another command or a missing brace is
returned unchanged. The package pylatexenc does not suffice: it has no characters for subscripts and superscripts, drops
the bar of ``\tfrac{a}{b}`` and the ``\ne``, and writes the quotient of two sums without parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

SYMBOLS = dict(
    re.findall(
        r"(\w+):(\S)",
        "alpha:α beta:β gamma:γ delta:δ epsilon:ε varepsilon:ε zeta:ζ eta:η theta:θ kappa:κ lambda:λ mu:μ nu:ν xi:ξ "
        "pi:π rho:ρ sigma:σ tau:τ phi:φ varphi:φ chi:χ psi:ψ omega:ω Gamma:Γ Delta:Δ Theta:Θ Lambda:Λ Sigma:Σ Phi:Φ "
        "Psi:Ψ Omega:Ω infty:∞ partial:∂ nabla:∇ sum:∑ prod:∏ int:∫ in:∈ sim:~ le:≤ leq:≤ ge:≥ geq:≥ ne:≠ neq:≠ "
        "approx:≈ propto:∝ pm:± times:× cdot:· odot:⊙ to:→ top:ᵀ dots:… ldots:… lfloor:⌊ rfloor:⌋ lceil:⌈ rceil:⌉ "
        "langle:⟨ rangle:⟩ vert:| lbrace:{ rbrace:} ll:≪ gg:≫ leftarrow:← gets:← rightarrow:→ uparrow:↑ downarrow:↓ "
        "mapsto:↦ equiv:≡ ell:ℓ forall:∀ cup:∪ cap:∩ mid:| circ:∘ star:⋆ ast:∗ perp:⊥ parallel:∥",
    )
)
FUNCTIONS = re.findall(r"\w+", "arccos arcsin arctan arg cos cosh det exp inf lim ln log max min sin sinh sup tan tanh")
ACCENTS = {"hat": "\u0302", "tilde": "\u0303", "bar": "\u0304", "dot": "\u0307", "vec": "\u20d7"}
FONTS = ("mathrm", "mathcal", "mathbb", "mathbf", "mathtt", "mathsf", "boldsymbol", "operatorname", "text")
SPACES = {"\\,": " ", "\\;": " ", "\\:": " ", "\\ ": " ", "\\!": "", "\\quad": "\t", "\\qquad": "\t", "&": ""}
SCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁱᵀ₀₁₂₃₄₅₆₇₈₉₊₋ᵢⱼₖₙ"
SUPERSCRIPT = str.maketrans("0123456789+-iᵀ", SCRIPTS[:14])
SUBSCRIPT = str.maketrans("0123456789+-ijkn", SCRIPTS[14:])
QUARTERS = {("1", "2"): "½", ("1", "4"): "¼", ("3", "4"): "¾"}


class _UnbalancedError(Exception):
    """A brace or an argument is missing."""


def to_text(latex: str) -> str:
    r"""A formula as text; ``\\`` starts a new line."""
    tokens = iter([*_tokens(latex), "}"])
    try:
        text = _expression(tokens)
    except _UnbalancedError:
        return latex
    return latex if any(tokens) else "\n".join(map(_tidy, text.split("\n")))


def docstring_text(doc: str) -> str:
    """A docstring without markup: each paragraph on one line, and formulas as indented text."""
    return "\n\n".join(map(_paragraph, re.split(r"\n\s*\n", doc.strip())))


def _tidy(line: str) -> str:
    line = re.sub(r" *\t *", "\t", re.sub(" +", " ", line.strip()))
    return re.sub(r"(?<=[(\[{⌊⌈]) | (?=[)\]}⌋⌉])", "", line).replace("\t", "  ")


def _paragraph(text: str) -> str:
    if text.startswith(".. math::"):
        return "\n".join("    " + line for line in to_text(text.removeprefix(".. math::")).split("\n"))
    text = re.sub(r":math:`([^`]*)`", lambda found: to_text(found[1]), text)
    text = re.sub(r"``([^`]*)``", r"\1", text)
    is_prose = not re.search(r"^(\s|[-*] )", text, re.M)
    return " ".join(text.split()) if is_prose else text


def _tokens(latex: str) -> list[str]:
    """Split LaTeX into commands, braces, runs of white space and single characters."""
    return re.findall(r"\\[A-Za-z]+|\\.|\s+|.", " ".join(latex.split()))


def _expression(tokens: Iterator[str]) -> str:
    """The text up to the closing brace of the group."""
    parts: list[str] = []
    for token in tokens:
        if token == "}":
            break
        parts.append(_script(token, tokens) if token in "^_" else _item(token, tokens))
    else:
        raise _UnbalancedError
    return "".join(one + _gap(one, two) for one, two in pairwise([*parts, ""]))


def _item(token: str, tokens: Iterator[str]) -> str:
    name = token.removeprefix("\\")
    if token in SPACES:
        return SPACES[token]
    if token == "\\\\":
        return "\n"
    if token == "{":
        return _expression(tokens)
    if token in ("\\left", "\\right"):
        return ""
    if name in ("frac", "tfrac", "dfrac") and token != name:
        return _fraction(_argument(tokens), _argument(tokens))
    if token == "\\sqrt":
        return "√" + _closed(_argument(tokens))
    if token[0] == "\\" and name in ACCENTS:
        accented = _argument(tokens)
        return accented[:1] + ACCENTS[name] + accented[1:]
    if token[0] == "\\" and name in FONTS:
        return _argument(tokens)
    return _symbol(token)


def _symbol(token: str) -> str:
    name = token[1:]
    if len(token) == 1:
        return token
    return name if name in FUNCTIONS or not name[:1].isalpha() else SYMBOLS.get(name, token)


def _argument(tokens: Iterator[str]) -> str:
    token = next((token for token in tokens if not token.isspace()), "}")
    if token == "}":
        raise _UnbalancedError
    return _item(token, tokens)


def _script(kind: str, tokens: Iterator[str]) -> str:
    """A superscript or subscript, in Unicode characters if all of them exist, otherwise after ``^`` or ``_``."""
    content = _argument(tokens).strip()
    table, short = (SUPERSCRIPT if kind == "^" else SUBSCRIPT), content.replace(" ", "")
    if all(ord(c) in table for c in short) and not re.search("[a-z]{2}", short):  # the subscript of c_in is a word
        return short.translate(table)
    return kind + (content if re.fullmatch(r"[\w.]+|.", content) else f"({content})")


def _fraction(above: str, below: str) -> str:
    return QUARTERS.get((above, below)) or f"{_closed(above)}/{_closed(below)}"


def _closed(text: str) -> str:
    """The text in parentheses, unless it is a single symbol or word, perhaps with a subscript or superscript."""
    one = rf"(\d+|[^\W\d][\u0300-\u036f]*([^\W\d]|_\w+|_.|[{SCRIPTS}])*'*)"
    return text if re.fullmatch(one, text) else f"({text})"


def _gap(one: str, two: str) -> str:
    """A space if one of the two parts is the name of a function, which LaTeX separates automatically."""
    touching = one[-1:].isalnum() and two[:1].isalnum() and two[:1] not in SCRIPTS
    return " " if touching and (one in FUNCTIONS or two in FUNCTIONS) else ""
