"""Evaluations: counted where networks are called, budgets that are not spent, and evaluations that move nothing."""

import json
import warnings

import pytest
import torch

import designspace as ds
from designspace.denoising.preconditioned import PreconditionedNetwork
from designspace.errors import SpecError
from designspace.report import Study
from designspace.report.tables.values import tidy
from designspace.results.store import Results
from designspace.sampling.counted import CountedDenoiser, count_call, guiding
from designspace.sampling.counting import cost
from designspace.sampling.rows import D
from designspace.spec.evaluations import Sampled
from designspace.testing.guidance import guides_a_denoiser

MERGED = {"preset": "iddpm", "time_steps": "edm", "solver": "heun", "schedule": "linear", "scaling": "none"}
LATENTS = torch.randn(4, 1, 1, 1, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 1, 1, 0])


class Guided:
    """A toy: D_u + g (D_c - D_u) for noise levels up to ``sigma_max``, otherwise D_c."""

    def __init__(self, denoiser, g=2.0, sigma_max=float("inf"), guide=None, mark=guiding):
        self.denoiser, self.guide, self.g, self.sigma_max = denoiser, guide or denoiser, g, sigma_max
        self.mark = mark
        self.shape = denoiser.shape

    def bind(self, labels):
        with_, without = self.denoiser.bind(labels), self.mark(self.guide.bind(None))

        def guided(x, sigma):
            found = with_(x, sigma)
            if self.g == 1 or float(sigma.max()) > self.sigma_max:
                return found
            other = without(x, sigma)
            return other + self.g * (found - other)

        for name in ("sigma_min", "sigma_max", "round_sigma", "c_in"):
            if hasattr(with_, name):
                setattr(guided, name, getattr(with_, name))
        return guided


class Batched(Guided):
    """The same with one batch of twice the size."""

    def bind(self, labels):
        n = len(labels)
        both = guiding(self.denoiser.bind(torch.cat([labels, torch.full_like(labels, -1)])), own=n)

        def guided(x, sigma):
            sigma = torch.cat([sigma, sigma]) if sigma.ndim else sigma
            found, other = both(torch.cat([x, x]), sigma).split(n)
            return other + self.g * (found - other)

        return guided


class Net(torch.nn.Module):
    """A network that sees the class, or -1 or None for no class."""

    def __init__(self, calls, slope=0.3):
        super().__init__()
        self.calls, self.slope = calls, slope

    def forward(self, x, c_noise, labels=None):
        self.calls.append(len(x))
        shift = torch.zeros(len(x)) if labels is None else labels.float()
        return self.slope * x + 0.1 * shift.reshape(-1, 1, 1, 1)


@pytest.fixture
def mixture():
    return ds.Denoiser.get("gaussian_mixture")()


@pytest.fixture
def network():
    return PreconditionedNetwork(Net([]), ds.Design.preset("edm"), (1, 1, 1))


def run(D: D, solver="heun", **rows):
    return ds.sample(ds.Design.preset("edm", solver=solver, **rows), D, LATENTS, 18)


def counts(out):
    return out.nfe, out.nfe_guidance, out.nfe_total


@pytest.mark.parametrize("source", ["mixture", "network"])
def test_calls_with_the_condition_and_others_are_told_apart(source, request):
    denoiser = request.getfixturevalue(source)
    assert counts(run(denoiser.bind(LABELS))) == (35, 0, 35)
    assert counts(run(Guided(denoiser).bind(LABELS))) == (35, 35, 70)
    assert counts(run(Guided(denoiser, g=1).bind(LABELS))) == (35, 0, 35)
    inside = int((run(denoiser.bind(LABELS)).sigmas <= 1.0).sum()) - 1
    # Heun evaluates each level between the first and the last twice: at the end of a step and at the next start.
    assert counts(run(Guided(denoiser, sigma_max=1.0).bind(LABELS))) == (35, 2 * inside, 35 + 2 * inside)
    if source == "network":
        assert sum(denoiser.network.calls) / len(LATENTS) == 35 + 70 + 35 + 35 + 35 + 2 * inside


def test_one_batch_of_twice_the_size_costs_two(network):
    assert counts(run(Batched(network).bind(LABELS))) == (35, 35, 70)


