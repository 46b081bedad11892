"""The bicubic resize against Pillow's, on which clean-fid's protocol rests."""

import numpy as np
import pytest
import torch
from cleanfid.resize import build_resizer
from PIL import Image

from designspace.evaluation.resize import bicubic_weights, resize, resized

UP = [((8, 8), (96, 96)), ((32, 32), (299, 299)), ((37, 90), (299, 299)), ((1, 1), (9, 9)), ((2, 3), (64, 31))]
DOWN = [
    ((512, 400), (299, 299)),
    ((288, 27), (96, 9)),
    ((300, 300), (299, 299)),
    ((1000, 3), (7, 2)),
    ((65, 63), (1, 1)),
    ((5, 7), (3, 2)),
]
MIXED = [((301, 57), (96, 96)), ((57, 301), (96, 96)), ((96, 40), (96, 41))]


def pillow(channel, height, width):
    return np.asarray(Image.fromarray(channel.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "target"), UP + DOWN + MIXED)
def test_as_pillow(size, target, channels):
    images = np.random.default_rng(0).integers(0, 256, (2, channels, *size), dtype=np.uint8)
    expected = np.stack([[pillow(channel, *target) for channel in image] for image in images])
    got = resize(torch.from_numpy(images).float(), *target)
    assert got.dtype == torch.float32
    assert np.abs(got.numpy() - expected).max() < 1e-3


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(8, 8), (32, 32), (37, 90), (299, 299), (301, 298), (512, 333)])
def test_as_clean_fid(size, channels):
    """Resized to the size of its network and clipped; clean-fid treats grey images as three equal channels."""
    images = np.random.default_rng(0).integers(0, 256, (2, *size, channels), dtype=np.uint8)
    resizer = build_resizer("clean")
    expected = np.stack([resizer(image.repeat(3 // channels, 2)) for image in images])
    got = torch.cat(list(resized(torch.from_numpy(images).permute(0, 3, 1, 2), 299, 8, torch.device("cpu"))))
    assert np.abs(got.permute(0, 2, 3, 1).numpy() - expected).max() < 1e-3


def test_the_own_size_changes_nothing():
    images = torch.rand(2, 3, 17, 30)
    assert torch.equal(resize(images, 17, 30), images)


def test_weights_overshoot_and_sum_to_one():
    for size, target in ((8, 96), (96, 8)):
        weights = bicubic_weights(size, target)
        torch.testing.assert_close(weights.sum(1), torch.ones(target))
        assert weights.min() < 0


@pytest.mark.parametrize("count", [1, 4, 5, 9])
def test_batches_are_small_even_clipped_and_in_order(count):
    pixels = (torch.arange(count * 64).reshape(count, 1, 8, 8) * 37 % 256).to(torch.uint8)
    batches = list(resized(pixels, 24, 4, torch.device("cpu")))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= 4
    assert max(sizes) - min(sizes) <= 1
    whole = resize(pixels.float(), 24, 24)
    assert whole.max() > 255
    torch.testing.assert_close(torch.cat(batches), whole.clip(0, 255))
