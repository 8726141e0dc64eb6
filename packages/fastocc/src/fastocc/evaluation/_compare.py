"""All heads on one encoder: same frames, crops, steps and search; the control and the rivals in one table.

The encoder is trained with `bevnet` (the rival that the publication improves on), frozen, and its bird's-eye views are
cached. Each head's learning rate is chosen among the same four on held-out training frames.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch.nn import functional as F

from fastocc.baselines import Prior
from fastocc.datasets import OccDataset
from fastocc.evaluation._protocol import Evaluation, evaluate_head
from fastocc.geometry import LENS_SIZE
from fastocc.heads import HeadContext, OccHead
from fastocc.models import HEADS, FastOccConfig, FastOccModel, build_head
from fastocc.training import BevBank, TrainConfig, cache_bev, cache_looks, fit_prior, label_weights, train, train_head

RATES = (3e-3, 9e-3, 2.7e-2, 8.1e-2)
_LOOKS = 2  # format version of cached image features


@dataclass(frozen=True)
class Encoded:
    """A frozen encoder's view of both splits."""

    model: FastOccModel
    train: BevBank
    val: BevBank
    dataset: OccDataset


def encode_splits(
    folder: Path, config: FastOccConfig, recipe: TrainConfig, splits: tuple[OccDataset, OccDataset],
    advance: Callable[[], object] = lambda: None, *, looks: bool = False,
) -> Encoded:  # fmt: skip
    """Train the encoder with `bevnet` into `folder`/encoder (resumable) and cache its bird's-eye views next to it.

    Args:
        looks: also keep image features, for heads that look at them.
    """
    model = train(folder / "encoder", config.with_head("bevnet"), recipe, splits[0], advance=advance)
    banks = [
        _bank(folder / f"bev-{name}.safetensors", model, data)
        for name, data in zip(("train", "val"), splits, strict=True)
    ]
    if looks:
        banks = [
            replace(bank, looks=_looks(folder / f"looks-{name}.safetensors", model, data))
            for bank, name, data in zip(banks, ("train", "val"), splits, strict=True)
        ]
    return Encoded(model, banks[0], banks[1], splits[1])


def _looks(path: Path, model: FastOccModel, dataset: OccDataset) -> HeadContext:
    try:
        kept = artifacts.Artifact(path, kind="fastocc.looks", format_version=_LOOKS)
        lens = kept.torch("lens") if "lens" in kept.names else None
        if lens is not None:  # version 1 had the first five numbers, those of a fisheye
            lens = F.pad(lens, (0, LENS_SIZE - lens.shape[-1]))
        features, cam2img, cam2ego = (kept.torch(name) for name in ("features", "cam2img", "cam2ego"))
        return HeadContext(features, cam2img, cam2ego, model.config.image_size, lens=lens)
    except ArtifactError:  # not there yet, or of no use
        made = cache_looks(model, dataset)
        arrays = {"features": made.features, "cam2img": made.cam2img, "cam2ego": made.cam2ego}
        arrays |= {} if made.lens is None else {"lens": made.lens}
        artifacts.save(path, arrays, kind="fastocc.looks", format_version=_LOOKS, package="fastocc", force=True)
        return made


def _bank(path: Path, model: FastOccModel, dataset: OccDataset) -> BevBank:
    origins = [dataset.lidar_origins(at) for at in range(len(dataset))]
    try:
        kept = artifacts.Artifact(path, kind="fastocc.bank", format_version=1)
        return BevBank(kept.torch("bev"), kept.torch("labels"), kept.torch("masks"), origins)
    except ArtifactError:  # not there yet, or of no use
        bank = cache_bev(model, dataset)
        arrays = {"bev": bank.bev, "labels": bank.labels, "masks": bank.masks}
        artifacts.save(path, arrays, kind="fastocc.bank", format_version=1, package="fastocc", force=True)
        return bank


def make_head(name: str, config: FastOccConfig, seed: int, **changes: Any) -> OccHead:
    """A fresh head; equal seeds start equal heads equally."""
    torch.manual_seed(seed)
    return build_head(name, config.with_head(name, **changes))


