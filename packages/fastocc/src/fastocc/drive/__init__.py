"""From a recorded drive to voxels: pictures, videos or a ROS 2 bag, frame by frame.

- `_sources.py`: what recordings share; folders of pictures
- `_video.py`: video files
- `_bag.py`, `_cdr.py`: ROS 2 bags as mcap files, and their messages, with no ROS
- `_poses.py`: ego motion from a file, odometry or tf
- `_stepper.py`: the network, with its state from frame to frame
- `_run.py`: matching in time, and the run folder with voxels, page and rerun file
"""

from fastocc.drive._bag import Bag, read_messages
from fastocc.drive._cdr import ODOMETRY, TF, CdrReader, StampedPose, read_picture, read_poses
from fastocc.drive._poses import Trajectory, from_odometry, from_tf, read_trajectory
from fastocc.drive._run import DriveResult, DriveSettings, match_frames, open_recording, run_drive, voxel_file
from fastocc.drive._sources import Folders, Recording, bindings
from fastocc.drive._stepper import Stepper
from fastocc.drive._video import Videos

__all__ = [
    "ODOMETRY",
    "TF",
    "Bag",
    "CdrReader",
    "DriveResult",
    "DriveSettings",
    "Folders",
    "Recording",
    "StampedPose",
    "Stepper",
    "Trajectory",
    "Videos",
    "bindings",
    "from_odometry",
    "from_tf",
    "match_frames",
    "open_recording",
    "read_messages",
    "read_picture",
    "read_poses",
    "read_trajectory",
    "run_drive",
    "voxel_file",
]
