"""What a sampler costs beside its denoiser: ours against azula's and diffusers', in the same run.

    pip install -r benchmarks/requirements.txt && python benchmarks/sampler_overhead.py

The denoiser is one multiplication, timed inside each run and subtracted. Methods take turns, medians are shown:
microseconds for each evaluation of the denoiser, on a batch of 64 x 3 x 32 x 32 in float32, one thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

import designspace as ds

SHAPE, STEPS, ROUNDS = (64, 3, 32, 32), 18, 60
SIGMAS = ds.TimeSteps.get("edm")().sigmas(STEPS)


class Count:
    """The trivial denoiser D(x) = x / 2, counted and timed."""

    def __init__(self) -> None:
        self.nfe, self.seconds = 0, 0.0

    def __call__(self, x: Tensor) -> Tensor:
        start = time.perf_counter()
        denoised = x * 0.5
        self.seconds += time.perf_counter() - start
        self.nfe += 1
        return denoised


def ours(solver: str) -> Callable[[Tensor, Count], Tensor]:
    design = ds.Design.preset("edm", solver=solver)
    return lambda latents, count: ds.sample(design, lambda x, sigma: count(x), latents, STEPS).x


def of_azula(kind: str, **options: object) -> Callable[[Tensor, Count], Tensor]:
    import azula.denoise
    import azula.noise
    import azula.sample

    class Trivial(azula.denoise.Denoiser):
        def __init__(self, count: Count) -> None:
            super().__init__()
            self.count, self.schedule = count, azula.noise.VESchedule(0.002, 80.0)

        def forward(self, x_t: Tensor, t: Tensor, **kwargs: object) -> azula.denoise.DiracPosterior:
            return azula.denoise.DiracPosterior(mean=self.count(x_t))

    sampler = getattr(azula.sample, kind)
    return lambda latents, count: sampler(Trivial(count), steps=STEPS, silent=True, **options)(latents * 80)


def of_diffusers(kind: str, **options: object) -> Callable[[Tensor, Count], Tensor]:
    import diffusers

    def run(latents: Tensor, count: Count) -> Tensor:
        scheduler = getattr(diffusers, kind)(**options)
        scheduler.set_timesteps(STEPS)
        x = latents * scheduler.init_noise_sigma
        with torch.no_grad():
            for t in scheduler.timesteps:
                x = scheduler.step(count(scheduler.scale_model_input(x, t)), t, x).prev_sample
        return x

    return run


METHODS: dict[str, dict[str, Callable[[Tensor, Count], Tensor]]] = {
    "euler": {
        "designspace euler": ours("euler"),
        "azula EulerSampler": of_azula("EulerSampler"),
        "diffusers EulerDiscrete": of_diffusers("EulerDiscreteScheduler", use_karras_sigmas=True),
        "diffusers EDMEuler": of_diffusers("EDMEulerScheduler"),
        "diffusers DDIM": of_diffusers("DDIMScheduler", clip_sample=False),
    },
    "heun": {
        "designspace heun": ours("heun"),
        "azula HeunSampler": of_azula("HeunSampler"),
        "diffusers HeunDiscrete": of_diffusers("HeunDiscreteScheduler", use_karras_sigmas=True),
    },
    "dpmpp_2m": {
        "designspace dpmpp_2m": ours("dpmpp_2m"),
        "azula xEABSampler": of_azula("xEABSampler", order=2),
        "azula zABSampler": of_azula("zABSampler", order=2),
        "diffusers EDMDPMSolverMultistep": of_diffusers("EDMDPMSolverMultistepScheduler"),
        "diffusers DPMSolverMultistep": of_diffusers("DPMSolverMultistepScheduler", use_karras_sigmas=True),
    },
}


def beside_the_denoiser(run: Callable[[Tensor, Count], Tensor], latents: Tensor) -> tuple[float, int]:
    """Seconds for each evaluation without the evaluation itself, and the number of evaluations."""
    count = Count()
    start = time.perf_counter()
    run(latents, count)
    return (time.perf_counter() - start - count.seconds) / count.nfe, count.nfe


def main() -> None:
    torch.set_num_threads(1)
    latents = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    for solver, methods in METHODS.items():
        runs: dict[str, list[tuple[float, int]]] = {name: [] for name in methods}
        for _ in range(ROUNDS):
            for name, run in methods.items():
                runs[name].append(beside_the_denoiser(run, latents))
        cost = {name: statistics.median(seconds for seconds, _ in of) for name, of in runs.items()}
        fastest = min(value for name, value in cost.items() if "designspace" not in name)
        print(f"\n## {solver}, {STEPS} steps\n")
        print("| sampler | NFE | us / NFE beside the denoiser | / fastest peer |\n|---|---|---|---|")
        for name, value in cost.items():
            print(f"| {name} | {runs[name][0][1]} | {value * 1e6:.0f} | {value / fastest:.2f} |")


if __name__ == "__main__":
    main()
