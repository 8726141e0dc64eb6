"""Auto-Switch: weights of the switches for an input from unlabelled examples of each task (CVPR 2025).

    w_i(x) = |Q_i intersected with N_x| / |N_x|

N_x are the K nearest of all query features to the feature of x: the votes of neighbours, as published. The other way is
ours: ridge regression in closed form on features of several layers and, of texts, on words (`_closed_form`), whose
scores become weights (`_mixtures`). Nothing is trained by steps. The paper's equation is per input;
the authors' code averages w over a batch (their test batches hold one task each), then mixes the switches
("batch-mean", for ViT) or takes the largest ("batch-argmax", for RoBERTa). Here each input has its own weights by
default ("sample"), or the one task of its largest weight ("sample-argmax").

A batch is answered in one forward pass by row (`SwitchBank.rows`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
from ninefold.errors import InputError
from torch import Tensor

from tswitch.bank._bank import SwitchBank
from tswitch.routing._choice import Forms
from tswitch.routing._features import Pooling, extract_layers
from tswitch.routing._inputs import Preprocess, ready, texts_of
from tswitch.routing._mixtures import mixtures
from tswitch.routing._query_set import FeatureSettings, QuerySet
from tswitch.routing._routed import Routed
from tswitch.routing._votes import Metric, distances, vote

Mode = Literal["sample", "sample-argmax", "batch-mean", "batch-argmax"]
Method = Literal["auto", "votes", "closed form"]
_CHOICES = {name: get_args(kind) for name, kind in (("method", Method), ("metric", Metric), ("mode", Mode))}


class AutoSwitch:
    """Chooses and mixes a bank's tasks for each input.

    Args:
        bank: the tasks, whose heads the router chooses.
        n_neighbors: K of the votes; the authors use 10 (ViT) and 5 (RoBERTa).
        metric: "cosine-centered" subtracts the mean of all query features first; "euclidean" on features as they are is
            the authors'.
        feature_layer: where features are taken: index into a transformer's hidden states, or a module's name, see
            `extract`. The earlier, the cheaper: routing runs the model up to there. With one of the last two hidden
            states the closed form uses the last four.
        feature_model: the model that makes them: "base" (authors' code), or the average of all tasks, "merged" (paper).
        mode: "sample", "sample-argmax", "batch-mean" or "batch-argmax", see above.
        pooling: "mean" over tokens, or the "first" token (authors', with the last layer).
        method: "votes" of the neighbours, "closed form", or "auto": whichever assigns more of the queries to their own
            task when each is left out; votes if they are equal. See `chosen` and `left_out`.
        words: whether the closed form may use the words of texts. Query sets keep them as counts of 64-bit digests,
            which do not show a text, but tell who guesses a word that it is there.
        n_queries: N, most inputs that are kept of each task; None for all.
        preprocess: turns a list of raw inputs (such as texts) into what the model takes: a mapping or a tensor.
        batch_size: most inputs in one forward pass of `fit`.
        seed: random seed; it chooses N inputs where `fit` is given more, and those by which methods are compared.
    Raises:
        InputError: naming an argument that is out of range.

    Examples:
        >>> import torch
        >>> from tswitch import AutoSwitch, Switch, SwitchBank

        >>> draw = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)).eval()
        >>> base = {name: one.clone() for name, one in model.state_dict().items()}
        >>> bank = SwitchBank(model)
        >>> for task in ("banking", "travel"):
        ...     tuned = {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     bank.add(task, Switch.from_checkpoints(base, tuned, alpha=0.6))

        >>> inputs = {  # of each task some inputs without labels
        ...     "banking": torch.randn(20, 16, generator=draw) + 2,
        ...     "travel": torch.randn(20, 16, generator=draw) - 2,
        ... }
        >>> router = AutoSwitch(bank, n_neighbors=5, feature_layer="1").fit(inputs)
        >>> new = torch.cat([torch.full((1, 16), 2.0), torch.full((1, 16), -2.0)])
        >>> router.predict_weights(new)
        tensor([[1., 0.],
                [0., 1.]])
        >>> router(new).heads
        ['banking', 'travel']
        >>> router.chosen, router.left_out
        ('votes', {'votes': 100.0, 'closed form': 100.0})
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
        method: Method = "auto",
        words: bool = True,
        n_queries: int | None = None,
        preprocess: Preprocess | None = None,
        batch_size: int = 32,
        seed: int = 0,
    ) -> None:
        for name, value in (("method", method), ("metric", metric), ("mode", mode)):
            if value not in _CHOICES[name]:
                raise InputError(name, got=repr(value), expected=" or ".join(_CHOICES[name]))
        most = 1 if n_queries is None else n_queries
        for name, value in (("n_neighbors", n_neighbors), ("n_queries", most), ("batch_size", batch_size)):
            if not isinstance(value, int) or value < 1:
                raise InputError(name, got=repr(value), expected="a whole number from 1")
        self.bank, self.n_neighbors = bank, n_neighbors
        self.metric: Metric = metric
        self.mode: Mode = mode
        self.method: Method = method
        self.words = words
        self.settings = FeatureSettings(feature_layer, pooling, feature_model)
        self.n_queries, self.preprocess, self.batch_size, self.seed = n_queries, preprocess, batch_size, seed
        self.query_sets: dict[str, QuerySet] = {}
        self._forms: Forms | None = None
        self._left_out: dict[str, float] = {}

    @property
    def tasks(self) -> list[str]:
        """The tasks among which is chosen: the columns of weights."""
        return list(self.query_sets)

    @property
    def nbytes(self) -> int:
        """Bytes of all query sets."""
        return sum(held.nbytes for held in self.query_sets.values())

    @property
    def chosen(self) -> Literal["votes", "closed form"]:
        """The method by which inputs are routed.

        Raises:
            InputError: before `fit`.
        """
        if self.method != "auto":
            return self.method
        found = self.left_out
        return "closed form" if found["closed form"] > found["votes"] else "votes"

    @property
    def left_out(self) -> dict[str, float]:
        """Per cent of queries that each method assigns to their own task when each is left out in turn.

        Of at most 1,200 queries, shared among the tasks; computed once. The closed form chooses its settings by the
        same number, so its own is a little too high.

        Raises:
            InputError: before `fit`.
        """
        if len(self.tasks) == 1:
            return {"votes": 100.0, "closed form": 100.0}
        forms = self._closed_forms()
        if not self._left_out:
            votes = forms.votes_left_out(self.n_neighbors, self.metric)
            self._left_out = {"votes": votes, "closed form": forms.form(words=True).left_out}
        return dict(self._left_out)

    def fit(self, inputs: Mapping[str, Any]) -> AutoSwitch:
        """Make the query sets.

        Args:
            inputs: for each task some of its training inputs, labels not needed: a list of raw inputs (with
                `preprocess`), a tensor, or a mapping of tensors. Of more than N, N are drawn without repetition.
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
                    wide=self.method != "votes",
                    words=self.words and self.method != "votes",
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
            for layer in each.layers.keys() & held[first].layers.keys():
                sizes = [one.layers[layer].shape[1] for one in (each, held[first])]
                if sizes[0] != sizes[1]:
                    expected = f"{sizes[1]}, as task {first!r} has"
                    raise InputError(what, got=f"{sizes[0]} features of layer {layer}", expected=expected)
        stored = sum(len(each.features) for each in held.values())
        if self.n_neighbors > stored:
            raise InputError("n_neighbors", got=self.n_neighbors, expected=f"at most {stored}, the stored queries")
        self.query_sets = held
        self._forms, self._left_out = None, {}
        return self

    def features(self, inputs: Any) -> Tensor:
        """(B, F) float32 features of inputs, made by the feature model whatever is switched on.

        That is the model which made the query sets: a task that joined the bank since then has no part in it.
        """
        batch = ready(self.bank.model, inputs, self.preprocess)
        return self._extract(batch, (self.settings.layer,))[0]

    def neighbours(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Distances (B, K) to the K nearest queries, ascending, and the indices (B, K) of their tasks.

        Queries at equal distance come in the order of the tasks.

        Raises:
            InputError: before `fit`, or if features (B, F) are not finite or of another size than the queries'.
        """
        if not self.query_sets:
            raise InputError("router", got="no query sets", expected="fit or use_query_sets first")
        stored = torch.cat([held.features.float() for held in self.query_sets.values()]).to(features.device)
        _check(features, stored.shape[1])
        counts = torch.tensor([len(held.features) for held in self.query_sets.values()])
        owners = torch.arange(len(counts)).repeat_interleave(counts).to(features.device)
        apart, nearest = distances(features, stored, self.metric).sort(dim=1, stable=True)
        return apart[:, : self.n_neighbors], owners[nearest[:, : self.n_neighbors]]

    def predict_weights(self, inputs: Any) -> Tensor:
        """(B, tasks) weights under which each input is answered; the columns are `tasks`, each row sums to one."""
        return self._routes(*self._read(inputs))[0]

    def reject_scores(self, inputs: Any) -> Tensor:
        """(B,) from zero: the larger, the less an input looks like any task.

        By votes the mean distance to the K nearest queries; in closed form what the largest score lacks to one.
        """
        return self._routes(*self._read(inputs))[2]

    def __call__(self, inputs: Any = None, /, **kwargs: Any) -> Routed:
        """Answer a batch: route each input, then run it under its weights and with the head of its first task.

        Args:
            inputs: raw inputs (with `preprocess`), a tensor or a mapping; or the model's keyword arguments.
        Returns: outputs by input; of a transformers output the logits (else its first field), through the head where
            that is a callable. The model is then as before the call.
        """
        start = time.perf_counter()
        batch, texts = self._read(kwargs if inputs is None else inputs)
        weights, heads, reject = self._routes(batch, texts)
        mixtures = [dict(zip(self.tasks, weight, strict=True)) for weight in weights.tolist()]
        names = [self.tasks[head] for head in heads]
        outputs, cost = self.bank.answer(batch, mixtures, heads=names)
        seconds = time.perf_counter() - start
        return Routed(outputs, weights, names, reject, cost.forwards, cost.decoded, seconds)

    def generate(self, inputs: Any, /, **options: Any) -> tuple[Tensor, list[str]]:
        """Route each prompt of a batch, then let the model generate with each row under its own mixture.

        Args:
            inputs: raw prompts (with `preprocess`) or a mapping of tensors; padded on the left, as `generate` wants it.
            options: of the model's `generate`.
        Returns: what it returns, and the task of each row's largest weight.
        """
        batch, texts = self._read(inputs)
        weights, heads, _ = self._routes(batch, texts)
        names = [self.tasks[head] for head in heads]
        mixtures = [dict(zip(self.tasks, weight, strict=True)) for weight in weights.tolist()]
        with torch.no_grad(), self.bank.rows(mixtures, heads=names):
            given = {"input_ids": batch} if isinstance(batch, Tensor) else batch
            return self.bank.model.generate(**given, **options), names  # pyright: ignore[reportCallIssue]

    def _read(self, inputs: Any) -> tuple[Any, list[str] | None]:
        """(inputs as the model takes them, the texts that they were)."""
        return ready(self.bank.model, inputs, self.preprocess), texts_of(inputs)

    def _routes(self, batch: Any, texts: list[str] | None) -> tuple[Tensor, list[int], Tensor]:
        """(weights (B, tasks), index of the task whose head answers for each input, reject scores (B,))."""
        if not self.query_sets or self.chosen == "votes":
            return self._weights(self.features(batch))
        forms = self._closed_forms()
        found = self._extract(batch, forms.layers)
        for each, size in zip(found, forms.sizes, strict=True):
            _check(each, size)
        scores = forms.scores(found, texts)
        weights = torch.from_numpy(mixtures(scores)).to(torch.float32)
        return (
            *self._in_mode(weights, scores.argmax(1).tolist()),
            torch.from_numpy(1 - scores.max(1)).clamp(min=0).float(),
        )

    def _weights(self, features: Tensor) -> tuple[Tensor, list[int], Tensor]:
        """As `_routes`, by votes."""
        apart, owners = self.neighbours(features)
        return (*self._in_mode(*vote(owners, len(self.tasks))), apart.mean(1).cpu())

    def _in_mode(self, shares: Tensor, heads: list[int]) -> tuple[Tensor, list[int]]:
        """Weights and heads of each input alone, as `mode` wants them."""
        if self.mode.startswith("batch"):
            shares = shares.mean(0, keepdim=True).expand_as(shares)
            heads = shares.argmax(1).tolist()
        if self.mode.endswith("argmax"):
            shares = torch.nn.functional.one_hot(torch.tensor(heads), len(self.tasks)).to(torch.float32)
        return shares.contiguous(), heads

    def _closed_forms(self) -> Forms:
        if not self.query_sets:
            raise InputError("router", got="no query sets", expected="fit or use_query_sets first")
        if self._forms is None:
            self._forms = Forms(self.query_sets, self.seed, words=self.words)
        return self._forms

    def _extract(self, batch: Any, layers: Sequence[int | str]) -> list[Tensor]:
        held = next(iter(self.query_sets.values()), None)
        with self._feature_model(self._merged() if held is None else held.merged):
            return extract_layers(self.bank.model, batch, layers, self.settings.pooling)

    def _feature_model(self, merged: tuple[str, ...]) -> AbstractContextManager[SwitchBank]:
        """Switch on the model that makes features: the average of these tasks, or the base."""
        return self.bank.use({task: 1 / len(merged) for task in merged})

    def _merged(self) -> tuple[str, ...]:
        return tuple(sorted(self.bank.tasks)) if self.settings.model == "merged" else ()


def _check(features: Tensor, size: int) -> None:
    if features.dim() != 2 or features.shape[1] != size:
        raise InputError("features", got=f"shape {tuple(features.shape)}", expected=f"(B, {size})")
    if not torch.isfinite(features).all():
        raise InputError("features", got="NaN or infinity", expected="finite values")
