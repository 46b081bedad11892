"""The benchmarks for a GPU, with tiny sizes on a CPU."""

import json
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

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
    how = [how for what, how, _ in found["rows"] if what.startswith("sampling, ")]
    batches = ["float32, batches of 2", "float32, batches of 4", "float32, batches of 4, churn"]
    assert how == batches  # each was sampled, none is from the cache
    assert found["rows"][-1][2] == "0.0e+00"  # the same device
    assert {"git", "versions", "device"} <= set(found)
    title, _, *table = (tmp_path / "found.md").read_text().splitlines()
    assert found["versions"]["torch"] in title
    assert len(table) == len(found["rows"]) + 2


def test_a_campaign_evaluates_as_many_images_as_the_minutes_allow(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from gpu_campaign import images_for

    assert [images_for(minutes) for minutes in (0.1, 6, 30, 60, 600)] == [200, 1000, 5000, 10_000, 10_000]


# A campaign

ABLATION = """
name: {name}
data: digits
denoiser: {{name: trained, network: {{name: mlp, width: {width}, depth: 1}}, batch_size: 4, warm_up: 0}}
design: edm
nfe: {nfe}
evaluate: {{images: 8, detector: pixels, metrics: [frechet]}}
"""
CAMPAIGN = """
import sys
sys.path.insert(0, {benchmarks!r})
import gpu_campaign as campaign
campaign.JOBS = tuple(campaign.Job(campaign.Path(name), 0.005, ship=name == "first.yaml") for name in {files})
sys.exit(campaign.main())
"""
SET = ("--set", "evaluate.detector=pixels", "--set", "evaluate.images=200")
FILES = ["first.yaml", "second.yaml"]
ENDLESS, FEW = 10**9, 400


@pytest.fixture
def campaign(monkeypatch, tmp_path, digits):
    """Starts a campaign of two jobs, of which the second trains ``images`` images."""
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, width, nfe in zip(FILES, (8, 16), (5, 3), strict=True):  # two networks, so that none waits
        Path(name).write_text(ABLATION.format(name=name.removesuffix(".yaml"), width=width, nfe=nfe))
    with ZipFile("few.zip", "w") as file:
        for k, image in enumerate(digits.pixels[:12]):
            file.writestr(f"{k % 2}/{k}.png", encoded(image))
    code, started = CAMPAIGN.format(benchmarks=str(BENCHMARKS), files=FILES), []

    def start(minutes, images):
        known = json.loads(IMAGES.read_text()) if IMAGES.is_file() else {}
        IMAGES.parent.mkdir(exist_ok=True)
        IMAGES.write_text(json.dumps(known | {"second": images}))
        words = ["few.zip", "--device", "cpu", "--minutes", str(minutes), *SET]
        with Path("log").open("w") as log:  # a pipe would be kept open by commands that outlive the campaign
            started.append(subprocess.Popen([sys.executable, "-c", code, *words], stdout=log, stderr=log))
        return started[-1]

    yield start
    for each in started:  # which ends its commands, if the test has failed
        each.terminate()
        each.wait(60)


IMAGES, REPORTS = Path("campaign/images.json"), Path("campaign/reports")


def encoded(image):
    file = BytesIO()
    Image.fromarray(image[0].numpy()).save(file, "png")
    return file.getvalue()


def lines(name):
    path = REPORTS / name / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def commands():
    """The commands that the campaign has started, in order."""
    return [" ".join(line.split()[2:4]) for line in Path("log").read_text().splitlines() if line.startswith("+ ")]


def until(condition, process):
    while not condition():
        assert process.poll() is None, Path("log").read_text()
        time.sleep(0.01)


def test_a_campaign_that_is_stopped_or_out_of_time_goes_on_and_ends(campaign):
    """The second network is trained without end, so that all results come while it is trained."""
    running = campaign(10, ENDLESS)
    until(lambda: lines("first") and commands()[-1] == "train second.yaml", running)
    running.terminate()
    assert running.wait(60) == 143
    assert commands() == ["train first.yaml", "run first.yaml", "train second.yaml"]
    assert len(list(Path("campaign/models").iterdir())) == 2
    known, before = json.loads(IMAGES.read_text()), lines("first")
    assert known["first"] % (100 * 4) == 0

    running = campaign(0.03, ENDLESS)
    assert running.wait(90) == 0
    assert "out of time: run again to continue" in Path("log").read_text()
    assert lines("first") == before
    assert (REPORTS / "first" / "table.md").is_file()
    assert not lines("second")

    running = campaign(10, FEW)
    assert running.wait(120) == 0
    assert commands() == ["train first.yaml", "run first.yaml", "train second.yaml", "run second.yaml"]
    assert json.loads(IMAGES.read_text()) == known | {"second": FEW}
    assert [row["id"] for row in lines("first")] == [row["id"] for row in before]
    assert [row["images"] for row in lines("second")] == [200]
    assert (REPORTS / "second" / "table.md").is_file()
