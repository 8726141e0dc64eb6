"""Settings that differ from tensor to tensor, as recipes write them: a list over the layers, or one value a filter.

t: [0, 0.5, 1]                      from the first layer to the last, linear between the values given
t: [{filter: mlp, value: 0.3}, {value: 0.5}]     the first entry whose filter is in the tensor's name
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tswitch.baselines._base import Method

_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")


def positions(names: Iterable[str], spans: Sequence[tuple[int, int]] = ()) -> dict[str, float]:
    """Where each tensor lies in its slice, from 0 (first layer) to 1 (last layer); what is in no layer is at 0.

    Args:
        names: all tensors of a model.
        spans: (first layer, end) of each slice; none is one slice of all layers. The layer of a slice that has one is
            at 1, as in mergekit.
    """
    layers = {name: int(found[1]) if (found := _LAYER.search(name)) else None for name in names}
    count = 1 + max((layer for layer in layers.values() if layer is not None), default=0)
    place = {}
    for first, end in spans or [(0, count)]:
        place |= {layer: (layer - first) / (end - first - 1) if end - first > 1 else 1.0 for layer in range(first, end)}
    return {name: 0.0 if layer is None else place.get(layer, 1.0) for name, layer in layers.items()}


def faults(setting: Any) -> str | None:
    """What is wrong with a setting, or None: a number, a list of numbers, or a list of filters with such values."""
    if _is_number(setting):
        return None
    if not isinstance(setting, list) or not setting:
        return f"is {setting!r}, expected one number, or a list"
    if all(map(_is_number, setting)):
        return None
    for entry in setting:
        if not isinstance(entry, dict) or "value" not in entry or set(entry) - {"filter", "value"}:
            return f"has {entry!r}, expected numbers, or entries of filter and value"
        if any(isinstance(one, dict) for one in (entry["value"] if isinstance(entry["value"], list) else [])):
            return f"has {entry!r}, expected numbers under value"
        inner = faults(entry["value"])
        if inner:
            return inner
    if setting[-1].get("filter", "*") != "*":
        return "ends with a filter, expected a last entry without one, for all other tensors"
    return None


def value_at(setting: Any, name: str, position: float) -> float:
    """A setting's value for one tensor; the setting has no `faults`."""
    if _is_number(setting):
        return float(setting)
    if isinstance(setting[0], dict):
        matching = (one for one in setting if one.get("filter", "*") == "*" or one["filter"] in name)
        return value_at(next(matching)["value"], name, position)
    place = position * (len(setting) - 1)
    below = min(int(place), len(setting) - 1)
    above = min(below + 1, len(setting) - 1)
    return float(setting[below] + (place - below) * (setting[above] - setting[below]))


@dataclass(frozen=True)
class Schedule:
    """A method whose settings differ from tensor to tensor.

    Attributes:
        method: with the settings that are the same for all.
        varying: field -> setting, or a tuple of them, one a task.
        convert: field -> from the recipe's value to the field's, such as 1 - density for a share to drop.
        spans: (first layer, end) of each slice of the recipe; none is one slice.
    """

    method: Method
    varying: Mapping[str, Any]
    convert: Mapping[str, Callable[[float], float]]
    spans: tuple[tuple[int, int], ...] = ()

    def at(self, name: str, position: float) -> Method:
        """The method for one tensor."""

        def value(field: str, setting: Any) -> Any:
            if isinstance(setting, tuple):
                return tuple(value(field, one) for one in setting)
            return self.convert.get(field, float)(value_at(setting, name, position))

        return replace(self.method, **{field: value(field, setting) for field, setting in self.varying.items()})


def varies(settings: Sequence[Any]) -> bool:
    """Whether any of them is more than a number."""
    return not all(map(_is_number, settings))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
