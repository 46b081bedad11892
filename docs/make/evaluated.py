"""The figures of the rows of data, networks and evaluation: small exact computations with the components."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from designspace.data.images import Images
from designspace.denoising.flops import flops_of
from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import COLOURS, SMALL, look, shades
from designspace.drawing.panels import annotate, stacked
from designspace.drawing.ticks import set_log_ticks
from designspace.evaluation.measure import Sample
from designspace.registry.known import ROWS
from designspace.sampling.noise import generator


def _named(row: str, name: str, **fields: Any) -> Any:
    return ROWS[row].known[name](**fields)


def _digits() -> Images:
    found: Images = _named("data", "digits").load()
    return found


def augmentation() -> Figure:
    """Images, and the same after the transformations, one draw for each column."""
    images = _digits().pixels[:10].float() / 127.5 - 1
    rows: dict[str, Any] = {"image": None} | {
        name: _named("augmentation", "edm", **fields)
        for name, fields in (
            ("x_flip=1", {"x_flip": 1, "geometric": 0}),
            ("default", {}),
            ("geometric=1", {"geometric": 1}),
            ("colour=1", {"colour": 1, "geometric": 0, "x_flip": 0}),
        )
    }
    figure, grid = stacked(len(rows), 2.1, len(images))
    for j, (name, component) in enumerate(rows.items()):
        shown = images if component is None else component(images, torch.Generator().manual_seed(0))[0]
        for axes, image in zip(grid[j * len(images) :], shown, strict=False):
            axes.imshow(image[0], cmap="gray", vmin=-1, vmax=1)
            axes.set(xticks=[], yticks=[])
        grid[j * len(images)].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=SMALL)
    return figure


def network() -> Figure:
    """The cost of an evaluation against the number of parameters, for colour images of 32 x 32."""
    sizes: dict[str, list[dict[str, Any]]] = {
        "mlp": [{"width": width} for width in (64, 128, 256, 512)],
        "unet": [{"size": size} for size in ("tiny", "small", "medium", "base")],
        **{name: [{"model_channels": width} for width in (32, 64)] for name in ("edm", "edm2", "adm")},
    }
    figure, (axes,) = stacked(1, 2.6)
    keys = []
    for i, (name, every) in enumerate(sizes.items()):
        built = [_named("network", name, **fields).build((3, 32, 32)) for fields in every]
        keys.append(Key(name, look(i)))
        axes.plot(
            [sum(p.numel() for p in one.parameters()) for one in built], [_flops(one) for one in built], **look(i)
        )
    axes.set(xscale="log", yscale="log", xlabel="parameters", ylabel="FLOPs per evaluation")
    Legend(keys, SMALL, most=5).draw(figure)
    return figure


def _flops(built: torch.nn.Module) -> int:
    x, level = torch.zeros(1, 3, 32, 32), torch.tensor(1.0, dtype=torch.float64)
    return flops_of(lambda x, sigma: built(x, sigma.float().reshape(1), None), x, level)


def denoiser() -> Figure:
    """The output of the exact denoiser of two peaks against its input, at several noise levels."""
    D = _named("denoiser", "gaussian_mixture").bind()
    x, levels = torch.linspace(-2, 2, 401, dtype=torch.float64), (0.05, 0.2, 0.5, 1.0, 2.0)
    figure, (axes,) = stacked(1, 2.6)
    keys = []
    for level, colour in zip(levels, shades(len(levels)), strict=True):
        axes.plot(x, D(x[:, None], torch.tensor(level, dtype=torch.float64))[:, 0], color=colour)
        keys.append(Key(rf"σ = {level:g}", {"color": colour}))
    axes.plot(x, x, color="#777777", linewidth=0.8, linestyle=(0, (2, 1.5)))
    axes.set(xlabel="x", ylabel="D(x; σ)", ylim=(-1.1, 1.1))
    Legend([*keys, Key("D = x", {"color": "#777777", "linestyle": (0, (2, 1.5))})], SMALL).draw(figure)
    return figure


def data() -> Figure:
    """The data that come with the program: numbers, points and images."""
    figure, (numbers, points, images) = stacked(1, 1.6, 3, width=7.0)
    x = _named("data", "mixture").load().pixels.double().flatten() / 127.5 - 1
    numbers.hist(x, bins=60, color=COLOURS[0], alpha=0.6)
    tree = _named("data", "tree").load()
    at = tree.pixels.double().flatten(1) / 127.5 - 1
    for label in range(len(tree.classes)):
        points.plot(*at[tree.labels == label].T, ".", markersize=0.8, color=COLOURS[label % len(COLOURS)])
    shown = _digits().pixels[:40, 0].reshape(4, 10, 8, 8).permute(0, 2, 1, 3).reshape(32, 80)
    images.imshow(shown, cmap="gray")
    for axes, name in ((numbers, "mixture"), (points, "tree"), (images, "digits")):
        annotate(axes, name, "left", strong=True)
        axes.grid(visible=False)
    points.set(aspect="equal", xticks=[], yticks=[])
    images.set(xticks=[], yticks=[])
    numbers.set(xlabel="x", yticks=[])
    return figure


def detector() -> Figure:
    """How far noise moves the features of a digit, in units of the distance between the features of two digits."""
    pixels, levels = _digits().pixels[:48], (1.0, 4.0, 16.0, 64.0)
    noise = torch.from_numpy(generator("noise on digits").standard_normal(pixels.shape))
    figure, (axes,) = stacked(1, 2.4)
    keys = []
    for i, name in enumerate(("pixels", "lite0", "xfeat")):
        features = _named("detector", name).load(torch.device("cpu"))
        clean = features(pixels).double()
        apart = (clean - clean.roll(1, 0)).norm(dim=1).mean()
        noisy = [(pixels + level * noise).round().clamp(0, 255).to(torch.uint8) for level in levels]
        moved = [float((features(one).double() - clean).norm(dim=1).mean() / apart) for one in noisy]
        axes.plot([level / 127.5 for level in levels], moved, **look(i))
        keys.append(Key(name, look(i)))
    axes.set(xscale="log", yscale="log", xlabel="std of the noise", ylabel="change / between digits")
    Legend(keys, SMALL).draw(figure)
    return figure


def metric() -> Figure:
    """Metrics of normal numbers in four dimensions that are shifted, and of such whose spread is changed."""
    reference, own = (Sample(_normal(key)) for key in ("reference", "generated"))
    distances = ("frechet", "fid_infinity", "kid", "sliced_wasserstein")
    shares = ("precision", "recall", "density", "coverage")
    changes = (
        ("shift of the mean", np.array([0, 0.25, 0.5, 1, 1.5, 2, 3])),
        ("factor on the std", 2.0 ** np.arange(-3, 3.5)),
    )
    figure, grid = stacked(2, 4.4, 2, width=7.0)
    keys: dict[str, dict[str, Any]] = {}
    for row, names in enumerate((distances, shares)):
        for column, (label, at) in enumerate(changes):
            axes = grid[2 * row + column]
            moved = [own.features + (v if column == 0 else (v - 1) * own.features) for v in at.tolist()]
            for i, name in enumerate(names):
                of = _named("metric", name)
                values = np.array([of.measure(Sample(x.float()), reference).value for x in moved])
                keys[name] = look(i + len(distances) * row)
                axes.plot(at, values / abs(values).max() if row == 0 else values, **keys[name])
            axes.set(xlabel=label if row else "", ylabel=("value / the largest", "value")[row])
            if column:
                axes.set_xscale("log", base=2)
    Legend([Key(*item) for item in keys.items()], SMALL, width=7.0, most=8).draw(figure)
    return figure


def _normal(key: str, n: int = 500, d: int = 4) -> Tensor:
    return torch.from_numpy(generator("metrics", key).standard_normal((n, d))).float()


def reference() -> Figure:
    """The Fréchet distance of images from the statistics of others of the same distribution, against their number."""
    d, counts = 16, (50, 100, 200, 400, 800, 1600, 3200)
    known, of = Sample(_normal("statistics", 20_000, d)), _named("metric", "frechet")
    figure, (axes,) = stacked(1, 2.4)
    drawn = [[of.measure(Sample(_normal(f"{n}, {k}", n, d)), known) for k in range(8)] for n in counts]
    raw = [float(np.mean([one.value for one in each])) for each in drawn]
    corrected = [abs(float(np.mean([one.extra["bias_corrected"] for one in each]))) for each in drawn]
    axes.plot(counts, raw, **look(0))
    axes.plot(counts, corrected, **look(1))
    axes.plot(counts, [raw[0] * counts[0] / n for n in counts], color="#777777", linewidth=0.8)
    axes.set(xscale="log", yscale="log", xlabel="number of generated images n", ylabel="Fréchet distance")
    set_log_ticks(axes.xaxis, counts, 7)
    names = ("value", "bias_corrected, without sign")
    Legend([*(Key(name, look(i)) for i, name in enumerate(names)), Key("1 / n", {"color": "#777777"})], SMALL).draw(
        figure
    )
    return figure
