"""The demo: voxels of unseen simulated streets from six images, by the method and its rivals on one encoder."""

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
from fastocc.evaluation import count_macs, head_inputs
from fastocc.evaluation._rivals import load_rivals
from fastocc.evaluation._streets import Streets, score_on_streets
from fastocc.models import FastOccModel, build_head, shipped_weights
from fastocc.pictures import bird_view, frame_figure, overlay_sheet, viewer_html, with_legend

SCENES, FRAMES = 6, 2
_FIRST = 50_000_000  # seeds of demo scenes: far from those of training (below 100) and validation
_ORDER = [1, 0, 2, 3, 5, 4]  # of the nominal cameras: left, front, right; back left, back, back right
_NAMES = {
    "dcn-c2h": "fastocc", "fastocc": "published head", "c2h": "FlashOcc's head", "bevnet": "BEVNet's head",
    "prior": "per-voxel prior",
}  # fmt: skip


def demo(seed: int) -> DemoResult:
    """Predict unseen simulated streets with the shipped weights; all heads use the same frozen encoder."""
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
            f"{weights / 1e6:.2f} million weights, trained on simulated streets only (see RECIPE.md next to them)",
            "Operations are those of the head, for a grid of 80 x 80 x 16 voxels; the results page compares accuracy",
            "Seconds are for one frame; 'all' includes the encoder",
            f"3D viewer of the first frame: {_shown(page)}",
        ],
        headline=_headline(model),
        looking_at="Six images of a simulated street that training never saw, and the voxels that the network predicts",
        glossary={
            "mIoU": "overlap of predicted and true voxels of a class, divided by their union; mean over classes",
            "RayIoU": "the same along the rays of a LiDAR, with the depth right to 1, 2 and 4 m",
            "BEV": "bird's-eye view: features of the ground plane around the vehicle",
        },
    )  # fmt: skip


def _headline(model: FastOccModel) -> str:
    """What a user gains over a head of 3D convolutions, the usual choice: operations, counted in this run."""
    usual = build_head("voxel3d", model.config.with_head("voxel3d")).eval()
    ours, theirs = (count_macs(head, *head_inputs(head)) for head in (model.head, usual))
    return (
        "Voxels with class names around a vehicle, from six camera images: the head needs "
        f"{100 * ours / theirs:.0f} % of the operations of a 3D convolutional head, and no compiled extension"
    )


def _shown(path: Path) -> str:
    """A path without the name of its user."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else f"{path.name} in fastocc's cache folder"


def _figures(found: Streets, grid: Any) -> list[tuple[str, Any]]:
    from ninefold.report import figure

    classes, free, ours = FORMATS["sim"].classes, FORMATS["sim"].free, found.heads["fastocc"].first
    first = frame_figure(found.images, ours, grid, classes, free, order=_ORDER, mask=found.frame.mask_camera)
    shown = {"labels": found.frame.semantics, **{name: one.first for name, one in found.heads.items()}}
    made, axes = figure(10, 7.2, columns=3, rows=2)
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, (title, volume) in zip(axes.flat, shown.items(), strict=False):
        axis.imshow(bird_view(volume, classes, free, mask=found.frame.mask_camera))
        axis.set_title(title, fontsize=13)
    sheet = overlay_sheet(found.images, ours, grid, found.rig.cam2img, found.rig.cam2ego, classes, free)
    drawn, axis = figure(11, 3.2)
    axis.imshow(with_legend(sheet, ours, classes, free))
    axis.set_axis_off()
    return [
        ("The six camera images of a frame and the predicted voxels, without those that no camera sees", first),
        ("Labels and predictions of each head from above; ahead is up, columns that no camera sees are dark", made),
        ("Predicted voxels drawn into the camera images", drawn),
    ]
