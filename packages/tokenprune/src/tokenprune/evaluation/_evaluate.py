"""Scores of an executor: negative log-likelihood of text, and of the right answer among choices, with accuracy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tokenprune import datasets
from tokenprune.executor._cache import PrunedCache
from tokenprune.executor._cost import Cost
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
        logits, stream = part.run(executor)
        losses.append(nll(logits, part.targets).cpu())
        right.append((logits.argmax(-1).cpu() == part.targets).float())
        cost = executor.cost(stream, logits=len(part.targets))
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
        reference = part.run(dense)[0].log_softmax(-1)
        for name, executor in arms.items():
            values[name].append(divergence(reference, part.run(executor)[0]).cpu())
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
        logits, cost = _of_choices(executor, question)
        each = question.by_sequence(nll(logits, question.targets).cpu())
        losses.append(float(each[label]) / question.counts[label])
        right.append(float(int(each.argmin()) == label))
        flops, bytes_ = flops + cost.flops, bytes_ + cost.kv_bytes
    return Answers(np.array(losses), np.array(right), flops, bytes_)


def _of_choices(executor: Executor, question: Scored) -> tuple[Tensor, Cost]:
    """Logits (P, vocabulary), and what the choices cost one by one, however they were had."""
    router = executor.router
    context = question.sequences[0][: -question.counts[0]]
    pairs = zip(question.sequences, question.counts, strict=True)
    if not router.causal or not all(torch.equal(one[:-count], context) for one, count in pairs):
        logits, stream = question.run(executor)
        return logits, executor.cost(stream, logits=len(question.targets))
    lengths = [len(one) - 1 for one in question.sequences]
    cost = executor.costs.of_kept(router.kept(executor.blocks, lengths), logits=len(question.targets))
    return _after_one_context(executor, context, question), cost


@torch.no_grad()
def _after_one_context(executor: Executor, context: Tensor, question: Scored) -> Tensor:
    """Where what is kept of a token does not depend on those after it, the context that choices share runs once."""
    layout, cache = executor.layout, PrunedCache(executor.blocks)
    stream = executor.prefill(executor.start(context[None]), cache)
    before = layout.logits(executor.tail(stream, 1))[0].float()
    said = [one[-count:-1] for one, count in zip(question.sequences, question.counts, strict=True)]
    if not any(len(one) for one in said):
        return before.expand(len(said), -1)
    cache.batch_repeat_interleave(len(said))
    ids = torch.nn.utils.rnn.pad_sequence(list(said), batch_first=True).to(layout.device)
    out = executor.decode(layout.embed(ids), cache)
    after = [layout.logits(row[: len(one)]).float() for row, one in zip(out, said, strict=True)]
    return torch.cat([part for rest in after for part in (before, rest)])
