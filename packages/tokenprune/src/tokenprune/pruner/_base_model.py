"""Which model a pruner was made for, and whether another one is that."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError
from torch import nn

from tokenprune.models._layout import Layout
from tokenprune.models._models import base_id, weight_hash


def base_of(layout: Layout) -> dict[str, Any]:
    """What a pruner's folder says of its model, as JSON values."""
    return {"name": base_id(layout.model), "weights": weight_hash(layout.model), "hashed": "all",
            "blocks": len(layout.blocks), **_build(layout)}  # fmt: skip


def check_base(base: Mapping[str, Any], model: nn.Module, path: Path) -> None:
    """Whether `base`, of a folder, is this model; the same one cast or quantised is taken, with a warning.

    Raises:
        ArtifactError: names the path and the model that it was made for, if this is another.
    """
    layout = Layout.of(model)
    if base["blocks"] != len(layout.blocks):
        raise ArtifactError(
            path, f"was made for {base['name']} of {base['blocks']} blocks; this model has {len(layout.blocks)}"
        )
    if base["weights"] != weight_hash(model):
        mine, made = _build(layout), {name: base.get(name) for name in _build(layout)}
        if made == mine or {**made, "dtype": 0} != {**mine, "dtype": 0}:
            raise ArtifactError(path, f"was made for {base['name']}; this model has other weights")
        warnings.warn(
            f"{path}: was made for {base['name']} in {made['dtype']}; this one is in {mine['dtype']}, so that "
            "nothing says whether it is the same model", stacklevel=4,
        )  # fmt: skip


def _build(layout: Layout) -> dict[str, Any]:
    """What casting or quantising a model changes, and what it does not."""
    dtype = "packed numbers" if layout.quantised else str(next(layout.model.parameters()).dtype).removeprefix("torch.")
    return {"dtype": dtype, "hidden_size": layout.config.hidden_size, "vocab_size": layout.config.vocab_size}
