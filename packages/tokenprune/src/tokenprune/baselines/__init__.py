"""Rivals: one interface, the method's executor and cost model, one line each in the table.

_tokens        truncation: which tokens, by a rule
_window        FastKV: by the attention of the last queries
_short_gpt     ShortGPT, whole blocks by influence
_redundancy    how little each block changes the stream, of which the influence is had
_table         all of them by name
"""

from tokenprune.baselines._base import Baseline
from tokenprune.baselines._redundancy import Redundancy, redundancy
from tokenprune.baselines._short_gpt import ShortGPT
from tokenprune.baselines._table import BASELINES
from tokenprune.baselines._tokens import Truncation
from tokenprune.baselines._window import FastKV

__all__ = [
    "BASELINES", "Baseline", "FastKV", "Redundancy", "ShortGPT",
    "Truncation", "redundancy",
]  # fmt: skip
