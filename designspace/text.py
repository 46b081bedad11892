"""Numbers and names as text."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath
from typing import Any

Label = str | int | float | bool
"""The name of an axis value in tables and figures."""
MERGED = "ablation"
"""The name of the axis that distinguishes several ablations in one report."""
UNNAMED = (MERGED, "stage", "variant")
"""Axes whose values are clear without the name of the axis."""
NAMED = 4
"""The largest number of names that a sentence lists; of any others, it gives the number."""
LONGEST = 2000
"""The largest number of characters of a text from elsewhere that is shown on a terminal."""
SMALLEST_P = 1e-4
"""Smaller p-values are written as a bound."""
LATEX = {c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
LATEX |= {"^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}"}
LATEX |= {'"': r"\textquotedbl{}", "±": r"$\pm$", "×": r"$\times$", "…": r"\dots{}", "′": "$'$", "·": r"$\cdot$"}
LATEX |= {"[": "{[}", "*": "{*}"}  # after the end of a row, LaTeX would take these as its options
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi _ pi rho _ sigma tau _ phi chi psi omega"
)
LATEX |= {chr(945 + i): rf"$\{name}$" for i, name in enumerate(GREEK.split()) if name != "_"}


def label_of(value: Any) -> Label:
    """The name of a value in tables: ``heun(alpha=0.5)`` for ``{name: heun, alpha: 0.5}``."""
    if isinstance(value, Mapping):
        fields = ", ".join(f"{k}={label_of(v)}" for k, v in value.items() if k != "name")
        return f"{value['name']}" + (f"({fields})" if fields else "") if "name" in value else fields
    if isinstance(value, list | tuple):
        return ", ".join(str(label_of(item)) for item in value)
    return value if isinstance(value, Label) else "null" if value is None else str(value)


def number(value: float, se: float | None) -> str:
    """The value, rounded to two significant digits of its standard error but to at most seven of its own."""
    if not math.isfinite(value):
        return str(value)
    if not se or not math.isfinite(se):
        return f"{value:.4g}"
    most = 6 - (math.floor(math.log10(abs(value))) if value else 0)
    digits = min(1 - math.floor(math.log10(se)), max(most, 1))
    rounded = round(value, digits) + 0.0  # turns -0.0 into 0.0
    return f"{rounded:.{max(digits, 0)}f}"


def measured(value: float, se: float | None) -> str:
    """A value with its standard error, if it has one: ``12.3 ± 0.4``, ``(1.23 ± 0.04)e-6``."""
    first, error, power = measured_parts(value, se)
    text = f"{first} ± {error}" if error else first
    return f"({text}){power}" if power else text


def measured_parts(value: float, se: float | None) -> tuple[str, str, str]:
    """The value, the error and their common power of ten: ``("1.23", "0.04", "e-6")``. The last two may be empty."""
    if se is None or not math.isfinite(value) or not math.isfinite(se):
        return number(value, None), "", ""
    size = max(abs(value), se)
    if size and not 1e-3 <= size < 1e7:
        power = math.floor(math.log10(size))
        first, error, _ = measured_parts(value / 10.0**power, se / 10.0**power)
        return first, error, f"e{power}"
    error = number(se, se)
    return number(value, se), error if float(error) else f"{se:.2g}", ""


def p_value(p: float) -> str:
    """A p-value with its symbol: ``p = 0.18`` or ``p < 0.0001``."""
    return f"p {p_number(p)}" if p < SMALLEST_P else f"p = {p_number(p)}"


def p_number(p: float) -> str:
    """A p-value, ``0.18`` or ``< 0.0001``; a bound, because the normal approximation is inaccurate in the far tails."""
    return "< 0.0001" if p < SMALLEST_P else f"{p:.2g}"


def clean(text: object, most: int = LONGEST) -> str:
    r"""Text from files, components and users for a terminal, on one line and cut after ``most`` characters.

    Characters that control a terminal, or change the direction or order of text, are written as escapes such as
    ``\x1b`` and ``\u202e``, so that no text can move the cursor, change colours or hide parts of itself.
    """
    found = str(text)
    found = f"{found[:most]}..." if len(found) > most else found
    return _visible(" ".join(found.splitlines()))


def one_line(text: object) -> str:
    """The text as ``clean`` shows it, in full length and with single spaces between words."""
    return _visible(" ".join(str(text).split()))


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else c.encode("unicode_escape").decode() for c in text)


def sentence(text: object) -> str:
    """The text on one line as a sentence: with a capital letter, unless it starts with a name, and a full stop."""
    line = one_line(text)
    capital = line[:1].upper() + line[1:] if line.partition(" ")[0].isalpha() else line
    return capital if capital.rstrip("\"')]")[-1:] in (*".!?…", "") else f"{capital}."


def value_of(value: object) -> str:
    """The value of an axis as text; floats have six significant digits if these represent them exactly."""
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return one_line(value)


def written(value: object) -> str:
    """The value of a field as it is written in YAML: ``7``, ``true``, ``[0.4, 0.6]``."""
    if isinstance(value, float):
        return f"{value:.10g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)


def describe(axes: Mapping[str, object]) -> str:
    """The values of axes with their names: ``solver=heun, nfe=35``."""
    return ", ".join(f"{one_line(axis)}={value_of(value)}" for axis, value in axes.items()) or "baseline"


def config_name(axes: Mapping[str, object]) -> str:
    """The name of a configuration: ``heun``, ``heun, rho=7`` or, with several text values, ``c_in=edm, c_out=vp``."""
    words = [axis for axis, value in axes.items() if isinstance(value, str) and axis != MERGED]
    unnamed = (*UNNAMED, *(words if len(words) == 1 else ()))
    last = [axis.rsplit(".", 1)[-1] for axis in axes]
    short = {axis: name if last.count(name) == 1 else axis for axis, name in zip(axes, last, strict=True)}
    named = [value_of(v) if axis in unnamed else f"{one_line(short[axis])}={value_of(v)}" for axis, v in axes.items()]
    return ", ".join(named) or "baseline"


def quoted(name: str) -> str:
    """The name of a configuration, in quotation marks if it contains spaces or commas."""
    return f"“{name}”" if re.search(r"[\s,]", name) else name


def joint_name(names: Sequence[str]) -> str:
    """One name for things that are identical: ``heun``, ``heun (same as 1 other)``, ``heun (same as 2 others)``."""
    others = len(names) - 1
    return f"{names[0]} (same as {others} other{'s' * (others > 1)})" if others else names[0]


def joined(words: Sequence[str]) -> str:
    """Words as in a sentence: ``9``, ``9 and 19``, ``9, 19 and 35``."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def counted(number: int, noun: str) -> str:
    """A number with its noun: ``1 point``, ``2 points``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def first_of(items: Sequence[object], most: int = 10) -> str:
    """The first of many names or indices for a message: ``3, 17, 40, ...``."""
    return ", ".join(map(str, items[:most])) + (", ..." if len(items) > most else "")


def few(names: Sequence[str]) -> str:
    """Names as in a sentence, at most ``NAMED`` of them: ``a and b``, ``a, b, c, d and 3 more``."""
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return joined(names)


def escape(text: object) -> str:
    """The text on one line, with the special characters of Markdown escaped."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|#$~" else c for c in one_line(text)).replace("&", "&amp;")


def escape_latex(text: object) -> str:
    """The text on one line for LaTeX; characters for which pdflatex has no glyph are replaced by their code points."""
    return "".join(map(_latex, one_line(text)))


def _latex(c: str) -> str:
    if c in LATEX:
        return LATEX[c]
    return c if c.isascii() or 0xC0 <= ord(c) < 0x17F else f"(U+{ord(c):04X})"


def did_you_mean(word: object, known: Iterable[object]) -> str:
    """A suggestion for a misspelt word, `` Did you mean 'heun'?``; empty if no known word is similar."""
    near = difflib.get_close_matches(str(word), [str(k) for k in known], n=1)
    return f" Did you mean {near[0]!r}?" if near else ""


def did_you_mean_file(path: PurePath, known: Iterable[PurePath | str]) -> str:
    """A suggestion for a misspelt file, as by ``did_you_mean``; only the name without suffix is compared."""
    names = {PurePath(file).stem: str(file) for file in known}
    near = difflib.get_close_matches(path.stem, names, n=1)
    return f" Did you mean {names[near[0]]!r}?" if near else ""
