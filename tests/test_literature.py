"""Formulas and sources: declared once by each component, and shown wherever it is described."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import designspace as ds
from designspace.registry import literature
from designspace.registry.known import ROWS
from designspace.report.bibtex import bibtex

BUILT_IN = [
    pytest.param(cls, id=f"{row}/{name}")
    for row, kind in ROWS.items()
    for name, cls in kind.known.items()
    if cls.__module__.startswith("designspace.components.")
]
SOURCES = {name: value for name, value in vars(literature).items() if isinstance(value, ds.Source)}
WITHOUT_SOURCE = {
    *(
        f"data/{name}"
        for name in ("factory", "folder", "hf", "mixture", "npz", "parquet", "torchvision", "unseen", "zip")
    ),
    "detector/file",
    "detector/pixels",
    "decoder/module",
    "decoder/none",
    "guidance/none",
}
"""Formats, toy data, the pixels themselves and code of users: no publication defines them."""
HEUN = ds.Solver.get("heun")


@pytest.mark.parametrize("cls", BUILT_IN)
def test_every_component_declares_its_sources(cls):
    assert bool(cls.sources) == (f"{cls.row}/{cls.name}" not in WITHOUT_SOURCE)
    assert set(cls.sources) <= set(SOURCES.values())
    assert len(set(cls.sources)) == len(cls.sources)


@pytest.mark.parametrize("cls", BUILT_IN)
def test_what_is_declared_is_not_written_into_the_docstring_as_well(cls):
    tree = ast.parse(Path(inspect.getfile(cls)).read_text("utf-8"))
    prose = next(ast.get_docstring(node) for node in tree.body if getattr(node, "name", "") == cls.__name__)
    assert "math::" not in prose
    assert [source.url for source in SOURCES.values() if source.url in prose] == []


def test_sources_are_named_by_author_and_year_and_all_are_used():
    for name, source in SOURCES.items():
        assert re.fullmatch(rf"[A-Z]+_{source.year}(_\w+)?", name)
        assert source.url.startswith(("https://", "http://"))
        assert source.title
    assert len({source.url for source in SOURCES.values()}) == len(SOURCES)
    assert {source for param in BUILT_IN for source in param.values[0].sources} == set(SOURCES.values())


def test_help_shows_formula_and_sources():
    doc = HEUN.__doc__
    first, formula, *_, sources = doc.split("\n\n")
    assert first.endswith(".")
    assert formula.startswith(".. math:: z' &= z_i")
    assert "\\\\\n" in formula
    assert sources == f"- Karras et al. (2022). {literature.KARRAS_2022.title}. https://arxiv.org/abs/2206.00364"


def test_a_component_that_derives_from_another_has_a_formula_of_its_own():
    class Other(HEUN, name="test_derived"):
        """Something else."""

    try:
        assert (Other.formula, Other.sources) == ("", ())
        assert Other.__doc__ == "Something else."
        assert Other.remark() == "Order of convergence: 2."  # it is still a method of this order
    finally:
        del ds.Solver.known["test_derived"]


def test_bibtex_of_all_sources():
    entries = bibtex(SOURCES.values()).split("\n\n")
    keys = [re.match(r"@misc\{(\w+),", entry)[1] for entry in entries]
    assert len(set(keys)) == len(keys) == len(SOURCES)
    assert {"karras2022", "karras2024a", "karras2024b", "liu2022a", "liu2022b", "deboor1973"} <= set(keys)
