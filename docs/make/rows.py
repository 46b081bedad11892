"""One page for each row of the design space, made from the docstrings, fields and curves of its components."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import captions
import evaluated
import measured
import rst
from matplotlib.figure import Figure
from measured import built_in

from designspace.design import Design, preset_names
from designspace.drawing.files import saved
from designspace.drawing.look import style
from designspace.plots import curves_of, figure, sheets
from designspace.registry.component import Component
from designspace.registry.description import fields_of
from designspace.registry.known import ROWS
from designspace.sampling.probe import MeasuredTimeSteps

ROOT = Path(__file__).parents[2]
DRAWN = {
    "time_steps": ("time_steps", 0),
    "schedule": ("schedule", 0),
    "scaling": ("schedule", 1),
    "c_skip": ("preconditioning", 0),
    "c_out": ("preconditioning", 1),
    "c_in": ("preconditioning", 2),
    "c_noise": ("preconditioning", 3),
    "noise_distribution": ("training", 1),
    "loss_weight": ("training", 0),
}
"""The figure of ``designspace.plots`` and the number of the panel in which a row is drawn."""
WIDE = ("data", "metric")
"""The rows whose figures have the width of the page."""
COMPUTED: dict[str, Callable[[], Figure]] = {
    "solver": measured.solver,
    "stochasticity": measured.stochasticity,
    "guidance": measured.guidance,
    "ema": measured.ema,
    "augmentation": evaluated.augmentation,
    "data": evaluated.data,
    "denoiser": evaluated.denoiser,
    "network": evaluated.network,
    "detector": evaluated.detector,
    "metric": evaluated.metric,
    "reference": evaluated.reference,
}
"""The figures of other rows, which are computed with their components."""


def names() -> list[str]:
    """The rows that have components, in the order of the table."""
    return [row for row in ROWS if built_in(row)]


def overview() -> str:
    """The page that lists all rows."""
    lines = [f"| [{row}]({row}.md) | {rst.summary(ROWS[row].__doc__)} | {_listed(row)} |" for row in names()]
    head = ["| row | what it is | components |", "| --- | --- | --- |"]
    return "\n".join(["# The design space, row by row", "", _INTRODUCTION, "", *head, *lines, ""])


def page(row: str) -> str:
    """The page of a row."""
    kind = ROWS[row]
    parts = [f"# {row}", rst.markdown(kind.__doc__)]
    if row in Design.model_fields:
        parts.append(_presets(row))
    if row in DRAWN or row in COMPUTED:
        wide = "" if row in WIDE else "{ .column }"
        parts += [f"![{captions.TITLES[row]}](curves/{row}.svg){wide}", captions.CAPTIONS[row]]
    return "\n\n".join([*parts, *(_component(cls) for cls in built_in(row).values())]) + "\n"


def curves() -> Iterator[tuple[str, bytes]]:
    """One picture for each row that can be drawn."""
    with style():
        for row, (name, i) in DRAWN.items():
            found = curves_of(_designs(row))
            panels = {key: panels for key, _, panels in sheets(found)}[name]
            panel = replace(panels[i], x_label=panels[-1].x_label)
            yield row, saved(figure([panel]), "svg")
        for row, draw in COMPUTED.items():
            yield row, saved(draw(), "svg")


def _designs(row: str) -> dict[str, Design]:
    able = {name: cls for name, cls in built_in(row).items() if _stands_alone(cls)}
    schedule = {"schedule": "vp"} if row == "scaling" else {}
    return {name: Design.preset("edm", **schedule, **{row: name}) for name in able}


def _stands_alone(cls: type[Component]) -> bool:
    return not issubclass(cls, MeasuredTimeSteps) and not any(f.is_required() for f in cls.model_fields.values())


def _listed(row: str) -> str:
    return ", ".join(f"[{name}]({row}.md#{name})" for name in built_in(row))


def _presets(row: str) -> str:
    used = {name: getattr(Design.preset(name), row) for name in preset_names()}
    cells = " | ".join(f"[{component}](#{component.name})" for component in used.values())
    return f"| {' | '.join(used)} |\n|{' --- |' * len(used)}\n| {cells} |"


def _component(cls: type[Component]) -> str:
    file = Path(inspect.getsourcefile(cls) or "").relative_to(ROOT)
    also = " and ".join(f"`{alias}`" for alias in cls.known.aliases_of(cls))
    parts = [f"## {cls.name} {{ #{cls.name} }}", *[f"Also called {also}."] * bool(also), rst.markdown(cls.__doc__)]
    parts += filter(None, [cls.remark()])
    if fields := fields_of(cls):
        cells = [
            (f"`{f.name}`", f"`{f.type}`", f.domain.replace("|", "&#124;"), f"`{f.default.removeprefix('default ')}`")
            for f in fields
        ]
        lines = ["| " + " | ".join(line) + " |" for line in cells]
        parts.append("\n".join(["| field | type | domain | default |", "| --- | --- | --- | --- |", *lines]))
    code = re.sub("^", "    ", (ROOT / file).read_text("utf-8").rstrip(), flags=re.M)
    parts.append(f'??? example "{file}, version {cls.version}"\n\n    ```python\n{code}\n    ```')
    return "\n\n".join(parts)


_INTRODUCTION = """Every choice is a *component* of a *row*; a YAML file names it, `solver: heun`, or names it with its
fields, `{name: heun, alpha: 0.5}`. The first rows are those of Table 1 of
[Karras et al. (2022)](https://arxiv.org/abs/2206.00364); its columns are the presets. These pages are made from
the components themselves; `designspace show heun` prints the same."""
