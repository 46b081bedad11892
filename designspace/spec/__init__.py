"""From YAML to trials: an ablation names a baseline column of Table 1 and what to vary.

``document`` reads the file with the place of every value, ``axes`` and ``grid`` expand what varies, ``resolve`` makes
trials of it, and ``errors`` says what is wrong where.
"""

from designspace.errors import SpecError
from designspace.spec.ablation import Ablation, load
from designspace.spec.trial import Evaluate, Point, Trial

__all__ = ["Ablation", "Evaluate", "Point", "SpecError", "Trial", "load"]
