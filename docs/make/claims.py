"""Write reports/README.md: the claims of the literature with their verdicts, and all reports.

The claims stand in ``reports/claims.yaml``. Verdicts are those of the project's evidence code on committed results.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from ruamel.yaml import YAML

from designspace.report import Study
from designspace.report.entry import Entry
from designspace.report.evidence.claims import Needed, comparisons
from designspace.report.evidence.inference import Outcome
from designspace.report.evidence.paper import model_of
from designspace.report.evidence.verdicts import Verdict, verdict, verdicts
from designspace.report.tables.claims import labels
from designspace.report.tables.table import Cell, Table, markdown, number_cell
from designspace.report.trainings import network_of
from designspace.results.records import Claim as Judged
from designspace.text import counted, joined

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "reports"
PAGE, CLAIMS = REPORTS / "README.md", REPORTS / "claims.yaml"
TESTED = "holds (tested)"
STALE = "not computed: the committed results are of an earlier version of this ablation"
NO_NETWORK = "not decided: only measured with an exact denoiser, which makes none of the errors that this is about"
NO_TRAININGS = "not decided: only measured on networks that were trained alike"
DENOISER = "denoiser"
"""The axis of ablations that measure everything with several denoisers; the claim is judged for each of them."""
INTRODUCTION = """\
<!-- Made by docs/make/claims.py from claims.yaml and the results in these folders; `make reports` makes it again. -->

# Claims and reports

