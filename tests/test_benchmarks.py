"""The benchmarks for a GPU, with tiny sizes on a CPU."""

import json
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def started(monkeypatch, tmp_path):
    """Imports a benchmark and calls its ``main`` with arguments."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def start(name, *words):
        monkeypatch.setattr(sys, "argv", [name, *words])
        module = __import__(name)
        module.main()
        return module

    return start


@pytest.mark.filterwarnings("ignore")
def test_the_table_for_a_gpu_is_written_whole(started, tmp_path):
    started("gpu", "--tiny", "--device", "cpu", "--out", str(tmp_path / "found"))
    found = json.loads((tmp_path / "found.json").read_text())
    kinds = [what.partition(",")[0] for what, _, _ in found["rows"]]
    assert list(dict.fromkeys(kinds)) == [
        *("sampler without a network", "latents", "sampling", "training"),
        *("first trial of 24 images", "second trial of 24 images", "images"),
    ]
    assert found["rows"][-1][2] == "0.0e+00"  # the same device
    assert {"git", "versions", "device"} <= set(found)
    title, _, *table = (tmp_path / "found.md").read_text().splitlines()
    assert found["versions"]["torch"] in title
    assert len(table) == len(found["rows"]) + 2


def test_a_campaign_evaluates_as_many_images_as_the_minutes_allow(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_campaign import images_for

    assert [images_for(minutes) for minutes in (0.1, 6, 30, 60, 600)] == [200, 1000, 5000, 10_000, 10_000]
