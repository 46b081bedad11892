"""CONTRIBUTING describes the code as it is: the map of the packages, and the length of the modules."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
PUBLISHED = ("designspace", "components", "tests", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md")
TEXT = {".py", ".md", ".css", ".yaml", ".json", ".toml", ".html", ".csv", ".jsonl", ".typed"}


def test_the_map_has_a_row_for_each_package_and_top_level_module():
    """Each row begins with the name of what it describes, such as ``sampling/`` or ``design.py``, in backquotes."""
    named = re.findall(r"^\| `([\w.]+(?:/|\.py))`", CONTRIBUTING, re.M)
    folders = [f"{path.parent.name}/" for path in (ROOT / "designspace").glob("*/__init__.py")]
    modules = [path.name for path in (ROOT / "designspace").glob("*.py") if not path.name.startswith("__")]
    assert len(folders) > 10
    assert sorted(named) == sorted(folders + modules)


def test_no_module_is_longer_than_contributing_says():
    stated = re.search(r"\b(?:[Mm]odules|[Ff]iles) stay below (\d+) lines", CONTRIBUTING)
    assert stated, "CONTRIBUTING.md says nowhere that modules stay below some number of lines"
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for folder in ("designspace", "components")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert len(lines) > 200
    assert {path: length for path, length in lines.items() if length >= int(stated[1])} == {}


def test_no_function_is_longer_than_contributing_says():
    stated = re.search(r"No function exceeds (\d+)\s+lines", CONTRIBUTING)
    assert stated, "CONTRIBUTING.md says nowhere how long functions may be"
    lines = {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for folder in ("designspace", "components")
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert len(lines) > 1000
    assert {name: length for name, length in lines.items() if length > int(stated[1])} == {}


def test_the_committed_reports_stay_small():
    """At most 25 MB without the pages, the tables for LaTeX and the lists of comparisons, which are not committed."""
    made = ("*.html", "*.tex", "comparisons.csv")
    reports = {path for path in (ROOT / "reports").rglob("*") if path.is_file()}
    reports -= {path for name in made for path in (ROOT / "reports").rglob(name)}
    assert sum(path.stat().st_size for path in reports) <= 25_000_000


def test_nothing_refers_to_the_place_where_it_was_written():
    """Paths of one machine, numbers of issues and names of documents that do not come with the repository."""
    private = re.compile(
        r"(?<![\w.])/(?:work|tmp)/|\bwork[t]ree|\bissues?[ /]#?\d|\bshared/[d]esign|\b(?:architecture|layout)[.]md\b"
    )
    files = [path for name in PUBLISHED for path in (ROOT / name).rglob("*") if path.is_file()]
    files += [path for name in PUBLISHED if (path := ROOT / name).is_file()]
    found, read = [], 0
    for path in files:
        if path.suffix in TEXT and "__pycache__" not in path.parts:
            read += 1
            text = path.read_text("utf-8")
            found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in private.finditer(text)]
    assert read > 300
    assert found == []
