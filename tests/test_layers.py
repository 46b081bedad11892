"""What imports what, where import-linter (``make check``) cannot see it, and what starts without PyTorch."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from studies import RECORDED

ROOT = Path(__file__).parents[1]
CODE = [
    path
    for folder in ("designspace", "components", "benchmarks", "tests", "docs")
    for path in sorted((ROOT / folder).rglob("*.py"))
]


def imported(path):
    """The modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_file_imports_a_component_by_the_name_that_hides_it():
    """``designspace.components`` is the folder ``components`` under another name, which import-linter does not know.

    Components are looked up by row and name.
    """
    assert len(CODE) > 200
    named = [path for path in CODE if any(name.startswith("designspace.components") for name in imported(path))]
    assert named == []


ALLOWED = ("data", "denoising", "design", "errors", "evaluation", "registry", "sampling", "storage", "text", "training")
"""The parts of the package that components may import: the blocks, and what stands below or beside them."""


def wrong_imports(path):
    """What a file of ``components/`` or ``designspace/`` must not import: other components, or what uses components."""
    tree = ast.parse(path.read_text("utf-8"))
    if any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree)):
        yield "a relative import"
    of_a_component = "components" in path.relative_to(ROOT).parts[:1]
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "components" or name.startswith("designspace.components"):
            yield name
        if of_a_component and first == "designspace" and rest.partition(".")[0] not in ALLOWED:
            yield name


def test_components_import_no_component_and_nothing_that_uses_components():
    """A check of its own beside import-linter, which does not always see imports into a folder without __init__.py."""
    files = [path for path in CODE if path.relative_to(ROOT).parts[0] in ("components", "designspace")]
    assert len(files) > 300
    assert {str(path): found for path in files if (found := list(wrong_imports(path)))} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import components.metric.frechet",
        "from components.metric import frechet",
        "from designspace.components.metric.frechet import Frechet",
        "from designspace.run.run import run",
        "from designspace import Solver",
        "from ..metric import frechet",
        "def late():\n    from designspace.report import Study",
    ],
)
def test_an_import_that_a_component_must_not_have_is_found(line, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "components" / "solver" / "mine.py"
    file.parent.mkdir(parents=True)
    file.write_text(line + "\n")
    assert list(wrong_imports(file))


WITHOUT_TORCH = [
    ("--help",),
    ("run", "--help"),
    ("report", "recorded"),
    ("compare", "recorded:solver=heun", "recorded:solver=euler"),
    ("compare", "recorded", "--json"),
]
STATE = """
import sys
from typer.testing import CliRunner
from designspace.cli.app import app
done = CliRunner().invoke(app, sys.argv[1:])
assert done.exit_code == 0, done.output
print(*sorted(name for name in sys.modules if name in {"torch", "pandas", "matplotlib", "rich.progress"}))
print(*sorted(name for name in sys.modules if name.startswith(("components.", "designspace.registry"))))
"""


@pytest.mark.parametrize("command", WITHOUT_TORCH, ids=" ".join)
def test_commands_that_compute_nothing_import_no_pytorch_and_no_component(command, tmp_path):
    (tmp_path / "reports" / "recorded").mkdir(parents=True)
    for name in ("results.jsonl", "ablation.json"):
        (tmp_path / "reports" / "recorded" / name).write_bytes((RECORDED / name).read_bytes())
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DESIGNSPACE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", STATE, *command], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    heavy, components = done.stdout.splitlines()
    assert components == ""
    assert set(heavy.split()) <= ({"matplotlib"} if command[0] in ("report", "compare") else set())
