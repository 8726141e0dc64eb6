"""From images to a bird's-eye view (BEV), by one of three exchangeable view transforms.

- `_projection.py`: voxel centres to pixels, image and bird's-eye augmentation matrices
- `_images.py`: image backbones and neck
- `_base.py`: what a view transform is given
- `_lut.py`: `lut`, Fast-BEV's table of voxels and pixels (the default on a CPU)
- `_lss.py`: `lss`, lift-splat with predicted depth
- `_bevdet.py`: `bevdet`, the same and a BEV encoder as BEVDet and FlashOcc publish them, for their checkpoints
- `_pool.py`: sums over sorted cells, for both
- `_bevformer.py`: `bevformer`, queries with temporal self-attention and spatial cross-attention
- `_history.py`: BEVs of earlier frames, for every view without a memory of its own
- `_encoder.py`: the BEV encoder after them
"""

from fastocc.views._base import CameraInputs, ViewTransform, sample_heights
from fastocc.views._bevdet import BevDetEncoder, BevDetLift
from fastocc.views._bevformer import BevFormer, warp_previous
from fastocc.views._encoder import BasicBlock, BevEncoder, conv_bn
from fastocc.views._history import BevHistory, HistoryState
from fastocc.views._images import BACKBONES, ImageEncoder
from fastocc.views._lss import LiftSplat
from fastocc.views._lut import LookUp
from fastocc.views._projection import (
    bev_augmentation,
    image_augmentation,
    project,
    rigid_inverse,
    sample_images,
    unproject,
)

VIEWS = {view.name: view for view in (LookUp, LiftSplat, BevDetLift, BevFormer)}

__all__ = [
    "BACKBONES",
    "VIEWS",
    "BasicBlock",
    "BevDetEncoder",
    "BevDetLift",
    "BevEncoder",
    "BevFormer",
    "BevHistory",
    "CameraInputs",
    "HistoryState",
    "ImageEncoder",
    "LiftSplat",
    "LookUp",
    "ViewTransform",
    "bev_augmentation",
    "conv_bn",
    "image_augmentation",
    "project",
    "rigid_inverse",
    "sample_heights",
    "sample_images",
    "unproject",
    "warp_previous",
]
