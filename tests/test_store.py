import json
import math
import os
import resource
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch

from designspace.errors import DataError, SkippedLineWarning, StorageError
from designspace.registry.component import ROWS
from designspace.results import lines as lines_module
from designspace.results.coordinates import per_image, span
from designspace.results.encoded import EditedError, decoded, encoded
from designspace.results.lines import point_key
from designspace.results.records import Failure, Result, Source
from designspace.results.sources import CITATIONS, sources_of
from designspace.results.store import LARGEST_ARTEFACT, Results, read_description
from designspace.storage import arrays as as_arrays
from designspace.storage import cache as as_tensors
from designspace.storage.cache import Cache

ROOT = Path(__file__).parents[1]


def line(id="a", value=1.5, **axes):
    metric = {"value": value, "se": 0.25, "protocol": "FD-pixels", "floor": 0.5, "floor_n": 10, "drawn": 0.75}
    kid = {"value": -0.0, "se": None, "protocol": "KID-pixels", "floor": 0.0, "floor_n": 10}
    return {
        "id": id,
        "axes": axes or {"solver": "heun", "nfe": 36},
        "seed": 3,
        "nfe": 35,
        "images": 20,
        "metrics": {"frechet": metric, "kid": kid},
    }


def row(*arguments, **axes):
    return Result(schema=1, **line(*arguments, **axes))


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "reports" / "name", cache=Cache(tmp_path / "cache"))


def lines(results):
    return (results.folder / "results.jsonl").read_text().splitlines()


def test_rows_are_read_as_they_were_written(results):
    assert results.rows() == []
    results.append(row("a"))
    results.append(row("b", solver="euler"))
    assert results.rows() == [row("a"), row("b", solver="euler")]
    assert results.rows()[0].plain() == {"schema": 1, **line("a")}
    assert results.done() == {("a", '{"nfe": 36, "solver": "heun"}'), ("b", '{"solver": "euler"}')}


def test_the_lines_of_a_trial_are_those_of_the_file(results):
    """Also if the last line has no end yet, if the file is replaced, and with a choice of points."""
    results.append(row("a", solver="heun"))
    results.append(row("b"))
    results.append(row("a", solver="euler"))
    assert results.of_trial("a") == [row("a", solver="heun"), row("a", solver="euler")]
    assert results.of_trial("c") == []
    chosen = Results(results.folder, only={point_key("a", {"solver": "euler"})})
    assert chosen.of_trial("a") == [row("a", solver="euler")]
    with (results.folder / "results.jsonl").open("a") as file:
        file.write(json.dumps({"schema": 1, **line("c")}))
    assert results.of_trial("c") == [row("c")]
    (results.folder / "results.jsonl").write_text(json.dumps({"schema": 1, **line("b", 2.0)}) + "\n")
    assert [results.of_trial(id) for id in "abc"] == [[], [row("b", 2.0)], []]


def test_failures_of_a_trial_are_those_without_a_result_since(results):
    failed = [Failure(schema=1, id=id, axes={"k": k}, error="no") for k, id in enumerate("aab")]
    for failure in failed:
        results.append_failure(failure)
    assert results.failures_of("a") == failed[:2]
    results.append(row("a"))
    assert [results.failures_of(id) for id in "ab"] == [[], failed[2:]]
    assert results.failures == failed[2:]


def test_protocols_of_other_versions_are_kept(results):
    for protocol in ({"hash": "a"}, {"hash": "b", "labels": [1, 2], "pixels": "uint8", "later": {"x": 1}}, None):
        found = Result(schema=1, **line(), protocol=protocol)
        assert found.plain()["protocol"] == protocol
        assert Result.model_validate_json(json.dumps(found.plain())) == found


def test_a_point_is_added_once_and_two_points_may_share_a_trial(results):
    for value, axes in ((1.0, {"rho": 7}), (2.0, {"rho": 7}), (3.0, {"rho": 8})):
        results.append(row("a", value, **axes))
    assert [r.metrics["frechet"].value for r in results.rows()] == [1.0, 3.0]
    assert len(lines(results)) == 2


def test_numbers_that_json_does_not_know(results):
    results.append(row("a", math.inf, S_max=math.inf))
    results.append(row("b", math.nan))
    assert [json.loads(line, parse_constant=pytest.fail)["id"] for line in lines(results)] == ["a", "b"]
    assert point_key("a", {"S_max": math.inf}) in results.done()
    assert results.frame["frechet"].tolist()[0] == math.inf
    assert math.isnan(results.frame["frechet"].tolist()[1])


