"""The identity of results: everything that numbers depend on changes it, and nothing else does."""

import ast
import json
import linecache
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import create_model

import designspace as ds
from designspace.design import Design
from designspace.errors import DataError
from designspace.registry.component import Component
from designspace.registry.identity import Since, identified
from designspace.registry.known import ROWS
from designspace.spec.trial import Evaluate, Trial

ROOT = Path(__file__).parents[1]
PINNED = json.loads((Path(__file__).parent / "data" / "ids.json").read_text("utf-8"))
"""Thirty specs with the ids that their trials had when dependencies were first declared."""
FIELDS = {
    "time_steps/explicit": {"levels": [10.0, 1.0]},
    "denoiser/preconditioned": {"network": "mlp"},
    "denoiser/pretrained": {"model": "digits"},
    "denoiser/trained": {"network": "mlp"},
}
"""The fields that a component cannot do without."""
INSIDE = {
    "solver/restart": {"solver/heun", "time_steps/edm"},
    "time_steps/equal_error": {"time_steps/edm"},
    "denoiser/pretrained": {
        "network/unet", "c_skip/edm", "c_out/edm", "c_in/edm", "c_noise/edm", "noise_distribution/edm",
        "loss_weight/edm",
    },
}  # fmt: skip
"""Components that others are built with, without naming them in a field."""
BUILT_IN = [
    f"{row}/{name}"
    for row, kind in ROWS.items()
    for name, cls in sorted(kind.known.items())
    if cls.__module__.startswith("designspace.components.")
]


@pytest.mark.parametrize("pinned", PINNED, ids=lambda pinned: pinned["id"])
def test_ids_stay(pinned, tmp_path):
    spec = tmp_path / "spec.yaml"
    spec.write_text(json.dumps(pinned["spec"]), "utf-8")
    assert [point.trial.id for point in ds.load(spec).points()] == [pinned["id"]]


# Versions


def trial(design=(), **other) -> Trial:
    spec = {"data": "mixture", "denoiser": "exact", "num_steps": 4, "evaluate": {"detector": "pixels"}, "seed": 0}
    return Trial.model_validate(spec | other | {"design": Design.preset("edm", **dict(design))})


def trial_with(path: str, tmp_path: Path) -> Trial:
    """A trial that uses a component and is otherwise the same as the others."""
    row, _, name = path.partition("/")
    for kind in ("npz", "zip", "folder"):
        FIELDS[f"data/{kind}"] = {"path": str(tmp_path / kind)}
    FIELDS["reference/statistics"] = {"path": str(tmp_path / "npz")}
    FIELDS["network/module"] = {"factory": f"{tmp_path / 'net.py'}:make"}
    value = {"name": name} | FIELDS.get(path, {})
    if row in Design.model_fields:
        return trial({row: value})
    if row in ("network", "augmentation"):
        return trial(denoiser={"name": "trained", "network": "mlp"} | {row: value})
    if row in ("data", "denoiser"):
        return trial(**{row: value})
    return trial(evaluate={"detector": "pixels"} | ({"metrics": [value]} if row == "metric" else {row: value}))


def used(value: Any) -> set[str]:
    """Every component in a spec, including nested ones."""
    if isinstance(value, tuple):
        return set().union(*map(used, value))
    if not isinstance(value, ds.Design | Evaluate | Trial | Component):
        return set()
    own = {f"{value.row}/{value.name}"} if isinstance(value, Component) else set()
    return own.union(*(INSIDE.get(path, set()) for path in own), *(used(part) for _, part in value))


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "folder").mkdir()
    for name in ("npz", "zip", "folder/a.png", "net.py"):
        (folder / name).write_bytes(b"make = dict")
    return {path: trial_with(path, folder) for path in BUILT_IN}


@pytest.fixture(scope="module")
def contents(trials):
    """Contents of data sets are hashed once; what is tested is what else the identity has."""
    with pytest.MonkeyPatch.context() as patch:
        for kind in ROWS["data"].known.values():
            patch.setattr(kind, "content_hash", lambda self: self.name)
        yield


def ids(trials):
    return {path: one.model_copy().id for path, one in trials.items()}


@pytest.mark.usefixtures("contents")
@pytest.mark.parametrize("path", BUILT_IN)
def test_another_version_changes_the_ids_of_all_that_use_it_and_of_no_other(path, trials, monkeypatch):
    row, _, name = path.partition("/")
    before = ids(trials)
    monkeypatch.setattr(ROWS[row].known[name], "version", 2)
    after = ids(trials)
    changed = {key for key in trials if before[key] != after[key]}
    assert path in changed
    assert changed == {key for key, one in trials.items() if path in used(one)}


@pytest.mark.parametrize("file", sorted((ROOT / "components").glob("*/*.py")), ids=lambda file: file.parent.name)
def test_a_component_that_another_fetches_by_name_is_declared(file):
    tree = ast.parse(file.read_text("utf-8"))
    rows = {"".join(part.capitalize() for part in row.split("_")): row for row in ROWS} | {"CSkip": "c_skip"}
    fetched = {
        f"{rows[call.func.value.id]}/{call.args[0].value}"
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "get"
        if isinstance(call.func.value, ast.Name) and call.func.value.id in rows
    }
    known = ROWS[file.parent.name].known if file.stem != "__init__" else {}
    assert fetched <= set(known[file.stem].uses if file.stem in known else ())


