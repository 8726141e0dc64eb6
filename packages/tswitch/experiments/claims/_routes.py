"""Which task an input belongs to: routing among twelve tasks by neighbours' votes and in closed form.

All routers see the same queries, drawn from the training texts of each task without their labels, and the same test
inputs; features are those of the base model. Nothing here needs a fine-tuned model. About a minute a seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from tswitch.datasets import OPEN12, TextTask, out_of_scope, text_tasks
from tswitch.models._models import TextClassifier, mean_pool
from tswitch.routing._closed_form import ClosedForm, Queries
from tswitch.routing._words import Words

BASE = "minilm"
QUICK = ("banking77", "snips", "clinc150/banking", "clinc150/travel")
COUNTS = (100, 400)  # queries of a task
NEIGHBOURS = 10
LAYERS = 4  # the last hidden states, whose means over tokens are the features
_LENGTH = 32  # tokens of a text


def routes(budget: Budget, seed: int) -> Scores:
    """Per cent of single inputs that are assigned to their own task, by task; AUROC of rejecting, in per cent."""
    full = budget.form == "full"
    tasks = text_tasks(OPEN12) if full else text_tasks(QUICK, source="embedded")
    outside = list(out_of_scope("test", source="data" if full else "embedded"))[: 300 if full else 40]
    inputs = {task: held.limited(test=150 if full else 30).test for task, held in tasks.items()}
    counts = COUNTS if full else (20, 40)
    arms: dict[str, dict[str, np.ndarray] | float] = {}
    with progress(len(tasks) + 2 + 2 * len(counts), f"routing, seed {seed}") as bar:
        model = TextClassifier.from_base(BASE, 1).eval()
        queries = {}
        for task, held in tasks.items():
            queries[task] = stored(seen(model, drawn(held, counts[-1], seed)))
            bar.advance()
        tests = {task: seen(model, split.texts) for task, split in inputs.items()}
        bar.advance()
        strange = seen(model, outside)
        bar.advance()
        for count, name in zip(counts, COUNTS, strict=True):  # the same names in both forms, for the bars
            few = {task: held.first(count) for task, held in queries.items()}
            for way, assign in routers(few).items():
                found = {task: assign(held) for task, held in tests.items()}
                arms[f"{way}, N = {name}"] = {
                    task: 100.0 * (tasks_of == place) for place, (task, (tasks_of, _)) in enumerate(found.items())
                }
                known = np.concatenate([near for _, near in found.values()])
                arms[f"AUROC of rejecting, %: {way}, N = {name}"] = 100 * auroc(-assign(strange)[1], -known)
            bar.advance()
    return arms


Assign = Callable[[Queries], tuple[np.ndarray, np.ndarray]]  # -> index of the task; how near each input is to any


def routers(queries: Mapping[str, Queries]) -> dict[str, Assign]:
    """The routers that are compared, by name."""
    exact = ClosedForm(queries)

    def closed(inputs: Queries) -> tuple[np.ndarray, np.ndarray]:
        scores = exact.scores(inputs)
        return scores.argmax(1), scores.max(1)

    return {
        "votes": lambda inputs: votes(queries, inputs, -2, centred=True),
        "votes, last layer": lambda inputs: votes(queries, inputs, -1, centred=False),
        "closed form": closed,
    }


def votes(
    queries: Mapping[str, Queries], inputs: Queries, layer: int, *, centred: bool
) -> tuple[np.ndarray, np.ndarray]:
    """The task of most of ten neighbours, of equals the nearest one's: `AutoSwitch` by default, or as published."""
    shares, near = votes_of(queries, inputs, layer, centred=centred)
    return shares.argmax(1), near


def votes_of(
    queries: Mapping[str, Queries], inputs: Queries, layer: int, *, centred: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Votes (inputs, tasks) of ten neighbours, and how near these are.

    Args:
        queries, inputs: with features.
        layer: of the features.
        centred: cosine of features less the queries' mean; else Euclidean distance of features as they are.
    """
    stored = np.concatenate([held.features[:, layer] for held in queries.values()])
    asked = inputs.features[:, layer]
    if centred:
        center = stored.mean(0)
        stored, asked = (one / np.linalg.norm(one, axis=1, keepdims=True) for one in (stored - center, asked - center))
        distances = 1 - asked @ stored.T
    else:
        squares = (asked**2).sum(1)[:, None] - 2 * asked @ stored.T + (stored**2).sum(1)
        distances = np.sqrt(np.maximum(squares, 0))
    nearest = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    owners = np.repeat(np.arange(len(queries)), [len(held.features) for held in queries.values()])[nearest]
    shares = np.stack([(owners == task).sum(1) for task in range(len(queries))], 1).astype(float)
    for place in range(NEIGHBOURS):  # of equals the task of the nearest neighbour comes first
        bonus = 1e-6 * (shares[np.arange(len(owners)), owners[:, place]] % 1 == 0) * (NEIGHBOURS - place)
        shares[np.arange(len(owners)), owners[:, place]] += bonus
    return shares, -np.take_along_axis(distances, nearest, 1).mean(1)


def drawn(task: TextTask, count: int, seed: int) -> list[str]:
    """Training texts of a task in random order, without a look at their labels."""
    order = np.random.default_rng([seed, count]).permutation(len(task.train.texts))[:count]
    return [task.train.texts[row] for row in order]


@torch.inference_mode()
def seen(model: TextClassifier, texts: Sequence[str]) -> Queries:
    """Texts with the features of the last layers, each the mean over tokens."""
    ids = model.encode(list(texts), _LENGTH)
    order = np.argsort([len(row) for row in ids], kind="stable")
    parts = []
    for start in range(0, len(order), 64):
        batch = model.pad([ids[row] for row in order[start : start + 64]])
        hidden = model.encoder(**batch, output_hidden_states=True).hidden_states[-LAYERS:]
        parts.append(torch.stack([mean_pool(each, batch["attention_mask"]) for each in hidden], 1))
    features = torch.cat(parts).numpy()[np.argsort(order, kind="stable")]
    return Queries(features, Words.of(texts))


def stored(queries: Queries) -> Queries:
    """As a query set keeps them: features in float16."""
    return replace(queries, features=queries.features.astype(np.float16).astype(np.float32))


def auroc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Probability that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    both = np.concatenate([positive, negative])
    _, place, counts = np.unique(both, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    n = len(positive)
    return float((ranks[:n].sum() - n * (n + 1) / 2) / (n * len(negative)))
