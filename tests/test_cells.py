"""Progress below the cells of notebooks. IPython is not among the dependencies, so that its display stands in here."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
from pipeline import SPEC, write_spec

from designspace import bars
from designspace.run.run import run
from designspace.spec import load


class Display:
    """What a kernel shows: one text per call of ``display``, and its updates."""

    def __init__(self):
        self.shown = []

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id is True
        texts = [data["text/plain"]]
        self.shown.append(texts)
        return SimpleNamespace(update=lambda data, raw: texts.append(data["text/plain"]))


@pytest.fixture
def kernel(monkeypatch):
    """A process in which IPython is imported and has a kernel."""
    kernel, package, module = Display(), ModuleType("IPython"), ModuleType("IPython.display")
    package.get_ipython, module.display = lambda: SimpleNamespace(kernel=object()), kernel.display
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return kernel


def test_a_run_updates_one_text(cache, tmp_path, kernel, capsys):
    run(load(write_spec(tmp_path)), out=tmp_path / "reports")
    (texts,) = kernel.shown
    assert texts[-1] == f"trials  {'█' * bars.LENGTH}  4/4"
    assert len(texts) >= 4
    assert "solver=euler, num_steps=3  " in texts[0]
    assert capsys.readouterr().err == ""


def test_failures_stay(cache, tmp_path, kernel):
    grid = {"denoiser.fail": ["raise", ""], "num_steps": [3]}
    run(load(write_spec(tmp_path, SPEC, grid=grid)), out=tmp_path / "reports")
    first, *others = kernel.shown[0][-1].splitlines()
    assert first == f"trials  {'█' * bars.LENGTH}  2/2"
    assert [line.partition("no such luck")[0] for line in others] == [
        "denoiser.fail=raise, num_steps=3: failed: denoiser 'stand_in_denoiser': "
    ]


def test_without_a_kernel_progress_is_lines(cache, tmp_path, kernel, capsys):
    sys.modules["IPython"].get_ipython = lambda: SimpleNamespace()  # the shell of a terminal
    run(load(write_spec(tmp_path)), out=tmp_path / "reports")
    assert kernel.shown == []
    assert "[4/4]" in capsys.readouterr().err


def test_long_loops_say_how_far_they_are_where_there_is_no_terminal(monkeypatch, capsys):
    assert list(bars.shown(range(3), "reading", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(bars, "BETWEEN_LINES", -1.0)
    assert list(bars.shown("ab", "reading", 2)) == ["a", "b"]
    assert capsys.readouterr().err.splitlines() == ["reading: 1 of 2", "reading: 2 of 2"]


def test_long_loops_show_how_far_they_are(kernel, monkeypatch):
    assert list(bars.shown(range(3), "reading", 3)) == [0, 1, 2]
    assert kernel.shown == []
    monkeypatch.setattr(bars, "DELAY", -1.0)
    monkeypatch.setattr(bars, "PAUSE", 0.0)
    assert list(bars.shown("abc", "reading", 3)) == ["a", "b", "c"]
    half, rest = "█" * 8, "·" * 16
    assert kernel.shown[0][0] == f"reading  {half}{rest}  1 of 3"
    assert kernel.shown[0][-1] == f"reading  {'█' * 24}  3 of 3"
