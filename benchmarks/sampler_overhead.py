"""The cost of deterministic solvers beside their denoiser, compared with azula and diffusers.

    pip install -r benchmarks/requirements.txt && python benchmarks/sampler_overhead.py
    python benchmarks/sampler_overhead.py dpm2 unipc --rounds 200 --batch 1

Times are microseconds per evaluation of the denoiser. The denoiser is a single multiplication, which is timed within
each run and subtracted. The methods take turns, and medians are shown. Memory is the largest number of tensors of the
size of the state that exist at once, including the output of the denoiser but not the latents. Images are float32,
3 x 32 x 32, with 18 levels, on one thread; with --batch 1 there is little to compute, so that Python dominates.

Doubtful cases are decided in favour of the other libraries: they are set up before timing starts, their scaling of the
denoiser's input counts as part of the denoiser, and they are given D or the noise, whichever means less work; if a
library accepts both, both are run. They use as many levels of their own, in float32; the spacing of the levels does not
change the work. ``methods`` says where a method of a library is not exactly the same.

Only methods without an equivalent are left out. rk4 and rk45 have none: neither library has a Runge-Kutta method of
that order, except for the first three steps of PNDM in diffusers. Stochastic solvers are not compared.
"""

from __future__ import annotations

import argparse
import inspect
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import azula.denoise
import azula.noise
import azula.sample
import diffusers
import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

import designspace as ds

STEPS = 18


class Count:
    """The trivial denoiser D(x) = x / 2, counted and timed."""

    def __init__(self) -> None:
        self.nfe, self.seconds = 0, 0.0

    def __call__(self, x: Tensor, scale: Callable[[Tensor], Tensor] = lambda x: x) -> Tensor:
        start = time.perf_counter()
        denoised = scale(x) * 0.5
        self.seconds += time.perf_counter() - start
        self.nfe += 1
        return denoised


@dataclass(frozen=True)
class Method:
    """A sampler to be timed."""

    name: str
    run: Callable[[Tensor, Count], Tensor]
    ours: bool = False


def ours(solver: str, **options: object) -> Method:
    design = ds.Design.preset("edm", solver={"name": solver, **options})
    given = "".join(f" {key}={value}" for key, value in options.items())
    return Method(
        f"**designspace {solver}{given}**",
        lambda latents, count: ds.sample(design, lambda x, sigma: count(x), latents, STEPS).x,
        ours=True,
    )


def of_azula(kind: str, **options: object) -> Method:
    """One of azula's samplers, with its schedule VE."""

    class Trivial(azula.denoise.Denoiser):
        def __init__(self) -> None:
            super().__init__()
            self.count, self.schedule = Count(), azula.noise.VESchedule(0.002, 80.0)

        def forward(self, x_t: Tensor, t: Tensor, **kwargs: object) -> azula.denoise.DiracPosterior:
            return azula.denoise.DiracPosterior(mean=self.count(x_t))

    denoiser = Trivial()
    sampler = getattr(azula.sample, kind)(denoiser, steps=STEPS, silent=True, **options)

    def run(latents: Tensor, count: Count) -> Tensor:
        denoiser.count = count
        return sampler(latents * 80)

    return Method(f"azula {kind}{_shown(options)}", run)


def of_diffusers(kind: str, steps: int = STEPS, **options: Any) -> Iterator[Method]:
    """One of diffusers' schedulers, once for each kind of prediction that it takes."""
    for prediction, given in (("epsilon", "noise"), ("sample", "D")):
        if scheduler := _scheduler(kind, steps, {**options, "prediction_type": prediction}):
            yield Method(f"diffusers {kind}{_shown(options)}, from {given}", _runner(scheduler, steps))


def _runner(scheduler: Any, steps: int) -> Callable[[Tensor, Count], Tensor]:
    @torch.no_grad()
    def run(latents: Tensor, count: Count) -> Tensor:
        scheduler.set_timesteps(steps)
        x = latents * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            prediction = count(x, lambda x, t=t: scheduler.scale_model_input(x, t))
            x = scheduler.step(prediction, t, x, return_dict=False)[0]
        return x

    return run


def _scheduler(kind: str, steps: int, options: dict[str, Any]) -> Any:
    """The scheduler, on Karras' levels where it has them, or ``None`` if it does not take this prediction."""
    of = getattr(diffusers, f"{kind}Scheduler")
    fields = inspect.signature(of).parameters
    if "prediction_type" not in fields and options["prediction_type"] == "sample":
        return None
    options = {"use_karras_sigmas": True, "clip_sample": False, **options}
    scheduler = of(**{key: value for key, value in options.items() if key in fields})
    try:
        _runner(scheduler, steps)(torch.zeros(1, 1, 1, 1), Count())
    except (NotImplementedError, ValueError):
        return None
    return scheduler


def _shown(options: dict[str, Any]) -> str:
    words = {"order": "order ", "solver_order": "order ", "solver_type": "", "algorithm_type": ""}
    return "".join(f" {words[key]}{value}" for key, value in options.items() if key in words)


