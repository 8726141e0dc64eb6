"""Networks trained without voxel labels.

- `_calibrate.py`: where free space begins, found with the LiDAR sweeps that such a network was trained on
"""

from fastocc.unlabelled._calibrate import calibrate_free

__all__ = ["calibrate_free"]
