"""A line of a file of records: JSON that ends with a checksum of its other fields."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from designspace.results.records import plain

CHECKSUM = "sha256"


class LineError(ValueError):
    """A line cannot be read; the message says why, without naming the file."""


class EditedError(LineError):
    """The content of a line is not what was written."""


def encoded(record: Mapping[str, Any]) -> bytes:
    """The record as a line, in which NaN is null and infinity the string ``inf``."""
    content = plain({key: value for key, value in record.items() if key != CHECKSUM})
    read = json.loads(json.dumps(content, allow_nan=False))  # as it will be read: with lists and keys that are text
    text = json.dumps(read | {CHECKSUM: _checksum(read)}, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace") + b"\n"  # a lone surrogate becomes its JSON escape


def decoded(line: bytes) -> dict[str, Any]:
    """The record on a line, without its checksum; lines of earlier versions have none.

    Raises ``LineError``, or ``EditedError`` if the checksum does not match.
    """
    try:
        found = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_constant)
    except UnicodeDecodeError as error:
        raise LineError("not UTF-8") from error
    except json.JSONDecodeError as error:
        raise LineError(f"not JSON: {error.msg} (column {error.colno})") from error
    except RecursionError as error:
        raise LineError("nested too deeply") from error
    except LineError:
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise LineError("not JSON: a number is too long") from error
    if not isinstance(found, dict):
        raise LineError("not a JSON object")
    if CHECKSUM in found and found.pop(CHECKSUM) != _checksum(found):
        raise EditedError("edited after it was written: the checksum does not match")
    return found


def _checksum(content: Mapping[str, Any]) -> str:
    """The first 64 bits of the sha256 of the canonical JSON, on which order of fields and white space have no effect.

    It detects edits and damage. It is no protection against forgery, because anyone can compute it.
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise LineError(f"the key {twice!r} is there twice")
    return found


def _constant(name: str) -> NoReturn:
    raise LineError(f"{name} is not JSON")