def methods() -> dict[str, list[Method]]:
    """Each of our solvers with its peers; beside a peer that is not the same method, why it is there."""
    singlestep = {"final_sigmas_type": "sigma_min", "lower_order_final": True}
    heuns = [of_azula("HeunSampler"), *of_diffusers("HeunDiscrete")]
    return {
        "euler": [
            ours("euler"),
            of_azula("EulerSampler"),
            of_azula("DDIMSampler", eta=0.0),
            *of_diffusers("EulerDiscrete"),
            *of_diffusers("EDMEuler"),  # with the preconditioning inside of it
            *of_diffusers("DDIM"),
            *of_diffusers("DPMSolverMultistep", solver_order=1),
        ],
        "heun": [ours("heun"), *heuns],
        "heun_alpha": [ours("heun", alpha=0.5), *heuns],  # the peers have alpha = 1 only
        "dpm2": [
            ours("dpm2"),
            *of_diffusers("KDPM2Discrete"),
            *of_diffusers("DPMSolverSinglestep", 35, algorithm_type="dpmsolver", solver_order=2, **singlestep),
        ],
        "dpm3": [
            ours("dpm3"),
            *of_diffusers("DPMSolverSinglestep", 52, algorithm_type="dpmsolver", solver_order=3, **singlestep),
        ],
        "dpmpp_2s": [
            ours("dpmpp_2s"),
            *of_diffusers("DPMSolverSinglestep", 35, solver_order=2, lower_order_final=True),
        ],
        "dpmpp_2m": [
            ours("dpmpp_2m"),
            of_azula("xEABSampler", order=2),  # the slope's weight exactly, not by the midpoint rule
            *of_diffusers("DPMSolverMultistep", solver_order=2),
            *of_diffusers("EDMDPMSolverMultistep", solver_order=2),  # with the preconditioning inside of it
        ],
        "dpmpp_3m": [
            ours("dpmpp_3m"),
            of_azula("xEABSampler", order=3),  # with the missing factor 2
            *of_diffusers("DPMSolverMultistep", solver_order=3),
            *of_diffusers("EDMDPMSolverMultistep", solver_order=3),
        ],
        "dpmpp_3m_exact": [
            ours("dpmpp_3m_exact"),
            of_azula("xEABSampler", order=3),
            *of_diffusers("DPMSolverMultistep", solver_order=3),  # without the factor 2
        ],
        "ab": [ours("ab"), of_azula("zABSampler", order=4), *of_diffusers("LMSDiscrete")],
        "ipndm": [
            ours("ipndm"),
            *of_diffusers("IPNDM"),
            *of_diffusers("PNDM", skip_prk_steps=True),  # the same weights on DDIM's step
        ],
        "deis": [
            ours("deis"),
            of_azula("zEABSampler", order=3),  # both in log sigma, not in VP time
            *of_diffusers("DEISMultistep", solver_order=3),
        ],
        "exponential_ab": [
            ours("exponential_ab"),
            of_azula("zEABSampler", order=3),
            *of_diffusers("DEISMultistep", solver_order=3),
            *of_diffusers(
                "DPMSolverMultistep", algorithm_type="dpmsolver", solver_order=3, final_sigmas_type="sigma_min"
            ),
        ],
        "unipc": [ours("unipc"), *of_diffusers("UniPCMultistep", solver_order=3)],
        "unipc_bh1": [
            ours("unipc", order=2, variant="bh1"),
            *of_diffusers("UniPCMultistep", solver_order=2, solver_type="bh1"),
        ],
    }


class Live(TorchDispatchMode):
    """Watches how many tensors of at least the size of ``latents`` live at once beside it; views are not counted."""

    def __init__(self, latents: Tensor) -> None:
        super().__init__()
        self.latents, self.peak = latents.untyped_storage(), 0
        self.live: dict[int, StorageWeakRef] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if isinstance(out, Tensor):
            storage = out.untyped_storage()
            if storage.nbytes() >= self.latents.nbytes() and storage._cdata != self.latents._cdata:
                self.live = {key: ref for key, ref in self.live.items() if not ref.expired()}
                self.live[storage._cdata] = StorageWeakRef(storage)
                self.peak = max(self.peak, len(self.live))
        return out


def peak(method: Method, latents: Tensor) -> int:
    """The most tensors of the size of ``latents`` that lived at once in a run."""
    with Live(latents) as live:
        method.run(latents, Count())
    return live.peak


def beside_the_denoiser(method: Method, latents: Tensor) -> tuple[float, int]:
    """Seconds for each evaluation without the evaluation itself, and the number of evaluations."""
    count = Count()
    start = time.perf_counter()
    method.run(latents, count)
    return (time.perf_counter() - start - count.seconds) / count.nfe, count.nfe


def compare(of: list[Method], latents: Tensor, rounds: int) -> Iterator[tuple[str, int, float, float, int]]:
    """Each method's name, NFE, seconds for each, the same as multiple of the fastest peer's, and peak memory."""
    runs: dict[str, list[tuple[float, int]]] = {method.name: [] for method in of}
    for _ in range(rounds):
        for method in of:
            runs[method.name].append(beside_the_denoiser(method, latents))
    cost = {name: statistics.median(seconds for seconds, _ in times) for name, times in runs.items()}
    fastest = min(cost[method.name] for method in of if not method.ours)
    for method in of:
        nfe, seconds = runs[method.name][0][1], cost[method.name]
        yield method.name, nfe, seconds, seconds / fastest, peak(method, latents)


def main() -> None:
    known = methods()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("solvers", nargs="*", metavar="solver", help=f"all if none is given: {', '.join(known)}")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--batch", type=int, default=64)
    args = parser.parse_args()
    if unknown := set(args.solvers) - set(known):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    torch.set_num_threads(1)
    latents = torch.randn((args.batch, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    print(f"{STEPS} levels, batch {args.batch}, medians of {args.rounds} rounds\n")
    print("| solver | sampler | NFE | us / NFE beside the denoiser | / fastest peer | peak tensors |")
    print("|---|---|---:|---:|---:|---:|")
    for solver in args.solvers or known:
        for name, nfe, seconds, ratio, live in compare(known[solver], latents, args.rounds):
            print(f"| {solver} | {name} | {nfe} | {seconds * 1e6:.0f} | {ratio:.2f} | {live} |", flush=True)


if __name__ == "__main__":
    main()
