"""What a method is: one interface for ours and all rivals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph


class Method(ABC):
    """Learns from labelled graphs once, then predicts on a graph of which it sees few labels or none.

    Attributes:
        name: as it is called in tables.
        source: publication, with its number.
        space: values of each option that tuning may choose from; printed with each result.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    space: ClassVar[dict[str, tuple[Any, ...]]] = {}

    def __init__(self, *, seed: int = 0, **options: Any) -> None:
        unknown = [key for key in options if key not in self.space]
        if unknown:
            known = ", ".join(self.space) or "none"
            raise InputError(f"option {unknown[0]!r}", expected=f"an option of {self.name}: {known}")
        self.seed = seed
        self.options: dict[str, Any] = {key: options.get(key, values[0]) for key, values in self.space.items()}

    @abstractmethod
    def fit(self, sources: Sequence[Graph]) -> Self:
        """Learn from source graphs, all of whose labels may be used."""

    @abstractmethod
    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) class probabilities of a target, whose `y` holds the support's labels and -1 everywhere else."""
