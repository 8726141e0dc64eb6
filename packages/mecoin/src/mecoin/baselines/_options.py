"""Options of a rival as class attributes, and the settings among which it is tuned."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import ClassVar

from ninefold.errors import InputError

from mecoin.encoders._encoder import Encoder
from mecoin.protocol._learner import Learner, Options


class Tunable(Learner):
    """A learner whose options are annotated class attributes: `Ewc(encoder, strength=100)`.

    Attributes:
        limits: where this form departs from the publication; empty if nowhere.
        grid: the settings that tuning tries; equally many for every rival that has any.
    """

    limits: ClassVar[str] = ""
    grid: ClassVar[Sequence[Options]] = ({},)

    def __init__(self, encoder: Encoder, *, seed: int = 0, **options: float) -> None:
        super().__init__(encoder, seed=seed)
        allowed = self.options()
        for name, value in options.items():
            if name not in allowed:
                known = ", ".join(allowed) or "it has none"
                raise InputError(f"option of {self.name}", got=name, expected=f"one of: {known}")
            setattr(self, name, value)

    @classmethod
    def options(cls) -> dict[str, float]:
        """Every option and its default."""
        return {
            name: getattr(cls, name)
            for parent in reversed(cls.__mro__)
            for name in inspect.get_annotations(parent)
            if issubclass(parent, Tunable) and isinstance(getattr(cls, name, None), int | float)
        }
