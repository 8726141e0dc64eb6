"""What trained networks see of a graph, for rivals and for the published method.

Sparse products that can be differentiated twice -> `_sparse`; tensors of a graph -> `_tensors`; dropout that stays
fixed within a trajectory -> `_masks`.
"""

from mldgg.encoders._masks import Masks
from mldgg.encoders._sparse import Sparse
from mldgg.encoders._tensors import GraphTensors

__all__ = ["GraphTensors", "Masks", "Sparse"]
