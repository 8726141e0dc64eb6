"""Rival tests of a two-group contrast, all with one interface: `test(values, first, second, seed, n_peptides)`; of
precursors `_peptides`; rival systems in `_systems`.
"""

from proteus_experiments.baselines._base import Baseline, Outcome
from proteus_experiments.baselines._classic import ImputeT, Student, Welch
from proteus_experiments.baselines._moderated import Deqms, ImputeTreat, PlainModerated
from proteus_experiments.baselines._sam import Sam

BASELINES: dict[str, type[Baseline]] = {
    one.name: one for one in (Welch, Student, Sam, ImputeT, PlainModerated, ImputeTreat, Deqms)
}

__all__ = [
    "BASELINES", "Baseline", "Deqms", "ImputeT", "ImputeTreat", "Outcome", "PlainModerated", "Sam", "Student", "Welch",
]  # fmt: skip
