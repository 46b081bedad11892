"""Random numbers depend only on their key."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

import designspace as ds
from designspace.sampling.counting import noise_order
from designspace.sampling.noise import DEPTH, Ahead, Draw, Drawn, KeyedNoise, generator, latents

INTEGERS = [1613315690, 3760031741, 4249644222]
LATENT = [0.52126974, -2.9067099, 1.9860591]
NOISE = [-0.58263111, -1.2709816, 0.82014114]
SOLVERS = [name for name in ds.Solver.known if not name.startswith("test_") and ds.Solver.get(name).stochastic]


def test_image_k_is_the_same_in_every_batch():
    whole = latents(3, range(10), (2, 4))
    assert torch.equal(latents(3, [7], (2, 4))[0], whole[7])
    assert torch.equal(latents(3, [9, 0], (2, 4)), whole[[9, 0]])
    assert not torch.equal(latents(4, [7], (2, 4))[0], whole[7])


def test_noise_is_keyed_by_image_step_and_draw():
    noise = KeyedNoise(0, range(4), (3,))
    assert torch.equal(KeyedNoise(0, [2], (3,))(5, 1)[0], noise(5, 1)[2])
    drawn = [noise(step, draw) for step in (0, 1) for draw in (0, 1)] + [latents(0, range(4), (3,))]
    assert all(not torch.equal(a, b) for i, a in enumerate(drawn) for b in drawn[:i])


def test_streams_are_standard_normal_and_independent():
    x = latents(0, range(2000), (50,)).double()
    assert abs(x.mean().item()) < 4 / 100_000**0.5
    assert abs(x.var().item() - 1) < 4 * (2 / 100_000) ** 0.5
    neighbours = (x[:-1] * x[1:]).mean().item()
    assert abs(neighbours) < 4 / 100_000**0.5


def test_the_streams_of_published_results_stay():
    """If a stream changed, every seed would give other images under the recorded identities."""
    assert generator("latent", 0, 5).integers(2**32, size=3).tolist() == INTEGERS
    np.testing.assert_allclose(latents(0, [5], (3,))[0], LATENT, rtol=1e-6)
    np.testing.assert_allclose(KeyedNoise(7, [5], (3,))(2, 1)[0], NOISE, rtol=1e-6)


def test_another_process_draws_the_same():
    code = (
        "from designspace.sampling.noise import generator; print(generator('latent', 0, 5).standard_normal(3).tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = generator("latent", 0, 5).standard_normal(3)
    np.testing.assert_array_equal(np.array(eval(done.stdout)), here)


BATCHES = [range(40), range(40, 70)]
EXPECTED = [Draw(batch, *at) for batch in BATCHES for at in ((), (0, 0), (0, 1), (1, 0))]


def asked(source):
    """What is drawn for two batches, with noise that nobody expects, and without some that is expected."""
    with source as random:
        for batch in BATCHES:
            yield random.latents(batch)
            noise = random.noise(batch)
            for step, draw in ((0, 0), (7, 0), (1, 0)):
                yield noise(step, draw)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("expected", [EXPECTED, EXPECTED[::-1], []], ids=["in order", "in another order", "nothing"])
def test_numbers_do_not_depend_on_who_computes_them_and_when(threads, expected):
    found = list(asked(Ahead(3, (2, 4), expected, threads)))
    assert all(torch.equal(a, b) for a, b in zip(found, asked(Drawn(3, (2, 4))), strict=True))
    assert torch.equal(found[0], latents(3, BATCHES[0], (2, 4)))
    assert torch.equal(found[5], KeyedNoise(3, BATCHES[1], (2, 4))(0, 0))


def test_only_so_much_is_computed_ahead(monkeypatch):
    def expected():
        for step in range(100):
            told.append(step)
            yield Draw(range(40), step)

    for memory, most in ((2**28, DEPTH), (3 * 40 * 8 * 4, 3), (1, 1)):
        monkeypatch.setattr(sys.modules[Ahead.__module__], "MEMORY", memory)
        told = []
        with Ahead(0, (8,), expected(), 2) as random:
            assert len(told) == most
            random.noise(range(40))(0, 0)
            assert len(told) <= most + 1


def test_an_error_in_a_thread_is_raised_where_the_numbers_are_needed(monkeypatch):
    def fill(rows, keys):
        raise MemoryError("no room for noise")

    monkeypatch.setattr(sys.modules[Ahead.__module__], "_fill", fill)
    with Ahead(0, (8,), [Draw(range(4))], 2) as random, pytest.raises(MemoryError, match="no room"):
        random.latents(range(4))
    assert not running()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_no_thread_outlives_the_block(error):
    def leave():
        with Ahead(0, (64, 64), (Draw(range(64), step) for step in range(1000)), 3) as random:
            random.noise(range(64))(0, 0)
            assert running()
            raise error

    with pytest.raises(error):
        leave()
    assert not running()


def running():
    return [thread for thread in threading.enumerate() if thread.name.startswith("noise")]


@pytest.mark.parametrize("solver", [*SOLVERS, "heun"])
def test_the_order_of_the_noise_is_known_beforehand(solver):
    churn = {"name": "churn", "S_churn": 10} if solver == "heun" else "none"
    design = ds.Design.preset("edm", solver=solver, stochasticity=churn)
    told = []

    def noise(step, draw):
        told.append((step, draw))
        return torch.zeros(2, 3)

    ds.sample(design, lambda x, sigma: x / (1 + sigma**2), torch.ones(2, 3), 12, noise=noise)
    assert noise_order(design, 12) == told
    assert told
