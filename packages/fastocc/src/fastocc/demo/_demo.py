"""An unseen street: six images in, voxels out, by the method and its rivals on one encoder."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.arms import Arms
from ninefold.datasets import cache_path
from ninefold.files import write_text
from ninefold.report import Table
from ninefold.systems import DemoResult

from fastocc.datasets import FORMATS
from fastocc.evaluation import MIoU, RayIoU, median_seconds, select_origins
from fastocc.geometry import CameraRig
from fastocc.heads import OccHead, decode
from fastocc.lifting import faster_backend
from fastocc.models import FastOccModel, shipped_weights
from fastocc.models._rivals import load_rivals
from fastocc.pictures import bird_view, overlay_sheet, viewer_html, with_legend
from fastocc.sim import Frame, Scene
from fastocc.views import CameraInputs

SCENES, FRAMES = 6, 2
_FIRST = 50_000_000  # seeds of demo scenes: far from those of training (below 100) and validation


@dataclass
class _Arm:
    """A head and its running scores."""

    head: OccHead
    miou: MIoU
    ray: RayIoU
    shown: np.ndarray = field(default_factory=lambda: np.zeros(0))
    seconds: float = 0.0
    streets: list[MIoU] = field(default_factory=list)


def demo(seed: int) -> DemoResult:
    """Predict unseen simulated streets with the shipped weights; all heads sit on the same frozen encoder."""
    labels = FORMATS["sim"]
    model = FastOccModel.from_pretrained(shipped_weights()).to_inference()
    config, grid = model.config, model.config.spec
    rig = CameraRig.nominal(*config.image_size)
    heads = {config.head: model.head, **load_rivals(config)}
    arms = {
        name: _Arm(head, MIoU(labels.classes, labels.free), RayIoU(grid, labels.classes, labels.free))
        for name, head in heads.items()
    }
    cameras = CameraInputs(torch.from_numpy(rig.cam2img)[None], torch.from_numpy(rig.cam2ego)[None], config.image_size)
    first: tuple[Frame, Any] | None = None
    encoding = 0.0
    for number in range(SCENES):
        for arm in arms.values():
            arm.streets.append(MIoU(labels.classes, labels.free))
        scene = Scene(_FIRST + 1000 * seed + number, validation=True, frames=FRAMES)
        for at in range(FRAMES):
            frame = scene.frame(at, rig, grid)
            images = np.stack([picture.rgb.transpose(2, 0, 1) for picture in frame.pictures])
            with torch.no_grad():
                inputs = torch.from_numpy(images)[None]
                bev = model.encoder(model.encode(inputs, cameras)[1])
                if first is None:
                    faster_backend(model.head, bev)
                    encoding = median_seconds(lambda inputs=inputs: model.encoder(model.encode(inputs, cameras)[1]), 3)
                _score(arms, bev, frame, labels.free, first is None, rig)
            first = first or (frame, images)
    assert first is not None
    return _result(arms, first, rig, grid, encoding, sum(one.numel() for one in model.parameters()))


def _score(arms: dict[str, _Arm], bev: torch.Tensor, frame: Frame, free: int, show: bool, rig: CameraRig) -> None:
    origins = select_origins(rig.lidar.lidar2ego[None, :3, 3], next(iter(arms.values())).ray.grid)
    for arm in arms.values():
        predicted = decode(arm.head(bev), "softmax", free)[0].numpy()
        for metric in (arm.miou, arm.streets[-1]):
            metric.add(predicted, frame.semantics, frame.mask_camera)
        arm.ray.add(predicted, frame.semantics, origins)
        if show:
            arm.shown = predicted
            arm.seconds = median_seconds(lambda arm=arm: arm.head(bev), 3)


def _result(
    arms: dict[str, _Arm], first: tuple[Frame, Any], rig: CameraRig, grid: Any, encoding: float, weights: int
) -> DemoResult:
    labels = FORMATS["sim"]
    names = {
        "dcn-c2h": "fastocc",
        "fastocc": "published head",
        "c2h": "FlashOcc's head",
        "bevnet": "BEVNet's head",
        "prior": "per-voxel prior",
    }
    table = Table(["head", "mIoU in %", "geometric IoU in %", "RayIoU in %", "head seconds", "all seconds"])
    scores = {names[name]: [100 * one.compute().miou for one in arm.streets] for name, arm in arms.items()}
    compared = Arms(scores=scores, ours=names["dcn-c2h"], measured="mIoU of a street", unit="%", margin=0.5)
    for name, arm in arms.items():
        whole, ray = arm.miou.compute(), arm.ray.compute()
        table.rows.append(
            [
                names[name],
                100 * whole.miou,
                100 * whole.geometric,
                100 * ray.rayiou,
                arm.seconds,
                encoding + arm.seconds,
            ]
        )
    page = cache_path("fastocc") / "demo" / "viewer.html"
    volumes = {"fastocc": arms["dcn-c2h"].shown, names["c2h"]: arms["c2h"].shown, "labels": first[0].semantics}
    write_text(page, viewer_html(volumes, grid, labels.classes, labels.free, "fastocc: an unseen street"))
    return DemoResult(
        data=f"{SCENES * FRAMES} frames of {SCENES} simulated streets that training never saw, six cameras",
        arms=compared,
        table=table,
        figures=_figures(arms, first, rig, grid, names) if importlib.util.find_spec("matplotlib") else [],
        notes=[
            f"{weights / 1e6:.2f} million weights, trained on simulated streets alone (RECIPE.md beside them)",
            "seconds: batch 1; encoder and head together under 'all'",
            f"3D viewer of the first frame: {_shown(page)}",
        ],
        looking_at="Voxels predicted from six simulated cameras by four network heads, in streets not seen in training",
        glossary={
            "mIoU": "overlap of predicted and true voxels of a class, divided by their union; mean over classes",
            "RayIoU": "the same along the rays of a LiDAR, with the depth right to 1, 2 and 4 m",
            "BEV": "bird's-eye view: features of the ground plane around the vehicle",
        },
    )


def _shown(path: Path) -> str:
    """A path without the name of its user."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else f"{path.name} in fastocc's cache folder"


def _figures(
    arms: dict[str, _Arm], first: tuple[Frame, Any], rig: CameraRig, grid: Any, names: dict[str, str]
) -> list[Any]:
    from ninefold.report import figure

    labels, (frame, images) = FORMATS["sim"], first
    shown = {"labels": frame.semantics, **{names[key]: arms[key].shown for key in arms}}
    made, axes = figure(13, 3.4, columns=len(shown))
    for axis, (title, volume) in zip(axes, shown.items(), strict=True):
        axis.imshow(bird_view(volume, labels.classes, labels.free, mask=frame.mask_camera))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    sheet = overlay_sheet(images, arms["dcn-c2h"].shown, grid, rig.cam2img, rig.cam2ego, labels.classes, labels.free)
    drawn, axis = figure(11, 3.2)
    axis.imshow(with_legend(sheet, arms["dcn-c2h"].shown, labels.classes, labels.free))
    axis.set_axis_off()
    return [
        ("From above, ahead is up; dark where no camera looks", made),
        ("The method's voxels in the six images", drawn),
    ]
