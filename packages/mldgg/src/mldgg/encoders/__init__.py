"""From a graph to numbers that a classifier can use.

Input columns (IDF, SVD) -> `_inputs`; sparse products that can be differentiated twice -> `_sparse`; what a network
sees of a graph -> `_tensors`; hops on a reweighted graph -> `_hops`; source-centred ridge -> `_ridge`; GCN, GAT, SAGE
and GCNII with pivot passing -> `_backbones`; dropout that stays fixed within a trajectory -> `_masks`; results that
trials share -> `_kept`.
"""

from mldgg.encoders._backbones import BACKBONES, GnnOptions, PivotGNN, Rounds
from mldgg.encoders._hops import hop_features, normalised, reweighted
from mldgg.encoders._inputs import InputEncoder
from mldgg.encoders._kept import Kept
from mldgg.encoders._masks import Masks
from mldgg.encoders._ridge import (
    Ridge,
    centred_update,
    one_hot,
    ridge_weights,
    softmax,
    with_constant,
)
from mldgg.encoders._sparse import Sparse
from mldgg.encoders._tensors import GraphTensors

__all__ = [
    "BACKBONES",
    "GnnOptions",
    "GraphTensors",
    "InputEncoder",
    "Kept",
    "Masks",
    "PivotGNN",
    "Ridge",
    "Rounds",
    "Sparse",
    "centred_update",
    "hop_features",
    "normalised",
    "one_hot",
    "reweighted",
    "ridge_weights",
    "softmax",
    "with_constant",
]