def test_another_network_that_guides_is_no_call_of_the_main_one(network):
    weak = PreconditionedNetwork(Net([], slope=0.1), ds.Design.preset("edm"), (1, 1, 1))
    assert counts(run(Guided(network, guide=weak).bind(LABELS))) == (35, 35, 70)
    assert (sum(network.network.calls), sum(weak.network.calls)) == (4 * 35, 4 * 35)
    assert counts(run(Guided(Guided(network), guide=weak).bind(LABELS))) == (35, 70, 105)


def test_a_denoiser_that_calls_its_network_twice_costs_two(network):
    once = network.bind(LABELS)
    assert counts(run(lambda x, sigma: (once(x, sigma) + once(-x, sigma)) / 2)) == (70, 0, 70)

    def own(x, sigma):
        count_call(len(x))
        count_call(len(x))
        return 0.5 * x

    assert run(own).nfe == 70


def test_a_function_that_counts_no_calls_costs_one_per_evaluation():
    """Also if it is guided, or if it guides."""

    class Plain:
        shape = (1, 1, 1)

        def bind(self, labels):
            return lambda x, sigma: 0.5 * x

    assert counts(run(lambda x, sigma: 0.5 * x)) == (35, 0, 35)
    assert counts(run(Guided(Plain()).bind(LABELS))) == (35, 35, 70)


def test_calls_of_an_adaptive_solver_are_counted_for_each_image(mixture):
    plain, guided = run(mixture.bind(LABELS), "rk45"), run(Guided(mixture).bind(LABELS), "rk45")
    assert len(set(plain.nfe_each.tolist())) > 1
    assert plain.nfe == plain.nfe_each.double().mean().item()
    assert plain.nfe_each.dtype == torch.int64
    alone = [
        ds.sample(ds.Design.preset("edm", solver="rk45"), mixture.bind(LABELS[k : k + 1]), LATENTS[k : k + 1]).nfe
        for k in range(len(LATENTS))
    ]
    assert plain.nfe_each.tolist() == alone
    assert guided.nfe_guidance == guided.nfe == guided.nfe_each.double().mean().item()


def test_a_network_that_sees_some_images_only_is_counted_as_a_mean(network):
    guide = guiding(network.bind(None))
    counted = CountedDenoiser(lambda x, sigma: torch.cat([network.bind(LABELS)(x, sigma)[:1], guide(x[1:], sigma)]))
    counted(LATENTS, 1.0)
    assert (counted.main.mean(), counted.guidance.mean()) == (1, 3 / 4)


class Toy(ds.Guidance, name="test_toy_guidance"):
    """``Guided`` as a component, which wraps the denoiser without labels with ``guiding`` or forgets to."""

    forgets: bool = False

    def wrap(self, denoiser):
        return Guided(denoiser, mark=(lambda D: D) if self.forgets else guiding)


def test_guidance_that_does_not_mark_its_calls_is_found_by_its_contract():
    guides_a_denoiser(Toy())
    message = "calls per evaluation that are not wrapped with guiding: expected 1, got 2"
    with pytest.raises(AssertionError, match=message):
        guides_a_denoiser(Toy(forgets=True))


def test_calls_outside_of_sampling_are_not_counted(network):
    bound = network.bind(LABELS)
    counted = CountedDenoiser(bound)
    counted(LATENTS, 1.0)
    bound(LATENTS, torch.tensor(1.0))
    assert counted.main.mean() == 1


# Levels that fall together


def merged_run(num_steps=256, **rows):
    design = ds.Design.preset(**(MERGED | rows))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        D = ds.precondition(lambda x, c_noise, labels: 0.1 * x, design)
        out = ds.sample(design, D, torch.randn(2, 1, 4, 4), num_steps)
    return out, said, cost(design, num_steps, design.c_noise)


def test_levels_that_fall_together():
    out, (said,), planned = merged_run()
    text = "49 of 256 levels fall together on the grid of c_noise iddpm: 98 of 511 evaluations move nothing"
    assert str(said.message) == text == planned.idle
    assert said.filename == __file__
    assert (out.nfe, out.nfe_idle, planned.nfe) == (511, 98, 511)
    assert len(out.sigmas) - len(out.sigmas.unique()) == 49
    few, nothing, planned = merged_run(18)
    assert (few.nfe_idle, nothing, planned.idle) == (0, [], "")


