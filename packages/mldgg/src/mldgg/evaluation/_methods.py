"""Our method and all rivals by name, with the options that tuning may choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ninefold.errors import InputError

from mldgg.baselines import BASELINES
from mldgg.domains import Method
from mldgg.meta import MLDGG, GatedSolver


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


METHODS: dict[str, Entry] = {
    "mldgg": Entry("mldgg", MLDGG, {}, GatedSolver.printed_space()),
    **{name: Entry(name, one, one.space) for name, one in BASELINES.items()},
}


def entries(names: Iterable[str], others: Mapping[str, Entry] = METHODS) -> list[Entry]:
    """Entries by name, also from `others`; InputError that lists all names if one is unknown."""
    known, chosen = {**METHODS, **others}, []
    for name in names:
        if name not in known:
            raise InputError("method", got=repr(name), expected=f"one of {', '.join(known)}")
        chosen.append(known[name])
    return chosen
