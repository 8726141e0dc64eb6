"""Rivals: one interface, the method's executor and cost model, one line each in the table."""

from __future__ import annotations

from tokenprune.baselines._base import Baseline
from tokenprune.baselines._short_gpt import ShortGPT
from tokenprune.baselines._tokens import Truncation
from tokenprune.baselines._window import FastKV

_ALL = (Truncation, FastKV, ShortGPT)
BASELINES: dict[str, type[Baseline]] = {one.name: one for one in _ALL}
