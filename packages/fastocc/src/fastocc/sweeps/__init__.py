"""Recorded LiDAR sweeps as they lie on disk, and the voxel labels that are made from them.

- `_sequence.py`: what all recordings become: sweeps, the frames to label, cameras
- `_nuscenes.py`: nuScenes' tables: sweeps between the key frames, boxes, lidarseg
- `_kitti.py`: KITTI odometry and SemanticKITTI
- `_bag.py`, `_cloud.py`: ROS 2 bags as mcap files: PointCloud2 with tf or odometry
- `_find.py`: which of these lies at a path, and the files of labels
- `_folder.py`: a folder of labels of all scenes
"""

from fastocc.sweeps._bag import bag_sequences
from fastocc.sweeps._cloud import CLOUD, read_cloud
from fastocc.sweeps._find import Recordings, find_recordings, write_labels
from fastocc.sweeps._kitti import kitti_sequences
from fastocc.sweeps._nuscenes import nuscenes_sequences
from fastocc.sweeps._sequence import SweepSequence, label_sequence

__all__ = [
    "CLOUD",
    "Recordings",
    "SweepSequence",
    "bag_sequences",
    "find_recordings",
    "kitti_sequences",
    "label_sequence",
    "nuscenes_sequences",
    "read_cloud",
    "write_labels",
]
