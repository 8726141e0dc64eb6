"""Loaders for the label formats of camera occupancy, label generation, and labels for the segmentation branch.

- `_formats.py`: the table of formats: grid, axes, frame, class names
- `_labels.py`: label files, one reader a format, all to [x, y, z] arrays
- `_frames.py`: what a frame is before its files are read, and where the files that annotations name lie
- `_annotations.py`, `_infos.py`, `_tables.py`, `_kitti.py`: frames of Occ3D, mmdet3d's pickles, nuScenes and KITTI
- `_pickles.py`: pickles as plain data: nothing in them is imported or called
- `_layouts.py`: which of these lies below a root, with which labels
- `_images.py`: image and LiDAR files
- `_dataset.py`: `OccDataset`, frames ready for the network
- `_segmentation.py`: per-pixel labels for the training-only branch
- `_generate.py`, `_complete.py`: voxel labels and masks from LiDAR sweeps; ground between beams, things that moved
"""

from fastocc.datasets._annotations import WRONG_ENTRY, read_annotations
from fastocc.datasets._complete import close_gaps, contradicted, fill_ground
from fastocc.datasets._dataset import OccDataset, OccFrame, default_simulation
from fastocc.datasets._formats import FORMATS, IGNORE, LabelFormat
from fastocc.datasets._frames import CameraInfo, Finder, FrameInfo, check_name, read_pose
from fastocc.datasets._generate import Sweep, generate_labels, read_sweeps
from fastocc.datasets._images import fit_image, open_picture, read_classes, read_points
from fastocc.datasets._infos import read_infos
from fastocc.datasets._kitti import KITTI_SPLITS, KITTI_STEP, kitti_poses, read_calibration, read_kitti
from fastocc.datasets._labels import (
    KITTI_RAW,
    VoxelLabels,
    kitti_classes,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_semantickitti,
    read_surroundocc,
)
from fastocc.datasets._pickles import read_plain
from fastocc.datasets._segmentation import depth_from_points, segmentation_from_points, segmentation_from_voxels
from fastocc.datasets._tables import find_tables, in_split, read_tables, table_rows

__all__ = [
    "FORMATS",
    "IGNORE",
    "KITTI_RAW",
    "KITTI_SPLITS",
    "KITTI_STEP",
    "WRONG_ENTRY",
    "CameraInfo",
    "Finder",
    "FrameInfo",
    "LabelFormat",
    "OccDataset",
    "OccFrame",
    "Sweep",
    "VoxelLabels",
    "check_name",
    "close_gaps",
    "contradicted",
    "default_simulation",
    "depth_from_points",
    "fill_ground",
    "find_tables",
    "fit_image",
    "generate_labels",
    "in_split",
    "kitti_classes",
    "kitti_poses",
    "open_picture",
    "read_annotations",
    "read_calibration",
    "read_classes",
    "read_infos",
    "read_kitti",
    "read_occ3d",
    "read_openocc_v1",
    "read_openocc_v2",
    "read_plain",
    "read_points",
    "read_pose",
    "read_semantickitti",
    "read_surroundocc",
    "read_sweeps",
    "read_tables",
    "segmentation_from_points",
    "segmentation_from_voxels",
    "table_rows",
]
