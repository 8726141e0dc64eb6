"""Our variants and all rivals by name, with the options that tuning may choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ninefold.errors import InputError

from mldgg.baselines import BASELINES
from mldgg.domains import Method
from mldgg.meta import MLDGG, SHARES, GatedSolver


@dataclass(frozen=True)
class Entry:
    """A method that can be made.

    Attributes:
        name: as in tables.
        make: (seed, **options) -> a method that is not yet fitted.
        space: options and their values; the first ones are the default.
        chosen_inside: choices that `fit` itself makes on sources, as text for the printed search space.
    """

    name: str
    make: Callable[..., Method]
    space: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    chosen_inside: str = ""

    def printed_space(self) -> str:
        """The search space on one line."""
        parts = [f"{name}: {', '.join(map(str, values))}" for name, values in self.space.items()]
        return "; ".join([*parts, *([self.chosen_inside] if self.chosen_inside else [])]) or "nothing to choose"


def _ours(variant: str, **fixed: Any) -> Callable[..., Method]:
    return lambda seed=0, **options: MLDGG(variant, seed=seed, **fixed, **options)


_INSIDE = "; ".join(
    [
        GatedSolver.printed_space(),
        f"share of the network: {', '.join(map(str, SHARES))}",
        "its steps on a target: 0, 5",
    ]
)
_NETWORK_SPACE = {"inner_lr": (0.1, 0.01, 0.5), "adapt_lr": (0.01, 0.003)}
METHODS: dict[str, Entry] = {
    "mldgg": Entry("mldgg", _ours("gated"), {}, _INSIDE),
    "mldgg-repaired": Entry("mldgg-repaired", _ours("repaired"), _NETWORK_SPACE),
    "mldgg-paper": Entry("mldgg-paper", _ours("paper"), {"inner_lr": (0.1, 0.01, 0.5)}),
    **{name: Entry(name, one, one.space) for name, one in BASELINES.items()},
}


def entries(names: Iterable[str]) -> list[Entry]:
    """Entries by name; InputError that lists all names if one is unknown."""
    chosen = []
    for name in names:
        if name not in METHODS:
            raise InputError("method", got=repr(name), expected=f"one of {', '.join(METHODS)}")
        chosen.append(METHODS[name])
    return chosen
