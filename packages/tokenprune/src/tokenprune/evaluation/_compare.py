"""Dense, the method and its rivals: the same text and questions, the same sparsity, one cost model, one clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from ninefold.errors import InputError
from ninefold.measure import Timing
from ninefold.measure import compare as clock
from ninefold.progress import progress
from ninefold.report import Table

from tokenprune.baselines import BASELINES
from tokenprune.evaluation._evaluate import Answers, TextScores, answer, text_scores
from tokenprune.evaluation._naming import names_of
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout
from tokenprune.pruner._pruner import TokenPruner


@dataclass
class Row:
    """One method.

    Attributes:
        text: scores of the text's windows.
        answers: scores of the questions; None without questions.
        timing: of a prompt's prefill, and how many times faster than dense.
    """

    text: TextScores
    answers: Answers | None
    timing: Timing


def chosen_methods(methods: str) -> list[str]:
    """Rivals named with commas between, or "all"; "" for none.

    Raises:
        InputError: for a name that none has.
    """
    names = list(BASELINES) if methods == "all" else names_of(methods)
    unknown = [name for name in names if name not in BASELINES]
    if unknown:
        raise InputError("--methods", got=unknown[0], expected=f"all, or some of {', '.join(BASELINES)}")
    return names


def fitted(
    model: Any, pruner: TokenPruner, names: Sequence[str], sparsity: float, data: Scored, *,
    seed: int = 0, ours: str = "tokenprune",
) -> dict[str, Executor]:  # fmt: skip
    """Executors by name: "dense", the method's and the rivals.

    Args:
        model: the language model.
        pruner: the method.
        names: of rivals.
        sparsity: asked of each.
        data: what they are fitted on.
        seed: random seed.
        ours: name of the method's arm.
    """
    layout = Layout.of(model)
    arms = {"dense": Executor(layout), ours: pruner.executor()}
    with progress(len(names), "fitting") as bar:
        for name in names:
            bar.advance(0, note=f"fitting {name}")
            rival = BASELINES[name]()
            rival.fit(layout, data, sparsity, seed)
            arms[name] = rival.apply()
            bar.advance()
    return arms


def compare(
    layout: Layout, arms: dict[str, Executor], text: Scored, *, questions: Sequence[Scored] = (),
    labels: Sequence[int] = (), prompt: int = 512, repeats: int = 5,
) -> dict[str, Row]:  # fmt: skip
    """Score and time each arm; the first is "dense", the model's own forward in the timing.

    Args:
        layout: of the dense model.
        arms: executors by name, "dense" among them.
        text: windows whose last tokens are scored.
        questions, labels: each question's choices, and the index of the right one.
        prompt: length of the prompt that is timed.
        repeats: rounds of timing.
    """
    generator = torch.Generator().manual_seed(0)
    vocabulary = layout.decoder.embed_tokens.weight.shape[0]
    ids = torch.randint(1, vocabulary, (1, min(prompt, layout.limit)), generator=generator).to(layout.device)
    model: Any = layout.model

    def dense() -> Any:
        with torch.no_grad():
            return model(ids, logits_to_keep=1, use_cache=False)

    calls = {name: dense if name == "dense" else (lambda one=one: one.logits(ids)) for name, one in arms.items()}
    rows = {}
    with progress(len(arms), "comparing") as bar:
        times = clock(calls, repeats=repeats)
        for name, executor in arms.items():
            answers = answer(executor, questions, labels) if questions else None
            rows[name] = Row(text_scores(executor, text), answers, times[name])
            bar.advance()
    return rows


def table(rows: dict[str, Row], title: str) -> Table:
    """A line for each method."""
    dense = rows["dense"].text
    of_answers = ["answer NLL", "accuracy %"] if rows["dense"].answers else []
    columns = ["method", "text NLL", "next token right %", *of_answers, "FLOPs %", "KV %", "seconds", "faster"]
    made = Table(columns, title=title)
    for name, row in rows.items():
        scores = [value for one in (row.text, row.answers) if one
                  for value in (float(one.nll.mean()), float(100 * one.right.mean()))]  # fmt: skip
        made.rows.append([name, *scores, 100 * row.text.flops / dense.flops, 100 * row.text.kv_bytes / dense.kv_bytes,
                          row.timing.seconds, row.timing.ratio])  # fmt: skip
    return made
