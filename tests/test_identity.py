"""The identity of results: everything that numbers depend on changes it, and nothing else does."""

import json
import linecache
import os
import subprocess
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest
import torch
from pydantic import BaseModel, DirectoryPath, Field, FilePath, ValidationError, create_model

import designspace as ds
from designspace.design import Design
from designspace.errors import DataError
from designspace.evaluation.measure import Sample, Summary
from designspace.evaluation.moments import Moments
from designspace.registry.component import FOLDER, Component
from designspace.registry.factories import Arguments
from designspace.registry.identity import CountsAs, Since, identified, identity_of
from designspace.registry.known import ROWS
from designspace.run.loaded import Loaded
from designspace.run.references import References
from designspace.spec.evaluate import Evaluate
from designspace.spec.trial import Trial
from designspace.storage.cache import Cache
from designspace.storage.files import path_hash

PINNED = json.loads((Path(__file__).parent / "data" / "ids.json").read_text("utf-8"))
"""Specs with the ids of their trials. An id changes only if the version of something that it depends on is raised."""
PIPELINE = Path(__file__).parent / "data" / "diffusers"
FIELDS: dict[str, dict[str, Any]] = {
    "time_steps/explicit": {"levels": [10.0, 1.0]},
    "denoiser/diffusers": {"path": PIPELINE},
    "denoiser/preconditioned": {"network": "mlp"},
    "denoiser/pretrained": {"model": "digits"},
    "denoiser/trained": {"network": "mlp"},
    "guidance/autoguidance": {"guide": "exact"},
    "network/diffusers": {"model": "UNet2DModel", "config": {}},
}
"""The fields that a component cannot do without."""
INSIDE = {
    "solver/restart": {"solver/heun", "time_steps/edm"},
    "time_steps/equal_error": {"time_steps/edm"},
    "time_steps/fitted": {"time_steps/edm", "time_steps/cosine", "time_steps/logsnr"},
    "time_steps/gits": {"time_steps/edm"},
    "time_steps/oss": {"time_steps/edm", "solver/euler"},
    "denoiser/diffusers": {
        "network/diffusers", "c_skip/ddpm", "c_out/ddpm", "c_in/ddpm", "c_noise/ddpm", "noise_distribution/ddpm",
        "loss_weight/ddpm",
    },
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


def pinned_trial(pinned: dict[str, Any], folder: Path) -> Trial:
    spec = folder / "spec.yaml"
    if not (folder / "pipe").exists():
        (folder / "pipe").symlink_to(PIPELINE)
        (folder / "own.py").write_text("def load(): return lambda x, sigma: x", "utf-8")
    spec.write_text(json.dumps(pinned["spec"]), "utf-8")
    (point,) = ds.load(spec).points()
    return point.trial


@pytest.mark.parametrize("pinned", PINNED, ids=lambda pinned: pinned["id"])
def test_ids_stay(pinned, tmp_path):
    assert pinned_trial(pinned, tmp_path).id == pinned["id"]


def test_every_design_choice_has_an_id_that_stays(tmp_path):
    named = [used(pinned_trial(pinned, tmp_path)) for pinned in PINNED]
    rows = {*Design.model_fields, "denoiser", "guidance", "metric"}
    assert {path for path in BUILT_IN if path.partition("/")[0] in rows} <= set().union(*named)


# Versions


def trial(design=(), **other) -> Trial:
    spec = {"data": "mixture", "denoiser": "exact", "num_steps": 4, "evaluate": {"detector": "pixels"}, "seed": 0}
    return Trial.model_validate(spec | other | {"design": Design.preset("edm", **dict(design))})


def trial_with(path: str, tmp_path: Path) -> Trial:
    """A trial that uses a component and is otherwise the same as the others."""
    row, _, name = path.partition("/")
    for kind in ("npz", "zip", "folder", "parquet", "hf"):
        FIELDS[f"data/{kind}"] = {"path": str(tmp_path / kind)}
    FIELDS["data/torchvision"] = {"dataset": "ImageFolder", "root": str(tmp_path / "folder")}
    FIELDS["data/factory"] = {"factory": f"{tmp_path / 'net.py'}:make"}
    FIELDS["detector/file"] = {"path": str(tmp_path / "net.json")}
    FIELDS["reference/statistics"] = {"path": str(tmp_path / "npz")}
    for user in ("network/module", "decoder/module", "denoiser/function"):
        FIELDS[user] = {"factory": f"{tmp_path / 'net.py'}:make"}
    FIELDS["data/unseen"] = {"shape": [1, 8, 8]}
    FIELDS["decoder/vae"] = {"path": str(tmp_path / "vae")}
    value = {"name": name} | FIELDS.get(path, {})
    if row in Design.model_fields:
        return trial({row: value})
    if row in ("network", "augmentation", "ema"):
        return trial(denoiser={"name": "trained", "network": "mlp"} | {row: value})
    if row in ("data", "denoiser", "guidance", "decoder"):
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
    for name in ("folder", "vae"):
        (folder / name).mkdir()
    vae = ("vae/config.json", "vae/diffusion_pytorch_model.safetensors")
    for name in ("npz", "zip", "folder/a.png", "net.py", "net.pt", *vae):
        (folder / name).write_bytes(b"make = dict")
    network = {"protocol": "FD-net", "network": "net.pt", "size": 8, "filter": "bicubic", "antialias": True, "width": 9}
    (folder / "net.json").write_text(json.dumps(network | {"licence": "none"}), "utf-8")
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
    component = ROWS[row].known[name]
    monkeypatch.setattr(component, "version", component.version + 1)
    after = ids(trials)
    changed = {key for key in trials if before[key] != after[key]}
    assert path in changed
    assert changed == {key for key, one in trials.items() if path in used(one)}


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
    assert base.keys().isdisjoint({"seed", "repeats", "reference_is"})
    read = {"detector": "pixels", "reference_is": "population"}
    assert trial(evaluate=read).id == trial().id
    assert ds.Detector.get("inception")().identity().keys() == {"name", "version", "sha256"}
    assert ds.Detector.get("inception")(mode="legacy_pytorch").identity()["mode"] == "legacy_pytorch"


def test_what_the_reference_stands_for_depends_on_reference_and_denoiser(tmp_path):
    images, moments = Sample(torch.zeros(9, 2)), Summary(Moments(9, torch.zeros(2), torch.eye(2)))
    trained = {"name": "trained", "network": "mlp"}
    held_out = {"name": "statistics", "path": str(tmp_path / "npz")}

    def stands_for(known=images, denoiser="exact", **evaluate):
        return trial(denoiser=denoiser, evaluate={"detector": "pixels"} | evaluate).stands_for(known)

    assert stands_for() == "population"  # the denoiser gives back the data set
    assert stands_for(denoiser="gaussian_mixture") == "sample"
    assert stands_for(denoiser=trained) == "both"
    assert stands_for(denoiser=trained, reference=held_out) == "sample"
    assert stands_for(known=moments, denoiser=trained, reference=held_out) == "population"
    assert stands_for(reference_is="sample") == "sample"
    assert stands_for(denoiser=trained, reference_is="population") == "population"


# Files count by content


class Inner(BaseModel):
    """A plain model with a path."""

    file: Path | None = None


@pytest.fixture
def with_paths():
    """A component with paths in fields of many kinds."""

    class WithPaths(ds.Scaling, name="test_with_paths"):
        """Of no use."""

        file: Path | None = None
        several: tuple[Path, ...] = ()
        named: dict[str, Path] = {}
        inner: Inner = Inner()
        kwargs: Arguments = Arguments.model_validate({})

        def s(self, t, schedule):
            return t

        s_dot = s

    yield WithPaths
    del ds.Scaling.known["test_with_paths"]


IN_FIELDS = {
    "a field": {"file": "a"},
    "a folder": {"file": "d"},
    "a list": {"several": ["b", "a"]},
    "a mapping": {"named": {"x": "a"}},
    "a model": {"inner": {"file": "a"}},
    "arguments": {"kwargs": {"path": "./a"}},
    "nested arguments": {"kwargs": {"deep": [{"path": "./d"}]}},
}


@pytest.mark.parametrize("fields", IN_FIELDS.values(), ids=IN_FIELDS)
def test_a_path_is_the_content_that_it_leads_to(fields, with_paths, tmp_path):
    def identity(folder):
        found = with_paths.model_validate(fields, context={FOLDER: folder})
        assert with_paths.model_validate(json.loads(found.model_dump_json())) == found  # as workers receive it
        return json.dumps(found.identity(), sort_keys=True)

    for folder in (tmp_path / "one", tmp_path / "two"):
        (folder / "d" / "e").mkdir(parents=True)
        for name in ("a", "b", "d/a", "d/e/a"):
            (folder / name).write_text(name)
    first = identity(tmp_path / "one")
    assert first == identity(tmp_path / "two")
    assert "one" not in first
    for name in ("a", "d/e/a"):
        (tmp_path / "two" / name).write_text("x")
    assert first != identity(tmp_path / "two")


@pytest.mark.parametrize("row", [ds.Data, ds.Reference])
def test_the_fields_of_data_and_references_of_ones_own_count(row, tmp_path):
    """Even if ``content_hash`` leaves them out; those of built-in classes are in it."""

    class Own(row, name="test_own"):
        """Of no use."""

        path: Path
        scale: float = 1.0

        def load(self, *detector):
            raise NotImplementedError

        def content_hash(self):
            return "constant"

    try:
        (tmp_path / "a").write_text("1")
        first = Own(path=tmp_path / "a").identity()
        assert first["content"] == "constant"
        assert Own(path=tmp_path / "a", scale=2.0).identity() != first
        (tmp_path / "a").rename(tmp_path / "b")
        assert Own(path=tmp_path / "b").identity() == first
        (tmp_path / "b").write_text("2")
        assert Own(path=tmp_path / "b").identity() != first
        keys = set()
        for scale in (1.0, 2.0):
            own = Own(path=tmp_path / "b", scale=scale)
            used_in = trial(data=own) if row is ds.Data else trial(evaluate={"detector": "pixels", "reference": own})
            keys.add(References(Cache(tmp_path), Loaded(torch.device("cpu"))).key(used_in))
        assert len(keys) == 2  # of cached features
    finally:
        del row.known["test_own"]
    assert ds.Data.get("digits")().identity().keys() == {"name", "version", "content"}


def scaling_with(annotation, default=None):
    fields = {"__annotations__": {"file": annotation}, "file": default, "__module__": __name__}
    fields |= {"s": lambda self, t, schedule: t, "s_dot": lambda self, t, schedule: t}
    return type(ds.Scaling)("TestField", (ds.Scaling,), fields, name="test_field")


@pytest.mark.parametrize(
    ("annotation", "why"),
    [
        (str | Path | None, "a file that it names as text does not count"),
        (dict[str, Annotated[Path, Since(None)] | str], "a file that it names as text does not count"),
        (FilePath, "pydantic looks for it in the working directory"),
        (tuple[DirectoryPath, ...] | None, "pydantic looks for it in the working directory"),
        (Path | dict[str, Path] | None, ""),
        (Annotated[str | Path, CountsAs(str)], ""),
    ],
    ids=str,
)
def test_fields_whose_files_would_not_count_are_refused(annotation, why):
    try:
        with pytest.raises(TypeError, match=f"field 'file' of TestField: {why}") if why else nullcontext():
            scaling_with(annotation)
    finally:
        del ds.Scaling.known["test_field"]


def test_a_default_is_no_relative_path(tmp_path):
    """It would be relative to the working directory, while a path in a spec is relative to the spec."""
    try:
        for relative in (Path("w.bin"), Field(default_factory=lambda: (Path("w.bin"),))):
            with pytest.raises(ValidationError, match="the default of file is a relative path: begin it with Path"):
                scaling_with(Path | tuple[Path, ...], relative)()
        absolute = scaling_with(Path, tmp_path / "w.bin")
        assert absolute().file == tmp_path / "w.bin"
        assert absolute.model_validate({"file": "a"}, context={FOLDER: tmp_path}).file == tmp_path / "a"
    finally:
        del ds.Scaling.known["test_field"]


def test_what_a_missing_path_is_named_by(with_paths, tmp_path):
    component = with_paths.model_validate({"kwargs": {"deep": [1, {"path": "./gone"}]}}, context={FOLDER: tmp_path})
    with pytest.raises(DataError, match=r"there is no .*/gone: check the path") as error:
        component.identity()
    assert error.value.at == ("kwargs", "deep", 1, "path")


def test_arguments_without_paths_are_what_they_were():
    given = {"a": 1, "b": "text", "c": [1.5, None, {"d": True}], "e": "and/or"}
    arguments = Arguments.model_validate(given)
    assert arguments.model_dump() == identity_of(arguments) == given


def test_names_in_a_folder_count_and_links_and_hidden_files_do_not(tmp_path):
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "a").write_text("1")
    before = path_hash(folder)
    (folder / ".hidden").write_text("1")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("1")
    assert path_hash(folder) == before
    (folder / "a").rename(folder / "b")
    assert path_hash(folder) != before
    for name in ("up", "sub/up", "sub/again"):  # 3 to the power of many paths, if each link were followed
        (folder / name).symlink_to(folder)
    assert path_hash(folder) == path_hash(folder)
    (tmp_path / "link").symlink_to(folder)
    assert path_hash(tmp_path / "link") == path_hash(folder)


