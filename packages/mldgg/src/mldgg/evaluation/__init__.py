"""How methods are judged: protocol, metrics, tuning on sources, a resumable comparison, pictures, speed.

All methods by name -> `_methods`; scores over tasks, shots and seeds -> `_evaluate`; choice of options -> `_tune`;
comparison in a run folder -> `_compare`; pictures -> `_figures`; seconds -> `_speed`.
"""

from mldgg.evaluation._compare import compare
from mldgg.evaluation._evaluate import Evaluation, Score, evaluate
from mldgg.evaluation._figures import accuracy_bars, edge_histogram
from mldgg.evaluation._methods import METHODS, Entry, entries
from mldgg.evaluation._speed import gcn_steps, random_graph, speed_table
from mldgg.evaluation._tune import RULES, Choice, tune

__all__ = [
    "METHODS",
    "RULES",
    "Choice",
    "Entry",
    "Evaluation",
    "Score",
    "accuracy_bars",
    "compare",
    "edge_histogram",
    "entries",
    "evaluate",
    "gcn_steps",
    "random_graph",
    "speed_table",
    "tune",
]
