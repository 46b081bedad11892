"""``python -m designspace`` is the command ``designspace``."""

from designspace.cli.app import app

app(prog_name="designspace")
