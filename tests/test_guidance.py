"""Guidance: its formulas, in which space they hold, what it costs, and with what it is refused."""

import math
import textwrap
from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

import designspace as ds
from designspace.denoising.guidance import PairGuidance
from designspace.denoising.preconditioned import Preconditioned, PreconditionedNetwork
from designspace.run.labels import require_labels
from designspace.run.shapes import require_shapes
from designspace.sampling.counted import count_call
from designspace.spec import Ablation, SpecError, load

EDM = ds.Design.preset("edm")
EULER = EDM.model_copy(update={"solver": ds.Solver.get("euler")()})
SHAPE = (2, 4, 4)
LABELS = torch.tensor([0, 2, 1])
LINEAR = ["cfg", "interval"]


def randn(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


LATENTS = randn(3, *SHAPE)


def guidance(name, **fields):
    return ds.Guidance.get(name)(**fields)


class Network(torch.nn.Module):
    """A smooth function of the noisy image, its noise level and its class, in float64."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(randn(4, *SHAPE, seed=1), requires_grad=False)

    def forward(self, x, c_noise, labels=None):
        chosen = self.weight[torch.full((len(x),), 3) if labels is None else labels]
        return (chosen * x + c_noise.reshape(-1, 1, 1, 1)).tanh() + chosen


NETWORK = PreconditionedNetwork(Network(), EDM, SHAPE)


@dataclass(frozen=True)
class Gaussians:
    """The denoiser of Gaussian classes with the same covariance; without labels, that of one around ``mean``."""

    means: torch.Tensor
    mean: torch.Tensor
    variance: torch.Tensor
    shape: tuple[int, ...] = SHAPE

    def bind(self, labels):
        mean = self.mean if labels is None else self.means[labels]

        def D(x, sigma):
            count_call(len(x))
            share = self.variance / (self.variance + sigma.reshape(-1, 1, 1, 1) ** 2)
            return mean + share * (x - mean)

        return D


GAUSSIANS = Gaussians(randn(3, *SHAPE, seed=2), randn(*SHAPE, seed=3), 0.1 + randn(*SHAPE, seed=4).square())


def sampled(guidance, design=EDM, denoiser=NETWORK, steps=8, labels=LABELS, latents=LATENTS, **options):
    D = guidance.wrap(denoiser, *[denoiser] * guidance.takes_guide).bind(labels)
    return ds.sample(design, D, latents, steps, **options)


def denoised(guidance, x, sigma, denoiser=NETWORK, step=1):
    """The guided D at one noise level, in a step without a memory."""
    D = guidance.wrap(denoiser, *[denoiser] * guidance.takes_guide).bind(LABELS)
    D.at_step(step, sigma)
    return D(x, torch.tensor(sigma, dtype=torch.float64))


# Formulas


@pytest.mark.parametrize(
    "alone",
    [guidance(name, weight=1) for name in LINEAR]
    + [
        guidance("rescale", weight=1),
        guidance("apg", weight=1),
        guidance("cfg_zero", weight=1, zero_steps=0),
        guidance("autoguidance", weight=1, guide="exact"),
    ],
    ids=str,
)
def test_weight_one_is_the_denoiser_itself_and_costs_nothing(alone):
    out, plain = sampled(alone), sampled(guidance("none"))
    assert torch.equal(out.x, plain.x)
    assert (out.nfe, out.nfe_guidance) == (plain.nfe, 0) == (15, 0)
    assert not alone.effective


def test_weight_one_after_steps_of_zero_evaluates_no_guide():
    out = sampled(guidance("cfg_zero", weight=1, zero_steps=2))
    assert out.nfe_guidance == 0
    assert not torch.equal(out.x, sampled(guidance("none")).x)


def spaces(x, sigma):
    """Functions from D to the noise, the velocity, the network's output and the flow, and back."""
    alpha = 1 / math.sqrt(1 + sigma**2)
    z, level = alpha * x, torch.tensor(sigma, dtype=torch.float64)
    skip, out = EDM.c_skip(level), EDM.c_out(level)
    return {
        "epsilon": (lambda D: (x - D) / sigma, lambda n: x - sigma * n),
        "v": (lambda D: (alpha * z - D) / (sigma * alpha), lambda v: alpha * z - sigma * alpha * v),
        "F": (lambda D: (D - skip * x) / out, lambda F: skip * x + out * F),
        "flow": (lambda D: (x - D) / sigma - D, lambda u: (x - sigma * u) / (1 + sigma)),
    }


@pytest.mark.parametrize("sigma", [0.05, 0.7, 3.0])
@pytest.mark.parametrize("space", ["epsilon", "v", "F", "flow"])
def test_linear_guidance_is_the_same_in_every_space(space, sigma):
    x, level = LATENTS * (1 + sigma), torch.tensor(sigma, dtype=torch.float64)
    into, back = spaces(x, sigma)[space]
    c, u = into(NETWORK.bind(LABELS)(x, level)), into(NETWORK.bind(None)(x, level))
    expected = back(u + 3 * (c - u))
    torch.testing.assert_close(denoised(guidance("cfg", weight=3), x, sigma), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("weight", [0, 0.5, 3])
def test_guided_gaussians_are_gaussians_with_a_shifted_mean(weight):
    guided = guidance("cfg", weight=weight)
    mean = GAUSSIANS.mean + weight * (GAUSSIANS.means[LABELS] - GAUSSIANS.mean)
    shifted = Gaussians(mean, mean, GAUSSIANS.variance)
    for sigma in (0.01, 1.0, 50.0):
        x, level = LATENTS * (1 + sigma), torch.tensor(sigma, dtype=torch.float64)
        expected = shifted.bind(None)(x, level)
        torch.testing.assert_close(denoised(guided, x, sigma, GAUSSIANS), expected, rtol=0, atol=1e-10)
    fine = EDM.model_copy(update={"solver": ds.Solver.get("rk45")(rtol=1e-9, atol=1e-12)})
    found = sampled(guided, fine, GAUSSIANS).x
    torch.testing.assert_close(found, sampled(guidance("none"), fine, shifted, labels=None).x, rtol=0, atol=1e-10)
    # From sigma = 80 to 0.002, x - mean shrinks with the standard deviation of the noisy data; D follows.
    variance, low, high = GAUSSIANS.variance, 0.002**2, 80.0**2
    last = mean + (80 * LATENTS - mean) * ((variance + low) / (variance + high)).sqrt()
    exact = shifted.bind(None)(last, torch.tensor(0.002, dtype=torch.float64))
    torch.testing.assert_close(found, exact, rtol=0, atol=1e-7)


def test_autoguidance_by_the_denoiser_without_labels_is_cfg():
    auto = guidance("autoguidance", weight=3, guide="exact", condition="none")
    out, expected = sampled(auto), sampled(guidance("cfg", weight=3))
    assert torch.equal(out.x, expected.x)
    assert (out.nfe, out.nfe_guidance) == (expected.nfe, expected.nfe_guidance) == (15, 15)


def test_autoguidance_gives_the_guide_the_labels():
    auto = guidance("autoguidance", weight=3, guide="exact")
    weak = Gaussians(GAUSSIANS.means / 2, GAUSSIANS.mean, 2 * GAUSSIANS.variance)
    x, level = LATENTS, torch.tensor(0.7, dtype=torch.float64)
    own, other = (denoiser.bind(LABELS)(x, level) for denoiser in (GAUSSIANS, weak))
    found = auto.wrap(GAUSSIANS, weak).bind(LABELS)(x, level)
    torch.testing.assert_close(found, other + 3 * (own - other))


def images_sum(x):
    return x.flatten(1).sum(1).reshape(-1, 1, 1, 1)


def rescale(c, u, step, memory):
    guided = u + 3 * (c - u)
    scaled = guided * (c.flatten(1).std(1) / guided.flatten(1).std(1)).reshape(-1, 1, 1, 1)
    return 0.6 * scaled + 0.4 * guided, None


def apg(c, u, step, memory):
    d = total = c - u - 0.5 * (0 if memory is None else memory)
    d = d * (2 / images_sum(d * d).sqrt()).clamp(max=1)
    parallel = images_sum(d * c) / images_sum(c * c) * c
    return c + 2 * (d - parallel + 0.25 * parallel), total


def cfg_zero(c, u, step, memory):
    s = images_sum(c * u) / images_sum(u * u)
    return (torch.zeros_like(c) if step < 2 else s * u + 3 * (c - s * u)), None


FORMULAS = {
    "rescale": (rescale, {"phi": 0.6}),
    "apg": (apg, {"eta": 0.25, "norm_threshold": 2.0, "momentum": -0.5}),
    "cfg_zero": (cfg_zero, {"zero_steps": 2}),
}


@pytest.mark.parametrize("space", ["D", "prediction"])
@pytest.mark.parametrize("name", FORMULAS)
def test_formulas_over_a_trajectory_of_euler_steps(name, space):
    formula, fields = FORMULAS[name]
    out = sampled(guidance(name, weight=3, space=space, **fields), EULER)
    x, memory = LATENTS * out.sigmas[0], None
    for i, (sigma, following) in enumerate(out.sigmas.unfold(0, 2, 1)):
        into, back = spaces(x, float(sigma))["F"] if space == "prediction" else (lambda D: D, lambda D: D)
        c, u = into(NETWORK.bind(LABELS)(x, sigma)), into(NETWORK.bind(None)(x, sigma))
        guided, memory = formula(c, u, i, memory)
        x = back(guided) + following / sigma * (x - back(guided))
    torch.testing.assert_close(out.x, x, rtol=0, atol=1e-11)
    assert (out.nfe, out.nfe_guidance) == (8, 6 if name == "cfg_zero" else 8)


def test_apg_without_its_parts_is_cfg():
    plain = guidance("apg", weight=3, eta=1, norm_threshold=math.inf, momentum=0, space="prediction")
    torch.testing.assert_close(sampled(plain).x, sampled(guidance("cfg", weight=3)).x, rtol=0, atol=1e-11)
    assert not plain.by_step


def test_the_memory_is_that_of_the_first_evaluation_of_the_previous_guided_step():
    class Seen(PairGuidance):
        name: ClassVar[str] = "seen"

        @property
        def by_step(self):
            return True

        def combine(self, c, u, step, memory):
            seen.append((step, memory))
            return c, len(seen)

    seen = []
    sampled(Seen(weight=2, sigma_min=0.1, sigma_max=30), steps=6)
    # Heun's levels are 80, 24, 5.8, 0.97, 0.085: steps 0 and 3 have one evaluation inside, steps 1 and 2 have two, the
    # second of which changes no memory.
    assert seen == [(0, None), (1, 1), (1, 1), (2, 2), (2, 2), (3, 4)]


def test_a_trajectory_begins_without_a_memory():
    D = guidance("apg", momentum=-0.5).wrap(NETWORK).bind(LABELS)
    first, second = (ds.sample(EDM, D, LATENTS, 5).x for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, sampled(guidance("apg", momentum=0), steps=5).x)


ALL = [
    guidance("cfg"),
    guidance("interval"),
    guidance("interval", per="step"),
    guidance("rescale"),
    guidance("apg", norm_threshold=1),
    guidance("cfg_zero"),
    guidance("autoguidance", guide="exact"),
]
RUNS = {
    "heun": EDM,
    "churn": EDM.model_copy(update={"stochasticity": ds.Stochasticity.get("churn")(S_churn=20)}),
    "dpmpp_2m": EDM.model_copy(update={"solver": ds.Solver.get("dpmpp_2m")()}),
    "rk45": EDM.model_copy(update={"solver": ds.Solver.get("rk45")()}),
    "restart": EDM.model_copy(update={"solver": ds.Solver.get("restart")()}),
}


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("one", ALL, ids=str)
def test_an_image_alone_is_the_image_in_its_batch(one, run):
    if one.by_step and run in ("rk45", "restart"):
        pytest.skip("refused")
    whole = sampled(one, RUNS[run], steps=5).x
    D = one.wrap(NETWORK, *[NETWORK] * one.takes_guide).bind(LABELS[:1])
    alone = ds.sample(RUNS[run], D, LATENTS[:1], 5).x
    torch.testing.assert_close(alone, whole[:1], rtol=0, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("one", [one for one in ALL if hasattr(one, "space")], ids=str)
def test_outputs_without_difference_or_variance_stay_as_they_are(one, dtype):
    for c in (torch.zeros(2, 3, 64, 64), torch.ones(2, 3, 64, 64), 200 * randn(2, 3, 64, 64)):
        c = c.to(dtype)
        found, _ = one.combine(c, c, 1, None)
        assert found.shape == c.shape
        torch.testing.assert_close(found.to(dtype), c)  # which is finite: sums over images are at least in float32
    assert bool(one.combine(torch.ones(2, 1), torch.zeros(2, 1), 1, None)[0].isfinite().all())


# Counts


def inside(level, one):
    return one.sigma_min < level <= one.sigma_max


@pytest.mark.parametrize("per", ["step", "evaluation"])
@pytest.mark.parametrize("run", ["heun", "dpmpp_2m", "churn"])
def test_only_what_is_inside_the_interval_is_guided(run, per):
    one, levels, seen = guidance("interval", per=per), [], []

    class Recorded(Network):
        def forward(self, x, c_noise, labels=None):
            if labels is None:
                seen.append(math.exp(4 * float(c_noise[0])))
            else:
                levels.append(math.exp(4 * float(c_noise[0])))
            return super().forward(x, c_noise, labels)

    out = sampled(one, RUNS[run], PreconditionedNetwork(Recorded(), EDM, SHAPE), steps=12)
    steps = out.sigmas[:-1].tolist()
    if per == "evaluation":
        expected = [level for level in levels if inside(level, one)]
    else:
        calls = 1 if run == "dpmpp_2m" else 2
        of_step = [level for level in steps for _ in range(calls)][: len(levels)]
        expected = [level for level, begun in zip(levels, of_step, strict=True) if inside(begun, one)]
    assert seen == expected
    assert (out.nfe, out.nfe_guidance) == (len(levels), len(expected))
    assert 0 < len(expected) < len(levels)
    assert all(inside(level, one) for level in seen) == (per == "evaluation" or run == "dpmpp_2m")


def test_images_at_levels_of_their_own_are_guided_each_by_its_level():
    one = guidance("interval")
    D, level = one.wrap(NETWORK).bind(LABELS), torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64)
    found, plain = D(LATENTS, level), NETWORK.bind(LABELS)(LATENTS, level)
    assert torch.equal(found[[0, 2]], plain[[0, 2]])
    assert not torch.equal(found[1], plain[1])
    out = sampled(one, RUNS["rk45"], steps=5)
    assert 0 < out.nfe_guidance < out.nfe


def test_guidance_of_a_number_of_steps_is_called_through_sample():
    D = guidance("apg").wrap(NETWORK).bind(LABELS)
    with pytest.raises(ValueError, match="guidance apg depends on the number of the step: call it through sample"):
        D(LATENTS, torch.tensor(1.0))


def test_the_prediction_needs_the_preconditioning():
    D = guidance("rescale").wrap(GAUSSIANS).bind(LABELS)
    with pytest.raises(ValueError, match=r"D has no c_skip and c_out, .*: use space: D"):
        D(LATENTS, torch.tensor(1.0))


def test_a_guide_of_another_shape_is_not_broadcast():
    narrow = Gaussians(GAUSSIANS.means, GAUSSIANS.mean, GAUSSIANS.variance)
    object.__setattr__(narrow, "bind", lambda labels: lambda x, sigma: x[:, :1])
    D = guidance("autoguidance", guide="exact").wrap(GAUSSIANS, narrow).bind(LABELS)
    with pytest.raises(ValueError, match=r"D returns float64 \[3, 1, 4, 4\] for x \[3, 2, 4, 4\]"):
        D(LATENTS, torch.tensor(1.0))


@pytest.mark.parametrize("one", ALL, ids=str)
def test_what_the_sampler_asks_of_D_is_passed_on(one):
    D = one.wrap(NETWORK, *[NETWORK] * one.takes_guide).bind(LABELS)
    plain = NETWORK.bind(LABELS)
    assert isinstance(plain, Preconditioned)
    for name in ("sigma_min", "sigma_max", "round_sigma", "c_in", "c_skip", "c_out"):
        assert getattr(D, name) == getattr(plain, name)
    start = sampled(one, RUNS["heun"], steps=3, start="unit", record=True).trajectory
    torch.testing.assert_close(start[0], LATENTS / EDM.c_in(torch.tensor(80.0, dtype=torch.float64)))


# In a spec

SPEC = {
    "name": "a",
    "data": "digits",
    "denoiser": "exact",
    "design": "edm",
    "num_steps": 5,
    "evaluate": {"images": 8, "labels": "balanced", "detector": "pixels", "metrics": ["frechet"]},
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "cache"))


def run(ablation, out):
    found = ds.run(ablation, out=out, progress=False)
    assert not found.failures
    return {row.id: row for row in found.rows()}


def trial(**fields):
    return Ablation.model_validate(SPEC | fields).trials()[0]


def test_guidance_without_effect_is_the_same_trial():
    plain = trial()
    for one in ("cfg", "interval", {"name": "autoguidance", "guide": "exact", "condition": "none"}):
        one = {"name": one} if isinstance(one, str) else one
        assert trial(guidance=one | {"weight": 1}).id == plain.id
        assert trial(guidance=one | {"weight": 2}).id != plain.id


def test_runs_with_guidance(tmp_path):
    grid = {
        "guidance": ["cfg", {"name": "autoguidance", "guide": "exact", "condition": "none"}],
        "guidance.weight": [1, 2],
    }
    ablation = Ablation.model_validate(SPEC | {"grid": grid})
    results = run(ablation, tmp_path / "out")
    values = {(str(p.axes["guidance"]), p.axes["guidance.weight"]): results[p.trial.id] for p in ablation.points()}
    assert len(ablation.trials()) == 3
    found = [row.metrics["frechet"].value for row in values.values()]
    assert found[0] == found[2] != found[1] == found[3]
    assert [row.nfe_guidance for row in values.values()] == [0, 9, 0, 9]
    assert {row.nfe for row in values.values()} == {9}


OWN = """
import designspace as ds
from designspace.sampling.counted import guiding

class Away(ds.Guidance, name="away"):
    '''The denoiser, moved away from the average image.'''

    by: float = 0.1

    def wrap(self, denoiser, *guides):
        return Bound(denoiser, self.by)

class Bound:
    def __init__(self, denoiser, by):
        self.denoiser, self.by, self.shape = denoiser, by, denoiser.shape

    def bind(self, labels):
        return AwayD(self.denoiser.bind(labels), guiding(self.denoiser.bind(None)), self.by)

class AwayD:
    def __init__(self, D, average, by):
        self.D, self.average, self.by = D, average, by
    {passed_on}

    def __call__(self, x, sigma):
        c = self.D(x, sigma)
        return c + self.by * (c - self.average(x, sigma))
"""
PASSED_ON = """
    def __getattr__(self, name):
        return getattr(self.D, name)
"""


@pytest.fixture
def write(tmp_path):
    """A spec, in whose place a key of the brackets is replaced, with a component of the user's own."""

    def write(guidance, passed_on=PASSED_ON, **fields):
        (tmp_path / "away.py").write_text(OWN.replace("{passed_on}", passed_on))
        text = f"""\
        name: a
        components: [./away.py]
        data: digits
        denoiser: {fields.get("denoiser", "exact")}
        design: {fields.get("design", "edm")}
        guidance: {guidance}
        num_steps: 5
        evaluate:
          images: 8
          labels: {fields.get("labels", "balanced")}
          detector: pixels
          metrics: {fields.get("metrics", "[frechet]")}
        """
        (tmp_path / "a.yaml").write_text(textwrap.dedent(text))
        return tmp_path / "a.yaml"

    yield write
    ds.Guidance.known.pop("away", None)


def test_guidance_of_the_users_own(write, tmp_path):
    ablation = load(write("{name: away, by: 0.5}"))
    results = run(ablation, tmp_path / "out")
    cfg = run(load(write("{name: cfg, weight: 1.5}")), tmp_path / "cfg")
    (own,), (other,) = (found.values() for found in (results, cfg))
    assert own.nfe_guidance == other.nfe_guidance == 9
    assert own.metrics["frechet"].value == pytest.approx(other.metrics["frechet"].value, rel=1e-4)


STEP = "{name: interval, per: step}"
PRETRAINED = "{name: pretrained, model: digits}"
REFUSED = {
    "rk45": (
        {"guidance": STEP, "design": "{preset: edm, solver: rk45}"},
        r"a.yaml:6:11: guidance: guidance interval: it depends on the number of the step, but solver rk45 chooses its "
        r"own steps: use per: evaluation",
    ),
    "restart": (
        {"guidance": "{name: apg, per: step}", "design": "{preset: edm, solver: restart}"},
        r"a.yaml:6:11: .*, but solver restart returns to higher noise levels: use per: evaluation and momentum: 0",
    ),
    "measured": (
        {"guidance": "{name: cfg_zero, space: D}", "design": "{preset: edm, time_steps: equal_error}"},
        r"a.yaml:6:11: .*, but time_steps equal_error tries out single steps: use zero_steps: 0",
    ),
    "prediction": (
        {"guidance": "rescale"},
        r"a.yaml:6:11: .* denoiser exact has no network, so there is no prediction of one: use space: D",
    ),
    "unlabelled": (
        {"guidance": "cfg", "labels": "none"},
        r"a.yaml:6:11: .* it guides towards the class of each image: use evaluate.labels: balanced",
    ),
    "no_guide": (
        {"guidance": "autoguidance"},
        r"a.yaml:6:11: guidance: it needs either guide, a weaker denoiser, or snapshot, a fraction of the training",
    ),
    "two_guides": (
        {"guidance": "{name: autoguidance, guide: exact, snapshot: 0.25}"},
        r"a.yaml:6:11: .* a fraction of the training such as 0.0625, not both",
    ),
    "itself": (
        {"guidance": "{name: autoguidance, guide: exact}"},
        r"a.yaml:6:11: .*the guide is the denoiser itself, so it has no effect: name a weaker one",
    ),
    "no_training": (
        {"guidance": "{name: autoguidance, snapshot: 0.25}"},
        r"a.yaml:6:11: .*denoiser exact has no snapshots of its training: name another denoiser as the guide",
    ),
    "missing_guide": (
        {"guidance": "{name: autoguidance, guide: {name: pretrained, model: ./none}}"},
        r"a.yaml:6:\d+: guidance.guide.*: there is no model '.*none'",
    ),
    "levels": (
        {"guidance": "{name: autoguidance, guide: {name: function, factory: './d.py:make', sigma_min: 0.01}}"},
        r"a.yaml:6:11: .* the guide, denoiser function, supports noise levels from 0.01 to inf, but is used from 0.002 "
        r"to 80: set sigma_min and sigma_max of the guidance or of the time steps",
    ),
    "probe": (
        {"guidance": STEP, "metrics": "[endpoint_error]"},
        r"a.yaml:12:13: .*: metric endpoint_error evaluates the denoiser out of order, but guidance interval depends on"
        r" the number of the step: use per: evaluation",
    ),
    "attributes": (
        {"guidance": "away", "passed_on": "", "design": "{preset: edm, start: unit}", "denoiser": PRETRAINED},
        r"a.yaml:6:11: guidance: guidance 'away' is wrong: sigma_min of the guided D, which has to pass on the "
        r"attributes of D without guidance",
    ),
    "c_in": (
        {
            "guidance": "away",
            "passed_on": PASSED_ON.replace("(self.D, name)", "(self.D, name.replace('c_in', 'none'))"),
        },
        r"a.yaml:6:11: guidance: guidance 'away' is wrong: c_in of the guided D",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_is_refused_when_the_spec_is_loaded(case, write, tmp_path):
    fields, message = REFUSED[case]
    (tmp_path / "d.py").write_text(
        "def make():\n    return lambda x, sigma, labels: x / (1 + sigma.to(x).reshape(-1, 1, 1, 1))\n"
    )
    with pytest.raises(SpecError, match=message) as refused:
        load(write(**fields))
    assert len(refused.value.problems) == 1


def test_a_guide_that_knows_no_classes_is_refused(write):
    guide = "{name: function, factory: './d.py:make', classes: 0}"
    (write("cfg").parent / "d.py").write_text("def make():\n    return lambda x, sigma, labels: 0 * x\n")
    ablation = load(write(f"{{name: autoguidance, guide: {guide}, sigma_min: 0.01}}"))
    with pytest.raises(SpecError, match=r"a.yaml:10:11: evaluate.labels: denoiser function knows no classes"):
        require_labels(ablation)
    require_labels(load(write(f"{{name: autoguidance, condition: none, guide: {guide}, sigma_min: 0.01}}")))


def test_a_guide_of_another_shape_is_refused(write):
    guide = "{name: function, factory: './d.py:make', shape: [1, 4, 4]}"
    (write("cfg").parent / "d.py").write_text("def make():\n    return lambda x, sigma, labels: 0 * x\n")
    ablation = load(write(f"{{name: autoguidance, guide: {guide}}}"))
    text = "guide function makes samples of 1x4x4, and denoiser exact of 1x8x8: they have to be of the same shape"
    with pytest.raises(SpecError, match=rf"a.yaml:6:11: guidance: {text}"):
        require_shapes(ablation)


def test_guidance_that_does_not_depend_on_steps_is_probed(write, tmp_path):
    design = "{preset: edm, time_steps: {name: equal_error, images: 2}}"
    metrics = "[{name: endpoint_error, images: 2}, frechet]"
    (row,) = run(load(write("cfg", design=design, metrics=metrics)), tmp_path / "out").values()
    assert row.nfe_guidance == row.nfe == 9
    assert row.nfe_search >= 2 * 1025  # the levels are measured with guidance, as samples are
    assert row.metrics["endpoint_error"].value > 0


def test_converged_solutions_are_those_of_the_guidance(tmp_path, monkeypatch):
    metrics = [{"name": "endpoint_error", "images": 2}]
    fields = {"evaluate": SPEC["evaluate"] | {"metrics": metrics}}
    grid = Ablation.model_validate(SPEC | fields | {"guidance": "cfg", "grid": {"guidance.weight": [1, 3]}})
    alone = Ablation.model_validate(SPEC | fields | {"guidance": {"name": "cfg", "weight": 3}})
    together = run(grid, tmp_path / "grid")
    monkeypatch.setenv("DESIGNSPACE_CACHE", str(tmp_path / "empty"))
    (one,) = run(alone, tmp_path / "one").values()
    assert together[one.id].metrics["endpoint_error"].value == one.metrics["endpoint_error"].value


def test_repeats_repeat_the_guide():
    network = {"name": "trained", "network": {"name": "mlp", "width": 8}, "training_images": 256}
    auto = guidance("autoguidance", guide=network)
    assert auto.repeated(2).guide == auto.guide.repeated(2) != auto.guide
    snapshot = guidance("autoguidance", snapshot=0.25)
    assert snapshot.repeated(2) == snapshot


@pytest.mark.parametrize(
    ("denoiser", "guidance", "message"),
    [
        ("{name: trained, network: unet}", "cfg", "guide to: set denoiser.labels: true and label_dropout: 0.1, or use"),
        ("{name: pretrained, model: digits}", "cfg", "so there is nothing to guide to: use autoguidance"),
        ("exact", "{name: autoguidance, guide: {name: pretrained, model: digits}}", ": set condition: none"),
        (
            "exact",
            "{name: autoguidance, guide: {name: trained, network: unet}}",
            "set guide.labels: true, or condition: none",
        ),
    ],
)
def test_networks_without_classes_are_refused_where_they_are_written(denoiser, guidance, message, tmp_path):
    path = tmp_path / "classes.yaml"
    path.write_text(
        f"data: digits\ndenoiser: {denoiser}\ndesign: edm\nnum_steps: 4\nguidance: {guidance}\n"
        "evaluate: {images: 20, labels: balanced, detector: pixels, metrics: [frechet]}\n"
    )
    with pytest.raises(ds.SpecError, match=rf"classes\.yaml:5:11: guidance: .*without class labels.*{message}"):
        require_labels(ds.load(path))
