"""Rival tests of a two-group contrast, all with one interface: `test(values, first, second, seed, n_peptides)`."""

from __future__ import annotations

from ._base import Baseline, Outcome
from ._deqms import Deqms
from ._impute import ImputeT
from ._plain import PlainModerated
from ._sam import Sam, Student
from ._welch import Welch

BASELINES: dict[str, type[Baseline]] = {one.name: one for one in (Welch, Student, Sam, ImputeT, PlainModerated, Deqms)}

__all__ = ["BASELINES", "Baseline", "Deqms", "ImputeT", "Outcome", "PlainModerated", "Sam", "Student", "Welch"]
