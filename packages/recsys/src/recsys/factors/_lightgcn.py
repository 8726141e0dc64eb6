"""LightGCN: vectors spread over the graph of users and items (He et al. 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError, require

from recsys.data._dataset import Dataset
from recsys.data._history import History, unseen_items
from recsys.data._untyped import Csr
from recsys.recommender._neural import NeuralModel
from recsys.recommender._weighted import Weighted


@dataclass(kw_only=True, eq=False, repr=False)
class LightGCN(Weighted, NeuralModel):
    """E_{k+1} = D^-1/2 A D^-1/2 E_k; the mean of layers 0 to `layers` scores; BPR, L2 on layer 0. Fit needs `torch`.

    A user who comes later has no vector of layer 0: his are what his items send him.

    Args:
        factors, layers: of the vectors.
        l2: weight of the penalty.
        weight, transform, half_life: see `Weighted`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.LightGCN(factors=8, epochs=50, learning_rate=0.05).fit(data)
        >>> model.recommend(["bob"], k=1).column("item").to_pylist()
        ['mug']
    """

    source: ClassVar[str] = "arXiv 2002.02126"
    fitted: ClassVar[tuple[str, ...]] = ("user_factors_", "item_factors_", "sent_")
    shapes: ClassVar[dict[str, str]] = Weighted.shapes | {"sent_": "items d"}
    per_user: ClassVar[tuple[str, ...]] = ("user_factors_",)
    space: ClassVar[dict[str, Any]] = {
        "factors": [32, 64, 128],
        "layers": [1, 2, 3],
        "l2": (1e-5, 1e-2, "log"),
        "learning_rate": (0.0005, 0.01, "log"),
    }
    factors: int = 64
    layers: int = 3
    l2: float = 1e-4
    batch: int = 2048

    def _fit(self, data: Dataset) -> None:  # noqa: ARG002
        self._check_training()
        if self.factors < 1 or self.layers < 0 or self.l2 < 0:
            raise InputError("factors, layers, l2", got=repr(self), expected="positive sizes")
        X = self._rows(self.history_)
        users, items = X.get_shape()
        adjacency = normalised(X)
        user = np.repeat(np.arange(users), np.diff(X.indptr))
        had, steps = user * items + X.indices, -(-X.nnz // self.batch)
        graphs: dict[str, Any] = {}

        def make() -> Any:
            from recsys.neural._nets import LightGCNNet, sparse

            graphs["there"] = sparse(adjacency, self.device)
            return LightGCNNet(users, items, self.factors)

        def losses(
            net: Any,
            epoch: int,  # noqa: ARG001
            draw: np.random.Generator,
        ) -> Iterator[tuple[int, Callable[[slice], Any]]]:
            torch = require("torch", "recsys", "torch")

            from recsys.neural._nets import bpr_loss

            order = draw.permutation(X.nnz)
            for start in range(0, X.nnz, self.batch):
                pairs = order[start : start + self.batch]
                triples = np.stack([user[pairs], X.indices[pairs], unseen_items(user[pairs], had, items, draw)])

                def loss(part: slice, triples: np.ndarray = triples) -> Any:
                    there = torch.from_numpy(triples[:, part].astype(np.int64)).to(self.device)
                    return bpr_loss(net, graphs["there"], self.layers, there, self.l2)

                yield len(pairs), loss

        self._train(make, losses, steps)
        layer = self.parameters_.reshape(users + items, self.factors)
        del self.parameters_
        total, sent = layer.copy(), np.zeros((items, self.factors), np.float32)
        for _ in range(self.layers):
            sent += layer[users:]
            layer = adjacency @ layer
            total += layer
        self.user_factors_, self.item_factors_ = np.split((total / (self.layers + 1)).astype(np.float32), [users])
        degree = _root_of_sums(X.T)
        self.sent_ = (sent / degree / (self.layers + 1)).astype(np.float32)

    def _fold(self, history: History) -> dict[str, np.ndarray]:
        X = self._rows(history)
        return {"user_factors_": np.asarray(X @ self.sent_ / _root_of_sums(X), np.float32)}


def normalised(X: Csr) -> Csr:
    """D^-1/2 A D^-1/2 of the graph of users (first) and items, CSR float32 (users + items, users + items)."""
    A: Any = sp.bmat([[None, X], [X.T, None]], format="csr")
    degree = np.asarray(A.sum(axis=1)).ravel()
    scale = sp.diags(np.divide(1, np.sqrt(degree), out=np.zeros(len(degree)), where=degree > 0))
    return sp.csr_matrix(scale @ A @ scale, dtype=np.float32)


def _root_of_sums(X: Csr) -> np.ndarray:
    """The root of each row's sum, (rows, 1); 1 for an empty row."""
    sums = np.asarray(X.sum(axis=1)).reshape(-1, 1)
    return np.sqrt(np.where(sums > 0, sums, 1))