def test_a_line_cut_short_is_skipped_and_does_not_spoil_the_next(results, recwarn):
    results.append(row("a"))
    path = results.folder / "results.jsonl"
    path.write_bytes(path.read_bytes() + b'{"schema": 1, "id": "b", "axes": {"solver": "eul')
    results.append(row("b"))
    assert [r.id for r in results.rows()] == ["a", "b"]
    assert [r.id for r in Results(results.folder).rows()] == ["a", "b"]
    (said,) = recwarn
    assert "results.jsonl:2: not a result, skipped" in str(said.message)


def test_only_what_is_new_is_read(results, monkeypatch):
    parsed = []
    monkeypatch.setattr(lines_module, "decoded", lambda line: parsed.append(line) or decoded(line))
    other = Results(results.folder, cache=Cache(results.folder.parent / "cache"))
    for id in "abcdef":
        (results if id in "ace" else other).append(row(id))  # two processes
        assert id in [r.id for r in results.rows()]
        assert point_key(id, row().axes) in other.done()
    assert len(parsed) == 2 * 6
    assert [r.id for r in results.rows()] == list("abcdef")


def test_a_line_is_read_when_it_is_whole_and_a_file_that_was_replaced_is_read_anew(results):
    results.append(row("a"))
    path = results.folder / "results.jsonl"
    line = json.dumps(row("b").plain())
    assert len(results.rows()) == 1
    with path.open("a") as file:
        file.write(line)  # its end is not there yet
        file.flush()
        assert [r.id for r in results.rows()] == ["a", "b"]
        file.write("\n" + line.replace('"b"', '"c"') + "\n")
    assert [r.id for r in results.rows()] == ["a", "b", "c"]
    text = path.read_text().splitlines(keepends=True)
    text[0] = encoded(row("d").plain()).decode()
    path.write_text("".join(reversed(text)))  # an editor: same file, same size
    assert [r.id for r in results.rows()] == ["c", "b", "d"]
    path.unlink()
    assert results.rows() == []
    results.append(row("e"))
    assert [r.id for r in results.rows()] == ["e"]


@pytest.mark.parametrize(
    "bad", ["[]", "3", "{}", '{"schema": 2, "id": "b", "axes": {}}', '{"schema": 1, "id": "b"}', "\xff"]
)
def test_a_line_that_is_no_result_is_skipped_by_name(results, bad):
    results.append(row("a"))
    with (results.folder / "results.jsonl").open("a", encoding="latin-1") as file:
        file.write(bad + "\n")
    with pytest.warns(SkippedLineWarning, match=r"results\.jsonl:2: not a result, skipped"):
        assert [r.id for r in results.rows()] == ["a"]


def test_the_frame_has_one_row_per_point_and_separate_columns_for_counted_nfe_and_axis(results):
    results.append(row("a"))
    results.append(row("b", solver="euler", nfe=36))
    columns = ["solver", "axes.nfe", "label", "id", "seed", "nfe", "images", "seconds"]
    metrics = [name + part for name in ("frechet", "kid") for part in ("", "_se", "_drawn", "_protocol")]
    assert results.frame.columns.tolist() == [*columns, *metrics, "protocol"]
    first = results.frame.iloc[0]
    assert (first["solver"], first["axes.nfe"], first["nfe"]) == ("heun", 36, 35)
    assert (first["frechet"], first["frechet_se"], first["frechet_drawn"]) == (1.5, 0.25, 0.75)
    assert math.isnan(first["kid_se"])
    assert first["label"] == "heun, nfe=36"
    assert math.isnan(first["seconds"])
    assert "kid_n" not in first
    timed = row("c").model_copy(update={"seconds": {"sampling": 1.5, "metrics": 0.25}})
    observed = timed.metrics["kid"].model_copy(update={"n": 4})
    results.append(timed.model_copy(update={"metrics": {"kid": observed}}))
    assert results.frame.iloc[2][["seconds", "kid_n"]].tolist() == [1.75, 4]
    assert (first["frechet_protocol"], first["kid_protocol"]) == ("FD-pixels", "KID-pixels")


def test_a_failure_is_one_until_there_is_a_result(results):
    about = {"schema": 1, "axes": {"nfe": 35}, "error": "ValueError: no", "traceback": "...", "time": "2026-01-01"}
    results.append_failure(Failure(id="a", **about))
    results.append_failure(Failure(id="b", **about))
    results.append_failure(Failure(id="b", **about | {"error": "ValueError: again"}))
    results.append(row("a"))
    assert [(r.id, r.error) for r in results.failures] == [("b", "ValueError: again")]


