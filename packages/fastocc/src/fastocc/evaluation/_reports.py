"""What one reads of a data set, of a model and of scores: facts, tables, and files of scores."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import InputError
from ninefold.report import Table, plain

from fastocc.datasets import OccDataset
from fastocc.evaluation._protocol import Evaluation
from fastocc.evaluation._speed import HeadTiming, Stage, count_macs
from fastocc.geometry import CameraRig
from fastocc.models import FastOccModel


def split_facts(root: Path, format_name: str = "sim") -> dict[str, Any]:
    """Number of frames, and share of occupied voxels in about 20 of them, of the splits that are in a folder."""
    facts: dict[str, Any] = {}
    for split in ("train", "val"):
        try:
            data = OccDataset(root, format_name, split)
        except InputError as error:
            if error.what not in ("frames", "sequences"):
                raise
            continue
        counts = _counts(data, 20)
        occupied = 1 - counts[data.format.free] / counts.sum()
        facts[f"{split} frames"], facts[f"{split} occupied"] = len(data), round(float(occupied), 5)
    return facts


def describe_data(data: OccDataset) -> list[Any]:
    """Facts of a data set (frames, cameras, grid), and a table of the classes in about 50 frames if it has labels."""
    grid, first, root = data.grid, data.frame(0), data.root
    source = data.source.relative_to(root) if data.source.is_relative_to(root) else data.source.name
    facts: dict[str, Any] = {
        "frames": len(data),
        "scenes": len({one.scene for one in data.infos}),
        "listed by": str(source),
        "labels": data.format.name if data.labelled else "none",
        "frame of labels": data.format.frame,
        "LiDAR poses": "known" if data.lidar_pose(data.infos[0]) is not None else "unknown: no RayIoU",
    }
    facts |= {"cameras": ", ".join(data.cameras), "images": f"{first.images.shape[2]} x {first.images.shape[3]}"}
    facts |= {"voxels": " x ".join(map(str, grid.shape)), "voxel in m": grid.voxel[0]}
    facts |= {"from": str(grid.lower), "to": str(tuple(round(one, 3) for one in grid.upper))}
    if not data.labelled:
        return [facts]
    counts = _counts(data, 50)
    table = Table(["label", "class", "share of voxels in %"])
    table.rows += [[at, name, 100 * counts[at] / counts.sum()] for at, name in enumerate(data.format.classes)]
    return [facts, table]


def _counts(data: OccDataset, about: int) -> np.ndarray:
    """(256,) voxels of each label in `about` evenly chosen frames."""
    counts = np.zeros(256, np.int64)
    for at in range(0, len(data), max(1, len(data) // about)):
        counts += np.bincount(data.labels(at).semantics.ravel(), minlength=256)
    return counts


def describe_model(model: FastOccModel) -> list[Any]:
    """Configuration of a model, and a table of the weights of its parts; with six cameras also its operations."""
    config, table = model.config, Table(["part", "weights"])
    parts = {"image encoder": model.images, "view transform": model.view, "BEV encoder": model.encoder}
    parts |= {"head": model.head}
    if model.segmentation is not None:
        parts["segmentation branch (training)"] = model.segmentation
    table.rows += [[name, sum(one.numel() for one in part.parameters())] for name, part in parts.items()]
    facts = {key: str(value) if isinstance(value, list) else value for key, value in config.to_dict().items()}
    if config.cameras == len(CameraRig.nominal().cameras):
        rig = CameraRig.nominal().resized(*config.image_size)
        images = torch.zeros(1, config.cameras, 3, *config.image_size)
        matrices = (torch.from_numpy(one)[None] for one in (rig.cam2img, rig.cam2ego))
        table.notes.append(f"{count_macs(model.to_inference(), images, *matrices) / 1e9:.3g} G multiply-accumulates")
    return [facts, table]


def score_table(done: Evaluation) -> Table:
    """The scores of a data set, by name."""
    rows: list[Sequence[Any]] = [["mIoU", done.miou.miou], ["geometric IoU", done.miou.geometric]]
    if done.ray:
        rows += [["RayIoU", done.ray.rayiou], *([f"RayIoU at {key:g} m", value] for key, value in done.ray.at.items())]
    table = Table(["score", "value"], rows, title=f"{len(done.per_frame)} frames, mask {done.mask}")
    if done.miou.note:
        table.notes.append(done.miou.note)
    return table


def save_scores(done: Evaluation, path: Path, *, force: bool = False) -> None:
    """Write scores into a folder: metrics.json, and per-class.csv with IoU and RayIoU of each class."""
    with artifacts.write_folder(
        path, kind="fastocc.evaluation", format_version=1, package="fastocc", force=force
    ) as folder:
        values = {**dataclasses.asdict(done), "per_frame": done.per_frame.tolist()}
        (folder / "metrics.json").write_text(json.dumps(plain(values), indent=2) + "\n", encoding="utf-8")
        lines = ["class,iou,rayiou"]
        for name, value in done.miou.per_class.items():
            ray = done.ray.per_class[name] if done.ray else float("nan")
            lines.append(f"{name},{value:.6f},{ray:.6f}")
        (folder / "per-class.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def comparison_table(scores: Mapping[str, Sequence[Evaluation]]) -> Table:
    """Mean scores of heads over their seeds, in percent; of evaluations with RayIoU."""
    table = Table(["head", "mIoU in %", "geometric IoU in %", "RayIoU in %", "seeds"])
    for name, some in scores.items():
        each = [(one.miou.miou, one.miou.geometric, one.ray.rayiou) for one in some if one.ray]
        table.rows.append([name, *(100 * float(np.mean(values)) for values in zip(*each, strict=True)), len(some)])
    return table


def stage_table(models: Iterable[Sequence[Stage]], title: str) -> Table:
    """Stages of models that differ in their heads: all of the first model, of the others the head alone."""
    table = Table(["stage", "milliseconds", "G MACs"], title=title)
    for made in models:
        new = made if not table.rows else made[-1:]
        table.rows += [[one.name, one.milliseconds, one.macs / 1e9] for one in new]
    return table


def timing_table(heads: Sequence[HeadTiming], title: str) -> Table:
    """Seconds, operations and memory of heads."""
    table = Table(["head", "seconds", "times as fast as the first", "95 % interval", "G MACs", "peak MiB"], title=title)
    for one in heads:
        interval = f"[{one.low:.3g}, {one.high:.3g}]"
        table.rows.append([one.name, one.seconds, one.ratio, interval, one.macs / 1e9, one.peak / 2**20])
    return table
