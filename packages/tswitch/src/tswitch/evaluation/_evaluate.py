"""Scoring encoder weights on several tasks: rows are tokenised and batched once, then any weights can be tried."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from ninefold.errors import ArtifactError
from torch import Tensor, nn

from tswitch.baselines import Merger, Method
from tswitch.datasets._text_data import TextTask
from tswitch.models._models import HEAD_PREFIX, MAX_LENGTH, TextClassifier, max_length_of, read_tensors

Split = Literal["validation", "test"]
Batches = list[tuple[np.ndarray, dict[str, Tensor]]]


class Bench:
    """One encoder, the heads of several tasks, and rows of each.

    Attributes:
        model: the base with a head that is not used; its encoder is what is scored.
        base: the encoder's own tensors, copied.
        heads: task -> linear head.
        encoders: task -> the fine-tuned encoder's tensors, named as in `base`.
        lengths: task -> tokens kept of each text, as in its fine-tuning.
    """

    def __init__(self, base: str | Path, tasks: Mapping[str, TextTask], folders: Mapping[str, Path]) -> None:
        self.tasks, self.folders = dict(tasks), dict(folders)
        self.model = TextClassifier.from_base(base, 1)
        self.encoder: nn.Module = self.model.encoder
        self.base = {name: tensor.detach().clone() for name, tensor in self.encoder.state_dict().items()}
        self.heads: dict[str, nn.Linear] = {}
        self.encoders: dict[str, dict[str, Tensor]] = {}
        self.lengths: dict[str, int] = {}
        for task, folder in folders.items():
            tensors = read_tensors(Path(folder))
            needed = [*self.base, HEAD_PREFIX + "weight", HEAD_PREFIX + "bias"]
            missing = [name for name in needed if name not in tensors]
            if missing:
                raise ArtifactError(
                    folder, f"lacks {len(missing)} tensors of the base or a head, such as {missing[0]!r}"
                )
            weight, bias = tensors[HEAD_PREFIX + "weight"], tensors[HEAD_PREFIX + "bias"]
            head = nn.Linear(weight.shape[1], weight.shape[0])
            head.load_state_dict({"weight": weight, "bias": bias})
            self.heads[task] = head
            self.lengths[task] = max_length_of(Path(folder))
            self.encoders[task] = {name: tensors[name] for name in self.base}
        self._batches: dict[tuple[str, str, int], tuple[Batches, np.ndarray]] = {}

    @property
    def names(self) -> list[str]:
        """The tasks, in order."""
        return list(self.tasks)

    def rows(self, task: str, split: Split, count: int) -> tuple[Batches, np.ndarray]:
        """(batches of (row numbers, ids and mask), labels) of the first `count` rows, spread over the classes."""
        key = (task, split, count)
        if key not in self._batches:
            rows = getattr(self.tasks[task].limited(**{split: count}), split)
            self._batches[key] = batches(self.model, rows.texts, max_length=self.lengths[task]), rows.labels
        return self._batches[key]

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Put weights into the encoder, in place."""
        self.encoder.load_state_dict({name: state[name] for name in self.base})

    def score(self, task: str, split: Split, count: int) -> np.ndarray:
        """100 for each right and 0 for each wrong row, with the encoder's present weights and the task's own head."""
        labels = self.rows(task, split, count)[1]
        return 100.0 * (self.logits(task, split, count).argmax(1).numpy() == labels)

    @torch.inference_mode()
    def logits(self, task: str, split: Split, count: int) -> Tensor:
        """(rows, classes) float32, with the encoder's present weights and the task's own head."""
        grouped, labels = self.rows(task, split, count)
        out = torch.empty(len(labels), self.heads[task].out_features)
        for rows, batch in grouped:
            out[torch.from_numpy(rows)] = self.heads[task](self.model.features(**batch))
        return out

    def score_each(
        self, weights: Callable[[str], Mapping[str, Tensor]], split: Split, count: int
    ) -> dict[str, np.ndarray]:
        """Scores by task; `weights` gives the encoder's tensors for a task."""
        scores = {}
        for task in self.names:
            self.load(weights(task))
            scores[task] = self.score(task, split, count)
        self.load(self.base)
        return scores

    def score_one(self, state: Mapping[str, Tensor], split: Split, count: int) -> dict[str, np.ndarray]:
        """Scores by task of one model for all."""
        self.load(state)
        scores = {task: self.score(task, split, count) for task in self.names}
        self.load(self.base)
        return scores

    def score_rival(self, method: Method, split: Split, count: int) -> tuple[dict[str, np.ndarray], int]:
        """(scores by task, bytes stored beyond one model) of a rival over all tasks."""
        fitted = method.fit(self.base, list(self.encoders.values()))
        if isinstance(method, Merger):
            return self.score_one(fitted.task_model(0), split, count), fitted.nbytes
        places = {task: place for place, task in enumerate(self.names)}
        return self.score_each(lambda task: fitted.task_model(places[task]), split, count), fitted.nbytes


def batches(model: TextClassifier, texts: Sequence[str], size: int = 64, max_length: int = MAX_LENGTH) -> Batches:
    """Texts in batches of like length: (row numbers, ids and mask) of each."""
    ids = model.encode(texts, max_length)
    order = np.argsort([len(row) for row in ids], kind="stable")
    chunks = [order[start : start + size] for start in range(0, len(order), size)]
    return [(rows, model.pad([ids[row] for row in rows])) for rows in chunks]


def divergence(reference: Tensor, other: Tensor) -> np.ndarray:
    """(rows,) KL divergence of a model's predictions from the reference's, in nats; both are logits."""
    truth = reference.log_softmax(1)
    return (truth.exp() * (truth - other.log_softmax(1))).sum(1).clamp(min=0).double().numpy()


def macro(scores: Mapping[str, np.ndarray]) -> float:
    """Mean over tasks of the mean over rows."""
    return float(np.mean([rows.mean() for rows in scores.values()]))
