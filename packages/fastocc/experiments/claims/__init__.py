"""What the publication and the brief claim: statements, bars and experiments.

- `_setting.py`: data, frozen encoder and trained heads that the experiments share
- `_heads.py`: the head against its rivals, and against itself with parts taken out
- `_whole.py`: the segmentation branch; whether the images are what it works from
- `_history.py`: what earlier frames add
- `_rays.py`: training on LiDAR rays, without voxel labels
- `_labels.py`: labels made from LiDAR sweeps
- `_objects.py`: shapes that training never showed, and columns of several layers
"""

from ._heads import BEATS_2D_HEADS, EACH_PART_HELPS, NEAR_VOXEL3D, PARTIAL_NEAR_FULL
from ._history import HISTORY_HELPS
from ._labels import LABELS_FROM_LIDAR
from ._objects import SEVERAL_LAYERS, UNKNOWN_OBJECTS
from ._rays import WITHOUT_VOXELS
from ._whole import IMAGES_MATTER, SEGMENTATION_HELPS

CLAIMS = [
    BEATS_2D_HEADS,
    NEAR_VOXEL3D,
    EACH_PART_HELPS,
    PARTIAL_NEAR_FULL,
    SEGMENTATION_HELPS,
    IMAGES_MATTER,
    UNKNOWN_OBJECTS,
    SEVERAL_LAYERS,
    HISTORY_HELPS,
    LABELS_FROM_LIDAR,
    WITHOUT_VOXELS,
]

__all__ = ["CLAIMS"]
