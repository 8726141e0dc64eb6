"""The network's view of a graph, and its layers.

Sparse products that can be differentiated twice -> `_sparse`; tensors of a graph -> `_tensors`; GCN, GAT, SAGE and
GCNII with pivot passing -> `_backbones`; dropout that stays fixed within a trajectory -> `_masks`.
"""

from mldgg.encoders._backbones import BACKBONES, GnnOptions, PivotGNN, Rounds
from mldgg.encoders._masks import Masks
from mldgg.encoders._sparse import Sparse
from mldgg.encoders._tensors import GraphTensors

__all__ = [
    "BACKBONES",
    "GnnOptions",
    "GraphTensors",
    "Masks",
    "PivotGNN",
    "Rounds",
    "Sparse",
]
