"""The training loop: resumes bit for bit, survives a non-finite loss, runs on several processes under torchrun."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from ninefold.distributed import launched
from ninefold.errors import InputError
from ninefold.run import Run
from torch import Tensor, nn

from fastocc.datasets import OccDataset
from fastocc.heads import balanced_weights, class_weights, depth_loss, occupancy_loss, ray_loss, segmentation_loss
from fastocc.lifting import offset_parameters
from fastocc.models import FastOccConfig, FastOccModel
from fastocc.training._batches import Batch, BatchMaker, Prefetch
from fastocc.training._recipe import OFFSET_RATE, TrainConfig, learning_rate
from fastocc.training._state import keep_state, restore_state, share_state, share_weights
from fastocc.views import LiftSplat

_PATIENCE = 10  # non-finite losses in a row


def label_weights(config: FastOccConfig, labels: Iterable[np.ndarray]) -> Tensor | None:
    """(K,) class weights of the recipe from all training labels; None where it has none."""
    if config.loss != "strong" and not config.balance:
        return None
    counts = np.zeros(256, np.int64)
    for one in labels:
        counts += np.bincount(one.ravel(), minlength=256)
    found = torch.from_numpy(counts[: config.num_classes])
    return class_weights(found) if config.loss == "strong" else balanced_weights(found, config.balance)


def batch_loss(
    model: nn.Module, config: FastOccConfig, batch: Batch, weights: Tensor | None = None
) -> dict[str, Tensor]:
    """Losses of a batch by name; `total` is their weighted sum.

    Args:
        weights: (K,) class weights, see `label_weights`.
        model: a FastOccModel in training mode, or DDP around one.
    """
    whole = cast("FastOccModel", getattr(model, "module", model))
    prev = None
    if batch.history and batch.motion is not None:
        with torch.no_grad():
            whole.eval()  # earlier frames leave the batch norms alone, as BEVFormer has it
            state = whole.state_after(list(batch.history))
            prev = None if state is None else (state, batch.motion)
            whole.train()
    output = model(batch.images, batch.cam2img, batch.cam2ego, batch.img_aug, batch.bev_aug, prev, batch.lens)
    mask = batch.mask if config.mask else None
    free = config.labels.free
    losses: dict[str, Tensor] = {}
    if batch.queries is not None:
        losses = ray_loss(output.logits, batch.queries, config.spec, free)
        total = losses["rays"] + losses["classes"]
    elif batch.labels is not None:
        total = occupancy_loss(output.logits.float(), batch.labels, free, kind=config.loss, mask=mask, weights=weights)
        losses = {"occupancy": total}
    else:
        raise InputError("batch", got="neither labels nor queries", expected="one of them")
    if output.seg is not None and batch.seg is not None:
        losses["segmentation"] = segmentation_loss(output.seg, _without_free(batch.seg, config))
        total = total + config.segmentation * losses["segmentation"]
    if config.depth and batch.depth is not None and output.depth is not None:
        losses["depth"] = depth_loss(output.depth, cast("LiftSplat", whole.view).depth_targets(batch.depth))
        total = total + config.depth * losses["depth"]
    return {**losses, "total": total}


def _without_free(seg: Tensor, config: FastOccConfig) -> Tensor:
    """Labels of the branch: those of the format with the free class taken out."""
    free = config.labels.free
    if free == len(config.labels.classes) - 1:
        return torch.where(seg == free, 255, seg)
    return torch.where(seg == 255, 255, torch.where(seg > free, seg - 1, 255))


def train(
    path: str | Path, config: FastOccConfig, recipe: TrainConfig, dataset: OccDataset, *,
    device: str = "cpu", advance: Callable[[], object] = lambda: None, backbone_weights: str | None = None,
    initial: FastOccModel | None = None, about: dict[str, Any] | None = None, workers: int = 0,
) -> FastOccModel:  # fmt: skip
    """Train into the run folder `path`; a second call with the same settings resumes it, or loads its result.

    Args:
        path: run folder: metrics.jsonl, checkpoints/last.safetensors and, at the end, model/.
        config: the network. recipe: steps and augmentation. dataset: training frames.
        device: torch device; under torchrun, "cuda" is the one that belongs to the process.
        workers: threads that read and augment the next batches meanwhile; 0 does it in between.
        advance: called after each step. backbone_weights: a torchvision state dict.
        initial: start from these weights, all of them. about: what else distinguishes the run, for its config.json.
    Returns: the trained model (its moving average where there is one) in evaluation mode, with its segmentation branch.
    Raises: InputError for ten non-finite losses in a row, or too little memory.
    """
    rank, world, device = _join(device)
    torch.manual_seed(recipe.seed)
    model = FastOccModel(config, backbone_weights).to(device)
    if initial is not None:
        _start_from(model, initial)
    if not any(one.requires_grad for one in model.head.parameters()):
        raise InputError("head", got=config.head, expected="a head that learns (compare counts the prior's labels)")
    stride = model.images.stride
    maker = BatchMaker(
        dataset,
        recipe,
        stride if config.segmentation else 0,
        rank,
        world,
        depth_stride=stride if config.depth else 0,
        queue=config.frames,
        key_camera=config.key_camera,
    )
    asked = {"model": config.to_dict(), "training": recipe.to_dict(), "frames": len(dataset), **(about or {})}
    with Prefetch(maker, recipe.steps, workers) as batches:
        if rank:
            return _loop(None, model, config, recipe, batches, world, device, advance)
        with Run(path, asked) as run:
            return _loop(run, model, config, recipe, batches, world, device, advance)


def _start_from(model: FastOccModel, initial: FastOccModel) -> None:
    """Copy all weights; InputError names those that do not fit. The segmentation branch may be new."""
    own, given = model.state_dict(), initial.state_dict()
    wrong = [name for name in given if name not in own or own[name].shape != given[name].shape]
    wrong += [name for name in own if name not in given and not name.startswith("segmentation.")]
    if wrong:
        expected = f"a network of {model.config.format} on {model.config.grid}"
        raise InputError("initial weights", got=f"no fit for {', '.join(wrong[:3])}", expected=expected)
    model.load_state_dict(given, strict=False)


def _join(device: str) -> tuple[int, int, str]:
    """(rank, number of processes, device of this one) under torchrun, else (0, 1, device)."""
    world = launched()
    if world == 1:
        return 0, 1, device
    cuda = device.startswith("cuda")
    if cuda:
        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0'))}"
        torch.cuda.set_device(device)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if cuda else "gloo")  # NCCL moves no CPU tensors
    return torch.distributed.get_rank(), world, device


def _loop(
    run: Run | None, model: FastOccModel, config: FastOccConfig, recipe: TrainConfig, batches: Prefetch, world: int,
    device: str, advance: Callable[[], object],
) -> FastOccModel:  # fmt: skip
    slow = {id(one) for one in offset_parameters(model)}
    body = [one for name, one in model.named_parameters() if name.startswith("images.body.")]
    apart = slow | {id(one) for one in body}
    rest = [one for one in model.parameters() if id(one) not in apart]
    groups = [{"params": body, "factor": recipe.backbone_rate}, {"params": rest, "factor": 1.0}]
    groups += [{"params": offset_parameters(model), "factor": OFFSET_RATE}] if slow else []
    optimizer = torch.optim.AdamW(groups, lr=recipe.rate, weight_decay=recipe.decay)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()} if recipe.ema else {}
    step = skipped = 0
    kept = run.checkpoints / "last.safetensors" if run else None
    if kept is not None and kept.exists():
        average, counts = restore_state(kept, model, optimizer)
        average = {name: value.to(device) for name, value in average.items()}
        step, skipped = counts["step"], counts["skipped"]
    if run:
        run.rewind(step // recipe.every)
    trained: nn.Module = model.train()
    if world > 1:
        counts = share_state(model, optimizer, average, {"step": step, "skipped": skipped}, device)
        step, skipped = counts["step"], counts["skipped"]
        if device != "cpu":
            trained = nn.SyncBatchNorm.convert_sync_batchnorm(trained)
        trained = nn.parallel.DistributedDataParallel(trained, broadcast_buffers=True, find_unused_parameters=True)
    for _ in range(step):
        advance()
    sums: dict[str, float] = {}
    dataset = batches.maker.dataset
    weights = None
    if recipe.supervision == "labels":
        weights = label_weights(config, (dataset.labels(at).semantics for at in range(len(dataset))))
    weights = None if weights is None else weights.to(device)
    while step < recipe.steps:
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate * group["factor"] * learning_rate(recipe, step)
        try:
            losses = _step(trained, model, config, recipe, batches(step), optimizer, weights)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise InputError(
                "memory", got=str(error).splitlines()[0], expected="less", hint="try a smaller preset, batch or image"
            ) from None
        step += 1
        skipped = 0 if losses else skipped + 1
        if skipped >= _PATIENCE:
            raise InputError(
                "loss",
                got=f"NaN or infinity {skipped} times in a row, at step {step}",
                expected="finite values",
                hint="try a lower rate",
            )
        _follow(average, model, recipe.ema, step)
        for key, value in losses.items():
            sums[key] = sums.get(key, 0.0) + value / recipe.every
        if run and kept is not None and (step % recipe.every == 0 or step == recipe.steps):
            if step % recipe.every == 0:
                run.log(
                    step=step,
                    rate=optimizer.param_groups[1]["lr"],
                    **{key: round(value, 6) for key, value in sums.items()},
                )
            keep_state(kept, model, optimizer, average, {"step": step, "skipped": skipped})
            sums = {}
        advance()
    if average:
        model.load_state_dict(average)
    if world > 1:
        share_weights(model.state_dict(), device)
    model.eval()
    if run and not (run.path / "model").exists():
        model.save_pretrained(run.path / "model")
    return model


def _step(
    trained: nn.Module, model: FastOccModel, config: FastOccConfig, recipe: TrainConfig, batch: Batch,
    optimizer: torch.optim.Optimizer, weights: Tensor | None,
) -> dict[str, float]:  # fmt: skip
    """One update; an empty dictionary if the loss was not finite and the step was skipped."""
    device = next(model.parameters()).device
    if device.type != "cpu":
        batch = batch.to(device)
    with torch.autocast(device.type, torch.bfloat16, enabled=recipe.bf16):
        losses = batch_loss(trained, config, batch, weights)
    optimizer.zero_grad(set_to_none=True)
    finite = torch.isfinite(losses["total"].detach())
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(share := finite.float(), torch.distributed.ReduceOp.MIN)
        finite = share > 0
    if not finite:
        return {}
    losses["total"].backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
    optimizer.step()
    return {key: float(value.detach()) for key, value in losses.items()}


@torch.no_grad()
def _follow(average: dict[str, Tensor], model: nn.Module, decay: float, step: int) -> None:
    """Move the average towards the weights; the first steps move it faster."""
    if not average:
        return
    decay = min(decay, (1 + step) / (10 + step))
    for name, value in model.state_dict().items():
        if value.dtype.is_floating_point:
            average[name].lerp_(value, 1 - decay)
        else:
            average[name].copy_(value)
