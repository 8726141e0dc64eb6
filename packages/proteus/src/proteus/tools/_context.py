"""What tools work on: the table, the knowledge in addition to it, the seed, and fits remembered by their parameters.

Everything is a pure function of the input and a step's parameters, so a resumed run recomputes only what a later step
needs, never a finished step.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from proteus.data._data import ProteomicsData
from proteus.knowledge._network import Network
from proteus.record._objects import DatasetProfile

T = TypeVar("T")


@dataclass
class Context:
    """Input of a run.

    Attributes:
        data: the table as loaded.
        sets: gene sets, or None.
        network: interactions, or None.
        markers: cytometry, marker to `type` or `state`.
        rules: cytometry, cell type to its marker rules.
        seed: of all draws.
    """

    data: ProteomicsData
    profile: DatasetProfile
    sets: Mapping[str, Sequence[str]] | None = None
    network: Network | None = None
    markers: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    seed: int = 0
    _memory: dict[str, Any] = field(default_factory=dict, repr=False)

    def remember(self, name: str, params: Mapping[str, Any], make: Callable[[], T]) -> T:
        """`make()`, or what it returned for the same name and parameters before; the last eight are kept."""
        key = name + json.dumps(params, sort_keys=True, default=str)
        if key not in self._memory:
            self._memory[key] = make()
            while len(self._memory) > 8:
                self._memory.pop(next(iter(self._memory)))
        return self._memory[key]