def test_a_view_has_its_points_only(results):
    results.append(row("a"))
    results.append(row("b"))
    view = Results(results.folder, only={point_key("b", row().axes)})
    assert [r.id for r in view.rows()] == ["b"]
    assert view.frame["id"].tolist() == ["b"]


def test_artefacts_go_to_the_folder_or_if_large_to_the_cache(results):
    small = {"influence.frechet": np.float32([0.5, -0.5]), "images": np.arange(8, dtype=np.uint8).reshape(8, 1, 1, 1)}
    large = {"images": np.zeros(LARGEST_ARTEFACT, dtype=np.uint8)}
    results.put_artefact("small", small)
    results.put_artefact("large", large)
    assert [path.name for path in (results.folder / "artefacts").iterdir()] == ["small.safetensors"]
    for id, arrays in (("small", small), ("large", large)):
        found = results.artefact(id)
        assert found.keys() == arrays.keys()
        assert all(np.array_equal(found[key], arrays[key]) for key in arrays)
    assert results.artefact("missing") is None
    path = results.folder / "artefacts" / "small.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(UserWarning, match=f"{path}: damaged"):
        assert results.artefact("small") is None


def test_compact_artefacts_are_reduced_per_seed(results):
    rng = np.random.default_rng(0)
    curves = np.float32(rng.standard_normal(4096))
    for seed, id in enumerate("abcd"):
        influence = rng.standard_normal(3200)
        results.append(Result(schema=1, **line(id, name=id) | {"seed": seed % 2}))
        results.put_artefact(
            id, {"influence.frechet": np.float32(influence - influence.mean()), "plane.curves": curves}
        )
    folder = results.folder / "artefacts"
    before = {id: results.artefact(id) for id in "abcd"}
    results.compact()
    found = {id: results.artefact(id) for id in "abcd"}
    spans = [span(found[id]) for id in "abcd"]
    assert spans[0] == spans[2] != spans[1] == spans[3]
    assert np.allclose(found["a"]["plane.curves"], curves, rtol=2**-11, atol=2**-23)
    gaps = [
        np.std(per_image(kept["a"], "influence.frechet", 3200) - per_image(kept["c"], "influence.frechet", 3200))
        for kept in (found, before)
    ]
    assert gaps[0] == pytest.approx(gaps[1], rel=1e-6)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 4 * (4096 * 2 + 1000)
    files = {path: path.read_bytes() for path in folder.iterdir()}
    results.compact()  # again
    assert files == {path: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_adds_no_part_of_a_line(results):
    results.append(row("a"))
    before = (results.folder / "results.jsonl").read_bytes()
    code = """
        import json, sys
        from pathlib import Path
        from designspace.storage.cache import Cache
        from designspace.errors import StorageError
        from designspace.results.records import Result
        from designspace.results.store import Results
        folder = Path(sys.argv[1])
        try:
            result = Result.model_validate_json(sys.argv[2])
            Results(folder, cache=Cache(folder / "cache")).append(result)
        except StorageError as error:
            print(error)
    """
    limit = len(before) + 50
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), results.folder, json.dumps(row("b").plain())],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.stdout == f"cannot write {results.folder / 'results.jsonl'}: File too large\n", done.stderr
    assert (results.folder / "results.jsonl").read_bytes() == before
    results.append(row("b"))
    assert [r.id for r in results.rows()] == ["a", "b"]


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*file/name/\S+: Not a directory"):
        Results(tmp_path / "file" / "name", cache=Cache(tmp_path / "cache")).append(row())


def test_of_many_lines_that_cannot_be_read_twenty_are_named(tmp_path):
    (tmp_path / "results.jsonl").write_text('{"schema": 0}\n' * 5000)
    with pytest.warns(UserWarning, match="not a result") as said:
        assert Results(tmp_path).rows() == []
    texts = [str(one.message) for one in said]
    assert len(texts) == 21
    assert texts[0].endswith(
        "jsonl:1: not a result, skipped (schema 0 instead of 1, from an earlier version: run the ablation again)"
    )
    assert texts[-1].endswith("; no more are listed")


def test_fields_that_this_version_does_not_know_are_kept(results):
    given = line("a") | {"schema": 1, "later": {"field": [1, None]}}
    given["metrics"]["frechet"]["later"] = "inf"
    results.append(Result.model_validate(given))
    assert decoded(lines(results)[0].encode()) == given
    assert results.rows()[0].plain() == given


