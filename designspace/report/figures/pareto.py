"""Quality against cost: all points, and the Pareto front of those that no other point beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from typing import TYPE_CHECKING, Any

from designspace.drawing.legend import Key, Legend
from designspace.drawing.look import DARK, FAINT, SMALL, plain
from designspace.drawing.panels import annotate, stacked
from designspace.drawing.ticks import set_log_ticks
from designspace.report.entry import BUDGET, Entry
from designspace.report.evidence.paper import model_of
from designspace.report.figures.curves import MANY
from designspace.report.figures.looks import distinct, roles
from designspace.report.figures.metric import EVALUATIONS, each_once, measured_on, quantity
from designspace.report.study import Study, rivals
from designspace.text import config_name, one_line

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_POINTS = 4
"""The smallest number of points for which a front is meaningful."""
LEAST_RANGE = 1.25
"""The smallest ratio of the highest to the lowest cost for which a front is meaningful."""
BUSY = 3.0
"""The largest ratio of the seconds per evaluation of points with the same denoiser, for which seconds are shown.

Evaluations of the same denoiser cost about the same, so that larger ratios come from what else the machine did, or from
work that is not evaluation. Both say nothing about the cost of a design.
"""
PANEL = 2.3
"""The height of a panel in inches."""
NAMED = 8
"""The largest number of configurations per subject that have names, if they are on a front."""
NOTHING: dict[str, Any] = {"linestyle": "none"}
"""The look of a heading or a gap in a legend."""
FRONT: dict[str, Any] = {"color": DARK, "linewidth": 0.9, "zorder": 1.5}
BEATEN: dict[str, Any] = {"color": FAINT, "marker": ".", "markersize": 3}


@dataclass(frozen=True)
class CostPoint:
    """A configuration at one cost."""

    name: str
    cost: float
    value: float
    interval: tuple[float, float]
    """The 95 % interval, which is the value itself if it is unknown."""
    on_front: bool
    style: dict[str, Any]
    """The look of the configuration in all figures of the report."""


@dataclass(frozen=True)
class CostPanel:
    """All comparable points against one kind of cost, cheapest first."""

    subject: str
    """The data and the model."""
    protocol: str
    cost: str
    note: str
    points: list[CostPoint]


def pareto(study: Study, metric: str) -> Figure | None:
    """The metric against evaluations and seconds, log-log; ``None`` if there are too few points.

    Points on the front have the colour of their configuration and 95 % intervals.
    """
    panels = cost_panels(study, metric)
    if not panels:
        return None
    height = PANEL * len(panels)
    looks, legend = _named(panels, height / 3)
    figure, grid = stacked(len(panels), height + legend.height)
    for axes, panel in zip(grid, panels, strict=True):
        _draw(axes, panel, looks[panel.subject])
    legend.draw(figure)
    return figure


def _named(panels: Sequence[CostPanel], room: float) -> tuple[dict[str, dict[str, Any]], Legend]:
    """The looks of the configurations that have names, for each subject, and the legend with a heading for each.

    Names are given in turn to the fronts of all panels, as many as have ``room`` inches.
    """
    fronts = [[(panel.subject, p.name, p.style) for p in panel.points if p.on_front] for panel in panels]
    turns = [one for turn in zip_longest(*fronts) for one in turn if one]
    styles = {(subject, name): style | {"linestyle": "none", "zorder": 3} for subject, name, style in turns}
    subjects = list(dict.fromkeys(panel.subject for panel in panels))

    names = [*styles][: NAMED * len(subjects)]
    while True:
        of = {subject: {name: styles[one, name] for one, name in names if one == subject} for subject in subjects}
        looks = {subject: distinct(found, ("color", "marker")) for subject, found in of.items()}
        legend = _legend(looks, "; dark dots: others on it" if len(names) < len(styles) else "")
        if len(names) == 1 or legend.height <= room:
            return looks, legend
        names.pop()


def _legend(looks: dict[str, dict[str, dict[str, Any]]], rest: str) -> Legend:
    """A legend that has a column for each subject if there are several and the columns fit."""
    several = len(looks) > 1
    groups = [
        [Key(f"{subject}:", NOTHING)] * several + [Key(*item) for item in of.items()] for subject, of in looks.items()
    ]
    groups[-1].append(Key(f"the front{rest}", FRONT))
    legend = Legend([key for group in groups for key in group], SMALL, line=1.6)
    if not several or legend.columns < len(groups):
        return legend if not several else replace(legend, most=1)
    longest = max(map(len, groups))
    padded = [key for group in groups for key in group + [Key("", NOTHING)] * (longest - len(group))]
    return replace(legend, keys=padded, most=len(groups))


def cost_panels(study: Study, metric: str) -> list[CostPanel]:
    """The metric against evaluations, and against seconds if these can be compared.

    They can if all points were measured on the same kind of machine, and seconds per evaluation differ little: see
    ``BUSY``. Empty unless lower values of the metric are better.
    """
    found = []
    for group in rivals(study.entries, metric):
        entries = [e for e in group if math.isfinite(e.value(metric)) and e.value(metric) > 0]
        if len(entries) < LEAST_POINTS or group[0].higher_is_better(metric) is not False:
            continue
        protocol, note = quantity(group[0], metric), measured_on(entries, metric)
        subject = note.partition("\n")[0]
        machine = _machine(entries) if all(_seconds(entry) for entry in entries) else ""
        if machine and (ratio := _unevenness(entries)) > BUSY:
            machine, note = "", f"{note}\nno seconds: they differ {ratio:.0f}-fold per evaluation of one model"
        points = _points(study, entries, metric, lambda entry: entry.spent(study.count))
        found.append(CostPanel(subject, protocol, EVALUATIONS[study.count], note, points))
        if machine:
            points = _points(study, entries, metric, _seconds)
            found.append(CostPanel(subject, protocol, "seconds of sampling per image", f"{note}\n{machine}", points))
    costs = [[point.cost for point in panel.points] for panel in found]
    return [panel for panel, of in zip(found, costs, strict=True) if max(of) >= LEAST_RANGE * min(of) > 0]


def front(points: Sequence[tuple[float, float]]) -> list[bool]:
    """For each point (cost, value), whether no other point is at least as low in both and lower in one."""
    lowest = math.inf
    unbeaten: set[tuple[float, float]] = set()
    for cost, of in groupby(sorted(points), key=lambda point: point[0]):
        if (best := next(of)[1]) < lowest:
            lowest = best
            unbeaten.add((cost, best))
    return [point in unbeaten for point in points]


def _points(study: Study, entries: Sequence[Entry], metric: str, cost: Callable[[Entry], float]) -> list[CostPoint]:
    own = roles(study)
    # What is the same for all of them is not part of their names.
    axes = [axis for axis in study.about.axes if axis not in BUDGET]
    varying = [axis for axis in axes if len({str(entry.axes.get(axis)) for entry in entries}) > 1]
    configs: dict[str, list[Entry]] = {}
    for entry in entries:
        configs.setdefault(config_name({axis: entry.axes[axis] for axis in varying}), []).append(entry)
    named = [(name, entry) for name, of in each_once(configs).items() for entry in of]
    # Values below the drawn reference are no better than it, so that they are no reason to spend more.
    on_front = front([(cost(e), e.counted(metric)) for _, e in named])
    found = [
        CostPoint(name, cost(e), e.value(metric), e.interval(metric) or (e.value(metric),) * 2, on, own.style(e))
        for (name, e), on in zip(named, on_front, strict=True)
    ]
    return sorted(found, key=lambda point: (point.cost, point.value))


def _seconds(entry: Entry) -> float:
    """Seconds of sampling per image, averaged over the seeds; 0 unless all are known."""
    spent = [row.seconds.get("sampling") for row in entry.rows if row.seconds]
    known = [s for s in spent if isinstance(s, int | float) and s > 0]
    images = sum(int(row.images) for row in entry.rows)
    return sum(known) / images if len(known) == len(entry.rows) and images else 0.0


def _unevenness(entries: Sequence[Entry]) -> float:
    """The largest ratio of the seconds per evaluation of two points with the same denoiser."""
    found: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        same = model_of(entry), str(entry.trial("denoiser", "network"))
        found.setdefault(same, []).append(_seconds(entry) / entry.spent("nfe_total"))
    return max(max(of) / min(of) for of in found.values())


def _machine(entries: Sequence[Entry]) -> str:
    """The device and number of threads if they are the same for all entries, otherwise an empty string."""
    found = {_made_on(row.provenance) for entry in entries for row in entry.rows}
    return found.pop() if len(found) == 1 else ""


def _made_on(provenance: dict[str, Any] | None) -> str:
    about = provenance if isinstance(provenance, dict) else {}
    count = about.get("threads") if "cpu" in str(about.get("device")) else None
    threads = f", {count} thread{'s' if count != 1 else ''}" if isinstance(count, int) else ""
    return f"{one_line(about['device'])}{threads}" if about.get("device") else ""


def _draw(axes: Axes, panel: CostPanel, looks: dict[str, dict[str, Any]]) -> None:
    others = [point for point in panel.points if not (point.on_front and point.name in looks)]
    many = len(others) > MANY  # as an image, because a vector for each would make the file too large
    axes.plot([p.cost for p in others], [p.value for p in others], **BEATEN, linestyle="none", rasterized=many)
    for point in panel.points:
        if point.on_front and point.name in looks:
            axes.plot(point.cost, point.value, **looks[point.name])
    best = [point for point in panel.points if point.on_front]
    unnamed = [point for point in best if point.name not in looks]
    axes.plot([p.cost for p in unnamed], [p.value for p in unnamed], ".", color=DARK, markersize=4)
    axes.step([p.cost for p in best], [p.value for p in best], where="post", **FRONT)
    ends = [(max(low, p.value / 10), high) for p in best for low, high in (p.interval,)]
    for point, (low, high) in zip(best, ends, strict=True):
        axes.plot([point.cost] * 2, [low, high], **FRONT)
    axes.set(xscale="log", yscale="log", xlabel=plain(panel.cost), ylabel=plain(panel.protocol))
    set_log_ticks(axes.xaxis, [p.cost for p in panel.points], 4)
    set_log_ticks(axes.yaxis, [*(p.value for p in panel.points), *(end for pair in ends for end in pair)], 6)
    annotate(axes, panel.note)
