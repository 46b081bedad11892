"""The command probe: suggest a design from measurements of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from designspace.cli.errors import clean_errors, print_json, stop, terminal
from designspace.cli.options import Json
from designspace.cli.sets import component, data_set

if TYPE_CHECKING:
    from rich.table import Table

    from designspace.data.images import Images
    from designspace.denoising.rows import Network
    from designspace.survey.facts import Facts
    from designspace.survey.survey import Survey

SMALL = 256
"""The largest number of values per image for which a multilayer perceptron is the default network."""
IMAGES = {"mlp": 100_000, "unet": 10_000}
"""The default number of training images: about ten seconds (mlp) or a minute (unet) on two cores."""
BAR = 20


def probe(
    data: Annotated[str, typer.Argument(help="Images: a folder, a zip, an npz, or the name of a data set.")],
    network: Annotated[
        str | None,
        typer.Option(help="As in YAML: '{name: unet, size: small}'. Default: mlp for small images, otherwise unet."),
    ] = None,
    images: Annotated[
        int | None,
        typer.Option(min=0, help="Training images. Default: 100,000 for mlp, 10,000 for other networks."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The seed of all random numbers.")] = 0,
    json: Json = False,
) -> None:
    """Measure a data set and suggest sigma_data, the range of noise levels, P_mean and P_std, each with its reason.

    At each noise level, the loss of a network after a short training is compared with that of the best linear denoiser
    and that of the best denoiser of each value by itself. P_mean and P_std follow from these losses by a heuristic, of
    which P_std has not been validated: compare it with EDM's 1.2. With --images 0, the network is not trained. The last
    lines can be copied into an ablation.

    Example: designspace probe digits
    """
    import designspace as ds
    from designspace.run.progress import training_shown
    from designspace.survey.survey import Survey
    from designspace.training.loop import DivergedError

    with clean_errors():
        chosen = None if network is None else component(ds.Network, network, "--network")
        loaded = data_set(data).load()
        chosen = chosen or _network(loaded)
        budget = IMAGES.get(chosen.name, IMAGES["unet"]) if images is None else images
        try:
            with training_shown() as seen:
                survey = Survey.of(loaded, chosen, budget, seed, seen)
        except DivergedError as error:
            stop(1, str(error))
    if json:
        training = {"network": chosen.model_dump(mode="json"), "images": budget, "seed": seed}
        print_json(survey.dump() | {"training": training})
        return
    _print(survey, f"{chosen.name} after {budget:,} images")


def _network(data: Images) -> Network:
    """The default network: a U-Net, unless the images are small or have a shape that it cannot process."""
    import math

    import designspace as ds
    from designspace.errors import DataError

    small = ds.Network.get("mlp")()
    if math.prod(data.shape) <= SMALL:
        return small
    patches = [p for p in (4, 2) if all(side % (4 * p) == 0 and side // p >= 16 for side in data.shape[1:])]
    large = ds.Network.get("unet").model_validate({"patch": next(iter(patches), 1)})
    try:
        large.build(data.shape)
    except DataError:
        return small
    return large


def _print(survey: Survey, trained: str) -> None:
    from rich.table import Column, Table
    from rich.text import Text

    console = terminal()
    facts = Table("", Column(overflow="fold"), box=None, show_header=False)
    for name, words in _facts(survey.facts):
        facts.add_row(Text(name, style="bold"), words)
    console.print(
        facts, "", _losses(survey), Text(f"loss with EDM's weight on held-out images; network: {trained}"), ""
    )
    suggestions = Table("", "", Column(overflow="fold"), box=None, show_header=False)
    for name, found in survey.suggestions.items():
        suggestions.add_row(Text(name, style="bold"), f"{found.value:g}", found.reason)
    console.print(suggestions)
    for note in survey.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    typer.echo("\n" + _yaml(survey.design))


def _facts(facts: Facts) -> list[tuple[str, str]]:
    shape, (low, high) = " x ".join(map(str, facts.shape)), facts.pixel_range
    sizes = facts.classes.values()
    classes = f", {len(sizes)} classes of {min(sizes):,} to {max(sizes):,}" if sizes else ", no classes"
    copies = f"{facts.copies:,} images are copies of {facts.copied:,} others" if facts.copies else "none"
    channels = [f"{m:.4g} ± {s:.4g}" for m, s in zip(facts.channel_mean, facts.channel_std, strict=True)]
    return [
        ("images", f"{facts.images:,} of {shape}{classes}"),
        ("pixels", f"{low} to {high}, {facts.pixel_values} of the 256 values"),
        ("in [-1, 1]", f"{facts.mean:.4g} ± {facts.std:.4g} (mean ± standard deviation)"),
        *([("by channel", ", ".join(channels))] if len(channels) > 1 else []),
        ("duplicates", copies),
    ]


def _losses(survey: Survey) -> Table:
    """The table of losses, at every other noise level."""
    from rich.table import Column, Table

    columns = {name: column for name, column in survey.curves.columns.items() if column is not None}
    names = [Column(name.replace("_", " "), justify="right") for name in columns]
    table = Table(*names, "", box=None, header_style="bold")
    top = max(float(columns["reduction"].max()), 1e-9)
    for row in list(zip(*(column.tolist() for column in columns.values()), strict=True))[::2]:
        sigma, *losses, reduction = row
        bar = "█" * round(BAR * reduction / top)
        table.add_row(f"{sigma:.2g}", *(f"{loss:.3f}" for loss in losses), f"{100 * reduction:.0f} %", bar)
    return table


def _yaml(design: dict[str, Any]) -> str:
    """The rows of a design as YAML, one row per line."""

    def written(value: Any) -> str:
        if isinstance(value, dict):
            return "{" + ", ".join(f"{key}: {written(below)}" for key, below in value.items()) + "}"
        return f"{value:g}" if isinstance(value, float) else str(value)

    return "\n".join(["design:", *(f"  {row}: {written(value)}" for row, value in design.items())])
