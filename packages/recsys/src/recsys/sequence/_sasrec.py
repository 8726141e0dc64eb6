"""SASRec: self-attention over a user's last events. Extra `torch`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._untyped import Csr
from recsys.data._words import codes, distinct
from recsys.recommender._learner import bounded
from recsys.recommender._neural import BatchLoss, NeuralModel
from recsys.recommender._query import FALLBACK, Query
from recsys.recommender._topk import Lists
from recsys.sequence._sequences import TIMES, Sequences, time_codes

LOSSES = ("softmax", "sampled", "bce")


@dataclass(kw_only=True, eq=False, repr=False)
class SASRec(NeuralModel):
    """A causal transformer (Kang and McAuley 2018), with full softmax if nothing is said (SASRec+). Fit needs `torch`.

    A user's last state is compared with the items' vectors.

    Args:
        factors, blocks, dropout: width, layers, share of units dropped.
        max_len: events looked at.
        heads: of the attention.
        loss: "softmax" over the catalogue (SASRec+), "sampled" (`negatives` drawn for each sequence and shared by its
            steps) or "bce" (one negative a step: the original, here as the rival).
        negatives: of the sampled loss.
        action: context column whose embedding is added to the item's; None: not used.
        time: what of an event's time is added likewise: "gap" since the event before, hour of the "week", or None.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.
        patience: epochs without a lower loss on held-out steps after which training stops; the best epoch is kept.

    Examples:
        >>> import recsys

        >>> steps = [(f"s{user}", f"lesson {step}") for user in range(60) for step in range(user % 3, user % 3 + 4)]
        >>> users, items = zip(*steps)
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.SASRec(factors=16, blocks=1, epochs=30, learning_rate=0.01).fit(data)
        >>> model.recommend(["s3"], k=1).column("item").to_pylist()  # s3 ended with lesson 3
        ['lesson 4']
    """

    source: ClassVar[str] = "arXiv 1808.09781, 2309.07602"
    space: ClassVar[dict[str, Any]] = {
        "factors": [32, 64, 128], "blocks": [1, 2], "dropout": (0.05, 0.5), "learning_rate": (0.0003, 0.003, "log"),
    }  # fmt: skip
    renamed: ClassVar[dict[str, str]] = {"longest": "max_len"}
    vocabularies: ClassVar[tuple[str, ...]] = ("actions_",)
    differences_count: ClassVar[bool] = True
    factors: int = bounded(64, least=1)
    blocks: int = bounded(2, least=1)
    dropout: float = bounded(0.1, least=0, below=1)
    max_len: int = bounded(50, least=1)
    epochs: int = bounded(100, least=1)
    batch: int = bounded(128, least=1)
    patience: int = bounded(10, least=1)
    heads: int = bounded(1, least=1)
    loss: str = bounded("softmax", among=LOSSES)
    negatives: int = bounded(3000, least=1)
    action: str | None = None
    time: str | None = bounded(None, among=tuple(TIMES))

    def _make_net(self) -> Any:
        """The network, drawn anew."""
        from recsys.neural._transformer import SASRecNet

        sizes = self.factors, self.blocks, self.heads, self.max_len, self.dropout
        return SASRecNet(len(self.item_ids_), self._mark_sizes(), *sizes)

    def _reads(self) -> list[str]:
        return [] if self.action is None else [self.action]

    def _mark_sizes(self) -> list[int]:
        """Codes of each mark that is added to an item."""
        actions = [] if self.action is None else [len(self.actions_)]
        return actions if self.time is None else [*actions, TIMES[self.time]]

    def _marks(self, history: History) -> list[np.ndarray]:
        """Codes of what is added to each event's item, int (events,) each."""
        actions = [] if self.action is None else [codes(history.context[self.action], self.actions_)]
        return actions if self.time is None else [*actions, time_codes(history, self.time)]

    def _batch(
        self, sequences: Sequences, rows: np.ndarray, draw: np.random.Generator, *, held: bool
    ) -> tuple[list[np.ndarray], np.ndarray, np.ndarray | None]:
        """(the network's inputs; items wanted, -1 for none; negative items, if the loss draws any)."""
        inputs, target = sequences.padded(rows, held=held)
        size = len(self.item_ids_)
        if self.loss == "softmax":
            return inputs, target, None
        if self.loss == "sampled":
            return inputs, target, draw.integers(0, size, (len(rows), min(self.negatives, size)))
        return inputs, target, sequences.negatives(rows, target, draw)

    def _loss(self, hidden: Any, target: Any, vectors: Any, negatives: Any) -> Any:
        from recsys.neural._transformer import binary_loss, sampled_loss, softmax_loss

        if negatives is None:
            return softmax_loss(hidden, target, vectors)
        return (sampled_loss if self.loss == "sampled" else binary_loss)(hidden, target, vectors, negatives)

    # --- learning ---

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        if self.factors % self.heads:
            raise InputError("heads", got=repr(self), expected="factors divided by heads")
        known = self.history_.context.column_names
        if self.action is not None and self.action not in known:
            raise InputError("action", got=repr(self.action), expected=f"one of {known}, the context")
        self.actions_ = distinct(self.history_.context[self.action]) if self.action else []
        sequences = Sequences(self.history_, self._marks(self.history_), self.max_len)
        if not len(sequences):
            raise InputError(type(self).__name__, got="no user with two events", expected="sequences")

        held = sequences.hold_out(np.random.default_rng(self.seed))
        held = held if len(held) else np.arange(len(sequences))

        def losses(net: Any, epoch: int, draw: np.random.Generator) -> Iterator[BatchLoss]:  # noqa: ARG001
            """Sequences of like length share a batch, which is then padded little; a batch weighs as its steps do, so
            that each step counts alike."""
            batches, steps = sequences.batches(self.batch, draw)
            for rows, weight in zip(batches, steps / steps.mean(), strict=True):
                target, loss = self._batch_loss(net, sequences, rows, draw, held=False)
                yield target, lambda part, loss=loss, weight=float(weight): loss(part) * weight

        self._ready = self._train(
            self._make_net, losses, -(-len(sequences) // self.batch),
            lambda net: self._held_loss(net, sequences, held), self.patience,
        )  # fmt: skip

    def _batch_loss(
        self, net: Any, sequences: Sequences, rows: np.ndarray, draw: np.random.Generator, *, held: bool
    ) -> tuple[np.ndarray, Callable[[slice], Any]]:
        """(items wanted, -1 for none; mean loss over the steps of some of the rows)."""
        torch = require("torch", "recsys", "torch")
        inputs, target, negatives = self._batch(sequences, rows, draw, held=held)

        def loss(part: slice) -> Any:
            def there(array: np.ndarray | None) -> Any:
                return None if array is None else torch.from_numpy(array[part]).to(self.device)

            return self._loss(net(*map(there, inputs)), there(target), net.vectors(), there(negatives))

        return target, loss

    def _held_loss(self, net: Any, sequences: Sequences, rows: np.ndarray) -> float:
        """Mean loss of the last steps of some sequences, without dropout."""
        torch = require("torch", "recsys", "torch")
        net.eval()
        draw, total = np.random.default_rng(self.seed), 0.0
        with torch.no_grad():
            for start in range(0, len(rows), self.batch):
                part = rows[start : start + self.batch]
                _, loss = self._batch_loss(net, sequences, part, draw, held=True)
                total += float(loss(slice(None))) * len(part)
        return total / len(rows)

    # --- answers ---

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        states, vectors = self._states(query)
        return states.cpu().numpy(), vectors.cpu().numpy().copy()

    def _states(self, query: Query) -> tuple[Any, Any]:
        """(last states of the users (rows, d), vectors of the items (items, d)), tensors on the device of answers."""
        torch = require("torch", "recsys", "torch")
        net = self._network()
        inputs = Sequences(query.history, self._marks(query.history), self.max_len, shortest=1)
        with torch.no_grad():
            vectors = net.vectors().detach()
            states = torch.zeros(len(query), self.factors, device=vectors.device)
            for start in range(0, len(inputs), 512):
                rows = np.arange(start, min(start + 512, len(inputs)))
                given = (torch.from_numpy(one).to(vectors.device) for one in inputs.inputs(rows))
                states[torch.from_numpy(inputs.rows[rows]).to(vectors.device)] = net(*given)[:, -1]
        return states, vectors

    def _lists(
        self, query: Query, k: int, filter_seen: bool, allowed: np.ndarray | None, among: Csr | None = None
    ) -> tuple[Lists, np.ndarray]:
        """On the CPU by the compiled top-k; on another device there."""
        if self._device().type == "cpu":
            return super()._lists(query, k, filter_seen, allowed, among)
        from recsys.neural._answers import top_on_device

        origin = self._origins(query)
        items, scores = top_on_device(
            *self._states(query), min(k, len(self.item_ids_)), hidden=query.history.clicks if filter_seen else None,
            among=among, allowed=allowed, falls_back=origin == FALLBACK, fallback=self._fallback_scores(),
        )  # fmt: skip
        real = np.isfinite(scores)
        return Lists(real.sum(axis=1), items[real], scores[real]), origin

    def _device(self) -> Any:
        """Where answers are made, a torch device."""
        require("torch", "recsys", "torch")
        from recsys.neural._answers import answer_device

        return answer_device(self.device)

    def _network(self) -> Any:
        """The network with its learned parameters, on the device of answers, made once."""
        if getattr(self, "_ready", None) is None:
            torch = require("torch", "recsys", "torch")
            from recsys.neural._train import set_vector

            with torch.random.fork_rng(devices=[]):
                self._ready = self._make_net()
            set_vector(self._ready, self.parameters_)
        return self._ready.to(self._device()).eval()

    def _item_vectors(self) -> np.ndarray:
        return self._network().vectors().detach().cpu().numpy().copy()
