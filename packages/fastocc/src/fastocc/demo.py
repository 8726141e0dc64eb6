"""An unseen street: six images in, voxels out, by the method and its rivals on one encoder, with weights that ship."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from ninefold.arms import Arms
from ninefold.datasets import cache_path
from ninefold.files import write_text
from ninefold.report import Table
from ninefold.systems import DemoResult

from fastocc.datasets import FORMATS
from fastocc.evaluation._rivals import load_rivals
from fastocc.evaluation._streets import Streets, score_on_streets
from fastocc.models import FastOccModel, shipped_weights
from fastocc.pictures import bird_view, overlay_sheet, viewer_html, with_legend

SCENES, FRAMES = 6, 2
_FIRST = 50_000_000  # seeds of demo scenes: far from those of training (below 100) and validation
_NAMES = {
    "dcn-c2h": "fastocc", "fastocc": "published head", "c2h": "FlashOcc's head", "bevnet": "BEVNet's head",
    "prior": "per-voxel prior",
}  # fmt: skip


def demo(seed: int) -> DemoResult:
    """Predict unseen simulated streets with the shipped weights; all heads sit on the same frozen encoder."""
    model, labels = FastOccModel.from_pretrained(shipped_weights()).to_inference(), FORMATS["sim"]
    heads = {_NAMES[name]: head for name, head in {model.config.head: model.head, **load_rivals(model.config)}.items()}
    found = score_on_streets(model, heads, scenes=SCENES, frames=FRAMES, first=_FIRST + 1000 * seed)
    table = Table(["head", "mIoU in %", "geometric IoU in %", "RayIoU in %", "head seconds", "all seconds"])
    table.rows += [[name, *one.row(), one.seconds, found.seconds + one.seconds] for name, one in found.heads.items()]
    page = cache_path("fastocc") / "demo" / "viewer.html"
    volumes = {name: found.heads[name].first for name in ("fastocc", _NAMES["c2h"])}
    volumes["labels"] = found.frame.semantics
    write_text(page, viewer_html(volumes, model.config.spec, labels.classes, labels.free, "fastocc: an unseen street"))
    weights = sum(one.numel() for one in model.parameters())
    return DemoResult(
        data=f"{SCENES * FRAMES} frames of {SCENES} simulated streets that training never saw, six cameras",
        arms=Arms(scores={name: one.streets for name, one in found.heads.items()}, ours="fastocc",
                  measured="mIoU of a street", unit="%", margin=0.5),
        table=table,
        figures=_figures(found, model.config.spec) if importlib.util.find_spec("matplotlib") else [],
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
    )  # fmt: skip


def _shown(path: Path) -> str:
    """A path without the name of its user."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else f"{path.name} in fastocc's cache folder"


def _figures(found: Streets, grid: Any) -> list[tuple[str, Any]]:
    from ninefold.report import figure

    classes, free, ours = FORMATS["sim"].classes, FORMATS["sim"].free, found.heads["fastocc"].first
    shown = {"labels": found.frame.semantics, **{name: one.first for name, one in found.heads.items()}}
    made, axes = figure(13, 3.4, columns=len(shown))
    for axis, (title, volume) in zip(axes, shown.items(), strict=True):
        axis.imshow(bird_view(volume, classes, free, mask=found.frame.mask_camera))
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    sheet = overlay_sheet(found.images, ours, grid, found.rig.cam2img, found.rig.cam2ego, classes, free)
    drawn, axis = figure(11, 3.2)
    axis.imshow(with_legend(sheet, ours, classes, free))
    axis.set_axis_off()
    return [
        ("From above, ahead is up; dark where no camera looks", made),
        ("The method's voxels in the six images", drawn),
    ]
