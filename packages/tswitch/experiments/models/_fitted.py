"""Switches whose knobs are fitted on texts without labels: accuracy, divergence and bytes beside the models themselves.

Knobs come from `fit_knobs` with its default settings, on 96 training texts of each task, drawn without a look at their
labels. Bytes are those of the switch's folder without `head.safetensors`: the head is the task's own, every way to
store a model keeps it as it is, and no rival's bytes count it.

Full form, one seed on an idle core: 5 minutes for the models, where the cache lacks them, and 5 for all else.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from ninefold.progress import progress
from ninefold_lab import Budget, Scores
from torch import Tensor
from tswitch.datasets import OPEN12
from tswitch.evaluation._evaluate import Bench, divergence
from tswitch.fitting._knobs import FitConfig, fit_knobs
from tswitch.models._models import TextClassifier, base_folder
from tswitch.switch._format import HEAD
from tswitch.switch._switch import Switch
from tswitch_experiments.kept import kept
from tswitch_experiments.models._suite import bench

BASE = "minilm"
TEXTS = 96
ALPHAS = (0.97, 0.99)
QUICK = ("clinc150/banking", "clinc150/travel")
Made = tuple[Mapping[str, Tensor], float]  # encoder weights, and the bytes that a way stores for them


@dataclass
class Trial:
    """The fine-tuned models of one seed, and what they answer to the rows that all ways are scored on.

    Attributes:
        models: encoders, heads and rows of all tasks.
        rows: test rows of a task.
        seed: of the texts that are drawn for fitting.
    """

    models: Bench
    rows: int
    seed: int
    _reference: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def of(cls, budget: Budget, seed: int) -> Trial:
        """Twelve tasks in full, two embedded ones of few steps for a look."""
        if budget.form == "full":
            return cls(bench(OPEN12, seed), 200, seed)
        return cls(bench(QUICK, seed, source="embedded", steps=60), 60, seed)

    def reference(self, task: str) -> Tensor:
        """Logits (rows, classes) of the fine-tuned model."""
        if task not in self._reference:
            self.models.load(self.models.encoders[task])
            self._reference[task] = self.models.logits(task, "test", self.rows)
        return self._reference[task]

    def right(self, task: str, logits: Tensor) -> np.ndarray:
        """(rows,) 100 where the answer is right, else 0."""
        return 100.0 * (logits.argmax(1).numpy() == self.models.rows(task, "test", self.rows)[1])

    def individual(self) -> Scores:
        """Accuracy of the fine-tuned models."""
        return {"individual": {task: self.right(task, self.reference(task)) for task in self.models.names}}

    def scored(self, way: str, make: Callable[[str], Made]) -> Scores:
        """Accuracy, divergence in nats, and bytes in per cent of the float32 encoder, of one way on every task."""
        right, apart, sizes = {}, {}, []
        for task in self.models.names:
            state, size = make(task)
            self.models.load(state)
            logits = self.models.logits(task, "test", self.rows)
            right[task], apart[task] = self.right(task, logits), divergence(self.reference(task), logits)
            sizes.append(size)
        whole = sum(value.nbytes for value in self.models.base.values() if value.is_floating_point())
        return {way: right, f"{way}: divergence": apart, f"{way}: % of float32": 100 * float(np.mean(sizes)) / whole}

    def live(self, task: str) -> TextClassifier:
        """The fine-tuned model of a task."""
        return TextClassifier.from_pretrained(self.models.folders[task]).eval()

    def batches(self, task: str, model: TextClassifier) -> list[dict[str, Tensor]]:
        """The texts without labels on which every way of this task is fitted, in batches of 32."""
        texts = self.models.tasks[task].train.texts
        drawn = np.random.default_rng([self.seed, TEXTS]).permutation(len(texts))[:TEXTS]
        ids = sorted(model.encode([texts[row] for row in drawn], self.models.lengths[task]), key=len)
        return [model.pad(ids[start : start + 32]) for start in range(0, len(ids), 32)]


def fitted_switches(budget: Budget, seed: int) -> Scores:
    """Switches as long as the whole change, and the same codes with fitted knobs, at two drop ratios."""
    trial = Trial.of(budget, seed)
    return made(budget, seed, {"individual": trial.individual, **parts(trial, ALPHAS)})


def parts(trial: Trial, alphas: Iterable[float]) -> dict[str, Callable[[], Scores]]:
    """How the scores of each switch are made, by name."""
    found: dict[str, Callable[[], Scores]] = {}
    for alpha in alphas:
        for way, fitted in ((f"fitted {alpha}", True), (f"full {alpha}", False)):
            found[way] = partial(trial.scored, way, partial(by_switch, trial, alpha=alpha, fitted=fitted))
    return found


def made(budget: Budget, seed: int, parts: Mapping[str, Callable[[], Scores]]) -> Scores:
    """The scores of all parts, each made once and kept."""
    arms: dict[str, object] = {}
    with progress(len(parts), f"fitted knobs, seed {seed}") as bar:
        for name, make in parts.items():
            arms |= kept(fitted_switches, budget, seed, name, make)
            bar.advance()
    return arms  # type: ignore[return-value]


def by_switch(trial: Trial, task: str, *, alpha: float, fitted: bool) -> Made:
    """Weights under a task's switch, and the bytes of its folder without the head."""
    base = base_folder(BASE)
    switch = Switch.from_checkpoints(base, trial.models.folders[task], alpha)
    if fitted:
        model = trial.live(task)
        switch = fit_knobs(switch, base, model, trial.batches(task, model), FitConfig(seed=trial.seed))
    state = dict(trial.models.base)
    for name in switch.names:
        state[name] = state[name] + switch.dequantise(name)
    with tempfile.TemporaryDirectory() as folder:
        switch.save_pretrained(Path(folder) / "switch")
        files = [file for file in (Path(folder) / "switch").iterdir() if file.name != HEAD]
        return state, sum(file.stat().st_size for file in files)
