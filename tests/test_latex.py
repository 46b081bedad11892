"""Formulas as text."""

import inspect

import pytest

import designspace  # noqa: F401
from designspace.registry.known import ROWS
from designspace.table.latex import docstring_text, to_text

BUILT_IN = [cls for row in ROWS.values() for cls in row.known.values() if cls.__module__.startswith("designspace.")]


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"\sqrt{\sigma^2 + 1}", "√(σ² + 1)"),
        (r"\sqrt t", "√t"),
        (r"\tfrac{1}{2\alpha} d_i", "1/(2α) dᵢ"),
        (r"\tfrac14 \ln \sigma", "¼ ln σ"),
        (r"\frac{dz}{dt}(z_i, t_{i+1})", "dz/dt(zᵢ, tᵢ₊₁)"),
        (r"\sigma_\max^{1/\rho}", "σ_max^(1/ρ)"),
        (r"\sigma_\mathrm{VP}^{-1}(\sigma)", "σ_VP⁻¹(σ)"),
        (r"c_{in} c_\mathrm{in}", "c_in c_in"),
        (r"\dot s = -\sigma \dot\sigma s^3", "s\u0307 = -σ σ\u0307 s³"),
        (r"\sqrt{1 - \bar\alpha_{M-j}}", "√(1 - α\u0304_(M-j))"),
        (r"\left[\lfloor M u \rfloor\right], \quad j \in \{0, \dots\}", "[⌊M u⌋],  j ∈ {0, …}"),
        (r"2\ln\sigma \arg\min_j |u_j|", "2 ln σ arg minⱼ |uⱼ|"),
        (r"a &= b \\ c &= d", "a = b\nc = d"),
        (r"\mathcal N(x; \mu_k, \Sigma_k)", "N(x; μₖ, Σₖ)"),
    ],
)
def test_formulas_as_text(latex, text):
    assert to_text(latex) == text


@pytest.mark.parametrize("latex", [r"\frac{a}", r"a} b", r"{a", r"x_", r"\unheard x"])
def test_what_is_not_understood_is_left_as_it_is(latex):
    assert to_text(latex) == latex


@pytest.mark.parametrize("cls", BUILT_IN, ids=lambda cls: f"{cls.row}/{cls.name}")
def test_docstrings_can_be_read_in_a_terminal(cls):
    text = docstring_text(inspect.cleandoc(cls.__doc__))
    assert "\\" not in text
    assert "math::" not in text
    assert ":math:" not in text


def test_lists_keep_their_lines():
    assert docstring_text("One\ntwo.\n\n- first\n- second") == "One two.\n\n- first\n- second"
