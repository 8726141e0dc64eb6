"""Rival tests of a two-group contrast, all with one interface: `test(values, first, second, seed, n_peptides)`."""

from proteus.baselines._base import Baseline, Outcome
from proteus.baselines._deqms import Deqms
from proteus.baselines._impute import ImputeT
from proteus.baselines._plain import PlainModerated
from proteus.baselines._sam import Sam, Student
from proteus.baselines._welch import Welch

BASELINES: dict[str, type[Baseline]] = {one.name: one for one in (Welch, Student, Sam, ImputeT, PlainModerated, Deqms)}

__all__ = ["BASELINES", "Baseline", "Deqms", "ImputeT", "Outcome", "PlainModerated", "Sam", "Student", "Welch"]
