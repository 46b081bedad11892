"""Loading a data set, which may run a user's own code."""

from __future__ import annotations

import torch

from designspace.data.images import Images
from designspace.data.rows import Data
from designspace.registry.calling import calling, described, unmet
from designspace.registry.isolation import isolated
from designspace.storage.files import content_key

CPU = torch.device("cpu")


def load_images(data: Data, device: torch.device = CPU) -> Images:
    """The images of ``data``: the same wherever the files are and whatever the process has drawn or set before.

    ``device`` is the one whose global generator is seeded and restored as well. Errors name the component.
    """
    with calling(data), isolated(device, "data", content_key(data.identity())):
        images: object = data.load()
    if not isinstance(images, Images):
        unmet(data, "load()", "Images(pixels, labels, classes)", described(images))
    return images
