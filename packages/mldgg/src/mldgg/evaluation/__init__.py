"""How methods are judged: protocol, metrics, tuning on sources, pictures.

All methods by name -> `_methods`; scores over tasks, shots and seeds, in a run folder or without -> `_evaluate`; choice
of options -> `_tune`; pictures -> `_figures`.
"""

from mldgg.evaluation._evaluate import Evaluation, Score, evaluate
from mldgg.evaluation._figures import accuracy_bars, edge_histogram
from mldgg.evaluation._methods import METHODS, Entry, entries
from mldgg.evaluation._tune import RULES, Choice, tune

__all__ = [
    "METHODS", "RULES", "Choice", "Entry", "Evaluation", "Score", "accuracy_bars", "edge_histogram", "entries",
    "evaluate", "tune",
]  # fmt: skip
