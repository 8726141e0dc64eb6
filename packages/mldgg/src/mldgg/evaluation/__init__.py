"""How methods are judged: protocol, metrics, tuning on sources, pictures.

All methods by name, and the choice of their options -> `_tune`; scores over tasks, shots and seeds, in a run folder or
without, and their pictures -> `_evaluate`, `_pictures`; weights of edges, and seconds -> `_edges`.
"""

from mldgg.evaluation._evaluate import Evaluation, Score, accuracy_bars, edge_histogram, evaluate
from mldgg.evaluation._pictures import answered_graph
from mldgg.evaluation._tune import METHODS, RULES, Choice, entries, tune

__all__ = [
    "METHODS", "RULES", "Choice", "Evaluation", "Score", "accuracy_bars", "answered_graph", "edge_histogram", "entries",
    "evaluate", "tune",
]  # fmt: skip
