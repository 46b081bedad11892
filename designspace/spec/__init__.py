"""From a YAML file to trials.

An ablation asks one question: it names a baseline column of Table 1 and what to vary. ``document`` reads the file with
the place of every value, ``axes`` expands what varies, ``resolve`` makes trials of the points, ``claims`` checks what
the author expects, and ``plan`` puts these together and collects everything that is wrong.

An ablation may ask for a search instead: ``search`` is the block that says what is tried, ``candidates`` makes the
trials that a race compares, and ``unfit`` collects what is wrong with the block.
"""

from designspace.errors import SpecError
from designspace.spec.ablation import Ablation, load
from designspace.spec.evaluate import Evaluate
from designspace.spec.trial import Point, Trial

__all__ = ["Ablation", "Evaluate", "Point", "SpecError", "Trial", "load"]
