"""Dense, the method and its rivals: the same text and questions, the same sparsity, one cost model, one clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.measure import compare as clock
from ninefold.report import Table

from tokenprune.baselines import BASELINES
from tokenprune.evaluation._evaluate import answer, text_scores
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout
from tokenprune.pruner._pruner import TokenPruner


@dataclass
class Row:
    """One method.

    Attributes:
        nll: (P,) of each scored token of the text.
        next_right: (P,) whether it was the likeliest next token.
        answers: (Q,) NLL of each right answer; empty without questions.
        right: (Q,) whether the likeliest answer was right.
        flops, kv_bytes: of the text's windows.
        seconds, ratio: of a prompt's prefill, and how many times faster than dense.
    """

    nll: np.ndarray
    next_right: np.ndarray
    answers: np.ndarray
    right: np.ndarray
    flops: float
    kv_bytes: int
    seconds: float
    ratio: float


def chosen_methods(methods: str) -> list[str]:
    """Rivals named with commas between, or "all"; "" for none.

    Raises:
        InputError: for a name that none has.
    """
    names = list(BASELINES) if methods == "all" else [one.strip() for one in methods.split(",") if one.strip()]
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise InputError("--methods", got=unknown[0], expected=f"all, or some of {', '.join(BASELINES)}")
    return names


def fitted(
    model: Any, pruner: TokenPruner, names: Sequence[str], sparsity: float, data: Scored, *,
    seed: int = 0, advance: Callable[[int, str], object] = lambda *_: None,
) -> dict[str, Executor]:  # fmt: skip
    """Executors by name: "dense", "tokenprune" and the rivals.

    Args:
        model: the language model.
        pruner: the method.
        names: of rivals.
        sparsity: asked of each.
        data: what they are fitted on.
        seed: random seed.
        advance: is called with (0, name) before and (1, name) after each.
    """
    layout = Layout.of(model)
    arms = {"dense": Executor(layout), "tokenprune": pruner.executor()}
    for name in names:
        advance(0, name)
        rival = BASELINES[name]()
        rival.fit(layout, data, sparsity, seed)
        arms[name] = rival.apply()
        advance(1, name)
    return arms


def compare(
    layout: Layout, arms: dict[str, Executor], text: Scored, *, questions: Sequence[Scored] = (),
    labels: Sequence[int] = (), prompt: int = 512, repeats: int = 5, advance: Callable[[], object] = lambda: None,
) -> dict[str, Row]:  # fmt: skip
    """Score and time each arm; the first is "dense", the model's own forward in the timing.

    Args:
        layout: of the dense model.
        arms: executors by name, "dense" among them.
        text: windows whose last tokens are scored.
        questions, labels: each question's choices, and the index of the right one.
        prompt: length of the prompt that is timed.
        repeats: rounds of timing.
        advance: is called after each arm.
    """
    generator = torch.Generator().manual_seed(0)
    vocabulary = layout.decoder.embed_tokens.weight.shape[0]
    ids = torch.randint(1, vocabulary, (1, min(prompt, layout.limit)), generator=generator).to(layout.device)
    model: Any = layout.model

    def dense() -> Any:
        with torch.no_grad():
            return model(ids, logits_to_keep=1, use_cache=False)

    calls = {"dense": dense} | {
        name: (lambda one=one: one.logits(ids)) for name, one in arms.items() if name != "dense"
    }
    times = clock(calls, repeats=repeats)
    rows = {}
    for name, executor in arms.items():
        found = text_scores(executor, text)
        judged = answer(executor, questions, labels) if questions else None
        empty = np.zeros(0)
        rows[name] = Row(found.nll, found.right, judged.nll if judged else empty, judged.right if judged else empty,
                         found.flops, found.kv_bytes, times[name].seconds, times[name].ratio)  # fmt: skip
        advance()
    return rows


def table(rows: dict[str, Row], title: str) -> Table:
    """A line for each method."""
    dense = rows["dense"]
    asked = len(dense.answers) > 0
    of_answers = ["answer NLL", "accuracy %"] if asked else []
    columns = ["method", "text NLL", "next token right %", *of_answers, "FLOPs %", "KV %", "seconds", "faster"]
    made = Table(columns, title=title)
    for name, row in rows.items():
        answers = [float(row.answers.mean()), float(100 * row.right.mean())] if asked else []
        text = [float(row.nll.mean()), float(100 * row.next_right.mean())]
        made.rows.append([name, *text, *answers, 100 * row.flops / dense.flops, 100 * row.kv_bytes / dense.kv_bytes,
                          row.seconds, row.ratio])  # fmt: skip
    return made
