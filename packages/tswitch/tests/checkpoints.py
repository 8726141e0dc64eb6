"""Small checkpoints on disk for the tests of checkpoint, merge and export."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

SHAPES = {"layer.weight": (40, 30), "layer.bias": (30,), "norm.weight": (17,), "scalar": (), "empty": (0, 3)}


def random_state(seed: int, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    gen = torch.Generator().manual_seed(seed)
    state = {name: torch.randn(shape, generator=gen).to(dtype) for name, shape in SHAPES.items()}
    return state | {"steps": torch.tensor(seed)}


def finetuned(base: Mapping[str, Tensor], seed: int, size: float = 0.1) -> dict[str, Tensor]:
    gen = torch.Generator().manual_seed(seed)
    return {
        name: (value.float() + size * torch.randn(value.shape, generator=gen)).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in base.items()
    }


def save_folder(folder: Path, state: Mapping[str, Tensor], *, shards: int = 1, config: dict | None = None) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "test"}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text("{}")
    (folder / "README.md").write_text("the base's own card")
    if shards == 1:
        save_file(dict(state), folder / "model.safetensors", metadata={"format": "pt"})
        return folder
    weight_map = {}
    for index in range(shards):
        file = f"model-{index + 1:05d}-of-{shards:05d}.safetensors"
        own = dict(list(state.items())[index::shards])
        save_file(own, folder / file, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(own, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


BASE = random_state(0)
MODELS = [finetuned(BASE, seed) for seed in (1, 2, 3)]