def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(DataError, match="pipe is a FIFO, not a file or folder"):
            path_hash(path)


# Code without a file

CELL = """
import designspace as ds
class InCell(ds.TimeSteps, name="in_cell"):
    '''Levels of a notebook.'''
    count: int = POWER
    def sigmas(self, n):
        raise NotImplementedError
"""


def execute(source: str, place: str, space: dict[str, Any]) -> None:
    """Execute a cell as notebooks do: in ``__main__``, with its source in ``linecache``."""
    linecache.cache[place] = (len(source), None, source.splitlines(True), place)
    exec(compile(source, place, "exec"), space)


def run_cell(source: str, place: str) -> type[Component]:
    """The component of a cell of a notebook of its own."""
    space: dict[str, Any] = {"__name__": "__main__"}
    execute(source, place, space)
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


HELPERS = {
    "function": "def helper(n):\n    return inner(n)\n",
    "inner": "import functools\n@functools.cache\ndef inner(n):\n    return Scale.of(n) + Plain.factor\n",
    "class": "class Scale:\n    @staticmethod\n    def of(n):\n        return n * FACTOR\n",
    "plain": "class Plain:\n    factor = 1\n",
    "number": "FACTOR = 3\n",
    "unused": "def unused(n):\n    return 1\n",
}
"""Cells of which each is used by the one before, but for the last."""


