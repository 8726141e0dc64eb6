"""Auto-Switch: weights of the switches from an input's nearest neighbours among unlabelled examples (CVPR 2025).

    w_i(x) = |Q_i intersected with N_x| / |N_x|

N_x are the K nearest of all query features to the feature of x. Nothing is trained. The paper's equation is per input;
the authors' code averages w over a batch (their test batches hold one task each), then mixes the switches
("batch-mean", for ViT) or takes the largest ("batch-argmax", for RoBERTa). Here each input has its own weights by
default, and inputs of equal weights share one forward pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.bank._bank import SwitchBank
from tswitch.routing._features import Pooling, extract
from tswitch.routing._inputs import Preprocess, ready, take
from tswitch.routing._query_set import FeatureSettings, QuerySet

Metric = Literal["cosine-centered", "cosine", "euclidean"]
Mode = Literal["sample", "batch-mean", "batch-argmax"]
_CHOICES = {"metric": ("cosine-centered", "cosine", "euclidean"), "mode": ("sample", "batch-mean", "batch-argmax")}


@dataclass(frozen=True)
class Routed:
    """What a routed forward pass gives, in the order of the inputs.

    Attributes:
        outputs: one tensor for each input, because heads differ in size.
        weights: (B, tasks) the switches' weights under which each output was made.
        heads: the task whose head made each output.
        reject: (B,) how far each input is from everything known; see `AutoSwitch.reject_scores`.
        forwards: forward passes that were needed, routing not counted.
    """

    outputs: list[Tensor]
    weights: Tensor
    heads: list[str]
    reject: Tensor
    forwards: int


class AutoSwitch:
    """Chooses and mixes a bank's tasks for each input.

    Args:
        bank: the tasks, whose heads the router chooses.
        n_neighbors: K; the authors use 10 (ViT) and 5 (RoBERTa).
        metric: "cosine-centered" subtracts the mean of all query features first; "euclidean" on features as they are is
            the authors'.
        feature_layer: where features are taken: index into a transformer's hidden states, or a module's name, see
            `extract`. The earlier, the cheaper: routing runs the model up to there.
        feature_model: the model that makes them: "base" (authors' code), or the average of all tasks, "merged" (paper).
        mode: "sample", "batch-mean" or "batch-argmax", see above.
        pooling: "mean" over tokens, or the "first" token (authors', with the last layer).
        n_queries: N, most inputs that are kept of each task.
        preprocess: turns a list of raw inputs (such as texts) into what the model takes: a mapping or a tensor.
        batch_size: most inputs in one forward pass of `fit`.
        seed: random seed; it chooses N inputs where `fit` is given more.
    Raises:
        InputError: naming an argument that is out of range.
    """

    def __init__(
        self,
        bank: SwitchBank,
        n_neighbors: int = 10,
        metric: Metric = "cosine-centered",
        feature_layer: int | str = -2,
        feature_model: Literal["base", "merged"] = "base",
        mode: Mode = "sample",
        *,
        pooling: Pooling = "mean",
        n_queries: int = 100,
        preprocess: Preprocess | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        for name, value in (("metric", metric), ("mode", mode)):
            if value not in _CHOICES[name]:
                raise InputError(name, got=repr(value), expected=" or ".join(_CHOICES[name]))
        for name, value in (("n_neighbors", n_neighbors), ("n_queries", n_queries), ("batch_size", batch_size)):
            if not isinstance(value, int) or value < 1:
                raise InputError(name, got=repr(value), expected="a whole number from 1")
        self.bank, self.n_neighbors = bank, n_neighbors
        self.metric: Metric = metric
        self.mode: Mode = mode
        self.settings = FeatureSettings(feature_layer, pooling, feature_model)
        self.n_queries, self.preprocess, self.batch_size, self.seed = n_queries, preprocess, batch_size, seed
        self.query_sets: dict[str, QuerySet] = {}

    @property
    def tasks(self) -> list[str]:
        """The tasks among which is chosen: the columns of weights."""
        return list(self.query_sets)

    @property
    def nbytes(self) -> int:
        """Bytes of all query features: tasks x N x F x 4."""
        return sum(held.nbytes for held in self.query_sets.values())

    def fit(self, inputs: Mapping[str, Any]) -> AutoSwitch:
        """Make the query sets.

        Args:
            inputs: for each task some of its training inputs, labels not needed: a list of raw inputs (with
                `preprocess`), a tensor, or a mapping of tensors. At most N are used, drawn without repetition.
        Returns: the router itself.
        Raises:
            InputError: a task that the bank lacks, or has no inputs; more neighbours than stored queries.
        """
        for task in inputs:
            if task not in self.bank.tasks:
                raise InputError(f"task {task!r}", expected=f"one of the bank's: {', '.join(self.bank.tasks)}")
        with self._feature_model(self._merged()):
            made = {
                task: QuerySet.of(
                    self.bank.model,
                    given,
                    self.settings,
                    n_queries=self.n_queries,
                    preprocess=self.preprocess,
                    batch_size=self.batch_size,
                    seed=self.seed,
                    merged=self._merged(),
                )
                for task, given in inputs.items()
            }
        return self.use_query_sets(made)

    def use_query_sets(self, query_sets: Mapping[str, QuerySet | str | Path]) -> AutoSwitch:
        """Take query sets that were made before, or files of them, instead of `fit`.

        Raises:
            InputError: no tasks, tasks that the bank lacks, sets made with other settings or of other feature sizes, or
                fewer stored queries than neighbours. The router is then as before.
        """
        held = {task: each if isinstance(each, QuerySet) else QuerySet.load(each) for task, each in query_sets.items()}
        if not held:
            raise InputError("query sets", got="no tasks", expected="at least one")
        first = next(iter(held))
        for task, each in held.items():
            what = f"query set of task {task!r}"
            if task not in self.bank.tasks:
                raise InputError(what, got="a task that is not in the bank", expected=", ".join(self.bank.tasks))
            if (each.settings, each.merged) != (self.settings, self._merged()):
                raise InputError(
                    what,
                    got=f"features of {each.settings} {list(each.merged)}",
                    expected=f"{self.settings} {list(self._merged())}, as the router makes them",
                )
            if each.features.shape[1] != held[first].features.shape[1]:
                raise InputError(
                    what,
                    got=f"{each.features.shape[1]} features",
                    expected=f"{held[first].features.shape[1]}, as task {first!r} has",
                )
        stored = sum(len(each.features) for each in held.values())
        if self.n_neighbors > stored:
            raise InputError("n_neighbors", got=self.n_neighbors, expected=f"at most {stored}, the stored queries")
        self.query_sets = held
        return self

    def features(self, inputs: Any) -> Tensor:
        """(B, F) float32 features of inputs, made by the feature model whatever is switched on.

        That is the model which made the query sets: a task that joined the bank since then has no part in it.
        """
        batch = ready(self.bank.model, inputs, self.preprocess)
        held = next(iter(self.query_sets.values()), None)
        with self._feature_model(self._merged() if held is None else held.merged):
            return extract(self.bank.model, batch, self.settings.layer, self.settings.pooling)

    def neighbours(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (B, K) to the K nearest queries, ascending, and the indices (B, K) of their tasks.

        Queries at equal distance come in the order of the tasks.

        Raises:
            InputError: before `fit`, or if features (B, F) are not finite or of another size than the queries'.
        """
        if not self.query_sets:
            raise InputError("router", got="no query sets", expected="fit or use_query_sets first")
        stored = torch.cat([held.features for held in self.query_sets.values()]).to(features.device)
        if features.dim() != 2 or features.shape[1] != stored.shape[1]:
            raise InputError("features", got=f"shape {tuple(features.shape)}", expected=f"(B, {stored.shape[1]})")
        if not torch.isfinite(features).all():
            raise InputError("features", got="NaN or infinity", expected="finite values")
        counts = torch.tensor([len(held.features) for held in self.query_sets.values()])
        owners = torch.arange(len(counts)).repeat_interleave(counts).to(features.device)
        distances, nearest = _distances(features, stored, self.metric).sort(dim=1, stable=True)
        return distances[:, : self.n_neighbors], owners[nearest[:, : self.n_neighbors]]

    def predict_weights(self, inputs: Any) -> Tensor:
        """(B, tasks) weights under which each input is answered; the columns are `tasks`, each row sums to one."""
        return self._weights(self.features(inputs))[0]

    def reject_scores(self, inputs: Any) -> Tensor:
        """(B,) mean distance to the K nearest queries: the larger, the less an input looks like any task."""
        return self.neighbours(self.features(inputs))[0].mean(1)

    def __call__(self, inputs: Any = None, /, **kwargs: Any) -> Routed:
        """Answer a batch: route each input, then run it under its weights and with the head of its first task.

        Args:
            inputs: raw inputs (with `preprocess`), a tensor or a mapping; or the model's keyword arguments.
        Returns: outputs by input; of a transformers output the logits (else its first field), through the head where
            that is a callable. The model is then as before the call.
        """
        batch = ready(self.bank.model, kwargs if inputs is None else inputs, self.preprocess)
        weights, heads, reject = self._weights(self.features(batch))
        outputs: list[Tensor | None] = [None] * len(weights)
        groups: dict[tuple[Any, ...], list[int]] = {}
        for row, (weight, head) in enumerate(zip(weights.tolist(), heads, strict=True)):
            groups.setdefault((head, *weight), []).append(row)
        with torch.no_grad():
            for (head, *weight), rows in groups.items():
                chosen = take(batch, rows)
                with self.bank.use(dict(zip(self.tasks, weight, strict=True)), head=self.tasks[head]):
                    result = self.bank(chosen) if isinstance(chosen, Tensor) else self.bank(**chosen)
                for row, value in zip(rows, _rows_of(result), strict=True):
                    outputs[row] = value
        done = [output for output in outputs if output is not None]
        return Routed(done, weights, [self.tasks[head] for head in heads], reject, len(groups))

    def _weights(self, features: Tensor) -> tuple[Tensor, list[int], Tensor]:
        """(weights (B, tasks), index of the task whose head answers for each input, reject scores (B,))."""
        distances, owners = self.neighbours(features)
        shares = torch.nn.functional.one_hot(owners, len(self.tasks)).to(torch.float32).mean(1).cpu()
        if self.mode != "sample":
            shares = shares.mean(0, keepdim=True).expand_as(shares)
        heads = shares.argmax(1).tolist()
        if self.mode == "batch-argmax":
            shares = torch.nn.functional.one_hot(shares.argmax(1), len(self.tasks)).to(torch.float32)
        if self.mode == "sample":  # of tasks with equal shares, the one that has the nearest neighbour answers
            best = shares == shares.max(1, keepdim=True).values
            heads = [next(task for task in near if best[row, task]) for row, near in enumerate(owners.tolist())]
        return shares.contiguous(), heads, distances.mean(1).cpu()

    def _feature_model(self, merged: tuple[str, ...]) -> AbstractContextManager[SwitchBank]:
        """Switch on the model that makes features: the average of these tasks, or the base."""
        return self.bank.use({task: 1 / len(merged) for task in merged})

    def _merged(self) -> tuple[str, ...]:
        return tuple(sorted(self.bank.tasks)) if self.settings.model == "merged" else ()


def _distances(features: Tensor, stored: Tensor, metric: Metric) -> Tensor:
    """(B, stored) distances; one minus the cosine for both cosines."""
    if metric == "euclidean":
        return torch.cdist(features, stored, compute_mode="donot_use_mm_for_euclid_dist")
    if metric == "cosine-centered":
        center = stored.mean(0)
        features, stored = features - center, stored - center
    return 1 - torch.nn.functional.normalize(features, dim=1) @ torch.nn.functional.normalize(stored, dim=1).T


def _rows_of(value: Any) -> Iterator[Tensor]:
    """Rows of a model's or head's output."""
    if not isinstance(value, Tensor):
        logits = getattr(value, "logits", None)
        value = value[0] if logits is None else logits
    return iter(value)
