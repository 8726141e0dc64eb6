"""Scores of an executor: negative log-likelihood of text, and of the right answer among choices, with accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenprune import datasets
from tokenprune.executor._executor import Executor
from tokenprune.executor._router import Everything
from tokenprune.executor._scored import Scored, divergence, nll


@dataclass(frozen=True)
class Answers:
    """Of each question.

    Attributes:
        nll: of the right answer, nats a token.
        right: whether the likeliest answer (by total likelihood) is the right one.
        flops, kv_bytes: of all passes.
    """

    nll: np.ndarray
    right: np.ndarray
    flops: float
    kv_bytes: int


@dataclass(frozen=True)
class TextScores:
    """Of each scored token of a text.

    Attributes:
        nll: (P,) in nats.
        right: (P,) whether it was the likeliest.
        flops, kv_bytes: of all passes.
    """

    nll: np.ndarray
    right: np.ndarray
    flops: float
    kv_bytes: int


def text_scores(executor: Executor, data: Scored, *, rows: int = 16) -> TextScores:
    """Score windows of text, some rows at a time."""
    losses, right, flops, bytes_ = [], [], 0.0, 0
    for start in range(0, len(data), rows):
        part = data.part(start, start + rows)
        logits, cost = part.decoded(executor)
        losses.append(nll(logits, part.targets).cpu())
        right.append((logits.argmax(-1).cpu() == part.targets).float())
        flops, bytes_ = flops + cost.flops, bytes_ + cost.kv_bytes
    values = [torch.cat(one).numpy().astype(float) for one in (losses, right)]
    return TextScores(values[0], values[1], flops, bytes_)


@torch.no_grad()
def text_divergence(arms: Mapping[str, Executor], data: Scored, *, rows: int = 8) -> dict[str, np.ndarray]:
    """KL from the dense model of each scored token (P,), for each arm; all arms must stand on one model."""
    dense = Executor(next(iter(arms.values())).layout, Everything())
    values: dict[str, list[Tensor]] = {name: [] for name in arms}
    for start in range(0, len(data), rows):
        part = data.part(start, start + rows)
        reference = part.decoded(dense)[0].log_softmax(-1)
        for name, executor in arms.items():
            values[name].append(divergence(reference, part.decoded(executor)[0]).cpu())
    return {name: torch.cat(parts).numpy().astype(float) for name, parts in values.items()}


def questions_as_scored(
    items: Sequence[datasets.Question], shots: Sequence[datasets.Question], tokenizer: Any
) -> list[Scored]:
    """For each question its choices, each after the same solved questions, the choice's tokens scored."""
    result = []
    for item in items:
        before = datasets.few_shot(item, shots)
        context = datasets.prompt(before, tokenizer)
        answers = [datasets.tokens(f" {choice}", tokenizer) for choice in item.choices]
        result.append(Scored([torch.cat([context, one]) for one in answers], [len(one) for one in answers]))
    return result


def answer(executor: Executor, questions: Sequence[Scored], labels: Sequence[int]) -> Answers:
    """Judge each question: its choices are one batch."""
    losses, right, flops, bytes_ = [], [], 0.0, 0
    for question, label in zip(questions, labels, strict=True):
        logits, cost = question.decoded(executor)
        each = question.by_sequence(nll(logits, question.targets).cpu())
        losses.append(float(each[label]) / question.counts[label])
        right.append(float(int(each.argmin()) == label))
        flops, bytes_ = flops + cost.flops, bytes_ + cost.kv_bytes
    return Answers(np.array(losses), np.array(right), flops, bytes_)
