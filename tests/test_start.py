"""``start: unit``: sampling begins so that the first input of the network is the latents themselves."""

import math

import pytest
import torch
from pipeline import write_spec

import designspace as ds
from designspace.errors import RowError
from designspace.sampling.plane import plane
from designspace.sampling.probe import Probe
from designspace.sampling.sample import place
from designspace.spec import load
from designspace.spec.used import used_rows

LATENTS = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def denoise(x, sigma):
    """The posterior mean of points at -1 and 1 with a standard deviation of 0.3."""
    noisy = torch.as_tensor(sigma).reshape(-1, *[1] * (x.ndim - 1)).to(x) ** 2 + 0.09
    return (0.09 * x + (noisy - 0.09) * (x / noisy).tanh()) / noisy


SOLVERS = [name for name in sorted(ds.Solver.known) if name not in ("restart", "sa_solver")]


class Recorded:
    """A D that keeps the first x that it is given."""

    def __init__(self):
        self.first = None

    def __call__(self, x, sigma):
        self.first = x.clone() if self.first is None else self.first
        return denoise(x, sigma)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("c_in", "factor"), [("ddpm", math.sqrt(1 + 80**2)), ("flow", 81.0), ("one", 1.0)])
def test_latents_are_divided_by_c_in(solver, c_in, factor):
    design = ds.Design.preset("edm", solver=solver, c_in=c_in)
    for given, argument in ((design, "unit"), (design.with_start("unit"), None)):
        D = Recorded()
        ds.sample(given, D, LATENTS, 6, start=argument)
        torch.testing.assert_close(D.first, LATENTS * factor, rtol=1e-12, atol=0)


def test_by_default_they_are_multiplied_by_the_first_level():
    D = Recorded()
    ds.sample(ds.Design.preset("ddpm", solver="euler").with_start("unit"), D, LATENTS, 6, start="sigma_max")
    levels = ds.Design.preset("ddpm").time_steps.sigmas(6)
    torch.testing.assert_close(D.first, LATENTS * levels[0], rtol=1e-12, atol=0)


def test_a_network_is_scaled_with_its_own_c_in():
    seen = []

    def network(x, c_noise, labels=None):
        seen.append(x)
        return x

    own, other = ds.Design.preset("velocity"), ds.Design.preset("edm", c_in="one")
    ds.sample(other, ds.precondition(network, own), LATENTS[..., None], 4, start="unit")
    torch.testing.assert_close(seen[0], LATENTS[..., None].float(), rtol=1e-6, atol=0)


def test_the_converged_solution_and_pictures_begin_there_as_well():
    design = ds.Design.preset("edm", c_in="flow", start="unit")
    probe = Probe(design, denoise, LATENTS, 6)
    torch.testing.assert_close(probe.solution().x[0], LATENTS * 81, rtol=1e-12, atol=0)
    shared = Probe(design.with_start("sigma_max"), denoise, LATENTS, 6, probe.solutions)
    torch.testing.assert_close(shared.solution().x[0], LATENTS * 80, rtol=1e-12, atol=0)
    drawn = plane(Probe(design, denoise, LATENTS[..., None, None], 6), torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(drawn["trajectory"][0], drawn["curves"][-1], rtol=1e-5, atol=0)


def test_levels_are_measured_from_there():
    rows = {"time_steps": "equal_error", "solver": "euler", "c_in": {"name": "edm", "sigma_data": 50.0}}
    design = ds.Design.preset("edm", **rows)  # x_0 is 94 n instead of 80 n
    placed = [place(design.with_start(s), denoise, LATENTS, 8).time_steps.levels for s in ("unit", "sigma_max")]
    assert placed[0] != placed[1]


def test_a_c_in_of_zero_is_refused():
    class Nothing(ds.CIn):
        name = "nothing"

        def __call__(self, sigma):
            return torch.zeros_like(sigma)

    with pytest.raises(RowError, match="start: unit divides by c_in, which is 0 at sigma = 80"):
        ds.sample(ds.Design.preset("edm", c_in=Nothing()), denoise, LATENTS, 4, start="unit")
    with pytest.raises(ValueError, match="start is sigma_max or unit, not 'noise'"):
        ds.sample(ds.Design.preset("edm"), denoise, LATENTS, 4, start="noise")


def test_the_identity_has_it_only_if_it_is_set(tmp_path):
    point, *_ = load(write_spec(tmp_path, design="edm")).trials()
    unit, same, other = (
        load(write_spec(tmp_path, design={"preset": "edm", **rows})).trials()[0]
        for rows in ({"start": "unit"}, {"start": "sigma_max"}, {"start": "unit", "c_in": "one"})
    )
    assert "start" not in point.identity()["design"]
    assert point.id == same.id != unit.id
    assert unit.sampling_identity() != other.sampling_identity()  # the denoiser exact has no c_in of its own
    trained = ds.Denoiser.get("pretrained")(model="digits")
    assert "c_in" in used_rows(unit.design, unit.denoiser)
    assert "c_in" not in used_rows(unit.design, trained)
