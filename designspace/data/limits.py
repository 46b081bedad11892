"""Limits on the size of decoded data, which keep damaged and hostile files from filling the memory."""

from __future__ import annotations

import os
from pathlib import Path

from designspace.errors import DataError

VARIABLE = "DESIGNSPACE_MAX_BYTES"
"""The environment variable that sets the limit in bytes."""
FALLBACK = 16 * 2**30
"""The limit on systems that do not tell the size of their memory."""
RATIO, SMALL = 200, 2**30
"""Files that decode to more than ``SMALL`` bytes and ``RATIO`` times their own size are hardly images."""
SHARE = 4
"""Pixels that take more than this part of the limit are mapped from the cache, where all workers share them."""
CGROUP = Path("/sys/fs/cgroup/memory.max")


def require_room(size: int, what: object, stored: int | None = None) -> None:
    """Raise ``DataError`` if data of ``size`` bytes exceed the limit; called before memory is allocated for ``what``.

    The limit is ``$DESIGNSPACE_MAX_BYTES`` or else half of the memory of the machine or container. What comes from a
    file of ``stored`` bytes must be plausible as well.
    """
    if stored is not None:
        require_plausible(size, what, stored)
    if size > (limit := _limit()):
        much = f"needs {size / 1e9:.3g} GB of memory when decoded, and the limit is {limit / 1e9:.3g} GB"
        raise DataError(f"{what} {much}; set ${VARIABLE} (in bytes) to raise it")


def require_plausible(size: int, what: object, stored: int) -> None:
    """Raise ``DataError`` if ``stored`` bytes of ``what`` decode to more than 1 GiB and 200 times their size.

    The check is left out if ``$DESIGNSPACE_MAX_BYTES`` is set.
    """
    if VARIABLE not in os.environ and size > max(SMALL, RATIO * stored):
        much = f"has {stored / 1e6:.3g} MB and decodes to {size / 1e9:.3g} GB, which no images do"
        raise DataError(f"{what} {much}; set ${VARIABLE} (in bytes) to read it nevertheless")


def fits_in_memory(size: int) -> bool:
    """Whether pixels of ``size`` bytes are held in memory: a quarter of the limit, by default 1/8 of the memory."""
    return SHARE * size <= _limit()


def _limit() -> int:
    text = os.environ.get(VARIABLE)
    if not text:
        return _memory() // 2
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        raise DataError(f"${VARIABLE} is '{text}', not a number of bytes such as 16e9") from None


def _memory() -> int:
    try:
        physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2 * FALLBACK
    try:
        return min(physical, int(CGROUP.read_text()))
    except (OSError, ValueError):  # without cgroups, or without a limit, which reads "max"
        return physical
