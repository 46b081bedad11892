"""The notebook of the documentation: run from its first cell to its last, and shown as a page.

``python notebook.py notebook.ipynb`` runs it in the current folder and writes what its cells show into the file.
Notebooks are JSON, so that this needs no Jupyter.
"""

from __future__ import annotations

import ast
import base64
import io
import json
import linecache
import re
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

Cell = dict[str, Any]
IMAGE = "image/png"
STYLE = re.compile(r'<style.*?</style>\n?| border="1" class="dataframe"', re.S)
"""What pandas adds to its tables, for which the page has styles of its own."""


def cells(path: Path) -> list[Cell]:
    """The cells of a notebook."""
    found: list[Cell] = json.loads(path.read_text("utf-8"))["cells"]
    return found


def run(path: Path) -> None:
    """Run all cells as a kernel does, and write their outputs into the notebook. Raises what they raise."""
    notebook = json.loads(path.read_text("utf-8"))
    main = sys.modules["__main__"] = ModuleType("__main__")
    for number, cell in enumerate((c for c in notebook["cells"] if c["cell_type"] == "code"), 1):
        cell["outputs"] = list(_outputs("".join(cell["source"]), number, vars(main)))
        cell["execution_count"] = number
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")


def _outputs(source: str, number: int, space: dict[str, Any]) -> Iterator[Cell]:
    """What a cell prints, the value of its last line, and its figures."""
    from matplotlib import pyplot

    place = f"<cell {number}>"
    linecache.cache[place] = (len(source), None, source.splitlines(True), place)  # where components find their source
    body = ast.parse(source).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) and not source.rstrip().endswith(";") else None
    printed, value = io.StringIO(), None
    with redirect_stdout(printed):
        exec(compile(ast.Module(body, []), place, "exec"), space)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), place, "eval"), space)
    if printed.getvalue():
        yield {"output_type": "stream", "name": "stdout", "text": _lines(printed.getvalue())}
    if value is not None:
        data = {"text/plain": _lines(repr(value))}
        if html := getattr(value, "_repr_html_", lambda: None)():
            data["text/html"] = _lines(html)
        yield {"output_type": "execute_result", "execution_count": number, "data": data, "metadata": {}}
    for figure in map(pyplot.figure, pyplot.get_fignums()):
        yield {"output_type": "display_data", "data": {IMAGE: _png(figure)}, "metadata": {}}
    pyplot.close("all")


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _png(figure: Any) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110, metadata={"Software": None})
    return base64.b64encode(file.getvalue()).decode()


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The notebook as Markdown, and the pictures that it shows, by name."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in cells(path):
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if picture := data.get(IMAGE):
                name = f"notebook_{len(pictures) + 1}.png"
                pictures[name] = base64.b64decode("".join(picture))
                parts.append(f"![What the cell draws]({name})")
            elif "<table" in (html := "".join(data.get("text/html", ""))):
                parts.append(STYLE.sub("", html))
            else:
                parts.append(f"```text\n{''.join(output.get('text') or data['text/plain']).rstrip()}\n```")
    return "\n\n".join(parts) + "\n", pictures


if __name__ == "__main__":
    run(Path(sys.argv[1]))
