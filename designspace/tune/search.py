"""Searching for the best design of an ablation, and its final test."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from designspace.denoising.function import Function, Given
from designspace.design import Design
from designspace.errors import FewImagesWarning
from designspace.evaluation.rows import Metric
from designspace.report.study import Study
from designspace.results import search as records
from designspace.results.store import Results
from designspace.run.executors import first_device, workers_here
from designspace.run.run import run, with_denoiser
from designspace.run.trackers import trackers_of
from designspace.spec.ablation import Ablation, load
from designspace.spec.candidates import Changes
from designspace.spec.claims import Claim
from designspace.spec.search import BASELINE, TUNED
from designspace.spec.trial import Trial
from designspace.storage.cache import Cache
from designspace.text import Label
from designspace.tune.greedy import Greedy, Told
from designspace.tune.requests import Request, spend, spent
from designspace.tune.written import as_yaml


class Search:
    """A search for the best design of an ablation with ``search``.

    ``tune`` is this loop::

        search = Search("tuned.yaml")
        while request := search.ask():
            search.tell(request, search.evaluate(request))
        search.final()

    Everything that was measured is in the cache. A search that was interrupted is resumed by running it again: it asks
    the same questions, whose answers are there.

    Args:
        ablation: An ablation with ``search``, or its YAML file.
        out: The folder of all reports.
        device: A PyTorch device, or several, as for ``run``.
        executor: ``local``, ``ray`` or ``slurm``.
        workers: The number of workers; by default one per device.
        batch_size: Images per call of the denoiser.
        progress: Show progress on stderr.
        denoiser: A function ``D(x, sigma, labels)`` in place of the denoiser of the ablation, as for ``run``.
        denoiser_id: Its identity.
        slurm: Options of sbatch, as for ``run``.

    Raises:
        ValueError: The denoiser fails, has no id or is for several workers.
        SpecError: The file has errors, or no ``search``.
    """

    def __init__(
        self,
        ablation: Ablation | Path | str,
        *,
        out: Path | str = "reports",
        device: str = "cpu",
        executor: str = "local",
        workers: int | None = None,
        batch_size: int | None = None,
        progress: bool = True,
        denoiser: Function | None = None,
        denoiser_id: str = "",
        slurm: str = "",
    ) -> None:
        self.ablation = ablation if isinstance(ablation, Ablation) else load(ablation)
        if denoiser is not None or denoiser_id:
            here = executor == "local" and workers_here(executor, device, workers) == 1
            first = first_device(executor, device)
            self.ablation = with_denoiser(self.ablation, denoiser, denoiser_id, first, here=here)
        trackers_of(self.ablation)  # before the races, although only the final test is tracked
        self._greedy = Greedy(self.ablation)
        self._asked_for, self._out, self._work = self._greedy.search, Path(out), Cache().root / "tune"
        self._how: dict[str, Any] = {"device": device, "executor": executor, "workers": workers, "slurm": slurm}
        self._how |= {"batch_size": batch_size, "progress": progress}
        self._steps = self._greedy.steps()
        self._asked = next(self._steps, None)
        self._final: dict[str, records.FinalDesign] = {}

    @property
    def tuned(self) -> Mapping[int, Changes]:
        """For each budget, what the best design so far changes in the baseline, by row or field."""
        return self._greedy.tuned

    @property
    def designs(self) -> dict[int, Design]:
        """For each budget, the best design so far."""
        return {budget: trial.design for budget, trial in self._trials_of(self.final_test()).items()}

    def ask(self) -> Request | None:
        """What the search has to know next; ``None`` once its races are over."""
        return self._asked

    def tell(self, request: Request, results: Results) -> None:
        """Give the search the results of the request of ``ask``. Raises ``ValueError`` for another request."""
        if request is not self._asked:
            raise ValueError("request: is not the one that ask() has returned")
        (seconds, _), races = spent(results.folder), len(self._greedy.outcomes)
        try:
            self._asked = self._steps.send(Told(Study(results.folder), seconds))
        except StopIteration:
            self._asked = None
        if len(self._greedy.outcomes) > races:
            self._write()

    def request(self, arms: Mapping[str, Changes], images: int, budget: int) -> Request:
        """A request of your own, for instance of another optimiser, which ``evaluate`` takes.

        Args:
            arms: What each design changes in the baseline, by its label: ``{"rho 5": {"time_steps.rho": 5}}``.
            images: The number of images per design and repeat.
            budget: The budget of evaluations, in the field that ``search.at`` names.

        Raises:
            SpecError: A design does not fit.
        """
        return Request.of(self.ablation, arms, budget, images)

    def evaluate(self, request: Request) -> Results:
        """Measure the designs of a request; what is in the cache is not measured again.

        The axis ``arm`` of the results has the labels of the designs. Raises what ``designspace.run`` raises.
        """
        folder, start = self._work / request.ablation.name, perf_counter()
        before = spent(folder)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FewImagesWarning)  # checking the ablation has warned of it
                results = run(request.ablation, out=self._work, **self._how)
        except BaseException:
            spend(folder, before, start, complete=False)
            raise
        spend(folder, before, start, complete=True)
        return results

    def final(self, tuned: Mapping[int, Changes] | None = None) -> Results:
        """Measure the designs that were found on latents that no race has seen, and write the folder of the report.

        They are compared with the baseline and with the designs of ``search.against``.

        Args:
            tuned: What the design for each budget changes in the baseline; by default what the search has found.
        """
        ablation = self.final_test(tuned)
        results = run(ablation, out=self._out, **self._how)
        for budget, trial in self._trials_of(ablation).items():
            name, changes = f"{self._asked_for.step_field}={budget}", (self.tuned if tuned is None else tuned)[budget]
            yaml = "" if isinstance(trial.denoiser, Given) else as_yaml(self.ablation, trial, name)
            self._final[name] = records.FinalDesign(set=dict(changes), yaml=yaml)
        self._write()
        return results

    def final_test(self, tuned: Mapping[int, Changes] | None = None) -> Ablation:
        """The ablation that ``final`` runs, with a claim for each design that the tuned one is compared with.

        Its repeats go on where those of the races end: with other latents, and other networks if they are trained.
        """
        first, asked = self.ablation.trials()[0].evaluate, self._asked_for
        others = [BASELINE, *(change.name() for change in asked.against)]
        return self.ablation.changed(
            search=asked.with_tuned(self.tuned if tuned is None else tuned),
            evaluate={**self.ablation.evaluate, "images": asked.final_images or first.images},
            claims=(*self.ablation.claims, *(_better_than(other, first.metrics[0]) for other in others)),
        )

    @property
    def record(self) -> records.SearchRecord:
        """What the search has found so far, as in search.json."""
        found, metric = self._greedy, self.ablation.trials()[0].evaluate.metrics[0]
        return records.SearchRecord(
            metric=metric.name,
            higher_is_better=metric.higher_is_better,
            stages=len(found.sizes),
            images_spent=found.spent.images,
            images_full_grid=found.full_grid,
            seconds=found.spent.seconds,
            outcomes=found.outcomes,
            final=self._final,
        )

    def _trials_of(self, ablation: Ablation) -> dict[int, Trial]:
        """The trial of the tuned design for each budget; the first one if there are repeats."""
        found: dict[int, Trial] = {}
        for point in ablation.points():
            if point.axes["design"] == TUNED:
                found.setdefault(int(point.axes[self._asked_for.step_field]), point.trial)
        return found

    def _write(self) -> None:
        records.write_search(self._out / self.ablation.name, self.record)


def _better_than(other: Label, metric: Metric) -> Claim:
    sides = [{"design": TUNED}, {"design": other}]
    expect = {"less": sides[::-1] if metric.higher_is_better else sides, "metric": metric.name}
    return Claim.model_validate({"say": f"The tuned design is better than {other}.", "expect": expect})


@dataclass(frozen=True)
class Tuned:
    """What a search has found."""

    designs: Mapping[int, Design]
    """The design for each budget."""
    results: Results
    """The results of the final test on fresh latents, with the axes ``design`` and that of the budget."""
    record: records.SearchRecord
    """All races, as in search.json."""


def tune(ablation: Ablation | Path | str, **how: Any) -> Tuned:
    """Search for the best design of an ablation with ``search``, and measure it on fresh latents.

    To resume, run it again. The folder ``out/<name>`` gets the results of the final test and search.json.

    Args:
        ablation: An ablation with ``search``, or its YAML file.
        **how: ``out``, ``device``, ``executor``, ``workers``, ``batch_size`` and ``progress``, as for ``run``.

    Raises:
        SpecError: The file has errors, or no ``search``.
    """
    search = Search(ablation, **how)
    while request := search.ask():
        search.tell(request, search.evaluate(request))
    results = search.final()
    return Tuned(search.designs, results, search.record)
