"""Verbs that measure: bench (speed), compare (quality of all heads)."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared, progress, verb
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Option

from fastocc.cli._options import Heads, Root, Scenes, app

_SEARCH = "Number of training steps per trial of the learning rate search. 0 skips the search."


@verb(app, uses=("seed", "threads"))
def bench(
    preset: Annotated[str, Option(help="Network size: mini, micro, occ3d-r50 or openocc-r50.")] = "mini",
    heads: Heads = "dcn-c2h,fastocc,c2h,bevnet,voxel3d,cascade,tpv,fastocc2d",
    stages: Annotated[
        bool, Option("--stages", help="Measure the stages of the whole model instead of the heads.")
    ] = False,
    engine: Annotated[str, Option(help="Runtime: torch, compile (torch.compile) or ort (onnxruntime).")] = "torch",
    rounds: Annotated[int, Option(min=3, help="Number of measurements of each head, taken in turn.")] = 5,
    *,
    opts: Shared,
) -> Table:
    """Measure latency, multiply-accumulates and peak memory of heads, or of the stages of a model."""
    import torch

    from fastocc.evaluation import time_heads, time_stages
    from fastocc.evaluation._reports import stage_table, timing_table
    from fastocc.export._checked import engine_of
    from fastocc.geometry import CameraRig
    from fastocc.models import FastOccConfig, FastOccModel

    torch.manual_seed(opts.seed)
    config, names = FastOccConfig.preset(preset), heads.split(",")
    how: dict[str, Any] = {"rounds": rounds, "seed": opts.seed}
    title = f"batch 1, {torch.get_num_threads()} threads"
    if stages:
        if engine != "torch":
            raise InputError("--engine", got=engine, expected="torch with --stages")
        rig = CameraRig.nominal(*config.image_size)
        models = (FastOccModel(FastOccConfig.preset(preset, head=name)) for name in names)
        return stage_table((time_stages(model, rig, **how) for model in models), f"{preset}, {title}")
    with tempfile.TemporaryDirectory() as folder:
        rows = time_heads(names, config, engine=engine_of(engine, Path(folder), opts.threads or 0), **how)
    return timing_table(rows, f"heads of {preset}, {engine}, {title}")


@verb(app, uses=("seed", "threads", "quiet", "out"), out="run")
def compare(
    preset: Annotated[str, Option(help="Network size: mini or micro.")] = "mini",
    heads: Heads = "dcn-c2h,fastocc,bevnet,c2h,voxel3d,tpv,fastocc2d,cascade,prior",
    encoder_steps: Annotated[int, Option(min=1, help="Number of training steps of the shared encoder.")] = 1500,
    steps: Annotated[int, Option(min=1, help="Number of training steps of each head.")] = 1200,
    seeds: Annotated[int, Option(min=1, help="Number of random seeds, the same for all heads.")] = 1,
    search: Annotated[int, Option(min=0, help=_SEARCH)] = 0,
    root: Root = None,
    scenes: Scenes = 100,
    *,
    opts: Shared,
) -> Table:
    """Train heads on one frozen encoder with equal data and steps, and score them on unseen scenes.

    Example: `fastocc compare --preset micro --heads dcn-c2h,c2h --encoder-steps 2 --steps 2 --root street -o heads`
    """
    from ninefold.run import Run

    from fastocc.evaluation import compare_heads
    from fastocc.evaluation._reports import comparison_table
    from fastocc.models import HEADS, FastOccConfig
    from fastocc.models._opening import open_data
    from fastocc.training import TrainConfig

    out, names, config = opts.need_out(), heads.split(","), FastOccConfig.preset(preset)
    for name in names:
        if name not in HEADS or HEADS[name].needs_height:
            known = ", ".join(key for key, head in HEADS.items() if not head.needs_height)
            raise InputError("--heads", got=name, expected=f"some of {known} (cached views are collapsed over z)")
    shape: dict[str, Any] = {"size": config.image_size, "grid": config.grid}
    train, val = (open_data(root, "sim", split, scenes=scenes, **shape) for split in ("train", "val"))
    config = replace(config, cameras=len(train.cameras))
    recipe = TrainConfig.for_preset(preset, steps=encoder_steps, seed=opts.seed)
    asked: dict[str, Any] = {"preset": preset, "encoder_steps": encoder_steps, "steps": steps, "search": search}
    asked |= {"seed": opts.seed, "frames": [len(train), len(val)]}
    total = encoder_steps + steps * seeds * len([name for name in names if name != "prior"])
    how = {"steps": steps, "seeds": seeds, "search": search}
    with Run(out, asked) as run, progress(total, "steps") as bar:
        table = comparison_table(
            compare_heads(run.path, names, config, recipe, (train, val), advance=bar.advance, **how)
        )
    table.notes.append(f"{len(val)} unseen frames, camera mask; encoder trained with bevnet, then frozen")
    return table
