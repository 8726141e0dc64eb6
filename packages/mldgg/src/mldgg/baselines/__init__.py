"""Rivals: same interface, input, support labels, seeds and number of trials as the method; one line each in the table.

Training-free -> `_ridges`; those that use the target's unlabelled nodes -> `_unlabelled`; pooled training, and the
table -> `_table`.

Examples:
    >>> from mldgg import baselines

    >>> set(baselines.TRAINING_FREE) <= set(baselines.BASELINES), len(baselines.BASELINES) > 5
    (True, True)
"""

from mldgg.baselines._table import BASELINES, TRAINING_FREE, Erm

__all__ = ["BASELINES", "TRAINING_FREE", "Erm"]
