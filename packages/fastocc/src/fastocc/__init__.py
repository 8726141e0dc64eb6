"""Camera-only 3D occupancy at about the cost of a bird's-eye view. Names are resolved on first use.

Examples:
    >>> import fastocc

    >>> config = fastocc.FastOccConfig.preset("micro")
    >>> model = fastocc.FastOccModel(config).eval()
    >>> config.spec.shape, sum(one.numel() for one in model.parameters()) < 1_000_000
    ((20, 20, 8), True)
    >>> fastocc.__version__
    '...'
"""

from typing import TYPE_CHECKING

from ninefold.lazy import attach

if TYPE_CHECKING:
    from fastocc.datasets import OccDataset as OccDataset
    from fastocc.datasets import generate_labels as generate_labels
    from fastocc.evaluation import MIoU as MIoU
    from fastocc.evaluation import RayIoU as RayIoU
    from fastocc.geometry import Camera as Camera
    from fastocc.geometry import CameraRig as CameraRig
    from fastocc.geometry import GridSpec as GridSpec
    from fastocc.geometry import raycast as raycast
    from fastocc.heads import DeformableC2h as DeformableC2h
    from fastocc.heads import FastOccHead as FastOccHead
    from fastocc.models import FastOccConfig as FastOccConfig
    from fastocc.models import FastOccModel as FastOccModel
    from fastocc.models import OccOutput as OccOutput
    from fastocc.pictures import render as render
    from fastocc.sim import Scene as Scene
    from fastocc.sim import SimConfig as SimConfig
    from fastocc.sim import simulate as simulate

    __version__: str

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "Camera": "geometry",
        "CameraRig": "geometry",
        "FastOccConfig": "models",
        "DeformableC2h": "heads",
        "FastOccHead": "heads",
        "FastOccModel": "models",
        "GridSpec": "geometry",
        "MIoU": "evaluation",
        "OccDataset": "datasets",
        "OccOutput": "models",
        "RayIoU": "evaluation",
        "Scene": "sim",
        "SimConfig": "sim",
        "generate_labels": "datasets",
        "raycast": "geometry",
        "render": "pictures",
        "simulate": "sim",
    },
)
