"""What the publication and the brief claim: statements, bars and experiments.

- `_heads.py`: the head against its rivals, and against itself with parts taken out
- `_history.py`: what earlier frames add
- `_rays.py`: training on LiDAR rays, without voxel labels
- `_labels.py`: labels made from LiDAR sweeps
- `_objects.py`: shapes that training never showed

Data, frozen encoder and trained heads that they share are in `models`.
"""

from ._heads import HEADS
from ._history import HISTORY_HELPS
from ._labels import LABELS_FROM_LIDAR
from ._objects import UNKNOWN_OBJECTS
from ._rays import WITHOUT_VOXELS

CLAIMS = [*HEADS, UNKNOWN_OBJECTS, HISTORY_HELPS, LABELS_FROM_LIDAR, WITHOUT_VOXELS]

__all__ = ["CLAIMS"]
