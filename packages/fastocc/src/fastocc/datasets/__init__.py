"""Loaders for the label formats of camera occupancy, label generation, and labels for the segmentation branch.

- `_formats.py`: the table of formats: grid, axes, frame, class names
- `_labels.py`: label files, one reader a format, all to [x, y, z] arrays
- `_infos.py`: where images and calibration are: Occ3D annotations, mmdet3d infos (restricted unpickler), KITTI calib
- `_dataset.py`: `OccDataset`, frames ready for the network
- `_segmentation.py`: per-pixel labels for the training-only branch
- `_generate.py`: voxel labels and masks from LiDAR sweeps and boxes
"""

from fastocc.datasets._dataset import OccDataset, OccFrame, default_simulation
from fastocc.datasets._formats import FORMATS, IGNORE, LabelFormat
from fastocc.datasets._generate import Sweep, generate_labels, read_sweeps
from fastocc.datasets._infos import CameraInfo, FrameInfo, read_annotations, read_infos, read_kitti
from fastocc.datasets._labels import (
    VoxelLabels,
    read_occ3d,
    read_openocc_v1,
    read_openocc_v2,
    read_semantickitti,
    read_surroundocc,
)
from fastocc.datasets._segmentation import depth_from_points, segmentation_from_points, segmentation_from_voxels

__all__ = [
    "FORMATS",
    "IGNORE",
    "CameraInfo",
    "FrameInfo",
    "LabelFormat",
    "OccDataset",
    "OccFrame",
    "Sweep",
    "VoxelLabels",
    "default_simulation",
    "depth_from_points",
    "generate_labels",
    "read_annotations",
    "read_infos",
    "read_kitti",
    "read_occ3d",
    "read_openocc_v1",
    "read_openocc_v2",
    "read_semantickitti",
    "read_surroundocc",
    "read_sweeps",
    "segmentation_from_points",
    "segmentation_from_voxels",
]
