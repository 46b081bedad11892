"""Reduce the artefacts of the committed reports to what their error bars need, so that the repository stays small."""

from pathlib import Path

from designspace.report import find
from designspace.results.store import Results

REPORTS = Path(__file__).parents[2] / "reports"

if __name__ == "__main__":
    for folder in find(REPORTS):
        Results(folder).compact()
