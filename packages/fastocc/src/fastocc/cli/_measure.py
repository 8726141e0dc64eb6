"""Verbs that measure: bench (speed), compare (quality of all heads)."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table

from fastocc.cli._options import Root, Scenes, app, open_data

if TYPE_CHECKING:
    from torch import Tensor

    from fastocc.heads import HeadContext, OccHead

Heads = Annotated[str, typer.Option("--heads", help="Comma-separated; all if left out.")]


@verb(app, uses=("seed", "threads"))
def bench(
    preset: Annotated[str, typer.Option("--preset", help="mini, micro, occ3d-r50 or openocc-r50.")] = "mini",
    heads: Heads = "dcn-c2h,fastocc,c2h,bevnet,voxel3d,cascade,tpv,fastocc2d",
    stages: Annotated[bool, typer.Option("--stages", help="Stages of the whole model instead of heads alone.")] = False,
    engine: Annotated[
        str, typer.Option("--engine", help="torch, compile (torch.compile) or ort (onnxruntime).")
    ] = "torch",
    rounds: Annotated[int, typer.Option("--rounds", min=3, help="Rounds, taken in turn.")] = 5,
    *,
    opts: Shared,
) -> Table:
    """Latency, multiply-accumulates and peak memory of heads on random features, or of the stages of a model."""
    import torch

    from fastocc.evaluation import time_heads, time_stages
    from fastocc.export import by_onnxruntime
    from fastocc.geometry import CameraRig
    from fastocc.models import FastOccConfig, FastOccModel

    torch.manual_seed(opts.seed)
    config = FastOccConfig.preset(preset)
    if stages:
        if engine != "torch":
            raise InputError("--engine", got=engine, expected="torch with --stages")
        rig = CameraRig.nominal(*config.image_size)
        table = Table(
            ["stage", "milliseconds", "G MACs"], title=f"{preset}, batch 1, {torch.get_num_threads()} threads"
        )
        for name in heads.split(","):
            model = FastOccModel(FastOccConfig.preset(preset, head=name))
            made = time_stages(model, rig, rounds=rounds, seed=opts.seed)
            new = made if not table.rows else made[-1:]
            table.rows += [[one.name, one.milliseconds, one.macs / 1e9] for one in new]
        return table
    if engine not in ("torch", "compile", "ort"):
        raise InputError("--engine", got=repr(engine), expected="torch, compile or ort")
    with tempfile.TemporaryDirectory() as folder:
        makers = {
            "torch": None,
            "compile": _by_compile,
            "ort": partial(by_onnxruntime, Path(folder), opts.threads or 0),
        }
        rows = time_heads(heads.split(","), config, engine=makers[engine], rounds=rounds, seed=opts.seed)
    title = f"heads of {preset}, {engine}, batch 1, {torch.get_num_threads()} threads"
    table = Table(["head", "seconds", "times as fast as the first", "95 % interval", "G MACs", "peak MiB"], title=title)
    for one in rows:
        interval = f"[{one.low:.3g}, {one.high:.3g}]"
        table.rows.append([one.name, one.seconds, one.ratio, interval, one.macs / 1e9, one.peak / 2**20])
    return table


def _by_compile(head: OccHead, bev: Tensor, context: HeadContext | None) -> Callable[[], object]:
    import torch

    return partial(torch.compile(head), bev, context)


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def compare(
    preset: Annotated[str, typer.Option("--preset", help="mini or micro.")] = "mini",
    heads: Heads = "dcn-c2h,fastocc,bevnet,c2h,voxel3d,tpv,fastocc2d,cascade,prior",
    encoder_steps: Annotated[int, typer.Option("--encoder-steps", min=1, help="Steps of the shared encoder.")] = 1500,
    steps: Annotated[int, typer.Option("--steps", min=1, help="Steps of each head.")] = 1200,
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Paired seeds.")] = 1,
    search: Annotated[
        int, typer.Option("--search", min=0, help="Steps of each trial of the rate search; 0: none.")
    ] = 0,
    root: Root = None,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> Table:
    """Train heads on one frozen encoder with equal frames, crops and steps, and score them on unseen scenes."""
    import numpy as np
    from ninefold.run import Run

    from fastocc.evaluation import compare_heads
    from fastocc.models import HEADS, FastOccConfig
    from fastocc.training import TrainConfig

    out, names, config = opts.need_out(), heads.split(","), FastOccConfig.preset(preset)
    for name in names:
        if name not in HEADS or HEADS[name].needs_height:
            known = ", ".join(key for key, head in HEADS.items() if not head.needs_height)
            raise InputError("--heads", got=name, expected=f"some of {known} (cached views are collapsed over z)")
    splits = tuple(
        open_data(root, "sim", split, None, 0, scenes, size=config.image_size, grid=config.grid)
        for split in ("train", "val")
    )
    recipe = TrainConfig.for_preset(preset, steps=encoder_steps, seed=opts.seed)
    asked: dict[str, Any] = {"preset": preset, "encoder_steps": encoder_steps, "steps": steps, "search": search}
    asked |= {"seed": opts.seed, "frames": [len(one) for one in splits]}
    total = encoder_steps + steps * seeds * len([name for name in names if name != "prior"])
    with Run(out, asked) as run, progress(total, "steps") as bar:
        made = compare_heads(
            run.path, names, config, recipe, splits, steps=steps, seeds=seeds, search=search, advance=bar.advance  # type: ignore[arg-type]
        )  # fmt: skip
    table = Table(["head", "mIoU in %", "geometric IoU in %", "RayIoU in %", "seeds"])
    for name, scores in made.items():
        means = [
            100 * float(np.mean(values))
            for values in zip(
                *((one.miou.miou, one.miou.geometric, one.ray.rayiou) for one in scores if one.ray), strict=True
            )
        ]
        table.rows.append([name, *means, len(scores)])
    table.notes.append(f"{len(splits[1])} unseen frames, camera mask; encoder trained with bevnet, then frozen")
    return table
