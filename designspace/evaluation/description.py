"""The JSON file that describes a feature network: which file it is, how images are prepared, and what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import Field, ValidationError, field_validator, model_validator

from designspace.errors import DataError
from designspace.registry.component import Finite, Positive, Spec
from designspace.storage.files import CacheFolder, file_hash, reading
from designspace.text import first_of

SHIPPED = Path(str(files("designspace"))) / "detectors"
"""The folder of the descriptions that come with the package."""
MOST = 2**20
"""The size of the largest description that is read, in bytes."""
FORMATS = {".pt": "TorchScript", ".pt2": "an exported program of torch.export", ".onnx": "ONNX"}
SPACE = " \t\n\r"

Side = Annotated[int, Field(ge=8, le=4096)]


class Preparation(Spec):
    """What is done to an image, whose pixels are uint8, before the network sees it."""

    size: Side | tuple[Side, Side]
    """The side, or the height and the width, to which images are resized."""
    filter: Literal["bicubic", "bilinear"]
    antialias: bool
    """Whether the filter is widened if images shrink, as in Pillow; otherwise as in ``torch.nn.functional``."""
    clip: bool = True
    """Whether values that overshoot 0 to 255 in the resize are clipped."""
    channels: Literal[1, 3] = 3
    """1 averages the channels; with 3, grey images become three equal channels."""
    range: tuple[Finite, Finite] = (0.0, 1.0)
    """The values of pixels 0 and 255, from which ``mean`` is then subtracted, and which are divided by ``std``."""
    mean: tuple[Finite, ...] = (0.0,)
    std: tuple[Positive, ...] = (1.0,)

    @model_validator(mode="after")
    def _per_channel(self) -> Self:
        for name in ("mean", "std"):
            if len(getattr(self, name)) not in (1, self.channels):
                raise ValueError(f"{name}: should have 1 or {self.channels} numbers, not {len(getattr(self, name))}")
        return self

    @property
    def sides(self) -> tuple[int, int]:
        """The height and the width of what the network sees."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def __str__(self) -> str:
        antialias, clip = "antialiased" * self.antialias or "aliased", "clipped" if self.clip else "not clipped"
        before = "mean of the channels, " if self.channels == 1 else ""
        return "{}{} x {}, {} {}, not rounded, {}".format(before, *self.sides, antialias, self.filter, clip)


class Description(Preparation):
    """A feature network in a file."""

    protocol: Annotated[str, Field(pattern=r"^FD-\S+$")]
    """The name of a Fréchet distance of its features, such as ``FD-DINOv2``."""
    network: str
    """The file, beside the description or in the folder ``weights`` of the cache, or only there for shipped ones."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None
    """The hash of the file, which is checked. Without it, the name of the protocol is followed by the file's hash."""
    output: int | str | None = None
    """Which output holds the features, by number or name, if there are several."""
    pooling: Literal["none", "space", "tokens", "class_token"] = "none"
    """How features ``[B, d]`` are made of the output: not at all, by the mean over space of ``[B, d, ...]`` or over the
    tokens of ``[B, tokens, d]``, or as the first of these tokens."""
    width: Annotated[int, Field(ge=1, le=2**20)]
    """The number d of features."""
    licence: str
    """The licence of the weights."""
    source: str = ""
    """Where the file comes from: what to do if it is missing."""

    @field_validator("network")
    @classmethod
    def _of_a_known_format(cls, network: str) -> str:
        if Path(network).suffix not in FORMATS:
            kinds = ", ".join(f"{suffix} ({kind})" for suffix, kind in FORMATS.items())
            raise ValueError(f"should be the name of a file with the ending {kinds}")
        return network

    def preparation(self) -> dict[str, Any]:
        """What is done to images, as plain data."""
        return {name: getattr(self, name) for name in Preparation.model_fields}

    def identity(self) -> dict[str, Any]:
        """What the features depend on besides the content of the network's file."""
        return self.model_dump(mode="json", exclude={"network", "sha256", "licence", "source"})


