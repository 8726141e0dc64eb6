"""Auto-Switch experiments: batches of one task with the head given, shuffled traffic, out-of-scope inputs."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.bank._bank import SwitchBank
from tswitch.datasets import out_of_scope
from tswitch.evaluation._evaluate import Bench
from tswitch.routing._router import AutoSwitch, Mode

from ._routes import auroc

_BATCH = 64
_MODES: tuple[Mode, ...] = ("sample", "sample-argmax", "batch-mean", "batch-argmax")
_VARIANTS: dict[str, dict[str, Any]] = {
    "default": {},
    "layer 1": {"feature_layer": 1},
    "merged features": {"feature_model": "merged"},
    "last layer, Euclidean": {"feature_layer": -1, "metric": "euclidean"},
}


def routing(
    models: Bench, switches: Callable[[Path], Mapping[str, Any]], budget: Budget, seed: int, rows: int
) -> Scores:
    """All routing arms of one seed: per cent right by task and row, AUROC in per cent."""
    full = budget.form == "full"
    arms: dict[str, dict[str, np.ndarray] | float] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        progress(len(_VARIANTS) + len(_MODES), f"routing, seed {seed}") as bar,
    ):
        models.load(models.base)
        bank = SwitchBank(models.model)
        for task, switch in switches(Path(folder)).items():
            bank.add(task, switch)

        def ready(texts: Sequence[str]) -> dict[str, Tensor]:
            return models.model.pad(models.model.encode(texts))

        queries = {task: list(models.tasks[task].train.texts) for task in models.names}
        inputs = {task: models.tasks[task].limited(test=rows).test for task in models.names}
        outside = list(out_of_scope("test", source="data" if full else "embedded"))[: 400 if full else 60]

        def router(**options: Any) -> AutoSwitch:
            return AutoSwitch(bank, method="votes", n_queries=100, preprocess=ready, seed=seed, **options)

        fitted = {name: router(**options).fit(queries) for name, options in _VARIANTS.items()}
        for name, one in fitted.items():
            seen = {task: _seen(one, split.texts) for task, split in inputs.items()}
            arms[f"routing: {name}"] = {
                task: 100.0 * (routed == index) for index, (task, (routed, _)) in enumerate(seen.items())
            }
            known = np.concatenate([far for _, far in seen.values()])
            arms[f"AUROC of rejecting, %: {name}"] = 100 * auroc(_seen(one, outside)[1], known)
            bar.advance()

        arms["T-Switch"] = {}
        for task, split in inputs.items():
            with bank.use(task), torch.no_grad():
                logits = [models.model(**ready(texts)) for texts in _chunks(split.texts)]
            arms["T-Switch"][task] = 100.0 * (torch.cat(logits).argmax(1).numpy() == split.labels)
        default = fitted["default"].query_sets
        for mode in _MODES:
            one = router(mode=mode).use_query_sets(default)
            arms[f"single-task batches: {mode}"] = {
                task: _head_given(bank, one, ready, task, split.texts, split.labels) for task, split in inputs.items()
            }
            arms[f"shuffled traffic: {mode}"] = _shuffled(one, inputs, seed)
            bar.advance()
    return arms


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    return [list(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH)]


def _seen(router: AutoSwitch, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """(index of the task, mean distance to the neighbours) of each text, from its features, which are made once."""
    near = [router.neighbours(router.features(chunk)) for chunk in _chunks(texts)]
    owners = torch.cat([owners for _, owners in near])
    votes = torch.nn.functional.one_hot(owners, len(router.tasks)).sum(1)
    return votes.argmax(1).numpy(), torch.cat([distances.mean(1) for distances, _ in near]).numpy()


def _head_given(
    bank: SwitchBank,
    router: AutoSwitch,
    ready: Callable[[Sequence[str]], dict[str, Tensor]],
    task: str,
    texts: Sequence[str],
    labels: np.ndarray,
) -> np.ndarray:
    """Batches of one task: each input under its own weights, always with the task's head (the authors' protocol)."""
    right = np.empty(len(labels))
    for start in range(0, len(labels), _BATCH):
        chunk = list(texts[start : start + _BATCH])
        weights = router.predict_weights(chunk).numpy()
        for mixture in np.unique(weights, axis=0):
            rows = np.flatnonzero((weights == mixture).all(1))
            chosen = dict(zip(router.tasks, map(float, mixture), strict=True))
            with bank.use(chosen, head=task), torch.no_grad():
                logits = bank.model(**ready([chunk[row] for row in rows]))
            right[start + rows] = 100.0 * (logits.argmax(1).numpy() == labels[start + rows])
    return right


def _shuffled(router: AutoSwitch, inputs: Mapping[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Traffic of all tasks in random order, 64 at a time: right means the right task's head and the right class."""
    traffic = [(task, row) for task, split in inputs.items() for row in range(len(split))]
    order = np.random.default_rng(seed).permutation(len(traffic))
    right = {task: np.zeros(len(split)) for task, split in inputs.items()}
    for start in range(0, len(order), _BATCH):
        batch = [traffic[index] for index in order[start : start + _BATCH]]
        routed = router([inputs[task].texts[row] for task, row in batch])
        for (task, row), output, head in zip(batch, routed.outputs, routed.heads, strict=True):
            right[task][row] = 100.0 * (head == task and int(output.argmax()) == inputs[task].labels[row])
    return right
