"""Two towers: a network for what a user had, one for an item with its features; trained against the rest of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError, require

from recsys.content._cold import KnowsItems, stacked
from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._untyped import Csr
from recsys.recommender._neural import NeuralModel, layers_of
from recsys.recommender._query import Query


@dataclass(kw_only=True, eq=False, repr=False)
class TwoTower(KnowsItems, NeuralModel):
    """Unit vectors of user and item, softmax over the items of a batch with logQ correction. Fit needs `torch`.

    An item is its features beside its own id, which is dropped at random in training, so that features alone must do;
    an item nobody had has no id. A user is the mean of the items he had, without the one to be found.

    Args:
        factors, hidden: widths of the vectors and of the hidden layers.
        temperature: by which cosines are divided.
        id_dropout: share of ids dropped.
        columns, grams, encoder: see `KnowsItems`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> titles = {
        ...     "item": ["b1", "b2", "b3", "b4", "b5", "b6"],
        ...     "title": ["green tea", "black tea", "tea for two", "car repair", "car engine", "engine care"],
        ... }
        >>> users = [f"u{number}" for number in range(40) for book in range(2)]
        >>> items = [book for number in range(40) for book in (("b1", "b2") if number < 20 else ("b4", "b5"))]
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item", items=titles)

        >>> model = recsys.TwoTower(columns="title", factors=8, hidden=16, epochs=40, learning_rate=0.01).fit(data)
        >>> model.recommend(["u1"], k=1, candidates=["b3", "b6"]).select(["item", "source"]).to_pylist()
        [{'item': 'b3', 'source': 'features'}]
    """

    source: ClassVar[str] = "doi 10.1145/3298689.3346996"
    fitted: ClassVar[tuple[str, ...]] = ("parameters_", "features_", "with_id_", "item_factors_")
    shapes: ClassVar[dict[str, str]] = KnowsItems.shapes | {
        "parameters_": "p",
        "features_": "csr items f",
        "with_id_": "below:items n",
    }
    space: ClassVar[dict[str, Any]] = {
        "factors": [32, 64, 128],
        "temperature": (0.03, 0.3, "log"),
        "id_dropout": (0.1, 0.9),
        "learning_rate": (0.0005, 0.005, "log"),
    }
    factors: int = 64
    hidden: int = 128
    temperature: float = 0.1
    id_dropout: float = 0.5
    epochs: int = 10

    def _fit(self, data: Dataset) -> None:
        self._check_training()
        if min(self.factors, self.hidden) < 1 or self.temperature <= 0 or not 0 <= self.id_dropout <= 1:
            raise InputError("factors, hidden, temperature, id_dropout", got=repr(self), expected="positive, a share")
        self.features_, self.with_id_ = self._learn_features(data), np.flatnonzero(self.popular_ > 0)
        X = self.history_.matrix()
        counts = np.diff(X.indptr)
        user = np.repeat(np.arange(X.shape[0]), counts)
        pairs = np.flatnonzero(counts[user] > 1)  # a user of one item has nothing left to be known by
        if not len(pairs):
            raise InputError("TwoTower", got="no user with two items", expected="users to learn from")
        described = self._described()
        log_share = np.log(np.maximum(self.popular_, 1) / self.popular_.sum()).astype(np.float32)

        def make() -> Any:
            from recsys.neural._nets import TwoTowerNet

            return TwoTowerNet(described.shape[1], self.hidden, self.factors)

        def losses(
            net: Any,
            epoch: int,  # noqa: ARG001
            draw: np.random.Generator,
        ) -> Iterator[tuple[int, Callable[[slice], Any]]]:
            order = draw.permutation(pairs)
            for start in range(0, len(order), self.batch):
                chosen = order[start : start + self.batch]
                who, what = user[chosen], X.indices[chosen]
                other = sp.csr_matrix((np.ones(len(what), np.float32), (np.arange(len(what)), what)), X[who].shape)
                had = sp.csr_matrix((X[who] - other).multiply(1 / (counts[who] - 1)[:, None]))
                dropped = draw.random(len(what)) < self.id_dropout
                item = _without_ids(described[what], self.features_.shape[1], dropped)

                def loss(part: slice, had: Csr = had, item: Csr = item, what: np.ndarray = what) -> Any:
                    return self._loss(net, had[part] @ described, item, what, log_share, part)

                yield len(what), loss

        self._train(make, losses, -(-len(pairs) // self.batch))
        self.item_factors_ = self._vectors(described, "item")

    def _loss(self, net: Any, had: Csr, item: Csr, what: np.ndarray, log_share: np.ndarray, part: slice) -> Any:
        """Mean loss of a part of a batch's users, among the items of all of it."""
        torch = require("torch", "recsys", "torch")

        from recsys.neural._nets import in_batch_loss, sparse

        users = net.tower(net.user, sparse(had, self.device))
        items = net.tower(net.item, sparse(item, self.device))
        code = torch.from_numpy(what.astype(np.int64)).to(self.device)
        share = torch.from_numpy(log_share[what]).to(self.device)
        own = torch.arange(len(what), device=self.device)[part]
        return in_batch_loss(users, items, code, share, self.temperature, own)

    def _described(self) -> Csr:
        """Features and, for items with events in the fit, their id: (items, width + ids)."""
        items = self.features_.shape[0]
        places = (np.ones(len(self.with_id_), np.float32), (self.with_id_, np.arange(len(self.with_id_))))
        ids = sp.csr_matrix(places, shape=(items, len(self.with_id_)))
        return sp.csr_matrix(sp.hstack([self.features_, ids], format="csr"))

    def _vectors(self, inputs: Csr, tower: str) -> np.ndarray:
        """Unit vectors float32 (rows, d) of one tower."""
        sizes = [(inputs.shape[1], self.hidden), (self.hidden, self.factors)] * 2
        layers = layers_of(self.parameters_, sizes)
        first, second = layers[:2] if tower == "user" else layers[2:]
        inner = np.maximum(np.asarray(inputs @ first[0]) + first[1], 0)
        found = inner @ second[0] + second[1]
        return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)).astype(np.float32)

    def _extend(self, features: Csr) -> None:
        self.features_ = stacked(self.features_, features)
        new = self._described()[-features.shape[0] :]
        self.item_factors_ = np.vstack([self.item_factors_, self._vectors(new, "item")])

    def _users(self, history: History) -> np.ndarray:
        X = history.matrix()
        mean = sp.diags(1 / np.maximum(np.diff(X.indptr), 1)) @ X
        return self._vectors(sp.csr_matrix(mean @ self._described()), "user")

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray]:
        return self._users(query.history), self.item_factors_


def _without_ids(rows: Csr, width: int, drop: np.ndarray) -> Csr:
    """Rows whose columns from `width` on are emptied where `drop` holds."""
    rows = sp.csr_matrix(rows, copy=True)
    owner = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    rows.data[drop[owner] & (rows.indices >= width)] = 0
    return rows
