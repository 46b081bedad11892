"""A small network and an ablation that trains it, for the tests of training; also run as a process that is killed."""

import sys
from pathlib import Path

import torch
from torch import nn

import designspace as ds


class Conv(nn.Module):
    def __init__(self, channels, width, classes, augment):
        super().__init__()
        self.first, self.last = nn.Conv2d(channels, width, 3, padding=1), nn.Conv2d(width, channels, 3, padding=1)
        self.level = nn.Linear(1 + classes + augment, width)
        self.classes, self.augment = classes, augment
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x, c_noise, labels=None, augment=None):
        told = [c_noise[:, None].to(x)]
        if self.classes:
            empty = torch.zeros(len(x), dtype=torch.long)
            told.append(nn.functional.one_hot(empty if labels is None else labels, self.classes).to(x))
        if self.augment:
            told.append(x.new_zeros(len(x), self.augment) if augment is None else augment.to(x))
        h = nn.functional.silu(self.first(x)) * (1 + self.level(torch.cat(told, 1)))[:, :, None, None]
        return self.last(h)


class Peculiar(nn.Module):
    """With tied, frozen and running values."""

    def __init__(self, channels):
        super().__init__()
        self.enter, self.norm = nn.Conv2d(channels, 8, 1), nn.BatchNorm2d(8)
        self.first, self.second = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.second.weight = self.first.weight
        self.frozen = nn.Parameter(torch.randn(8), requires_grad=False)
        self.last = nn.Conv2d(8, channels, 1)

    def forward(self, x, c_noise, labels=None):
        h = self.norm(self.enter(x)) + torch.sin(c_noise[:, None] * self.frozen)[:, :, None, None]
        return self.last(self.second(nn.functional.silu(self.first(h))))


def peculiar(shape):
    return Peculiar(shape[0])


def with_dropout(shape):
    class Dropped(Conv):
        def forward(self, x, c_noise, labels=None):
            return super().forward(nn.functional.dropout(x, 0.5, self.training), c_noise)

    return Dropped(shape[0], 8, 0, 0)


class Small(ds.Network, name="small_stand_in"):
    """Two convolutions."""

    width: int = 8

    def shape_of(self, data):
        return data.shape

    def build(self, shape, classes=0, augment=0):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return Conv(shape[0], self.width, classes, augment)


SPEC = {
    "data": "digits",
    "denoiser": {"name": "trained", "network": "small_stand_in", "training_images": 6400, "batch_size": 32},
    "design": "edm",
    "grid": {"solver": ["euler", "heun"], "num_steps": [4]},
    "evaluate": {"images": 20, "detector": "pixels", "metrics": ["frechet"]},
    "components": [str(Path(__file__))],
}


def trained(images, **fields):
    """The denoiser ``trained``, with a quick recipe."""
    ema = {"name": "half_life", "half_life": 640}
    quick = {"network": "small_stand_in", "batch_size": 32, "warm_up": 320, "ema": ema}
    return ds.Denoiser.get("trained").model_validate(quick | fields | {"training_images": images})


if __name__ == "__main__":
    import designspace.training.checkpoints as running

    running.SAVE_SECONDS = 0.0
    data = ds.Data.get("digits")().load()
    trained(int(sys.argv[1])).load(data, ds.Design.preset("edm"), torch.device("cpu"))
