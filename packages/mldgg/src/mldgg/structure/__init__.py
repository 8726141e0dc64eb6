"""Which edges of a graph to believe: pair features -> `_pairs`; the gate that is learnt from them -> `_gate`."""

from mldgg.structure._gate import EdgeGate, features_only
from mldgg.structure._pairs import Guess, pair_features, refined_features, undirected_pairs

__all__ = [
    "EdgeGate", "Guess", "features_only", "pair_features", "refined_features", "undirected_pairs",
]  # fmt: skip
