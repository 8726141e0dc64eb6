"""Losses of the brief's recipes; each is finite on a scene without a single occupied voxel."""

from __future__ import annotations

import torch
from ninefold.errors import InputError
from torch import Tensor
from torch.nn import functional as F

IGNORE = 255
LOSSES = ("ce", "focal", "strong")


def class_weights(counts: Tensor) -> Tensor:
    """(K,) numbers of voxels -> 1 / ln(count + 1e-3), as Panoptic-FlashOcc has it; classes without voxels get 0.

    Counts below 3 are taken as 3, whose logarithm is about 1.
    """
    return torch.where(counts > 0, 1 / torch.log(counts.clamp(min=3).double() + 1e-3), 0.0).float()


def balanced_weights(counts: Tensor, power: float, most: float = 20.0) -> Tensor:
    """(K,) numbers of voxels -> (largest / count) ** power, at most `most`; classes without voxels get 0."""
    shares = (counts.max() / counts.clamp(min=1)).double() ** power
    return torch.where(counts > 0, shares.clamp(max=most), 0.0).float()


def focal_loss(logits: Tensor, labels: Tensor, free: int, *, gamma: float = 2.0, alpha: float = 0.25) -> Tensor:
    """Sigmoid focal loss over K occupied classes, divided by the number of occupied voxels (OccNet).

    Args:
        logits: (M, K), K classes without free. labels: (M,) in 0..K-1, or `free`; no ignored ones.
    """
    target = torch.zeros_like(logits)
    occupied = labels != free
    target[occupied] = F.one_hot(labels[occupied].long(), logits.shape[1]).to(logits)
    crossed = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = logits.sigmoid()
    wrong = share * (1 - target) + (1 - share) * target
    weight = alpha * target + (1 - alpha) * (1 - target)
    return (weight * wrong**gamma * crossed).sum() / occupied.sum().clamp(min=1)


def semantic_affinity(logits: Tensor, labels: Tensor) -> Tensor:
    """Scene-class affinity (MonoScene): precision, recall and specificity of each class that occurs, as -log.

    Args:
        logits: (M, K). labels: (M,) in 0..K-1.
    """
    shares = logits.softmax(1)
    parts = []
    for label in labels.unique():
        own, truth = shares[:, label.long()], labels == label
        hit = own[truth].sum()
        parts += [_minus_log(hit / own.sum().clamp(min=1e-6)), _minus_log(hit / truth.sum())]
        if (~truth).any():
            parts.append(_minus_log((1 - own[~truth]).mean()))
    return torch.stack(parts).sum() / max(len(labels.unique()), 1) if parts else logits.sum() * 0


def geometric_affinity(logits: Tensor, labels: Tensor, free: int) -> Tensor:
    """The same for occupied against free."""
    occupied, truth = 1 - logits.softmax(1)[:, free], labels != free
    if not truth.any() or truth.all():
        return -torch.log((occupied if truth.any() else 1 - occupied).mean().clamp(min=1e-6))
    hit = occupied[truth].sum()
    return (
        _minus_log(hit / occupied.sum().clamp(min=1e-6))
        + _minus_log(hit / truth.sum())
        + _minus_log((1 - occupied[~truth]).mean())
    )


def _minus_log(share: Tensor) -> Tensor:
    return -torch.log(share.clamp(1e-6, 1.0))


def lovasz_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Lovasz extension of the Jaccard loss, mean over the classes that occur (Berman et al. 2018).

    Args:
        logits: (M, K). labels: (M,) in 0..K-1.
    """
    shares, parts = logits.softmax(1), []
    for label in labels.unique():
        truth = (labels == label).to(shares)
        errors, order = (truth - shares[:, label.long()]).abs().sort(descending=True)
        sorted_truth = truth[order]
        total = sorted_truth.sum()
        jaccard = 1 - (total - sorted_truth.cumsum(0)) / (total + (1 - sorted_truth).cumsum(0))
        jaccard = torch.cat([jaccard[:1], jaccard[1:] - jaccard[:-1]])
        parts.append((errors * jaccard).sum())
    return torch.stack(parts).mean() if parts else logits.sum() * 0


def occupancy_loss(
    logits: Tensor,
    labels: Tensor,
    free: int,
    *,
    kind: str = "ce",
    mask: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """The occupancy loss of a recipe.

    Args:
        logits: (B, X, Y, Z, K). labels: (B, X, Y, Z), 255 ignored. free: label of empty space.
        kind: "ce"; "focal" (K without free); "strong" (100 x weighted CE, affinities, Lovasz).
        mask: (B, X, Y, Z) bool; voxels that count. weights: (K,) class weights of "ce" and "strong".
    Returns: a scalar; 0 with a gradient of 0 if no voxel counts.
    """
    if kind not in LOSSES:
        raise InputError("loss", got=repr(kind), expected=f"one of {', '.join(LOSSES)}")
    if logits.shape[:-1] != labels.shape:
        raise InputError("logits", got=f"shape {tuple(logits.shape)}", expected=f"{tuple(labels.shape)} + (K,)")
    counts = labels != IGNORE if mask is None else mask.bool() & (labels != IGNORE)
    rows, truth = logits[counts], labels[counts].long()
    if not len(truth):
        return logits.sum() * 0
    highest = int(truth.max())
    if highest >= logits.shape[-1] and not (kind == "focal" and highest == free):
        raise InputError("labels", got=highest, expected=f"below {logits.shape[-1]}")
    if kind == "focal":
        return focal_loss(rows, truth, free)
    if kind == "ce":
        return F.cross_entropy(rows, truth, weight=weights)
    strong = 100 * F.cross_entropy(rows, truth, weight=weights)
    return strong + semantic_affinity(rows, truth) + geometric_affinity(rows, truth, free) + lovasz_softmax(rows, truth)


def segmentation_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy of (B, N, K, h, w) scores against (B, N, h, w) labels, 255 ignored; 0 if there are none."""
    if not (labels != IGNORE).any():
        return logits.sum() * 0
    return F.cross_entropy(logits.flatten(0, 1), labels.flatten(0, 1).long(), ignore_index=IGNORE)


def depth_loss(logits: Tensor, bins: Tensor) -> Tensor:
    """Cross-entropy of (B, N, D, h, w) scores against (B, N, h, w) depth bins, 255 ignored; 0 if there are none."""
    if not (bins != IGNORE).any():
        return logits.sum() * 0
    return F.cross_entropy(logits.flatten(0, 1), bins.flatten(0, 1), ignore_index=IGNORE)