class Described(NamedTuple):
    """A description, its file, and the place of each entry in it."""

    path: Path
    about: Description
    places: Mapping[str, tuple[int, int]]

    def error(self, entry: str, what: str) -> DataError:
        """The error that something is wrong with an entry, with its line and column."""
        return DataError(f"{_at(self.path, self.places, entry)}: {entry}: {what}")

    def file(self) -> Path:
        """The file of the network. Raises ``DataError`` if it is missing or its hash is not the expected one."""
        about = self.about
        name = Path(about.network).expanduser()
        beside, cached = self.path.parent / name, CacheFolder().root / "weights" / name.name
        places = [cached] if self.path.parent == SHIPPED else [beside, cached]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            where = " and no ".join(str(place.absolute()) for place in places)
            raise self.error("network", f"there is no {where}" + (about.source and f": {about.source}"))
        if about.sha256 is not None and (own := file_hash(found)) != about.sha256:
            raise self.error("sha256", f"{found} has the sha256 {own}: it is damaged or another file")
        return found

    def protocol(self) -> str:
        """The name of a Fréchet distance; that of a file whose hash the description does not state is marked by it."""
        about = self.about
        return about.protocol if about.sha256 else f"{about.protocol}-{file_hash(self.file())[:8]}"


def read(path: Path) -> Described:
    """Read a description. Raises ``DataError`` with line and column if the file is not what ``Description`` says.

    Names of the shipped descriptions are those of published protocols, which only their preparation may have.
    """
    if path.suffix != ".json":
        known = first_of(sorted(shipped.stem for shipped in SHIPPED.glob("*.json")), 20)
        raise DataError(f"there is no description '{path.name}': give the path of a .json file, or one of {known}")
    found = _parsed(path)
    for shipped in SHIPPED.glob("*.json"):
        if path.parent == SHIPPED or found.about.protocol != (published := _parsed(shipped).about).protocol:
            continue
        differ = [name for name, value in found.about.preparation().items() if value != published.preparation()[name]]
        if differ:
            own = f"is the name for the preparation of {shipped.stem}, which has another {' and another '.join(differ)}"
            raise found.error("protocol", f"{published.protocol} {own}: choose another name")
    return found


def _parsed(path: Path) -> Described:
    with reading(path), path.open("rb") as file:
        content = file.read(MOST + 1)
    try:
        if len(content) > MOST:
            raise ValueError(f"it has more than {MOST:,} bytes")
        text = content.decode("utf-8-sig")
        data, places = json.loads(text), _places(text)
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: is not the description of a network: {error}") from error
    try:
        return Described(path, Description.model_validate(data), places)
    except ValidationError as error:
        first = error.errors()[0]
        entry, *inside = [str(part) for part in first["loc"] if part not in ("int", "str")] or [""]
        what = str(first["ctx"]["error"]) if "error" in first.get("ctx", {}) else first["msg"]
        name = ".".join([entry, *(part for part in inside if part.isdecimal())]).strip(".")
        where = _at(path, places, entry or what.partition(":")[0])
        raise DataError(f"{where}: {name}{': ' * bool(name)}{what.removeprefix('Input ')}") from None


def _places(text: str) -> dict[str, tuple[int, int]]:
    """The line and column of the value of each entry of a JSON object. Raises ``ValueError`` for other content."""
    found: dict[str, tuple[int, int]] = {}
    at, decoder = _skipped(text, 0), json.JSONDecoder()
    if text[at : at + 1] != "{":
        raise ValueError("it is no JSON object")
    at = _skipped(text, at + 1)
    while text[at] != "}":
        key, at = decoder.raw_decode(text, at)
        at = _skipped(text, _skipped(text, at) + 1)  # over the colon
        if key in found:
            raise json.JSONDecodeError(f"the entry {key} is given twice", text, at)
        found[key] = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        _, at = decoder.raw_decode(text, at)
        at = _skipped(text, at)
        at = _skipped(text, at + 1) if text[at] == "," else at
    return found


def _skipped(text: str, at: int) -> int:
    """The position of the first character from ``at`` on that is no white space."""
    return next((i for i in range(at, len(text)) if text[i] not in SPACE), len(text))


def _at(path: Path, places: Mapping[str, tuple[int, int]], entry: str) -> str:
    line, column = places.get(entry, (1, 1))
    return f"{path}:{line}:{column}"