The claims of the EDM paper ([Karras et al., 2022](https://arxiv.org/abs/2206.00364), whose sections and figures are
cited below) and of the tutorial *Denoising Diffusion* (Nabian and Aittala, NVIDIA) that can be tested, in our words,
and what this project finds. Identities are decided by tests, to rounding errors, in the limit of many steps, or within
the sampling errors that a test states; all other claims by claims of [ablations](../ablations/). If an ablation
measures everything both with a network and with an exact denoiser, its claim is judged for each of them here, and for
both together on its own page.

These verdicts are about the model, the data and the metric that they were measured on, which are small: scikit-learn's
digits, CIFAR-10 after JPEG compression, networks of at most 2.6 million parameters, and distances of EfficientNet-Lite0
features instead of the FID. They say whether an effect is found here, not whether the numbers of the paper are right.
Errors of the sampler can be studied with an exact denoiser; a claim about errors of a network needs a network, and one
about training needs networks that were trained in different ways. The p-values are not corrected for the number of
claims: see [what the verdicts mean](../docs/error_bars.md#verdicts). Estimates are ± one standard error."""
"""The beginning of the page."""


class Claim(BaseModel):
    """A claim of the literature, and where it is decided."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    claim: str
    source: str
    tests: list[str] = []
    """Tests of an identity: ``tests/test_sampler.py::test_euler_is_ddim``."""
    model: Literal["any", "network", "trainings"] = "any"
    """What can decide it: any denoiser, a network, or networks that were trained in different ways."""
    ablations: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    """What the claims of ablations say that decide it, by report."""
    opposite: dict[str, Annotated[list[str], Field(min_length=1)]] = {}
    """What the claims of ablations say that contradict it."""
    missing: str = ""
    """What it would take to decide it, or the part of it that is not decided."""

    @property
    def cited(self) -> list[tuple[str, str, str]]:
        """The claims of ablations: a remark, the report, and what is said."""
        both = (("", self.ablations), ("the opposite, ", self.opposite))
        return [(remark, report, say) for remark, of in both for report, sayings in of.items() for say in sayings]


def claims() -> dict[str, list[Claim]]:
    """The claims of the file, by block."""
    data = YAML(typ="safe").load(CLAIMS.read_text("utf-8"))
    return {block: [Claim.model_validate(one) for one in found] for block, found in data.items()}


def page() -> str:
    """The page."""
    parts = [INTRODUCTION]
    for block, found in claims().items():
        parts += [f"## {block}", "\n".join(markdown(table(found)))]
    parts += ["## All reports", "\n".join(markdown(reports()))]
    return "\n\n".join(parts) + "\n"


def table(found: list[Claim]) -> Table:
    """The table of a block: one line for each test or claim of an ablation."""
    rows = []
    for claim in found:
        lines = [*_tested(claim), *_measured(claim)]
        lines += [[Cell(""), Cell(f"open: {claim.missing}"), Cell("")]] if claim.missing else []
        first, *others = lines
        rows += [[Cell(claim.id), Cell(f"{claim.claim} ({claim.source})"), *first]]
        rows += [[Cell(""), Cell(""), *line] for line in others]
    return Table(["", "claim", "evidence", "verdict on it", "measured on"], rows, "")


def _tested(claim: Claim) -> Iterator[list[Cell]]:
    for i, test in enumerate(claim.tests):
        path, _, name = test.partition("::")
        yield [Cell(name, link=f"../{path}"), Cell("" if i else TESTED), Cell("")]


def _measured(claim: Claim) -> Iterator[list[Cell]]:
    for remark, report, say in claim.cited:
        for text, on in judgements(Study(REPORTS / report), say, claim.model):
            yield [Cell(f"{remark}{report}: {say}", link=f"{report}/claims.md"), Cell(text), Cell(on)]


def judgements(study: Study, say: str, model: str) -> list[tuple[str, str]]:
    """The verdict on a claim of an ablation and what it was measured on, for each model that can decide it."""
    stated = next((claim for claim in study.about.claims if claim.say == say), None)
    if stated is None:
        return [(STALE, "")]
    each = [(one, comparisons(study, one.expect) or []) for one in for_each_denoiser(study, stated)]
    able = [(one, needed) for one, needed in each if adequate(needed, model)]
    if not able:
        return [(NO_TRAININGS if model == "trainings" else NO_NETWORK, "")]
    found = [(verdict(study, one), needed) for one, needed in able]
    known = [(one, needed) for one, needed in found if one.outcome is not Outcome.MISSING] or found
    return [(_words(study, one), _on(needed, stated.expect["metric"])) for one, needed in known]


def for_each_denoiser(study: Study, claim: Judged) -> list[Judged]:
    """The claim, narrowed to each value of the axis ``denoiser``, unless there is none or the claim names it."""
    sides = [value for value in claim.expect.values() if isinstance(value, Mapping)]
    sides += [
        one for value in claim.expect.values() if isinstance(value, list) for one in value if isinstance(one, dict)
    ]
    named = [*claim.expect.values(), *(axis for side in sides for axis in side)]
    if DENOISER not in study.about.axes or DENOISER in named:
        return [claim]
    values = dict.fromkeys(point.axes[DENOISER] for point in study.points)
    return [claim.model_copy(update={"expect": _with(claim.expect, {DENOISER: value})}) for value in values]


def _with(value: Any, axes: Mapping[str, object]) -> Any:
    """An expectation whose selections of points have these axes in addition."""
    return {key: _narrowed(one, axes) for key, one in value.items()}


def _narrowed(value: Any, axes: Mapping[str, object]) -> Any:
    if isinstance(value, Mapping):
        return {**value, **axes}
    return [_narrowed(one, axes) for one in value] if isinstance(value, list) else value


def adequate(needed: list[Needed], model: str) -> bool:
    """Whether points that were measured on such a model can decide the claim.

    An exact denoiser makes no errors that noise or training could correct, and networks that are the same do not differ
    in training.
    """
    networks = {frozenset(network_of(row) for row in entry.rows) for one in needed for entry in one.entries}
    known = all(None not in of for of in networks)
    return {"any": True, "network": known, "trainings": known and len(networks) > 1}[model]


def _words(study: Study, found: Verdict) -> str:
    where = f"{found.headline} {study.budget_word}" if found.where else found.headline
    return "; ".join(filter(None, (where, found.brief or found.numbers, found.enough)))


def _on(needed: list[Needed], metric: str) -> str:
    """``digits, network digits, n = 3,200``."""
    entries = [entry for one in needed for entry in one.entries if entry.has(metric)]
    return "; ".join(dict.fromkeys(_model(entry, metric) for entry in entries))


def _model(entry: Entry, metric: str) -> str:
    runs = f" for each of {entry.trainings} trainings" if (entry.trainings or 1) > 1 else ""
    runs = ", one training" if entry.trainings == 1 and entry.trial("denoiser", "name") == "trained" else runs
    return f"{entry.trial('data', 'name')}, {model_of(entry)}, n = {entry.images(metric):,}{runs}"


def reports() -> Table:
    """All reports: their questions, points and claims, and with what and when they were computed."""
    rows = [_report(folder) for folder in sorted(REPORTS.iterdir()) if folder.is_dir()]
    return Table(["report", "question", "points", "claims", "data and model", "computed"], rows, "")


def _report(folder: Path) -> list[Cell]:
    if not (folder / "ablation.json").is_file():
        text = next(folder / name for name in ("README.md", "best.md") if (folder / name).is_file())
        title = text.read_text("utf-8").splitlines()[0].removeprefix("# ")
        return [Cell(folder.name, link=f"{folder.name}/{text.name}"), Cell(title), *([Cell("")] * 4)]
    study = Study(folder)
    points = f"{len(study.entries)}" + (f" of {len(study.points)}" if len(study.entries) < len(study.points) else "")
    link = f"{folder.name}/claims.md" if study.about.claims else ""
    said = ", ".join(labels(verdicts(study)).values())
    models = dict.fromkeys(f"{entry.trial('data', 'name')}: {model_of(entry)}" for entry in study.entries)
    return [
        Cell(folder.name, link=f"{folder.name}/table.md"),
        Cell(study.about.question),
        number_cell(points),
        Cell(said, link=link),
        Cell("; ".join(models)),
        Cell(_computed(study)),
    ]


def _computed(study: Study) -> str:
    """``2026-11-26, designspace 0.1.0, PyTorch 2.14.1``; the days from first to last."""
    records = [row.provenance or {} for entry in study.entries for row in entry.rows]
    days = sorted({str(record["time"])[:10] for record in records if record.get("time")})
    parts = [" to ".join(dict.fromkeys((days[0], days[-1])))] if days else []
    for name, title in (("designspace", "designspace"), ("torch", "PyTorch")):
        known = {str((record.get("versions") or {}).get(name) or "").partition("+")[0] for record in records} - {""}
        parts += [f"{title} {joined(sorted(known))}"] if known else []
    return ", ".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
    print(f"{PAGE}: {counted(sum(map(len, claims().values())), 'claim')}")
