"""What models that are made of others share: users who fold in, later events and extras reach every part."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.recommender._base import Recommender
from recsys.recommender._registry import parse_model, split_outside


@dataclass(kw_only=True, eq=False, repr=False)
class OfParts(Recommender):
    """Base of models of several others, `parts_`, that know the same users and items."""

    chooses_candidates: ClassVar[bool] = True
    models: str = ""

    def parts(self, seed: int | None = None) -> list[Recommender]:
        """The models, not fitted."""
        return [parse_model(text, seed, "models") for text in split_outside(self.models, "+")]

    def check_extras(self) -> None:
        """See `Recommender.check_extras`."""
        for part in self.parts():
            part.check_extras()

    def _reads_values(self) -> bool:
        return any(part._reads_values() for part in self.parts())

    def _reads(self) -> list[str]:
        return list(dict.fromkeys(name for part in self.parts() for name in part._reads()))

    def _fit_parts(self, data: Dataset) -> None:
        self.parts_ = [part.fit(data) for part in self.parts()]
        for part in self.parts_:
            if not part.item_ids_.values.equals(self.item_ids_.values):
                raise InputError("models", got=repr(part), expected="models of the items that have events")
            part.history_ = self.history_  # one copy for all

    def _folded(self, history: History, users: IdMap) -> Self:
        copied: Any = super()._folded(history, users)
        copied.parts_ = [part._folded(history, users) for part in self.parts_]
        return copied

    def partial_fit(self, events: Dataset) -> Self:
        """See `Recommender.partial_fit`; events that one of the models refuses leave all as they were."""
        parts = [copy.copy(part).partial_fit(events) for part in self.parts_]
        super().partial_fit(events)
        self.parts_ = parts
        return self

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        return self.parts_[0]._similarities(codes)
