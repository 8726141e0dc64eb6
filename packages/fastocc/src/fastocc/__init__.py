"""Camera-only 3D occupancy at about the cost of a bird's-eye view. Names are resolved on first use."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastocc.datasets import OccDataset, generate_labels
    from fastocc.evaluation import MIoU, RayIoU
    from fastocc.geometry import Camera, CameraRig, GridSpec, raycast
    from fastocc.heads import FastOccHead
    from fastocc.models import FastOccConfig, FastOccModel, OccOutput
    from fastocc.pictures import render
    from fastocc.sim import Scene, SimConfig, simulate

    __version__: str

_HOMES = {
    "Camera": "geometry",
    "CameraRig": "geometry",
    "FastOccConfig": "models",
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
}

__all__ = [
    "Camera",
    "CameraRig",
    "FastOccConfig",
    "FastOccHead",
    "FastOccModel",
    "GridSpec",
    "MIoU",
    "OccDataset",
    "OccOutput",
    "RayIoU",
    "Scene",
    "SimConfig",
    "__version__",
    "generate_labels",
    "raycast",
    "render",
    "simulate",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from ninefold.errors import version_of

        return version_of(__name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
