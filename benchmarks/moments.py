"""Mean and covariance of 50,000 features of 2,048 dimensions: streamed, compared with numpy on the whole array.

    pip install -r benchmarks/requirements.txt && python benchmarks/moments.py [--rounds 3]

The methods take turns on one thread; features are float32, as networks return them. The memory of streaming is measured
in a separate process, which draws the features chunk by chunk, as the increase of the peak of its resident set. The
goals are 1.15 of the time of numpy.cov, a relative difference of 1e-9, and 1 GB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np
import torch
from side_by_side import bar, heading, take_turns
from torch import Tensor
from torchmetrics.image.fid import FrechetInceptionDistance

from designspace.evaluation.moments import BLOCK, Moments

N, D = 50_000, 2048
BATCH = 500
"""Images at once of torchmetrics, which accumulates in float64 as well."""
TIME, ERROR, MEMORY = 1.15, 1e-9, 1.0


def chunks() -> Iterator[Tensor]:
    generator = torch.Generator().manual_seed(0)
    scale = torch.arange(1, D + 1) ** -0.7
    for start in range(0, N, BLOCK):
        yield (torch.rand(min(BLOCK, N - start), D, generator=generator) + 0.4) * scale


def torchmetrics(x: Tensor) -> Tensor:
    class Given(torch.nn.Module):
        """A network that is given the features."""

        num_features = D

        def forward(self, features: Tensor) -> Tensor:
            return features

    metric = FrechetInceptionDistance(Given())
    for batch in x.split(BATCH):
        metric.update(batch, real=True)
    total = metric.real_features_sum[:, None]
    return (metric.real_features_cov_sum - total @ total.T / len(x)) / (len(x) - 1)


def peak(sender: Connection) -> None:
    """GB above what there was before the first chunk."""
    torch.set_num_threads(1)
    Moments.streamed([torch.rand(8, 8)])  # what the libraries take at their first use
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    Moments.streamed(chunks())
    sender.send((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e9)


def memory() -> float:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=peak, args=(sender,))
    process.start()
    used: float = receiver.recv()
    process.join()
    return used


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    heading(f"{N} features of {D} dimensions")
    used, x = memory(), torch.cat(list(chunks()))
    timed = take_turns(
        {
            "numpy.cov": lambda: torch.from_numpy(np.cov(x.numpy(), rowvar=False)),
            f"torchmetrics, batches of {BATCH}": lambda: torchmetrics(x),
            "designspace": lambda: Moments.of(x).cov,
        },
        rounds,
    )
    base = timed["numpy.cov"]
    error = {name: float((t.value - base.value).norm() / base.value.norm()) for name, t in timed.items()}
    print("| method | CPU s | / numpy.cov | difference |\n|---|---|---|---|")
    for name, t in timed.items():
        print(f"| {name} | {t.seconds():.2f} | {t.over(base):.3f} | {error[name]:.1e} |")
    print()
    bar("of numpy.cov's time", timed["designspace"].over(base), TIME)
    bar("of its value", error["designspace"], ERROR)
    bar("GB of memory", used, MEMORY)


if __name__ == "__main__":
    main()
