"""From voxel features to class scores.

- `_fold.py`: Z in the batch, so that 1 x 3 x 3 convolutions are 2D
- `_fpn.py`: the partial voxel FPN, the full one it is compared with, and none
- `_classifier.py`: the per-voxel MLP
"""

from fastocc.voxels._classifier import VoxelMlp, to_columns
from fastocc.voxels._fold import DeepConv, fold, unfold
from fastocc.voxels._fpn import FPNS, FullFpn, NoFpn, PartialFpn

__all__ = [
    "FPNS",
    "DeepConv",
    "FullFpn",
    "NoFpn",
    "PartialFpn",
    "VoxelMlp",
    "fold",
    "to_columns",
    "unfold",
]
