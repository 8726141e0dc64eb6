"""Heads from a bird's-eye view to voxel logits, and what training needs of them.

- `_base.py`: the interface of the method's head and of every rival
- `_c2h.py`: `DeformableC2h`, the default: a deformable convolution, then channels become heights
- `_fastocc.py`: `FastOccHead`, the publication's: deformable lifting, partial voxel FPN, per-voxel MLP
- `_segmentation.py`: the perspective branch, present in training alone
- `_rays.py`: points on LiDAR rays, and the loss at them: training without voxel labels
- `_losses.py`: focal, weighted cross-entropy, affinity losses, Lovasz-softmax, depth
"""

from fastocc.heads._base import HeadContext, OccHead, decode
from fastocc.heads._c2h import DeformableC2h
from fastocc.heads._fastocc import FastOccHead
from fastocc.heads._losses import (
    balanced_weights,
    class_weights,
    depth_loss,
    focal_loss,
    geometric_affinity,
    lovasz_softmax,
    occupancy_loss,
    segmentation_loss,
    semantic_affinity,
)
from fastocc.heads._rays import RayQueries, query_logits, ray_loss, sample_queries
from fastocc.heads._segmentation import SegmentationBranch

__all__ = [
    "DeformableC2h",
    "FastOccHead",
    "HeadContext",
    "OccHead",
    "RayQueries",
    "SegmentationBranch",
    "balanced_weights",
    "class_weights",
    "decode",
    "depth_loss",
    "focal_loss",
    "geometric_affinity",
    "lovasz_softmax",
    "occupancy_loss",
    "query_logits",
    "ray_loss",
    "sample_queries",
    "segmentation_loss",
    "semantic_affinity",
]
