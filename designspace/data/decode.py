"""Decoding of single image files, which are refused if a pixel, a frame or a bit would be lost."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from designspace.data.limits import require_room
from designspace.errors import DataError

Pixels = NDArray[np.uint8]
"""An image ``[C, H, W]``."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM")
"""Only these, because some decoders of Pillow start other programs."""
SIGNATURES = {
    b"\x89PNG": "png",
    b"\xff\xd8\xff": "jpeg",
    b"BM": "bmp",
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff"),
    **{b"P%d" % k: "pnm" for k in range(1, 7)},
}
BITS_PER_SAMPLE, COMPRESSION = 258, 259
"""Tags of TIFF files."""
LOSSY_TIFF = (6, 7, 34892, 50001)
"""Compressions of TIFF files that lose information: JPEG, of which there are three kinds, and WebP."""
SEPARATE = "save each of them to a file of its own"


def decode(content: bytes) -> Image.Image:
    """An image file as a grey or RGB image, turned upright if its EXIF data say so.

    Images with a palette, in CMYK or with an alpha channel that is opaque everywhere become RGB; images of one bit, and
    of grey with such an alpha channel, become grey. Raises ``DataError`` for damaged files and for what cannot be kept:
    more than 8 bits per channel, several frames, and transparency. The message continues the name of the file.
    """
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            require_room(3 * image.width * image.height, f"has {image.width} x {image.height} pixels and")
            _refuse(image, content)
            return upright(image)
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"is not an image of a known format ({', '.join(FORMATS)})") from None
    except Exception as error:  # on damaged bytes Pillow raises nearly anything
        raise DataError(f"cannot be decoded: {error}") from error


def _refuse(image: Image.Image, content: bytes) -> None:
    if _bits(image) > 8:
        raise DataError("has more than 8 bits per channel; convert it to 8")
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise DataError(f"has {frames} frames; {SEPARATE}")
    if image.format == "PPM" and _is_continued(image, content):
        raise DataError(f"has several images; {SEPARATE}")


def _is_continued(image: Image.Image, content: bytes) -> bool:
    """Whether another image follows the first of a PNM file, of which Pillow reads the first."""
    codec, _, offset, *_ = image.tile[0]  # type: ignore[attr-defined]
    if codec == "ppm_plain":
        return re.search(rb"^P[1-6]\s", content[offset:], re.MULTILINE) is not None
    row = {"1": -(-image.width // 8), "L": image.width}.get(image.mode, 3 * image.width)
    return content[offset + row * image.height :].lstrip().startswith(b"P")


def _bits(image: Image.Image) -> int:
    """The number of bits per channel, which the mode does not tell: Pillow reads RGB images of 16 bits as 8."""
    if image.mode.startswith(("I", "F")):
        return 16
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(BITS_PER_SAMPLE, (1,))))  # type: ignore[attr-defined]
    how = image.tile[0][3] if image.tile else ""  # type: ignore[attr-defined]
    if image.format == "PNG":
        return 16 if str(how).endswith(";16B") else 8
    if image.format == "PPM" and isinstance(how, tuple):
        return int(how[1]).bit_length()
    return 8


def upright(image: Image.Image) -> Image.Image:
    """An image as a grey or RGB image, turned upright if its EXIF data say so. Raises ``DataError`` if transparent."""
    ImageOps.exif_transpose(image, in_place=True)
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (255, 255):
        raise DataError("is transparent in places; paste it onto a background and save it without an alpha channel")
    if image.mode not in ("L", "RGB"):
        return image.convert("L" if image.mode in ("1", "LA") else "RGB")
    image.load()
    return image


@contextmanager
def strictly() -> Iterator[None]:
    """Within the block, truncated files are errors even if other code has told Pillow to fill them with grey."""
    before, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = before


def fitted(image: Image.Image, size: int | None, crop: str | None) -> Pixels:
    """The pixels ``[C, H, W]`` of an image after the optional crop to its central square and resizing.

    Raises ``DataError`` if an image that is not square would be distorted.
    """
    if crop == "center":
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if size is not None and image.size != (size, size):
        if image.width != image.height:
            raise DataError(f"is {image.width} x {image.height}, not square; add `crop: center`")
        image = image.resize((size, size), Image.Resampling.LANCZOS)
    array = np.asarray(image)
    return array.reshape(*array.shape[:2], -1).transpose(2, 0, 1)


def file_format(file: IO[bytes]) -> str:
    """The format of an image file by its content: ``png``, ``jpeg``, ``tiff (jpeg)``, ``webp (lossless)``, ...."""
    start = file.read(12)
    if start[:4] == b"RIFF" and start[8:] == b"WEBP":
        return _webp(file)
    name = next((name for signature, name in SIGNATURES.items() if start.startswith(signature)), "unknown")
    return _tiff(file) if name == "tiff" else name


def _tiff(file: IO[bytes]) -> str:
    """Whether a TIFF file is compressed with loss, by JPEG or WebP."""
    file.seek(0)
    try:
        with Image.open(file, formats=("TIFF",)) as image:
            lossy = image.tag_v2.get(COMPRESSION) in LOSSY_TIFF  # type: ignore[attr-defined]
    except Exception:  # it is damaged, as decoding it will say
        return "tiff"
    return "tiff (jpeg)" if lossy else "tiff"


def _webp(file: IO[bytes]) -> str:
    """Whether a WebP file is compressed with loss, by its first chunk of image data."""
    while len(chunk := file.read(8)) == 8:
        if chunk[:4] in (b"VP8 ", b"VP8L"):
            break
        size = int.from_bytes(chunk[4:], "little")
        file.seek(size + size % 2, 1)
    return "webp (lossless)" if chunk[:4] == b"VP8L" else "webp"