def test_infinities_and_missing_numbers_are_read_as_floats(results):
    results.folder.mkdir(parents=True)
    given = {"schema": 1, **line("a")}
    given["metrics"]["frechet"] |= {"value": "inf", "se": None, "floor": "-inf"}
    given["metrics"]["kid"] |= {"value": None}
    (results.folder / "results.jsonl").write_text(json.dumps(given) + "\n")
    (found,) = results.rows()
    frechet = found.metrics["frechet"]
    assert (frechet.value, frechet.floor) == (math.inf, -math.inf)
    assert math.isnan(found.metrics["kid"].value)
    assert found.plain() == given


WRONG = [
    (("metrics", "frechet", "se"), -0.5, "'metrics.frechet.se': -0.5 is not a number of at least 0"),
    (("metrics", "frechet", "se"), True, "'metrics.frechet.se': True is not a number of at least 0"),
    (("metrics", "frechet", "value"), "5", "'metrics.frechet.value': '5' is not a number"),
    (("metrics", "frechet", "value"), True, "'metrics.frechet.value': True is not a number"),
    (("metrics", "frechet", "value"), 1e200, "'metrics.frechet.value': 1e.200 is not a number between -1e.100"),
    (("metrics", "frechet", "skew"), "inf", "'metrics.frechet.skew': 'inf' is not a finite number"),
    (("metrics", "frechet", "drawn_sd"), -1, "'metrics.frechet.drawn_sd': -1 is not a number of at least 0"),
    (("metrics", "frechet", "floor_n"), 0, "'metrics.frechet.floor_n': 0 is not a whole number of at least 1"),
    (("metrics", "frechet", "n"), 2.5, "'metrics.frechet.n': 2.5 is not a whole number of at least 1"),
    (("metrics", "frechet", "profile"), {"a": [1], "b": [1, 2]}, "'metrics.frechet.profile': columns of different len"),
    (("nfe",), 0, "'nfe': 0 is not a finite number above 0"),
    (("nfe",), -3, "'nfe': -3 is not a finite number"),
    (("nfe",), "inf", "'nfe': 'inf' is not a finite number"),
    (("nfe",), 10**400, "'nfe': 1000"),
    (("nfe_guidance",), -1, "'nfe_guidance': -1 is not a finite number of at least 0"),
    (("images",), 0, "'images': 0 is not a whole number of at least 1"),
    (("images",), 1e12, "'images': 1000000000000.0 is not a whole number"),
    (("seed",), False, "'seed': False is not a whole number"),
    (("sigmas",), [80.0, -1.0], "'sigmas': the noise level -1.0 is negative"),
    (("seconds",), {"sampling": -1.0}, "'seconds': -1.0 is not a finite number of at least 0"),
    (("trial",), {"evaluate": [1]}, r"'trial': \[1\] is not an object"),
    (("axes",), {"nfe": [1]}, "'axes': the value of axis 'nfe' is not text, a number, true or false"),
]


@pytest.mark.parametrize(("path", "value", "what"), WRONG, ids=lambda part: str(part)[:30])
def test_a_value_out_of_its_domain_is_named_and_hides_no_earlier_result(results, path, value, what):
    results.append(row("a"))
    given = {"schema": 1, **line("a", 2.0)}
    place = given
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with (results.folder / "results.jsonl").open("a") as file:
        file.write(json.dumps(given) + "\n")
    with pytest.warns(SkippedLineWarning, match=rf"results\.jsonl:2: not a result, skipped \(no usable {what}"):
        assert results.rows() == [row("a")]