def test_dependencies_of_dependencies_count(monkeypatch):
    class Outer(ds.Solver, name="outer_of_restart"):
        """A component built from a solver that is itself built from another."""

        uses = ("solver/restart",)

        def step(self, flow, x, i, sigma, memory):
            raise NotImplementedError

    try:
        assert "uses" not in Outer.origin()
        monkeypatch.setattr(ds.Solver.get("heun"), "version", 3)
        inner = Outer.origin()["uses"]["solver/restart"]
        assert inner == {"name": "restart", "version": 1, "uses": {"solver/heun": {"name": "heun", "version": 3}}}
    finally:
        del ds.Solver.known["outer_of_restart"]


# Fields and rows that are added later


@pytest.fixture
def grown():
    """A component with an original field and two that were added later, one of which has changed its default."""

    class Grown(ds.Scaling, name="test_grown"):
        """Of no use."""

        factor: float = 1.0
        power: Annotated[int, Since(1)] = 2
        inner: Annotated[ds.Solver | None, Since(None)] = None

        def s(self, t, schedule):
            return t

        s_dot = s

    yield Grown
    del ds.Scaling.known["test_grown"]


def test_a_field_of_a_component_that_was_added_later(grown):
    assert grown(power=1).identity().keys() == {"name", "source", "factor"}
    assert grown().identity()["power"] == 2
    assert grown(inner="heun").identity()["inner"]["name"] == "heun"


def test_a_row_of_designs_that_was_added_later(monkeypatch):
    rows = {"rescaling": (Annotated[ds.Scaling, Since("none")], ds.Scaling.get("none")())}
    wider = create_model("Wider", __base__=Design, **rows)
    old = Design.preset("edm")
    assert identified(wider(**dict(old))) == identified(old)
    assert identified(wider(**dict(old), rescaling="vp"))["rescaling"]["name"] == "vp"
    monkeypatch.setattr(ds.Scaling.get("none"), "version", 2)
    assert identified(wider(**dict(old)))["rescaling"] == {"name": "none", "version": 2}


def test_how_a_trial_is_measured_counts_but_for_what_came_later():
    base = trial().identity()["evaluate"]
    assert "reference" not in base
    assert "seed" not in base
    assert ds.Detector.get("inception")().identity().keys() == {"name", "version", "sha256"}
    assert ds.Detector.get("inception")(mode="legacy_pytorch").identity()["mode"] == "legacy_pytorch"


# Code without a file

CELL = """
import designspace as ds
class InCell(ds.TimeSteps, name="in_cell"):
    '''Levels of a notebook.'''
    count: int = POWER
    def sigmas(self, n):
        raise NotImplementedError
"""


def run_cell(source: str, place: str) -> type[Component]:
    """Execute a cell as notebooks do: in ``__main__``, with its source in ``linecache``."""
    linecache.cache[place] = (len(source), None, source.splitlines(True), place)
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, place, "exec"), space)
    return space["InCell"]


def test_a_class_in_a_cell_of_a_notebook_is_the_source_of_the_cell():
    try:
        first = run_cell(CELL.replace("POWER", "1"), "<cell 1>")().identity()
        other = run_cell(CELL.replace("POWER", "2"), "<cell 2>")(count=1).identity()
        again = run_cell(CELL.replace("POWER", "1"), "<cell 1 of another process>")().identity()
    finally:
        ds.TimeSteps.known.pop("in_cell", None)
    assert first == again
    assert first["source"] != other["source"]
    assert {k: v for k, v in first.items() if k != "source"} == {k: v for k, v in other.items() if k != "source"}


def test_a_class_without_a_source_says_where_to_define_it():
    space: dict[str, Any] = {"__name__": "__main__"}
    exec(CELL.replace("POWER", "1"), space)
    try:
        with pytest.raises(DataError, match=r"time_steps 'in_cell': the source .* define it in a file or in a cell"):
            space["InCell"]().identity()
    finally:
        del ds.TimeSteps.known["in_cell"]


def test_both_hold_in_a_process_without_a_main_file(tmp_path):
    code = "import linecache, sys\nsource = sys.argv[1]\n"
    code += "linecache.cache['<cell>'] = (1, None, source.splitlines(True), '<cell>')\n"
    code += "exec(compile(source, '<cell>', 'exec'))\nprint(InCell().identity()['source'])\n"
    code += "exec(source)\nInCell().identity()"
    told = subprocess.run(
        [sys.executable, "-c", code, CELL.replace("POWER", "1")], capture_output=True, text=True, cwd=tmp_path
    )
    assert len(told.stdout.strip()) == 64
    assert "DataError: time_steps 'in_cell': the source of its class cannot be read" in told.stderr
