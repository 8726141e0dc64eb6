"""Mult-VAE: a variational autoencoder with a multinomial likelihood (Liang et al. 2018)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError, require

from recsys.data._dataset import Dataset
from recsys.data._untyped import Csr
from recsys.recommender._neural import NeuralModel, layers_of
from recsys.recommender._query import Query
from recsys.recommender._weighted import Weighted


@dataclass(kw_only=True, eq=False, repr=False)
class MultVAE(Weighted, NeuralModel):
    """items - hidden - latent - hidden - items; score: the log-softmax of the mean code. Fit needs the extra `torch`.

    Args:
        hidden, latent: widths.
        dropout: share of the input dropped.
        beta: weight of the KL term at the end.
        anneal: epochs in which it rises there from 0.
        weight, transform, half_life: see `Weighted`.
        epochs, batch, learning_rate, device, seed: see `NeuralModel`.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")

        >>> model = recsys.baselines.MultVAE(hidden=16, latent=4, epochs=100, dropout=0.2).fit(data)
        >>> model.recommend(["bob"], k=1).column("item").to_pylist()
        ['mug']
    """

    source: ClassVar[str] = "arXiv 1802.05814"
    space: ClassVar[dict[str, Any]] = {
        "beta": (0.05, 1.0),
        "dropout": (0.2, 0.7),
        "epochs": [20, 50, 100],
        "learning_rate": (0.0005, 0.005, "log"),
    }
    hidden: int = 600
    latent: int = 200
    dropout: float = 0.5
    beta: float = 0.2
    anneal: int = 20
    batch: int = 500

    def _fit(self, data: Dataset) -> None:
        self._check_training()
        if min(self.hidden, self.latent) < 1 or not 0 <= self.dropout < 1 or self.beta < 0:
            raise InputError("hidden, latent, dropout, beta", got=repr(self), expected="positive sizes, a share")
        X = self._rows(self.history_)
        X = X[np.diff(X.indptr) > 0]
        steps = -(-X.shape[0] // self.batch)

        def make() -> Any:
            from recsys.neural._nets import MultVAENet

            return MultVAENet(data.n_items, self.hidden, self.latent, self.dropout)

        def losses(net: Any, epoch: int, draw: np.random.Generator) -> Iterator[tuple[int, Callable[[slice], Any]]]:
            torch = require("torch", "recsys", "torch")

            from recsys.neural._nets import vae_loss

            order = draw.permutation(X.shape[0])
            for step in range(steps):
                rows = X[order[step * self.batch : (step + 1) * self.batch]]
                beta = self.beta * min(1.0, (epoch + step / steps) / max(self.anneal, 1e-9))

                def loss(part: slice, rows: Csr = rows, beta: float = beta) -> Any:
                    return vae_loss(net, torch.from_numpy(rows[part].toarray()).to(self.device), beta)

                yield rows.shape[0], loss

        self._train(make, losses, steps)

    def _score(self, query: Query) -> np.ndarray:
        X = self._rows(query.history)
        length = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
        length[length == 0] = 1
        items, latent = X.shape[1], self.latent
        sizes = [(items, self.hidden), (self.hidden, 2 * latent), (latent, self.hidden), (self.hidden, items)]
        first, second, third, fourth = layers_of(self.parameters_, sizes)
        inner = np.tanh(np.asarray(X @ first[0]) / length[:, None] + first[1])
        mean = (inner @ second[0] + second[1])[:, :latent]
        scores = np.tanh(mean @ third[0] + third[1]) @ fourth[0] + fourth[1]
        top = scores.max(axis=1, keepdims=True)
        return (scores - top - np.log(np.exp(scores - top).sum(axis=1, keepdims=True))).astype(np.float32)
