"""``python -m designspace`` is the command ``designspace``."""

from designspace.cli.app import app

if __name__ == "__main__":
    app(prog_name="designspace")
