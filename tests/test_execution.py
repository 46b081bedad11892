"""Which code is executed when: it is named before, and not at all with ``check --no-code``."""

import importlib.metadata
import logging
import os

import pytest
from typer.testing import CliRunner

import designspace as ds
from designspace.cli.app import app
from designspace.errors import PluginError
from designspace.registry import known
from designspace.spec import load

MARK = "from pathlib import Path\nPath(__file__).with_name('executed').open('a').write(Path(__file__).name + ' ')\n"
SCHEDULE = """
from designspace import Schedule
class Mine(Schedule, name="only_here"):
    '''As EDM's.'''
    def sigma(self, t): return t
"""
NETWORK = """
import torch
def make(shape):
    Path(__file__).with_name('executed').open('a').write('make ')
    return Network()
class Network(torch.nn.Module):
    def forward(self, x, c_noise, labels=None): return x
"""
SPEC = """\
components: [./mine.py]
data: digits
denoiser: {name: preconditioned, network: {name: module, factory: "./net.py:make"}}
design: edm
grid: {schedule: [linear, only_here], nfe: [3, 5]}
evaluate: {images: 40, detector: pixels, metrics: [frechet]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a spec and the two files that it executes; each leaves a mark."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "mine.py").write_text(MARK + SCHEDULE)
    (tmp_path / "net.py").write_text(MARK + NETWORK)
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "a.yaml").write_text(SPEC)
    yield tmp_path
    monkeypatch.undo()
    ds.Schedule.known.pop("only_here", None)


def shell(*arguments):
    done = CliRunner().invoke(app, list(arguments), prog_name="designspace")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.stdout, done.stderr


def test_no_code_is_executed_and_what_needs_it_is_named(folder):
    status, out, err = shell("check", "a.yaml", "--no-code")
    assert not (folder / "executed").exists()
    assert status == 0, err
    assert out == "a.yaml: a: 2 points; not executed: ./mine.py, ./net.py\n"
    assert err.splitlines() == [
        "warning: a.yaml:1:14: components.0: not checked: needs ./mine.py, which is not executed",
        "warning: a.yaml:5:27: grid.schedule.1: not checked: needs ./mine.py or ./net.py",
        "warning: a.yaml:3:11: denoiser: not checked: needs ./net.py, which is not executed",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("nfe: [3, 5]", "nfe: [3, -5]", "grid.nfe.1: should be at least 1, not -5"),
        ("linear,", "{name: vp, beta_d: -1},", "grid.schedule.0.beta_d: should be"),
        ("images", "imags", "unknown field 'imags'. Did you mean 'images'?"),
        ("./mine.py", "./missing.py", "components.0: no such file"),
        ("./net.py:make", "subprocess:getoutput", "module 'subprocess' belongs to Python's standard library"),
        ("./mine.py", "./mine", "components.0: should be ./file.py or package.module, not './mine'"),
        ("./net.py:make", "./pipe.py:make", "pipe.py is not a file"),
        ("./mine.py", "./pipe.py", "components.0: no such file"),
        ("./mine.py", "antigravity", "module 'antigravity' belongs to Python's standard library"),
    ],
)
@pytest.mark.parametrize("options", [["--no-code"], []], ids=["no-code", "code"])
def test_the_rest_is_checked_with_and_without_code(folder, old, new, message, options):
    (folder / "a.yaml").write_text(SPEC.replace(old, new))
    status, out, err = shell("check", "a.yaml", *options)
    assert (status, out) == (2, "")
    assert message in err


def test_without_code_a_syntax_error_is_found(folder):
    (folder / "mine.py").write_text(MARK + "def f(:\n")
    status, _, err = shell("check", "a.yaml", "--no-code")
    assert status == 2
    assert "./mine.py fails: SyntaxError: invalid syntax" in err
    assert not (folder / "executed").exists()


PLAIN = SPEC.partition("\n")[2].replace(SPEC.splitlines()[2], "denoiser: exact")
"""The spec without ``components:`` and ``factory:``."""


def test_no_code_checks_everything_of_a_spec_that_names_none(folder):
    (folder / "b.yaml").write_text(PLAIN.replace("only_here", "vq"))
    status, out, err = shell("check", "b.yaml", "--no-code")
    assert (status, out) == (2, "")
    assert "unknown schedule 'vq'." in err
    (folder / "b.yaml").write_text(PLAIN.replace("only_here", "vp"))
    assert shell("check", "b.yaml", "--no-code") == (0, "b.yaml: b: 4 points; not executed: nothing\n", "")


@pytest.mark.parametrize("command", [["check"], ["run", "--dry-run"]], ids=" ".join)
def test_code_is_named_on_stderr_before_it_is_executed(folder, command):
    (folder / "net.py").write_text("import sys\nprint('inside', file=sys.stderr)\n" + MARK + NETWORK)
    status, _, err = shell(*command, "a.yaml")
    assert status == 0, err
    named = [line for line in err.splitlines() if line.startswith(("executing", "inside"))]
    assert named == ["executing ./mine.py (components)", "executing ./net.py (factory)", "inside"]


def test_names_cannot_write_to_the_terminal(folder):
    (folder / "\x1b[2J.py").write_text("")
    (folder / "a.yaml").write_text(SPEC.replace("./mine.py", '"./\\x1b[2J.py", ./mine.py'))
    for options in ([], ["--no-code"]):
        status, out, err = shell("check", "a.yaml", *options)
        assert status == 2
        assert r"components.0: has the control character \x1b" in err
        assert "\x1b" not in out + err


def test_in_python_the_names_are_logged(folder, caplog):
    with caplog.at_level(logging.INFO, "designspace"):
        load("a.yaml")
    assert [record.getMessage() for record in caplog.records][:1] == ["executing ./mine.py (components)"]


@pytest.fixture
def plugin(monkeypatch):
    """A plugin that cannot be imported."""
    broken = importlib.metadata.EntryPoint("mine", "no_such_module_at_all", known.COMPONENTS)
    monkeypatch.setattr(known, "_plugins", lambda: [broken])


@pytest.mark.usefixtures("folder", "plugin")
def test_a_plugin_that_fails_is_one_line():
    with pytest.raises(PluginError, match="the plugin mine"):
        known.import_plugins()
    for command in (["list"], ["show", "heunn"], ["schema"]):
        status, out, err = shell(*command)
        assert (status, out) == (2, "")
        (named, line) = err.splitlines()
        assert named == "executing no_such_module_at_all (plugin mine)"
        assert "the plugin mine (no_such_module_at_all) fails: ModuleNotFoundError" in line


@pytest.mark.usefixtures("plugin")
def test_plugins_are_not_imported_without_code(folder):
    (folder / "b.yaml").write_text(PLAIN)
    status, out, err = shell("check", "b.yaml", "--no-code")
    assert (status, out) == (0, "b.yaml: b: 2 points; not executed: no_such_module_at_all\n")
    assert err == "warning: b.yaml:4:27: grid.schedule.1: not checked: needs no_such_module_at_all\n"
