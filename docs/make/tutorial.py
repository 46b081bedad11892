"""Run the blocks of the page ``tutorial.md`` and write its figures to ``docs/tutorial``."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[2]
PAGE, FIGURES = ROOT / "docs" / "tutorial.md", ROOT / "docs" / "tutorial"
BLOCKS = Path(__file__).parent / "blocks.py"


def drawn(folder: Path) -> dict[str, Image.Image]:
    """Run all blocks in the folder, beside the committed reports; the figures by name, with at most 256 colours."""
    (folder / "reports").symlink_to(ROOT / "reports")
    subprocess.run([sys.executable, str(BLOCKS), str(PAGE)], cwd=folder, check=True)
    return {file.name: _small(Image.open(file)) for file in sorted(folder.glob("*.png"))}


def _small(image: Image.Image) -> Image.Image:
    return image.convert("RGB").quantize(256, dither=Image.Dither.NONE)


if __name__ == "__main__":
    FIGURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, image in drawn(Path(folder)).items():
            image.save(FIGURES / name, optimize=True)