SOLVERS = [name for name in ds.Solver.known if not name.startswith("test_")]
TWICE = {"heun", "dpm2", "dpm2_ancestral", "dpmpp_2s", "dpmpp_2s_ancestral", "restart"}
CORRECTED = {"unipc", "sa_solver"}
"""At a repeated level, these still correct the preceding step: only every second evaluation in a row moves nothing."""


@pytest.mark.parametrize("solver", sorted(set(SOLVERS) - {"predictor_corrector", "rk45"}))
def test_every_solver_says_how_much_moves_nothing(solver):
    out, (said,), planned = merged_run(solver=solver)
    assert str(said.message) == planned.idle
    per_step = 4 if solver == "rk4" else 2 if solver in TWICE else 1
    assert out.nfe_idle == (23 if solver in CORRECTED else 49 * per_step)


@pytest.mark.parametrize(
    "rows", [{"solver": "predictor_corrector"}, {"stochasticity": {"name": "churn", "S_churn": 200}}]
)
def test_steps_between_equal_levels_that_add_noise_are_of_use(rows):
    out, said, planned = merged_run(**rows)
    assert len(out.sigmas.unique()) < len(out.sigmas)
    assert (out.nfe_idle, said, planned.idle) == (0, [], "")


def test_a_budget_includes_evaluations_that_move_nothing():
    design = ds.Design.preset(**MERGED)
    network = ds.Denoiser.get("trained")(network="mlp")  # which rounds noise levels to those of the design
    sampled = Sampled.of(design, network, ds.Guidance.get("none")())
    assert sampled.cost(256).idle
    assert sampled.affordable(511) == 256
    assert sampled.affordable(512) == 256


# What loading says, and what a run records

SPEC = """
data: mixture
denoiser: gaussian_mixture
design: edm
evaluate: {images: 20, detector: pixels, metrics: [wasserstein], labels: balanced}
"""


def loaded(tmp_path, text, *settings):
    path = tmp_path / "budget.yaml"
    path.write_text(text)
    return ds.load(path, settings)


def test_budgets_that_are_not_spent_are_told_in_one_line(tmp_path):
    grid = "grid:\n  solver: [heun, euler, dpm2, dpm3]\n  nfe: [6, 7, 8]\n"
    assert loaded(tmp_path, SPEC + grid).warnings == [
        f"{tmp_path}/budget.yaml:8:3: grid.nfe: heun, dpm2 spend 5 of 6, 7 of 8; dpm3 spends 4 of 6, 7 of 8 evaluations"
    ]
    assert loaded(tmp_path, SPEC + "nfe: 8").warnings == [
        f"{tmp_path}/budget.yaml:6:1: nfe: heun spends 7 of 8 evaluations"
    ]
    assert loaded(tmp_path, SPEC + "grid: {solver: [heun, euler], nfe: [5, 7]}").warnings == []
    assert loaded(tmp_path, SPEC + "nfe: 8\ngrid: {num_steps: [4]}").warnings == [
        f"{tmp_path}/budget.yaml:6:6: nfe: has no effect: grid.num_steps sets it"
    ]


@pytest.fixture
def steps_up_to_24():
    """Define time steps that are EDM's up to 24 levels and call ``beyond`` for more."""

    def make(beyond):
        edm = ds.TimeSteps.get("edm")()
        few = {"sigmas": lambda self, n: edm.sigmas(n) if n < 25 else beyond(edm.sigmas(n))}
        type(ds.TimeSteps)("Few", (ds.TimeSteps,), {"__module__": __name__, "__doc__": "Few."} | few, name="test_few")

    yield make
    ds.TimeSteps.known.pop("test_few", None)


BUDGET = SPEC.replace("design: edm", "design: {preset: edm, time_steps: test_few}") + "nfe: 59"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda sigmas: sigmas.flip(0), "expected positive levels in decreasing order"),
        (lambda sigmas: sigmas[:24], r"got float64 \[24\]"),
    ],
)
def test_a_budget_never_hides_that_time_steps_are_wrong(wrong, message, steps_up_to_24, tmp_path):
    steps_up_to_24(wrong)
    with pytest.raises(SpecError, match=rf"budget.yaml:4:35: design.time_steps: time_steps 'test_few': .*{message}"):
        loaded(tmp_path, BUDGET)


