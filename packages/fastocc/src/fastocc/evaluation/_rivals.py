"""Rival heads on the shipped encoder, in one small file; of the prior its commonest labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from ninefold import artifacts
from torch import Tensor

from fastocc.baselines import Prior
from fastocc.heads import OccHead
from fastocc.models import FastOccConfig, build_head, shipped_weights

_ABOUT = {"kind": "fastocc.rivals", "format_version": 1}


def rivals_path() -> Path:
    """Where the file ships."""
    return shipped_weights().parent / "rivals.safetensors"


def save_rivals(path: Path, heads: Mapping[str, OccHead], meta: Mapping[str, Any], *, force: bool = False) -> None:
    """Write heads in 16 bits; of the prior just each voxel's commonest label."""
    arrays: dict[str, Tensor] = {}
    for name, head in heads.items():
        if isinstance(head, Prior):
            arrays[f"{name}/labels"] = head(torch.zeros(1, head.in_channels, 1, 1))[0].argmax(-1).to(torch.uint8)
        else:
            state = head.state_dict()
            arrays |= {
                f"{name}/{key}": one.half() if one.dtype.is_floating_point else one for key, one in state.items()
            }
    artifacts.save(path, arrays, **_ABOUT, package="fastocc", meta=meta, force=force)


def load_rivals(config: FastOccConfig, path: Path | None = None) -> dict[str, OccHead]:
    """The heads by name, in evaluation mode."""
    held = artifacts.Artifact(path or rivals_path(), **_ABOUT)
    groups: dict[str, dict[str, Tensor]] = {}
    for name in held.names:
        head, _, key = name.partition("/")
        groups.setdefault(head, {})[key] = held.torch(name)
    made = {}
    for name, state in groups.items():
        head = build_head(name, config.with_head(name))
        if isinstance(head, Prior):
            head.counts.copy_(torch.nn.functional.one_hot(state["labels"].long(), config.num_classes))
        else:
            head.load_state_dict(state)
        made[name] = head.eval()
    return made
