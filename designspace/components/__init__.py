"""The built-in components, one per file: ``components/<row>/<name>.py``.

In a checkout they live in the top-level ``components/`` folder, in a wheel beside this file.
"""

from pathlib import Path

_root = Path(__file__).parents[2]
if (_root / "pyproject.toml").is_file() and (_root / "components").is_dir():
    __path__.append(str(_root / "components"))