def test_time_steps_that_refuse_more_levels_are_told_with_the_reason(steps_up_to_24, tmp_path):
    def refuse(sigmas):
        raise ValueError("the table has 24 levels")

    steps_up_to_24(refuse)
    (found,) = loaded(tmp_path, BUDGET).warnings
    assert "nfe: heun spends 47 of 59 (time_steps 'test_few': the table has 24 levels (" in found


def test_levels_that_fall_together_are_told_when_an_ablation_is_loaded(tmp_path):
    text = SPEC.replace("denoiser: gaussian_mixture", "denoiser: {name: preconditioned, network: mlp}")
    text = text.replace("edm", json.dumps(MERGED).replace('"', "")).replace("[wasserstein]", "[frechet]")
    one = "49 of 256 levels fall together on the grid of c_noise iddpm: 98 of 511 evaluations move nothing"
    several = f"{one}; 6 of 100 levels fall together on the grid of c_noise iddpm: 12 of 199 evaluations move nothing"
    steps = "grid: {num_steps: [256, 18, 100]}"
    assert [w.split(": ", 2)[2] for w in loaded(tmp_path, text + "num_steps: 256").warnings] == [one]
    assert [w.split(": ", 2)[2] for w in loaded(tmp_path, text + "nfe: 511").warnings] == [one]
    assert [w.split(": ", 2)[2] for w in loaded(tmp_path, text + steps).warnings] == [several]
    more = loaded(tmp_path, text + "grid: {num_steps: [256, 100, 128, 200, 300]}").warnings[0]
    assert more.endswith("; and 2 more configurations have such levels")
    assert loaded(tmp_path, text + "num_steps: 256", "solver=rk45").warnings == []


class TwoCalls(ds.Denoiser, name="test_two_calls"):
    """The mixture with guidance of weight ``g``."""

    g: float = 2.0

    def load(self, data, design, device):
        return Guided(ds.Denoiser.get("gaussian_mixture")(), g=self.g)


def test_a_run_records_the_calls_of_guidance(tmp_path):
    grid = "num_steps: 5\ngrid: {denoiser.g: [1, 2], solver: [heun, rk45]}\n"
    text = SPEC.replace("gaussian_mixture", "test_two_calls") + grid
    results = ds.run(loaded(tmp_path, text), out=tmp_path, progress=False)
    rows = {(row.axes["denoiser.g"], row.axes["solver"]): row for row in results.rows()}
    assert (rows[1, "heun"].nfe, rows[1, "heun"].nfe_guidance, rows[1, "heun"].nfe_total) == (9, 0, 9)
    assert (rows[2, "heun"].nfe, rows[2, "heun"].nfe_guidance, rows[2, "heun"].nfe_total) == (9, 9, 18)
    assert rows[2, "rk45"].nfe_guidance == pytest.approx(rows[2, "rk45"].nfe)
    lines = [json.loads(line) for line in (results.folder / "results.jsonl").read_text().splitlines()]
    assert ["nfe_guidance" in line for line in lines] == [line["axes"]["denoiser.g"] == 2 for line in lines]
    assert not any("nfe_idle" in line for line in lines)
    assert results.frame.set_index("id")["nfe_total"].to_dict() == {row.id: row.nfe_total for row in rows.values()}
    table = tidy(Study(results.folder)).splitlines()
    assert ",nfe_guidance,nfe_total," in table[0]
    assert ",nfe_idle," not in table[0]
    assert Results(results.folder).rows() == results.rows()


def test_a_run_records_evaluations_that_move_nothing(tmp_path):
    text = SPEC.replace(
        "denoiser: gaussian_mixture", "denoiser: {name: preconditioned, network: {name: mlp, width: 8}}"
    )
    text = text.replace("edm", json.dumps(MERGED).replace('"', "")).replace("[wasserstein]", "[frechet]")
    (row,) = ds.run(loaded(tmp_path, text + "num_steps: 256"), out=tmp_path, progress=False).rows()
    assert (row.nfe, row.nfe_idle, row.levels_repeated) == (511, 98, 49)
