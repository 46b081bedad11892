"""What every network owes: checks of the row ``network``, for those that need no field."""

from __future__ import annotations

import torch

from designspace.denoising.rows import Network

SHAPE = (2, 8, 8)


def keeps_the_shape(network: Network) -> None:
    """It gives the shape of its input, or twice the channels; with labels, without, and with augmentation labels."""
    x, c_noise = torch.ones(3, *SHAPE), torch.tensor([-1.5, 0.0, 999.0])
    for classes, augment in ((0, 0), (4, 0), (4, 5)):
        built = network.build(SHAPE, classes, augment)
        assert not built.training, "build should give evaluation mode"
        labels = torch.tensor([0, 3, 1]) if classes else None
        outputs = [built(x, c_noise, labels)]
        outputs += [built(x, c_noise, labels, torch.zeros(3, augment))] if augment else []
        for output in outputs:
            assert output.shape in ((3, *SHAPE), (3, 2 * SHAPE[0], *SHAPE[1:]))
            assert bool(output.isfinite().all())
            assert torch.equal(output, outputs[0]), "no augmentation labels should be the same as zeros"


def is_the_same_each_time(network: Network) -> None:
    """The weights are those of its fields, and torch's generator stays as it was."""
    before = torch.get_rng_state()
    first, second = (network.build(SHAPE, 4, 5).state_dict() for _ in range(2))
    assert torch.equal(torch.get_rng_state(), before), "build draws from torch's generator: see designspace.networks"
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)
