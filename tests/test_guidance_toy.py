"""The toy data for guidance: two trees in the plane, their exact denoiser, and the figure of samples as points."""

import math

import numpy as np
import pytest
import torch
from pipeline import write_spec

import designspace as ds
from designspace.report.figures.points import points, sampled
from designspace.report.study import Study
from designspace.report.write import write
from designspace.run.run import run
from designspace.spec import load

DEPTH = 3
TREE = ds.Data.get("tree")(depth=DEPTH, count=20_000)
DENOISER = ds.Denoiser.get("tree")(depth=DEPTH)


def normal(*shape):
    return torch.from_numpy(np.random.default_rng(5).standard_normal(shape))


def log_density(x, sigma, label=None):
    """The log density of noisy points, computed with torch.distributions."""
    weights, means, covs = TREE.parameters()
    chosen = torch.ones(len(weights), dtype=torch.bool) if label is None else TREE.class_of_mode() == label
    noisy = torch.distributions.MultivariateNormal(means, covs + sigma**2 * torch.eye(2, dtype=torch.float64))
    return (weights.log() + noisy.log_prob(x[:, None]))[:, chosen].logsumexp(1) - weights[chosen].sum().log()


@pytest.mark.parametrize("label", [None, 0, 1])
@pytest.mark.parametrize("sigma", [0.01, 0.3, 5.0])
def test_the_denoiser_is_the_score_of_each_class(sigma, label):
    x = (normal(20, 2) * (0.4 + sigma)).requires_grad_()
    level = torch.tensor(sigma, dtype=torch.float64)
    D = DENOISER.bind(None if label is None else torch.full((20,), label))
    (score,) = torch.autograd.grad(log_density(x, level, label).sum(), x)
    torch.testing.assert_close((D(x, level) - x) / sigma**2, score, rtol=1e-9, atol=1e-9)


def test_the_density_of_a_class_integrates_to_one():
    line = torch.linspace(-2, 2, 401, dtype=torch.float64)
    grid = torch.cartesian_prod(line, line)
    for label in (0, 1):
        mass = log_density(grid, torch.tensor(0.05), label).exp().sum() * 0.01**2
        assert float(mass) == pytest.approx(1, abs=1e-6)


def test_points_are_those_of_the_mixture():
    """The frequencies of the classes, and their moments, within the errors of 20,000 points of 256 values."""
    images = TREE.load()
    weights, means, covs = TREE.parameters()
    assert images.shape == DENOISER.shape == (1, 1, 2)
    assert images.classes == ("0", "1")
    assert abs(images.labels.double().mean() - 0.5) < 4 * 0.5 / math.sqrt(20_000)
    for label in (0, 1):
        inside = TREE.class_of_mode() == label
        w, m, c = weights[inside] / weights[inside].sum(), means[inside], covs[inside]
        mean = w @ m
        cov = torch.einsum("k,kij->ij", w, c + (m - mean)[:, :, None] * (m - mean)[:, None])
        xy = images.scaled()[images.labels == label].reshape(-1, 2).double()
        torch.testing.assert_close(xy.mean(0), mean, rtol=0, atol=0.01)
        torch.testing.assert_close(xy.T.cov(), cov, rtol=0.05, atol=1e-3)


def test_the_trees():
    """Two opposite trees of 2^7 - 1 branches with equal masses per level, which fit into [-1, 1]."""
    weights, means, covs = ds.Data.get("tree")().parameters()
    half = len(weights) // 2
    assert half == 3 * (2**7 - 1)
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[:3].sum()) == pytest.approx(1 / 14)  # the first of seven levels of one of two trees
    torch.testing.assert_close(means[:half], -means[half:], rtol=0, atol=1e-12)
    torch.testing.assert_close(covs[:half], covs[half:], rtol=0, atol=1e-12)
    reach = means.abs() + 4 * covs.diagonal(dim1=1, dim2=2).sqrt()
    assert float(reach.max()) < 1


def test_labels_are_classes():
    assert DENOISER.known_classes(TREE.load()) == 2
    with pytest.raises(ValueError, match="denoiser tree: labels are 0 to 1, not"):
        DENOISER.bind(torch.tensor([0, 2]))


SPEC = {
    "data": {"name": "tree", "depth": DEPTH, "count": 300},
    "denoiser": {"name": "tree", "depth": DEPTH},
    "design": {"preset": "edm", "time_steps": {"sigma_max": 5}},
    "num_steps": 4,
    "grid": {
        "variant": [
            {"label": "no guidance", "set": {"guidance": "none"}},
            {"label": "CFG", "set": {"guidance": {"name": "cfg", "weight": 3}}},
        ]
    },
    "evaluate": {
        "images": 210,
        "labels": "balanced",
        "detector": "pixels",
        "metrics": ["sliced_wasserstein", "precision"],
    },
    "components": [],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DESIGNSPACE_CACHE", str(folder / "cache"))
        return Study(run(load(write_spec(folder, **SPEC)), out=folder, progress=False).folder)


def test_all_samples_and_the_data_are_kept_for_the_figure(study):
    data = ds.Data.get("tree")(depth=DEPTH, count=300).load()
    found = sampled(study)
    assert [s.entry.config for s in found] == ["no guidance", "CFG"]
    for s in found:
        np.testing.assert_array_equal(s.samples.xy[:8], study.images(s.entry.rows[0]).reshape(8, 2))
        np.testing.assert_array_equal(s.samples.labels, np.arange(210) % 2)
        np.testing.assert_array_equal(s.data.xy, data.pixels.reshape(-1, 2))
        np.testing.assert_array_equal(s.data.labels, data.labels)


def test_the_figure_has_a_panel_per_configuration_after_the_data(study):
    figure = points(study)
    panels = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in panels] == ["data", "no guidance", "CFG"]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in panels}) == 1
    for axes, shown in zip(panels, [sampled(study)[0].data, *(s.samples for s in sampled(study))], strict=True):
        assert len(axes.lines) == len(axes.collections) == 2  # the points and the region of each class
        places = np.concatenate([line.get_xydata() for line in axes.lines])
        kept = np.concatenate([xy for _, xy in shown.first(210).of_classes()])
        np.testing.assert_array_equal(np.floor(places), kept)
    names = {path.name for path in write(study)}
    assert "points.png" in names
    assert "samples.png" not in names  # pictures of two pixels say nothing


def test_regions_contain_their_share_of_the_data(study):
    """Most data points lie inside the region of their class, which covers a small part of the plane."""
    panel = points(study).axes[0]
    for (_, xy), region in zip(sampled(study)[0].data.of_classes(), panel.collections, strict=True):
        inside = np.logical_or.reduce([path.contains_points(xy + 0.5) for path in region.get_paths()])
        assert inside.mean() > 0.9
    spread = np.random.default_rng(0).uniform(0, 255, (2000, 2))
    everywhere = [path.contains_points(spread) for region in panel.collections for path in region.get_paths()]
    assert np.logical_or.reduce(everywhere).mean() < 0.4
