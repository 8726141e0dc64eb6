"""Scores of a demo's arms: which is best, by how much, and in what order they are shown, all derived here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ninefold.interval import mean_interval
from ninefold.report import cell_text


@dataclass(frozen=True, kw_only=True)
class Arms:
    """The methods that a demo compares, with their scores.

    Attributes:
        scores: by the arm's name in its field, of each item, (items,), or of each seed and item, (seeds, items); a
            single number has no interval. Arms with as many scores as ours are compared item by item.
        ours: name of the package's method.
        measured: what a score is, e.g. "accuracy".
        unit: of a score, e.g. "%".
        lower: whether less is better.
        margin: how far apart two methods may be to be level.
        shown: arms that are no rivals: controls and limits.

    Examples:
        >>> from ninefold.arms import Arms

        >>> right = {"EASE": [100, 100, 0, 100, 100, 100], "item kNN": [0, 100, 0, 100, 0, 0], "chance": [0.0] * 6}
        >>> arms = Arms(scores=right, ours="EASE", measured="lists with a hit", unit="%", shown=["chance"])
        >>> arms.ranked(), arms.rival
        (['EASE', 'item kNN', 'chance'], 'item kNN')
        >>> arms.word, arms.text("EASE")
        ('no difference', '83 % [14, 100]')
    """

    scores: Mapping[str, Any]
    ours: str
    measured: str
    unit: str = ""
    lower: bool = False
    margin: float = 0.0
    shown: Sequence[str] = ()

    def ranked(self) -> list[str]:
        """All arms, the best first: the order of tables and pictures."""
        return sorted(self.scores, key=lambda name: float(np.mean(self.scores[name])), reverse=not self.lower)

    @property
    def rival(self) -> str:
        """The best other method that is a rival."""
        return next(name for name in self.ranked() if name not in (self.ours, *self.shown))

    def gain(self) -> tuple[float, float, float]:
        """By how much ours is better than the rival (negative: worse), with its 95 % interval."""
        ours, theirs = ((-1 if self.lower else 1) * self._scores(name) for name in (self.ours, self.rival))
        if ours.shape == theirs.shape:
            return _interval(ours - theirs)
        (a, a_low, a_high), (b, b_low, b_high) = _interval(ours), _interval(theirs)  # other items: their errors add up
        return a - b, a - b - math.hypot(a - a_low, b_high - b), a - b + math.hypot(a_high - a, b - b_low)

    @property
    def word(self) -> str:
        """How our method compares with the rival: equal if the whole interval is within the margin."""
        _, low, high = self.gain()
        found = "better" if low > 0 else "worse" if high < 0 else "no difference"
        return "equal" if -self.margin <= low and high <= self.margin else found

    def text(self, name: str) -> str:
        """An arm's mean with its unit and 95 % interval; that of a share of items ends at 0 and at 100 %."""
        scores = self._scores(name)
        mean, low, high = _interval(scores)
        ends = (max(low, 0.0), min(high, 100.0)) if np.isin(scores, (0.0, 100.0)).all() else (low, high)
        return with_interval(mean, *ends, self.unit)

    def headline(self) -> str:
        """One sentence that compares our method with the best rival."""
        gain, low, high = self.gain()
        names = [self.ours, self.rival]
        if self.word == "worse":
            names, gain, low, high = names[::-1], -gain, -high, -low
        how = {"equal": "equals", "no difference": "shows no measurable difference from"}
        better = f"is better by {with_interval(gain, low, high, self.unit)} than"
        both = f"{self.measured} {' and '.join(map(self.text, names))}"
        return f"{names[0]} {how.get(self.word, better)} {names[1]}: {both}"

    def _scores(self, name: str) -> np.ndarray:
        return np.atleast_2d(np.asarray(self.scores[name], np.float64))


def with_interval(mean: float, low: float, high: float, unit: str = "") -> str:
    """A figure with its unit and interval, to the second digit of the half-width; without one to four digits.

    Examples:
        >>> from ninefold.arms import with_interval

        >>> with_interval(2.534, -3.411, 7.322, "dB"), with_interval(0.5, 0.5, 0.5)
        ('2.5 dB [-3.4, 7.3]', '0.5')
    """
    unit = f" {unit}" if unit else ""
    if not 0 < high - low < math.inf:
        return f"{cell_text(float(mean))}{unit}"
    places = max(0, 1 - math.floor(math.log10((high - low) / 2)))
    return f"{mean:,.{places}f}{unit} [{low:,.{places}f}, {high:,.{places}f}]"


def _interval(scores: np.ndarray) -> tuple[float, float, float]:
    mean, low, high = map(float, mean_interval([scores]))
    return mean, low, high
