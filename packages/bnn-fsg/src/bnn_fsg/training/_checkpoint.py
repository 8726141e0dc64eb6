"""Nested states (dicts, lists, tensors, numbers) as one safetensors file with a JSON tree: nothing is pickled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ninefold import artifacts
from ninefold.errors import ArtifactError
from torch import Tensor

KIND, VERSION = "bnn-fsg.checkpoint", 1


def save(path: str | Path, state: Any) -> None:
    """Write `state`, replacing what is there once the new file is whole."""
    tensors: dict[str, Tensor] = {}
    tree = _plain(state, tensors)
    meta = {"tree": tree}
    artifacts.save(path, tensors, kind=KIND, format_version=VERSION, package="bnn_fsg", meta=meta, force=True)


def load(path: str | Path) -> Any:
    """What `save` wrote; ArtifactError names the path if it is damaged, foreign or newer."""
    opened = artifacts.Artifact(path, kind=KIND, format_version=VERSION)
    try:
        return _nested(opened.meta["tree"], opened)
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(path, f"is no checkpoint of this version ({error})") from None


def _plain(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON with tensors as {"tensor": name} and dicts as pairs (their keys may be numbers)."""
    if isinstance(value, Tensor):
        name = str(len(tensors))
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(one, tensors)] for key, one in value.items()]}
    if isinstance(value, (list, tuple)):
        return {type(value).__name__: [_plain(one, tensors) for one in value]}
    return value


def _nested(value: Any, opened: artifacts.Artifact) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return opened.torch(held)
    if kind == "dict":
        return {key: _nested(one, opened) for key, one in held}
    parts = [_nested(one, opened) for one in held]
    return tuple(parts) if kind == "tuple" else parts