@pytest.mark.parametrize(
    ("cell", "change"),
    [
        ("function", ("inner(n)", "inner(n + 1)")),
        ("inner", (".of(n)", ".of(2 * n)")),
        ("class", ("n * FACTOR", "n / FACTOR")),
        ("plain", ("factor = 1", "factor = 2")),
        ("number", ("3", "4")),
        ("unused", ("1", "2")),
    ],
)
def test_what_a_class_uses_from_other_cells_counts(cell, change):
    space: dict[str, Any] = {"__name__": "__main__"}
    source = CELL.replace("POWER", "1").replace("raise NotImplementedError", "return helper(n)")
    try:
        execute(source, "<class>", space)  # before what it uses is defined
        for name, text in HELPERS.items():
            execute(text, f"<{name}>", space)
        before = space["InCell"]().identity()["source"]
        execute(HELPERS[cell], f"<{cell} again>", space)
        assert space["InCell"]().identity()["source"] == before
        assert change[0] in HELPERS[cell]
        execute(HELPERS[cell].replace(*change), f"<{cell} changed>", space)
        assert (space["InCell"]().identity()["source"] != before) == (cell != "unused")
    finally:
        ds.TimeSteps.known.pop("in_cell", None)


def test_a_class_in_a_cell_runs_and_another_cell_gives_another_result(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    design = {"preset": "edm", "time_steps": "in_cell"}
    evaluate = {"images": 4, "detector": "pixels", "metrics": ["frechet"]}
    base = {"data": "mixture", "denoiser": "exact", "design": design, "num_steps": 3, "evaluate": evaluate}
    (tmp_path / "spec.yaml").write_text(json.dumps(base), "utf-8")
    found = {}
    try:
        for rho in (7, 3, 7):
            cell = CELL.replace("raise NotImplementedError", f"return ds.TimeSteps.get('edm')(rho={rho}).sigmas(n)")
            run_cell(cell.replace("POWER", "1"), f"<cell {len(found)}>")
            (row,) = ds.run(ds.load(tmp_path / "spec.yaml"), out=tmp_path / "reports", progress=False).rows()
            found.setdefault(row.id, (rho, row.sigmas))
    finally:
        ds.TimeSteps.known.pop("in_cell", None)
    (one, first), (other, second) = found.values()
    assert (one, other) == (7, 3)
    assert first != second


@pytest.mark.parametrize("executor", ["local", "ray"])
def test_workers_refuse_a_class_in_a_notebook(executor, tmp_path, monkeypatch):
    def start(*args):
        raise AssertionError("no process may be started")

    monkeypatch.setattr(import_module(f"designspace.run.{executor}"), "share", start)
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    spec = tmp_path / "spec.yaml"
    design = {"preset": "edm", "time_steps": "in_cell"}
    base = {"data": "mixture", "denoiser": "exact", "design": design, "evaluate": {"images": 4, "detector": "pixels"}}
    spec.write_text(json.dumps(base | {"grid": {"num_steps": [3, 4]}}), "utf-8")
    try:
        works = CELL.replace("raise NotImplementedError", "return ds.TimeSteps.get('edm')().sigmas(n)")
        run_cell(works.replace("POWER", "1"), "<cell>")
        message = r"time_steps 'in_cell' is defined in a notebook.*: move the class into a \.py file and name it in"
        with pytest.raises(DataError, match=message) as error:
            ds.run(ds.load(spec), workers=2, executor=executor, out=tmp_path / "reports", progress=False)
        assert "\n" not in str(error.value)
    finally:
        ds.TimeSteps.known.pop("in_cell", None)


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
