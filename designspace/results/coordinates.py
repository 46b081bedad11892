r"""The influences of images as coordinates, which take little space and give the same standard errors.

The standard errors of T trials on common latents, and of any differences between them, depend only on the scalar
products of their T vectors of n influences. The coordinates of these vectors in an orthonormal basis of the space that
they span have the same scalar products and are at most T numbers per trial. The basis itself is not kept, so that
coordinates can only be combined with those of the trials that were reduced together: their ``span`` is the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from designspace.storage.arrays import half

Arrays = Mapping[str, np.ndarray]

PER_IMAGE = ("influence.", "pairs.")
"""The beginnings of the names of arrays of which only scalar products matter."""
COORDINATES = "coordinates."
"""The beginning of the names of arrays of coordinates, before that of the array that they replace."""
SPAN = "span"
"""The array whose bytes tell the trials that were reduced together from others."""


def reduced(artefacts: Mapping[str, Arrays]) -> dict[str, dict[str, np.ndarray]]:
    """The artefacts of trials of one seed, smaller, with coordinates in place of what there is per image.

    Arrays of other kinds are kept in half precision: ``storage.arrays.half``. Artefacts that hold nothing per image,
    because they were reduced before, keep their coordinates.
    """
    found: dict[str, dict[str, np.ndarray]] = {id: {} for id in artefacts}
    span = hashlib.sha256()
    for name, ids in _vectors(artefacts):
        matrix = np.stack([artefacts[id][name] for id in ids], axis=1).astype(np.float64)
        span.update(f"{name} {ids}".encode() + matrix.tobytes())
        if name.startswith("influence."):
            matrix -= matrix.mean(0)  # by contract they are centred, up to rounding
        distinct, places = np.unique(matrix, axis=1, return_inverse=True)  # so that equal vectors stay equal
        upper = np.linalg.qr(distinct).R.astype(np.float32)
        for id, place in zip(ids, places, strict=True):
            found[id][f"{COORDINATES}{name}"] = upper[: place + 1, place]  # the others are 0
    for id, coordinates in found.items():
        rest = {name: array for name, array in artefacts[id].items() if f"{COORDINATES}{name}" not in coordinates}
        earlier = {name: rest.pop(name) for name in [*rest] if name.startswith(COORDINATES)}
        own = {SPAN: np.frombuffer(span.digest()[:16], np.uint8)} if coordinates else {}
        found[id] = {**half(rest), **earlier, **coordinates, **own}
    return found


def per_image(artefact: Arrays, name: str, images: int) -> NDArray[np.float64] | None:
    """What the artefact has per image under ``name``, ``[images]``; ``None`` if it is absent or cannot be used.

    From coordinates, these are vectors with the same scalar products, but not the influences of single images.
    """
    kept = artefact.get(name)
    if kept is None and (coordinates := artefact.get(f"{COORDINATES}{name}")) is not None:
        halves = np.repeat(coordinates.astype(np.float64).ravel() / np.sqrt(2), 2)
        halves[1::2] *= -1  # the basis: the differences of images 1 and 2, 3 and 4, and so on, divided by the root of 2
        kept = np.pad(halves, (0, images - len(halves))) if len(halves) <= images else None
    usable = kept is not None and kept.shape == (images,) and bool(np.isfinite(kept).all())
    return kept.astype(np.float64) if usable and kept is not None else None


def span(artefact: Arrays) -> bytes:
    """What the spans of two artefacts must have in common for their vectors to be combined; empty without reduction."""
    kept = artefact.get(SPAN)
    return b"" if kept is None else kept.tobytes()


def _vectors(artefacts: Mapping[str, Arrays]) -> Iterator[tuple[str, list[str]]]:
    """The names of arrays to be reduced, with the trials that have them, if this saves space."""
    shapes: dict[tuple[str, int], list[str]] = {}
    for id, arrays in artefacts.items():
        for name, array in arrays.items():
            if name.startswith(PER_IMAGE) and array.ndim == 1 and np.isfinite(array).all():
                shapes.setdefault((name, len(array)), []).append(id)
    yield from ((name, ids) for (name, images), ids in shapes.items() if 2 * len(ids) <= images)
