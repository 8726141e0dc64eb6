"""Which nodes pass messages to which: the publication's pivot learner, and our edge gate.

Pivot similarity and pivot passing -> `_pivots`; refinement over rounds -> `_refine`; policy-gradient regulariser
(eq. 4) -> `_policy`; pair features -> `_pairs`; edge gate (ours) -> `_gate`.
"""

from mldgg.structure._gate import EdgeGate, features_only
from mldgg.structure._pairs import NAMES, REFINED, Guess, pair_features, refined_features, undirected_pairs
from mldgg.structure._pivots import PivotGraph, PivotLearner, choose_pivots, pivot_pass
from mldgg.structure._policy import pivot_graph, structure_loss
from mldgg.structure._refine import Refined, refine

__all__ = [
    "NAMES",
    "REFINED",
    "EdgeGate",
    "Guess",
    "PivotGraph",
    "PivotLearner",
    "Refined",
    "choose_pivots",
    "features_only",
    "pair_features",
    "pivot_graph",
    "pivot_pass",
    "refine",
    "refined_features",
    "structure_loss",
    "undirected_pairs",
]
