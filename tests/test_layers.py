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
    hidden = ("designspace.components", "components.")
    named = [path for path in CODE if any(name.startswith(hidden) for name in imported(path))]
    assert named == []


def test_a_file_imports_types_in_one_place():
    """One block, before the code: merges have left a second one."""
    wrong = []
    for path in CODE:
        body = ast.parse(path.read_text("utf-8")).body
        blocks = [node for node in body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
        code = [node.lineno for node in body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        if len(blocks) > 1 or any(block.lineno > line for block in blocks for line in code[:1]):
            wrong.append(path)
    assert wrong == []


WITHOUT_TORCH = [
    ("--help",),
    ("run", "--help"),
    ("report", "recorded"),
    ("compare", "recorded:solver=heun", "recorded:solver=euler"),
    ("compare", "recorded", "--json"),
    ("list", "ablations"),
    ("run", "solver_gird"),
    ("check", "solver_gird"),
    ("tune", "solver_gird"),
    ("train", "solver_gird"),
]
HEAVY = ["sklearn", "pandas", "matplotlib", "scipy.stats", "torchvision", "cleanfid", "diffusers", "ray"]
LIGHT = [
    ("list",),
    ("table",),
    ("check", str(ROOT / "ablations/solver_grid.yaml")),
    ("check", str(ROOT / "ablations/sampling_trained.yaml")),
]
STATE = """
import sys
from typer.testing import CliRunner
from designspace.cli.app import app
done = CliRunner().invoke(app, sys.argv[1:])
assert done.exit_code == (2 if "solver_gird" in sys.argv else 0), done.output
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


LOADED = """
import sys
from typer.testing import CliRunner
from designspace.cli.app import app
heavy, arguments = sys.argv[1].split(","), sys.argv[2:]
done = CliRunner().invoke(app, arguments)
assert done.exit_code == 0, done.output
print(*[name for name in heavy if name in sys.modules])
"""


@pytest.mark.parametrize("command", LIGHT, ids=lambda command: " ".join(Path(word).name for word in command))
def test_commands_that_draw_and_measure_nothing_load_no_heavy_library(command, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DESIGNSPACE_CACHE": str(tmp_path / "cache")}
    words = [sys.executable, "-c", LOADED, ",".join(HEAVY), *command]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
