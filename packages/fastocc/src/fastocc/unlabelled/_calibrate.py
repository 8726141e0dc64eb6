"""Where free space begins: a network trained on LiDAR rays is set so that rays end where the sweeps returned.

Training on rays asks for as many occupied points as free ones, however much of space is free, so that its odds are not
those of voxels. One number puts that right, and the sweeps that it was trained on are enough to find it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from fastocc.datasets import OccDataset
from fastocc.evaluation import predict_frame
from fastocc.models import FastOccModel
from fastocc.unlabelled._agreement import ray_agreement

SHIFTS = np.arange(-4.0, 4.01, 0.25)
_BELOW = float(np.log(0.25 / 0.75))  # logit of the probability below which a sigmoid's voxel is free


def calibrate_free(model: FastOccModel, dataset: OccDataset, *, frames: int = 20) -> float:
    """Shift the score of free space, in place, so that rays to the returns of LiDAR sweeps end near them.

    Of `SHIFTS` the one is taken with which most rays end within 1, 2 and 4 metres of their return (mean of the three
    shares), the smallest of equal ones. It goes into the biases of the head's last layer: nothing else changes, and
    nothing has to be kept in addition to the weights.

    Args:
        model: changed in place; in evaluation mode afterwards.
        dataset: frames with LiDAR sweeps and poses, of those that were trained on; others do not count.
        frames: how many to look at, spread evenly.
    Returns: what was added to the score of free space.
    Raises: InputError where no frame has a sweep, or for a head whose last layer has no bias for each class.

    Examples:
        >>> from fastocc import FastOccConfig, FastOccModel, OccDataset, SimConfig, simulate
        >>> from fastocc.unlabelled import calibrate_free

        >>> street = simulate("street", SimConfig(1, 0, 2, "micro", 32, 64))
        >>> model = FastOccModel(FastOccConfig.preset("micro"))
        >>> -4 <= calibrate_free(model, OccDataset(street)) <= 4
        True
    """
    if frames < 1 or not len(dataset):
        raise InputError("frames", got=min(frames, len(dataset)), expected="at least 1", where=dataset.root)
    model.eval()
    shares: list[np.ndarray] = []
    for at in np.unique(np.linspace(0, len(dataset) - 1, min(frames, len(dataset))).round().astype(int)).tolist():
        points, origin = dataset.sweep(at), dataset.lidar_origin(at)
        if points is not None and origin is not None:
            margin = _margin(_scores(model, dataset, at), model)
            shares.append(ray_agreement(margin, SHIFTS, dataset.grid, points, origin))
    if not shares:
        raise InputError("frames", got=f"no LiDAR sweep of {frames} frames, or no pose of it", where=dataset.root)
    means = np.round(np.mean(shares, axis=0), 6)
    best = SHIFTS[means == means.max()]
    shift = float(best[np.abs(best).argmin()])
    add_to_free(model, dataset, shift)
    return shift


@torch.no_grad()
def add_to_free(model: FastOccModel, dataset: OccDataset, shift: float) -> None:
    """Add a number to the score of free space everywhere, in the bias of the head's last layer.

    That layer is found by trying: it is the last one whose bias does just this to the scores of the first frame. With
    sigmoid outputs, which have no free class, the number is taken from all classes.
    """
    config = model.config
    free, sparse = config.labels.free, config.activation == "sigmoid"
    before = _scores(model, dataset, 0)
    wanted = before.clone()
    (wanted if sparse else wanted[..., free]).add_(-shift if sparse else shift)
    for name, bias in reversed(list(model.head.named_parameters())):
        for form in _forms(bias.data, config.num_classes) if name.endswith("bias") else ():
            part = form if sparse else form[:, free]
            kept = part.clone()
            part.add_(-shift if sparse else shift)
            if torch.allclose(_scores(model, dataset, 0), wanted, rtol=1e-4, atol=1e-4):
                return
            part.copy_(kept)
    raise InputError("head", got=config.head, expected="one whose last layer has a bias for each class")


def _forms(bias: Tensor, classes: int) -> Iterator[Tensor]:
    """Views (heights, classes) of a bias, whichever way the two lie in it."""
    if bias.numel() % classes == 0:
        yield bias.view(-1, classes)
        yield bias.view(classes, -1).T


@torch.no_grad()
def _scores(model: FastOccModel, dataset: OccDataset, at: int) -> Tensor:
    """(X, Y, Z, K) logits of a frame."""
    kept: list[Tensor] = []

    def keep(_module: object, _given: object, made: Tensor) -> None:
        kept.append(made)

    hook = model.head.register_forward_hook(keep)
    try:
        predict_frame(model, dataset, at)
    finally:
        hook.remove()
    return kept[-1][0].float().cpu()


def _margin(scores: Tensor, model: FastOccModel) -> np.ndarray:
    """(X, Y, Z) by how much the best class is above free space, as `decode` compares them."""
    if model.config.activation == "sigmoid":
        return (scores.amax(-1) - _BELOW).numpy()
    free = model.config.labels.free
    others = [at for at in range(scores.shape[-1]) if at != free]
    return (scores[..., others].amax(-1) - scores[..., free]).numpy()
