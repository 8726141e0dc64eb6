"""How methods are judged: protocol, metrics, tuning on sources, pictures.

All methods by name, and the choice of their options -> `_tune`; scores over tasks, shots and seeds, in a run folder or
without -> `_evaluate`; pictures -> `_figures`.
"""

from mldgg.evaluation._evaluate import Evaluation, Score, evaluate
from mldgg.evaluation._figures import accuracy_bars, edge_histogram
from mldgg.evaluation._tune import METHODS, RULES, Choice, entries, tune

__all__ = [
    "METHODS", "RULES", "Choice", "Evaluation", "Score", "accuracy_bars", "edge_histogram", "entries",
    "evaluate", "tune",
]  # fmt: skip