BROKEN = {
    "not UTF-8": b"\xff\xfe",
    "not JSON": b"\0" * 20,
    "nested too deeply|not JSON": b"[" * 200_000,
    r"the key 'id' is there twice": b'{"id": "a", "id": "b"}',
    "nested too deeply": b'{"id": "a", "trial": {"data": ' + b"[" * 300 + b"]" * 300 + b"}}",
    "NaN is not JSON": b'{"nfe": NaN}',
    "not a JSON object": b"[]",
    "longer than 16,777,216 bytes": b'{"id": "' + b"x" * 2**24 + b'"}',
    "not JSON: a number is too long": b'{"nfe": ' + b"1" * 5000 + b"}",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_line_is_named_and_the_next_one_is_read(results, what):
    results.append(row("a"))
    with (results.folder / "results.jsonl").open("ab") as file:
        file.write(BROKEN[what] + b"\n")
    with pytest.warns(SkippedLineWarning, match=rf"results\.jsonl:2: not a result, skipped \({what}"):
        results.append(row("b"))
    assert [found.id for found in Results(results.folder).rows()] == ["a", "b"]


def test_an_edited_line_is_named_and_computed_again(results):
    results.append(row("a"))
    results.append(row("b"))
    path = results.folder / "results.jsonl"
    path.write_text(path.read_text().replace('"value": 1.5', '"value": 1.4', 1))
    again = Results(results.folder, cache=Cache(results.folder / "cache"))
    with pytest.warns(SkippedLineWarning, match=r"results\.jsonl:1: edited after it was written.*run the"):
        assert [found.id for found in again.rows()] == ["b"]
    again.append(row("a"))
    assert {found.id: found.metrics["frechet"].value for found in again.rows()} == {"b": 1.5, "a": 1.5}


def test_the_checksum_is_that_of_the_content_and_not_of_its_form(results):
    failed = Failure(schema=1, id="a", axes={"k": "\udc80 名"}, error="no", later={10: 1, 9: 2.0})
    for line in (encoded(row("a").plain()), encoded(failed.plain())):
        content = json.loads(line)
        assert len(content["sha256"]) == 16
        assert decoded(json.dumps(dict(reversed(content.items())), indent=2).encode()) == decoded(line)
        with pytest.raises(EditedError):
            decoded(line.replace(b'"id": "a"', b'"id": "b"'))
        content.pop("sha256")
        assert decoded(json.dumps(content).encode()) == content  # as earlier versions wrote it


def test_a_result_takes_little_memory(tmp_path):
    """Results differ in few numbers, so that all of a large grid fit into memory."""
    base = json.loads((ROOT / "reports" / "solver_grid" / "results.jsonl").read_text().splitlines()[0])
    base.pop("sha256", None)
    with (tmp_path / "results.jsonl").open("w") as file:
        for i in range(2000):
            about = {"id": f"{i:016x}", "axes": {"solver": "heun", "rho": i / 10, "nfe": i % 10}}
            file.write(json.dumps(base | about | {"sigmas": [80.0, 1.0 + i % 10, 0.0]}) + "\n")
    code = f"""
        import tracemalloc
        from pathlib import Path
        from designspace.results.store import Results

        results = Results(Path({str(tmp_path)!r}))
        tracemalloc.start()
        assert len(results.rows()) == 2000
        print(*tracemalloc.get_traced_memory())
    """
    printed = subprocess.check_output([sys.executable, "-c", textwrap.dedent(code)])  # without threads of other tests
    now, most = map(int, printed.split())
    assert now / 2000 < 4500
    assert most / 2000 < 5500


def test_a_pipe_is_no_file_of_results(tmp_path):
    os.mkfifo(tmp_path / "results.jsonl")
    with pytest.raises(DataError, match=r"results\.jsonl: not a regular file"):
        Results(tmp_path).rows()


COMMITTED = sorted((ROOT / "reports").glob("*/results.jsonl"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.parent.name)
def test_every_committed_line_is_read_and_loses_nothing(path):
    written = [decoded(text) for text in path.read_bytes().splitlines()]
    rows = Results(path.parent).rows()
    points = {point_key(row["id"], row["axes"]): row for row in written}
    assert [row.plain() for row in rows] == list(points.values())
    about = path.parent / "ablation.json"
    assert not about.is_file() or read_description(path.parent).plain() == json.loads(about.read_text())


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("shape", [(), (0, 3), (2, 3)])
def test_numpy_and_pytorch_write_the_same_bytes(dtype, shape):
    array = np.asarray((np.arange(math.prod(shape)).reshape(shape) % 2).astype(dtype))
    data = as_arrays.pack("name", {"b": array, "a": np.float32([1])})
    assert data == as_tensors.pack("name", {"b": torch.from_numpy(array), "a": torch.ones(1)})
    assert np.array_equal(as_arrays.unpack("name", data)["b"], array)
    assert torch.equal(as_tensors.unpack("name", data)["b"], torch.from_numpy(array))


def test_the_sources_of_built_in_components_are_those_that_the_classes_declare():
    """If this fails, run ``python docs/make/citations.py``."""
    written = json.loads(CITATIONS.read_text("utf-8"))
    declared = {
        f"{row}/{name}": [source._asdict() for source in cls.sources]
        for row in ROWS
        for name, cls in ROWS[row].known.items()
        if cls.__module__.startswith("designspace.components.") and cls.sources
    }
    assert written == declared
    assert len(written) > 100


def test_sources_come_from_the_description_or_for_old_ones_from_the_built_in_components():
    spec = {"design": {"solver": {"name": "rk45"}, "schedule": {"name": "mine"}}}
    assert [source.authors for source in sources_of([spec], None)] == ["Dormand and Prince", "Song et al."]
    mine = Source(authors="Me", year=2026, title="Mine", url="https://example.org")
    assert sources_of([spec], {"schedule/mine": [mine]}) == [mine]
