"""Rivals: same interface, input, support labels, seeds and number of trials as the method; one line each in the table.

Training-free -> `_ridges`, `_unlabelled`; those that use the target's unlabelled nodes -> `_unlabelled`; pooled
training -> `_trained`; the table -> `_table`.

Examples:
    >>> from mldgg import baselines

    >>> set(baselines.TRAINING_FREE) <= set(baselines.BASELINES), len(baselines.BASELINES) > 5
    (True, True)
"""

from mldgg.baselines._table import BASELINES, TRAINING_FREE
from mldgg.baselines._trained import Erm

__all__ = ["BASELINES", "TRAINING_FREE", "Erm"]
