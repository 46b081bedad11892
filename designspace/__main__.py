"""``python -m designspace`` is the command ``designspace``."""

from designspace.cli import app

app(prog_name="designspace")
