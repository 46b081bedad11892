"""Trials on a Ray cluster give the same results as in one process."""

import pytest
from pipeline import assert_same, write_spec

from designspace import load, run

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module", autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


def go(tmp_path, monkeypatch, name, spec=None, **keywords):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / f"cache_{name}"))
    return run(load(write_spec(tmp_path, **(spec or {}))), out=tmp_path / name, **{"progress": False, **keywords})


def test_workers_on_ray_give_the_same_results(tmp_path, monkeypatch, capfd):
    alone = go(tmp_path, monkeypatch, "alone")
    assert_same(go(tmp_path, monkeypatch, "ray", executor="ray", workers=2, progress=True), alone)
    assert capfd.readouterr().err.count("chunk") == 12
    made = [sorted(path.name for path in (tmp_path / f"cache_{name}").glob("images/*/*")) for name in ("alone", "ray")]
    assert made[0] == made[1]
    assert len(made[0]) > 3


def test_what_fails_on_ray_is_recorded(tmp_path, monkeypatch):
    spec = {"grid": {"denoiser.fail": ["", "raise", "die"], "num_steps": [3]}}
    results = go(tmp_path, monkeypatch, "failing", spec, executor="ray", workers=2)
    assert len(results.rows()) == 1
    assert [row.error.partition(", Ray")[0] for row in results.failures] == [
        "ValueError: no such luck second line",
        "its process ended early",
    ]


def test_components_that_ray_cannot_find_are_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    ablation = load(write_spec(tmp_path)).model_copy(update={"components": ()})
    message = r"a worker cannot work: .*stand_in_.*\(your own components must be in files that the ablation lists"
    with pytest.raises(RuntimeError, match=message):
        run(ablation, out=tmp_path / "reports", executor="ray", progress=False)
