"""Rivals: one interface, the method's executor and cost model, one line each in the table."""

from __future__ import annotations

from tokenprune.baselines._base import Baseline
from tokenprune.baselines._block_pruner import BlockPruner
from tokenprune.baselines._learnt import DLLM, HiddenState, SkipGPT
from tokenprune.baselines._merged import LaCo, Streamline
from tokenprune.baselines._short_gpt import ShortGPT
from tokenprune.baselines._slice_gpt import SliceGPT
from tokenprune.baselines._tokens import RandomKeep, Truncation
from tokenprune.baselines._window import FastKV, GemFilter, PyramidInfer

_TOKENS = (Truncation, FastKV, GemFilter, PyramidInfer, RandomKeep, HiddenState, DLLM, SkipGPT)
_LAYERS = (ShortGPT, BlockPruner, Streamline, LaCo, SliceGPT)
BASELINES: dict[str, type[Baseline]] = {one.name: one for one in (*_TOKENS, *_LAYERS)}
__all__ = [
    "BASELINES",
    "DLLM",
    "Baseline",
    "BlockPruner",
    "FastKV",
    "GemFilter",
    "HiddenState",
    "LaCo",
    "PyramidInfer",
    "RandomKeep",
    "ShortGPT",
    "SkipGPT",
    "SliceGPT",
    "Streamline",
    "Truncation",
]
