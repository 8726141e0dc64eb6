"""Rivals: one interface, the method's executor and cost model, one line each in the table.

_tokens        truncation, random keep: which tokens, by a rule
_window        FastKV, GemFilter, PyramidInfer: by the attention of the last queries
_learnt        hidden-state router, D-LLM, SkipGPT: which tokens, learnt
_short_gpt     ShortGPT, whole blocks by influence
_block_pruner  BlockPruner, attention and MLP apart
_merged        LLM-Streamline, LaCo: several blocks by one
_slice_gpt     SliceGPT, fewer directions
_table         all of them by name
"""

from tokenprune.baselines._base import Baseline
from tokenprune.baselines._block_pruner import BlockPruner
from tokenprune.baselines._learnt import DLLM, HiddenState, SkipGPT
from tokenprune.baselines._merged import LaCo, Streamline
from tokenprune.baselines._short_gpt import ShortGPT
from tokenprune.baselines._slice_gpt import SliceGPT
from tokenprune.baselines._table import BASELINES
from tokenprune.baselines._tokens import RandomKeep, Truncation
from tokenprune.baselines._window import FastKV, GemFilter, PyramidInfer

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
