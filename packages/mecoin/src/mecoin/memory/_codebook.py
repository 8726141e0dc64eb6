"""The memory of the released code (`variant="codebook"`), a Discrete Key-Value Bottleneck (Träuble et al., ICML 2023).

100 codebooks of 800 pairs, each with its own random projection; keys are fixed after one pass over the base nodes, the
values behind them are trained. It takes 100 x 800 x C floats: it is not the small memory of the abstract.

The released code also passes nodes and keys through two attention blocks that never get a gradient, because the choice
of the nearest key is hard: here the one key dimension that they give is a fixed random attention over the base nodes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from ninefold_graphs import Graph, softmax
from torch import nn
from torch.nn import functional as F

from mecoin.encoders._encoder import Encoder
from mecoin.memory._smu import Smu
from mecoin.protocol._learner import Learner


class Codebook(Learner):
    """Keys, values and the labelled nodes that every session replays.

    Args:
        books, pairs: codebooks, and pairs in each.
        projected: dimensions of each book's random projection (one more comes from attention).
        steps: of Adam a session; shot: labelled nodes of each class that are kept and replayed.
    """

    name = "codebook"
    source = "authors' code; Träuble et al. 2023, arXiv 2207.11240"

    def __init__(
        self,
        encoder: Encoder,
        *,
        books: int = 100,
        pairs: int = 800,
        projected: int = 13,
        steps: int = 2000,
        lr: float = 5e-4,
        shot: int = 5,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.books, self.pairs, self.projected = books, pairs, projected
        self.steps, self.lr, self.shot = steps, lr, shot
        self.radius = np.ones(1, np.float32)  # see `novelty`; files of old have none

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        z, m = self.encoder.embed(graph), self.encoder.dim
        draws = np.random.default_rng(self.seed)
        rows = np.concatenate(list(support.values()))
        projection = draws.normal(size=(m, self.books * self.projected)).astype(np.float32)
        self.projection = projection / np.linalg.norm(projection, axis=0)
        self.attention = draws.normal(size=(2, m, 16)).astype(np.float32) / np.float32(math.sqrt(m))
        self.readout = draws.normal(size=(m, self.books)).astype(np.float32) / np.float32(math.sqrt(m))
        self.reference = z[draws.choice(rows, min(256, len(rows)), replace=False)]
        self.keys = self._fixed_keys(self._queries(z[rows]), draws)
        self.values = np.zeros((self.books, self.pairs, 0), np.float32)
        self.kept_z, self.kept_target = np.zeros((0, m), np.float32), np.zeros(0, np.int64)
        self._add(graph, support)
        unsure = 1 - self.probabilities(z[validation if validation.size else rows]).max(axis=1)
        self.radius = np.quantile(unsure, 0.95, keepdims=True).astype(np.float32)

    def _queries(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (books, n, projected + 1)."""
        heads = (z @ self.projection).reshape(len(z), self.books, self.projected)
        scores = (z @ self.attention[0]) @ (self.reference @ self.attention[1]).T / 4
        mixed = softmax(scores) @ self.reference @ self.readout
        return np.concatenate([heads, mixed[:, :, None]], axis=2).transpose(1, 0, 2)

    def _fixed_keys(self, queries: np.ndarray, draws: np.random.Generator, decay: float = 0.95) -> np.ndarray:
        """Random keys, moved in one pass over the base nodes; keys that hardly any node is near become nodes."""
        count = queries.shape[1]
        keys = np.empty((self.books, self.pairs, queries.shape[2]), np.float32)
        for book, own in enumerate(queries):
            keys[book] = own.std() * draws.normal(size=keys[book].shape) + own.mean(axis=0)
            nearest = Smu(keys[book], np.arange(self.pairs)).nearest(own)[0]
            hits = np.bincount(nearest, minlength=self.pairs)
            sums = np.zeros_like(keys[book])
            np.add.at(sums, nearest, own)
            used = hits > 0
            keys[book][used] = decay * keys[book][used] + (1 - decay) * sums[used] / hits[used, None]
            dead = hits < 0.1 * count / self.pairs
            keys[book][dead] = own[draws.integers(0, count, int(dead.sum()))]
        return keys

    def _places(self, z: np.ndarray) -> np.ndarray:
        """(books, n) nearest key of each node in each book."""
        owner = np.arange(self.pairs)
        return np.stack(
            [Smu(keys, owner).nearest(own)[0] for own, keys in zip(self._queries(z), self.keys, strict=True)]
        )

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        z, first = self.encoder.embed(graph), self.values.shape[2]
        few = [at[: self.shot] for at in support.values()]
        fresh_z = z[np.concatenate(few)]
        fresh_target = np.repeat(np.arange(first, first + len(few)), [len(at) for at in few])
        if first == 0:  # the base session trains on all labelled nodes, and keeps a few
            train_z = z[np.concatenate(list(support.values()))]
            train_target = np.repeat(np.arange(len(support)), [len(at) for at in support.values()])
        else:
            train_z = np.concatenate([self.kept_z, fresh_z])
            train_target = np.concatenate([self.kept_target, fresh_target])
        values = self._trained(train_z, train_target, first + len(support))
        kept = np.concatenate([self.kept_z, fresh_z]), np.concatenate([self.kept_target, fresh_target])
        self.values, (self.kept_z, self.kept_target) = values, kept

    def _trained(self, z: np.ndarray, target: np.ndarray, classes: int) -> np.ndarray:
        grown = torch.zeros(self.books, self.pairs, classes)
        grown[:, :, : self.values.shape[2]] = torch.from_numpy(self.values)
        values = nn.Parameter(grown)
        places, labels = torch.from_numpy(self._places(z)), torch.from_numpy(target)
        book = torch.arange(self.books)[:, None]
        generator = torch.Generator().manual_seed(self.seed)
        optimiser = torch.optim.Adam([values], lr=self.lr)
        for _ in range(self.steps):
            some = torch.randint(len(z), (min(256, len(z)),), generator=generator)
            logits = values[book, places[:, some]].mean(dim=0)
            optimiser.zero_grad()
            F.cross_entropy(logits, labels[some], label_smoothing=0.1).backward()
            nn.utils.clip_grad_norm_([values], 1.0)
            optimiser.step()
        return values.detach().numpy()

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return self.probabilities(self.encoder.embed(graph)[places])

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C): softmax of the mean of the retrieved rows."""
        books = np.arange(self.books)[:, None]
        logits = np.concatenate(
            [self.values[books, self._places(z[at : at + 512])].mean(axis=0) for at in range(0, max(len(z), 1), 512)]
        )
        return softmax(logits)

    def novelty(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(n,) one minus the largest probability, as this memory has no prototypes to be far from, over the value that
        95 % of base validation nodes stay below.

        Above 1: less certain than nearly every base node is.
        """
        unsure = 1 - self.probabilities(self.encoder.embed(graph)[places]).max(axis=1)
        return unsure / np.maximum(self.radius, 1e-12)

    def forget(self, codes: np.ndarray) -> None:
        """Drop the columns and the kept nodes of some classes."""
        stays = ~np.isin(self.classes, codes)
        column = np.cumsum(stays) - 1
        rows = stays[self.kept_target]
        self.values = self.values[:, :, stays]
        self.kept_z, self.kept_target = self.kept_z[rows], column[self.kept_target[rows]]
        self.classes = self.classes[stays]

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs."""
        names = ("projection", "attention", "readout", "reference", "keys", "values", "kept_z", "kept_target", "radius")
        return {name: getattr(self, name) for name in names}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave."""
        for name, array in arrays.items():
            setattr(self, name, array)

    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""
        constant = (self.projection, self.attention, self.readout, self.reference, self.keys)
        return {
            "values (grow)": self.values.nbytes,
            "kept nodes (grow)": self.kept_z.nbytes + self.kept_target.nbytes,
            "keys and projections (constant)": sum(array.nbytes for array in constant),
        }

    def memory_bytes(self) -> int:
        """Values, keys, projections and kept nodes."""
        return sum(self.memory_report().values())
