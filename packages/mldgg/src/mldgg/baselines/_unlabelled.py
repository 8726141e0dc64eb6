"""Rivals that use the target's unlabelled nodes: propagation, smoothing, self-training, LDA with EM, GraphAny."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ninefold_graphs import Graph, InputEncoder, one_hot, ridge_weights, softmax, walked, with_constant

from mldgg.baselines._ridges import CentredRidge, WalkedRidge, same_task
from mldgg.domains import Method
from mldgg.meta._search import discriminant, solve


class CorrectAndSmooth(WalkedRidge):
    """Errors on the target's labels are spread over its edges and taken off, then the answers are smoothed.

    Without labels only the smoothing is left. The base is a ridge around each graph's mean.
    """

    name = "correct-and-smooth"
    source = "ICLR 2021, arXiv 2010.13993"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": ((0, 1, 2, 4, 8), (0, 2, 6)), "strength": (10.0, 1.0), "restart": (0.1, 0.2, 0.5),
        "change": (10.0, 100.0),
    }  # fmt: skip

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) after both steps."""
        chances, known = CentredRidge.predict_proba(self, target), target.y >= 0
        restart, step = self.options["restart"], target.normalized
        truth = one_hot(target.y[known], chances.shape[1])
        if known.any():
            error = np.zeros_like(chances)
            error[known] = truth - chances[known]
            spread = walked(error, step, restart, 50)
            size = np.abs(spread).sum(axis=1, keepdims=True)
            scale = np.abs(error[known]).sum(axis=1).mean() / np.maximum(size, 1e-9)  # autoscale
            chances = np.maximum(chances + np.where(scale > 1000, 0, scale) * spread, 1e-9)
            chances[known] = truth
        moved = np.maximum(walked(chances, step, restart, 50), 1e-9)
        return moved / moved.sum(axis=1, keepdims=True)


class SelfTrainedRidge(WalkedRidge):
    """The walked ridge, fitted again to the sources and to its own surest answers on the target."""

    name = "self-trained-ridge"
    source = "self-training (Yarowsky, ACL 1995) of a ridge with APPNP's steps"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": ((0, 1, 2, 4, 8), (0, 2, 6)), "strength": (10.0, 1.0), "restart": (0.1, 0.5), "share": (0.5, 1.0, 0.25),
        "change": (10.0, 100.0),
    }  # fmt: skip

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) after the second fit and walk."""
        first, rows, own = super().predict_proba(target), self.rows(target), self.weights
        known, sure = target.y >= 0, first.max(axis=1)
        used = sure >= np.quantile(sure, 1 - self.options["share"])
        answers = np.where(known, target.y, first.argmax(axis=1))
        z, y = rows[used | known], one_hot(answers[used | known], first.shape[1])
        try:
            self.weights = solve([self.grams, (z.T @ z, z.T @ y)], self.options["strength"])
            return super().predict_proba(target)
        finally:
            self.weights = own


class DiscriminantEm(WalkedRidge):
    """Linear discriminant analysis whose class means and mix move to the target by EM, then a walk."""

    name = "lda-em"
    source = "LDA with expectation-maximisation: Saerens et al., Neural Computation 2002, for the mix"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {
        "hops": ((0, 1, 2, 4, 8),), "strength": (10.0, 100.0), "restart": (0.1, 0.5), "rounds": (1, 5),
        "inertia": (1.0, 0.1),
    }  # fmt: skip

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C); `inertia`: weight of the sources' nodes against the target's in means and mix."""
        rows, known, counts = self.rows(target), target.y >= 0, self.grams[1][-1].astype(np.float64)
        start = means = self.grams[1][:-1].astype(np.float64) / np.maximum(counts, 1)  # the last row is the constant's
        prior, weight = counts / counts.sum(), self.options["inertia"] * counts
        chances = np.zeros((len(rows), len(prior)))
        for _ in range(self.options["rounds"]):
            chances = softmax(rows @ discriminant(self.grams, self.options["strength"], prior, means))
            chances[known] = one_hot(target.y[known], len(prior))
            own = chances.sum(axis=0)
            means = (start * weight + rows[:, :-1].T @ chances) / np.maximum(weight + own, 1e-9)
            prior = (weight + own) / (weight + own).sum()
        moved = walked(chances, target.normalized, self.options["restart"])
        return moved / moved.sum(axis=1, keepdims=True)


class GraphAny(Method):
    """Least squares in closed form on five filtered forms of the words, averaged (GraphAny without its attention).

    The target's labels alone are used, as published; the sources' where it has none, which is ours.
    """

    name = "graphany"
    source = "ICLR 2025, arXiv 2405.20445; closed-form part"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"strength": (1.0, 0.1, 10.0)}

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Solve each filter over all sources."""
        same_task(self.name, sources)
        self.encoder, self.classes = InputEncoder.fit(sources), len(sources[0].classes)
        y = np.concatenate([one_hot(graph.y[graph.y >= 0], self.classes) for graph in sources])
        rows = [[z[graph.y >= 0] for z in self._filters(graph)] for graph in sources]
        parts = [np.concatenate(part) for part in zip(*rows, strict=True)]
        self.weights = [ridge_weights(z, y, self.options["strength"]) for z in parts]
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) mean over the filters."""
        filters, known, weights = self._filters(target), target.y >= 0, self.weights
        if known.any():
            y = one_hot(target.y[known], self.classes)
            weights = [ridge_weights(z[known], y, self.options["strength"]) for z in filters]
        return np.mean([softmax(4.5 * (z @ w)) for z, w in zip(filters, weights, strict=True)], axis=0)

    def _filters(self, graph: Graph) -> list[np.ndarray]:
        """X, AX, AAX, (I - A)X and (I - A)(I - A)X, each with a constant."""
        x, step = self.encoder(graph), graph.normalized
        low, high = step @ x, x - step @ x
        return [with_constant(one) for one in (x, low, step @ low, high, high - step @ high)]


class LabelPropagation(Method):
    """F <- damp S F + (1 - damp) Y for 50 steps; the sources' class shares where no label arrives."""

    name = "label-propagation"
    source = "Zhou et al., NeurIPS 2003"
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"damp": (0.9, 0.99, 0.5)}

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Keep the sources' class shares."""
        y = np.concatenate([graph.y[graph.y >= 0] for graph in sources])
        self.shares = (np.bincount(y, minlength=len(sources[0].classes)) / y.size).astype(np.float32)
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) shares of the labels that arrive."""
        known, step = target.y >= 0, target.normalized
        start = np.zeros((len(target), self.shares.size), np.float32)
        start[known] = one_hot(target.y[known], self.shares.size)
        spread = walked(start, step, 1 - self.options["damp"], 50) + 1e-9 * self.shares
        return spread / spread.sum(axis=1, keepdims=True)
