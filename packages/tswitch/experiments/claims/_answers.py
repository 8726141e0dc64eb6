"""Single inputs of twelve tasks under the switches that a router chooses, compared with the right switch.

With the head given, as the publication scores Auto-Switch, each input is answered under its own mixture of switches;
with the head chosen as well, an input that is routed wrongly is wrong. Switches are those of alpha 0.6; the router is
the one in closed form, on 400 queries a task, compared with neighbours' votes on the same queries.

Full form: the fine-tuned models, and then about two minutes a seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.evaluation._evaluate import Bench
from tswitch.models._models import TextClassifier, base_folder
from tswitch.routing._closed_form import ClosedForm
from tswitch.routing._mixtures import mixtures
from tswitch.switch._switch import Switch
from tswitch_experiments.kept import kept
from tswitch_experiments.models._fitted import BASE, Trial

from ._routes import COUNTS, drawn, seen, stored, votes_of

ALPHA = 0.6


def answers(budget: Budget, seed: int) -> Scores:
    """Per cent right by task and row: the right switch, and the mixtures of each router, head given or chosen."""
    trial = Trial.of(budget, seed)
    full = budget.form == "full"
    with progress(1, f"single inputs, seed {seed}") as bar:
        found = kept(answers, budget, seed, "all", partial(compared, trial.models, "test", 150 if full else 30, seed,
                                                           COUNTS[-1] if full else 40))  # fmt: skip
        bar.advance()
    return found


def compared(models: Bench, split: str, rows: int, seed: int, count: int) -> Scores:
    """All arms on one split."""
    base = TextClassifier.from_base(BASE, 1).eval()
    queries = {task: stored(seen(base, drawn(held, count, seed))) for task, held in models.tasks.items()}
    exact = ClosedForm(queries)
    changes = {task: _change(models, task) for task in models.names}
    arms: dict[str, dict[str, np.ndarray]] = {}
    for place, task in enumerate(models.names):
        held = getattr(models.tasks[task].limited(**{split: rows}), split)
        inputs = seen(base, held.texts)
        ways: dict[str, np.ndarray] = {
            "T-Switch": np.eye(len(changes))[[place] * len(held)],
            "closed form": mixtures(exact.scores(inputs)),
            "votes": votes_of(queries, inputs, -2, centred=True)[0] / 10,
        }
        for way, weights in ways.items():
            right = 100.0 * (_answered(models, task, held.texts, weights, changes) == held.labels)
            arms.setdefault(way, {})[task] = right
            if way != "T-Switch":
                routed = weights.argmax(1) == place
                arms.setdefault(f"{way}, routed", {})[task] = 100.0 * routed
                arms.setdefault(f"{way}, head chosen", {})[task] = right * routed
    return arms


def _change(models: Bench, task: str) -> dict[str, Tensor]:
    switch = Switch.from_checkpoints(base_folder(BASE), models.folders[task], ALPHA)
    return {name: switch.dequantise(name) for name in switch.names}


@torch.inference_mode()
def _answered(
    models: Bench, task: str, texts: tuple[str, ...], weights: np.ndarray, changes: Mapping[str, Mapping[str, Tensor]]
) -> np.ndarray:
    """Class of each text by the task's head, each under its own mixture."""
    ids = models.model.encode(texts, models.lengths[task])
    found = np.empty(len(texts), np.int64)
    for mixture in np.unique(weights.round(3), axis=0):
        rows = np.flatnonzero((weights.round(3) == mixture).all(1))
        state = {name: value.clone() for name, value in models.base.items()}
        for share, change in zip(mixture.tolist(), changes.values(), strict=True):
            for name in change if share else ():
                state[name] += share * change[name]
        models.load(state)
        for start in range(0, len(rows), 64):
            chunk = rows[start : start + 64]
            features = models.model.features(**models.model.pad([ids[row] for row in chunk]))
            found[chunk] = models.heads[task](features).argmax(1).numpy()
    return found