def choose_rate(
    name: str, config: FastOccConfig, bank: BevBank, dataset: OccDataset, steps: int, **changes: Any
) -> float:
    """The best of `RATES` on the last fifth of the training frames after training on the others, for all heads alike.

    While the best is the largest (smallest) rate tried, one three times as large (small) is tried too. Frames come by
    scene: of a scene that is trained on, other frames would tell how well it is learned by heart.
    """
    held = torch.arange(len(bank)) >= len(bank) - max(1, len(bank) // 5)
    first, second = (bank.part(torch.nonzero(keep)[:, 0].tolist()) for keep in (~held, held))
    scores: dict[float, float] = {}

    def score(rate: float) -> None:
        head = train_head(
            make_head(name, config, 1000, **changes), first, dataset.format.free, steps=steps, seed=1000, rate=rate,
            crop=min(40, *bank.bev.shape[-2:]), weights=label_weights(config, first.labels.numpy()),
        )  # fmt: skip
        scores[rate] = evaluate_head(head, second, dataset, rayiou=False).miou.miou

    for rate in RATES:
        score(rate)
    while (best := max(scores, key=scores.__getitem__)) in (min(scores), max(scores)):
        score(best * 3 if best == max(scores) else best / 3)
    return best


def trained_head(
    name: str,
    config: FastOccConfig,
    encoded: Encoded,
    *,
    steps: int,
    seed: int,
    rate: float = 3e-3,
    keep: Path | None = None,
    advance: Callable[[], object] = lambda: None,
    **changes: Any,
) -> OccHead:
    """A head trained on the cached training views; kept in the file `keep` and read from there the next time."""
    head = make_head(name, config, seed, **changes)
    if keep is not None and keep.exists():
        kept = artifacts.Artifact(keep, kind="fastocc.head", format_version=1)
        expected = {key: tuple(one.shape) for key, one in head.state_dict().items()}
        arrays = {key: kept.torch(key) for key in kept.names}
        if {key: tuple(one.shape) for key, one in arrays.items()} != expected:
            raise ArtifactError(keep, f"holds another form of {name}; remove it, or choose another place")
        head.load_state_dict(arrays)
        return head.eval()
    free = encoded.dataset.format.free
    if name == Prior.name:
        fit_prior(cast("Prior", head), encoded.train.labels, encoded.train.masks)
    else:
        crop = min(40, *encoded.train.bev.shape[-2:])
        weights = label_weights(config, encoded.train.labels.numpy())
        train_head(
            head, encoded.train, free, steps=steps, seed=seed, rate=rate, crop=crop, weights=weights, advance=advance
        )
    if keep is not None:
        artifacts.save(
            keep, head.state_dict(), kind="fastocc.head", format_version=1, package="fastocc", meta={"rate": rate}
        )
    return head


def compare_heads(
    folder: Path,
    names: Sequence[str],
    config: FastOccConfig,
    recipe: TrainConfig,
    splits: tuple[OccDataset, OccDataset],
    *,
    steps: int,
    seeds: int = 1,
    search: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> dict[str, list[Evaluation]]:
    """Train and score heads; resumable by head and seed.

    Args:
        folder: where encoder, views and heads are kept. names: heads. recipe: of the encoder.
        steps: of each head. seeds: number of paired seeds.
        search: steps of each trial of the rate search; 0 takes 3e-3.
    Returns: by head, one evaluation a seed.
    """
    looks = any(name in HEADS and HEADS[name].needs_context for name in names)
    encoded = encode_splits(folder, config, recipe, splits, advance, looks=looks)
    made: dict[str, list[Evaluation]] = {}
    for name in names:
        rate = 3e-3
        if search and name != Prior.name:
            rate = choose_rate(name, config, encoded.train, encoded.dataset, search)
        for seed in range(seeds):
            keep = folder / f"head-{name}-{seed}-{steps}.safetensors"
            head = trained_head(name, config, encoded, steps=steps, seed=seed, rate=rate, keep=keep, advance=advance)
            made.setdefault(name, []).append(evaluate_head(head, encoded.val, encoded.dataset))
    return made
