"""Classes that a network gives to images, and the share that is right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from bnn_fsg.datasets import Images
from bnn_fsg.fsg._slow_net import kernel_threads
from bnn_fsg.training._sources import FromLoader, Source, tensor

_AT_ONCE = 500  # images


@contextlib.contextmanager
def torch_threads(count: int | None) -> Iterator[None]:
    """Run torch on `count` threads and the slow-net's kernels on as many as torch had; None changes nothing."""
    before = torch.get_num_threads()
    if count is None or count == before:
        yield
        return
    torch.set_num_threads(count)
    try:
        with kernel_threads(before):
            yield
    finally:
        torch.set_num_threads(before)


def predict(model: nn.Module, images: Source, *, threads: int | None = None) -> np.ndarray:
    """Classes that the model gives to images, (n,), in evaluation mode: by W, never by W_meta; threads: as of the
    trainer."""
    return _judged(model, images, threads)[0]


@torch.no_grad()
def _judged(model: nn.Module, images: Source, threads: int | None) -> tuple[np.ndarray, np.ndarray]:
    """(classes that the model gives, true classes), each (n,)."""
    before = model.training
    model.eval()
    device = next(model.parameters()).device
    if isinstance(images, Images):
        parts = (slice(at, at + _AT_ONCE) for at in range(0, len(images), _AT_ONCE))
        pairs = ((tensor(images.inputs(part), device), images.labels[part]) for part in parts)
    else:
        given = FromLoader(images, 0, False).epoch(np.random.default_rng(0), device)
        pairs = ((x, y.cpu().numpy()) for x, y, _ in given)
    with torch_threads(threads if device.type == "cpu" else None):
        found, true = zip(*((model(x).argmax(1).cpu().numpy(), np.asarray(y)) for x, y in pairs), strict=True)
    model.train(before)
    return np.concatenate(found), np.concatenate(true)


def accuracy(model: nn.Module, images: Source, *, threads: int | None = None) -> float:
    """Share of images whose class is right; threads: as of the trainer."""
    given, true = _judged(model, images, threads)
    return float((given == true).mean())
