"""Nested training state in one safetensors file: the arrays, and in the header's meta the tree that holds them.

In the tree a dict is {"dict": [[key, value], ...]}, so that keys may be numbers (an optimiser's state has such), a list
or tuple {"list": [...]} or {"tuple": [...]}, an array {"tensor": name}, {"array": name} or {"scalar": name}; all else
is a JSON value.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ninefold.artifacts._arrays import Artifact, save
from ninefold.errors import ArtifactError, InputError

_PLAIN = (str, int, float, bool, type(None))


def save_state(path: str | Path, state: Any, *, kind: str, format_version: int, package: str) -> None:
    """Write a nested state atomically, replacing what is at `path`.

    Args:
        path: file to write; one that only the program itself keeps.
        state: dicts (keys: strings, numbers, bools, None), lists, tuples, tensors, numpy arrays and scalars, strings,
            numbers, bools and None, nested as deep as need be: `state_dict()` of modules and optimisers, the state of
            `random`, of numpy's and of torch's generators.
        kind, format_version, package: as for `save`.
    Raises:
        InputError: if the state holds anything else; names its place.

    Examples:
        >>> import numpy as np
        >>> from ninefold.artifacts import load_state, save_state

        >>> state = {"step": 7, "weights": [np.ones(2), np.zeros(3)], 0: (1, None)}
        >>> save_state("state.safetensors", state, kind="shop.state", format_version=1, package="ninefold")
        >>> load_state("state.safetensors", kind="shop.state", format_version=1)
        {'step': 7, 'weights': [array([1., 1.]), array([0., 0., 0.])], 0: (1, None)}
    """
    arrays: dict[str, Any] = {}
    meta = {"tree": _plain(state, "state", arrays)}
    save(path, arrays, kind=kind, format_version=format_version, package=package, meta=meta, force=None)


def load_state(path: str | Path, *, kind: str, format_version: int) -> Any:
    """What `save_state` wrote, tensors on the CPU.

    Raises:
        ArtifactError: with the path and the reason, if it is missing, truncated, damaged, foreign or newer.

    Examples:
        >>> import numpy as np
        >>> from ninefold.artifacts import load_state, save_state

        >>> draw, about = np.random.default_rng(0), {"kind": "shop.draw", "format_version": 1}
        >>> save_state("state.safetensors", draw.bit_generator.state, **about, package="ninefold")
        >>> expected = draw.random()
        >>> draw.bit_generator.state = load_state("state.safetensors", **about)
        >>> draw.random() == expected  # the generator goes on where it was
        True
    """
    held = Artifact(path, kind=kind, format_version=format_version)
    try:
        return _nested(held.meta["tree"], held)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(path, f"is damaged: its tree makes no sense ({error})") from None


def _plain(value: Any, place: str, arrays: dict[str, Any]) -> Any:
    """The tree of a value as JSON; puts its arrays into `arrays`."""
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "detach"):
        shape = "scalar" if isinstance(value, np.generic) else "array" if isinstance(value, np.ndarray) else "tensor"
        name = f"{len(arrays)}:{place}"
        arrays[name] = value
        return {shape: name}
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, _PLAIN) or isinstance(key, np.generic):
                raise InputError(f"key {key!r}", where=place, expected="a string, a number, a bool or None")
        return {"dict": [[key, _plain(part, f"{place}.{key}", arrays)] for key, part in value.items()]}
    if isinstance(value, (list, tuple)):
        parts = [_plain(part, f"{place}.{index}", arrays) for index, part in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": parts}
    if not isinstance(value, _PLAIN):
        kind, expected = type(value).__name__, "dicts, lists, tuples, tensors, arrays, strings, numbers, bools or None"
        raise InputError(place, got=f"a {kind}", expected=expected)
    return value


def _nested(value: Any, held: Artifact) -> Any:
    if not isinstance(value, dict):
        return value
    ((shape, part),) = value.items()
    if shape in ("tensor", "array", "scalar"):
        return held.torch(part) if shape == "tensor" else held.numpy(part)[() if shape == "scalar" else ...]
    if shape == "dict":
        return {key: _nested(one, held) for key, one in part}
    return {"list": list, "tuple": tuple}[shape](_nested(one, held) for one in part)
