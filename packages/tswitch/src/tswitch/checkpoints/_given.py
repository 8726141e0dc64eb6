"""A model in any of the forms in which a user may give it, and the digest by which a base is known again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor, nn

from tswitch.checkpoints._checkpoint import Checkpoint

Model = str | Path | Checkpoint | nn.Module | Mapping[str, Tensor]
OnMismatch = Literal["error", "skip", "dense"]
_PACKED = (torch.int8, torch.uint8)
CHUNK = 1 << 22  # entries read at a time; whole blocks of the codec


def opened(model: Model) -> Checkpoint:
    """A checkpoint from any of the forms in which a model may be given."""
    if isinstance(model, nn.Module | Mapping):
        return Checkpoint.of(model)
    return Checkpoint.open(model)


def refuse_integer_weights(checkpoint: Checkpoint) -> None:
    """Raise InputError if weights are stored as 8-bit integers: their differences mean nothing without their scales."""
    for name in checkpoint.names:
        about = checkpoint.info(name)
        if about.dtype in _PACKED and len(about.shape) >= 2:
            raise InputError(
                f"tensor {name!r}",
                where=checkpoint.place(name),
                got=f"{str(about.dtype).removeprefix('torch.')} weights",
                expected="floating-point ones: give the full-precision checkpoint",
            )


def fingerprint(checkpoint: Checkpoint, name: str) -> str:
    """Digest of a tensor's values as float32: the same for a bfloat16 file and the float32 model loaded from it."""
    sha = hashlib.sha256()
    room = np.empty(CHUNK, np.float32)
    for _, chunk in checkpoint.chunks(name, CHUNK):
        sha.update(as_float32(chunk, room).data)
    return short_digest(sha)


def as_float32(chunk: Tensor, room: np.ndarray) -> np.ndarray:
    """A chunk as float32: itself if it is that already, else converted into the front of `room`."""
    if chunk.dtype == torch.float32 and chunk.is_contiguous():
        return chunk.numpy()
    out = room[: chunk.numel()]
    torch.from_numpy(out).copy_(chunk)
    return out


def short_digest(sha: Any) -> str:
    """The first half of a SHA-256, as hex digits."""
    return sha.hexdigest()[:32]  # 128 bits: it guards against mistakes, and there is one for each tensor
