"""Figures as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save(drawn: Figure) -> dict[str, bytes]:
    """The figure as PNG, SVG and PDF, the same bytes each time while the style is set (``report.style.sheet``)."""
    files = {}
    for kind, metadata in KINDS.items():
        buffer = io.BytesIO()
        drawn.savefig(buffer, format=kind, metadata=metadata)
        files[kind] = buffer.getvalue()
    return files
