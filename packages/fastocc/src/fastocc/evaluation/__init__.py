"""How good predicted voxels are.

- `_miou.py`: mIoU over the whole set under a visibility mask, and geometric IoU
- `_rayiou.py`: RayIoU by ray casting on the CPU, and OccScore with flow
"""

from fastocc.evaluation._miou import MIoU, MIoUScore
from fastocc.evaluation._rayiou import RayIoU, RayScore, query_rays, select_origins

__all__ = ["MIoU", "MIoUScore", "RayIoU", "RayScore", "query_rays", "select_origins"]
