"""What a pair of linked nodes looks like, with the link itself left out of what its ends' neighbours say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold_graphs import softmax

FEATURES, REFINED = 10, 8  # columns of `pair_features` and of `refined_features`
FEATURES_ONLY = (0,)  # the gate that knows no neighbourhood
_CHUNK = 50_000


@dataclass(frozen=True)
class Guess:
    """A linear guess of classes from a node and its neighbours' mean, learnt on other graphs.

    Attributes:
        own: (d, C) weights of the node's features.
        around: (d, C) weights of its neighbours' mean.
        bias: (C,).
        sharpness: factor on the scores before the softmax.
    """

    own: np.ndarray
    around: np.ndarray
    bias: np.ndarray
    sharpness: float = 8.0


def undirected_pairs(edge_index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(2, E/2) pairs with i < j, and for each directed edge of sorted `edge_index` the pair it belongs to."""
    low, high = np.minimum(*edge_index), np.maximum(*edge_index)
    nodes = int(high.max(initial=0)) + 1
    keys, place = np.unique(low * nodes + high, return_inverse=True)
    return np.stack([keys // nodes, keys % nodes]), place


def pair_features(adjacency: Any, z: np.ndarray, pairs: np.ndarray, guess: Guess | None = None) -> np.ndarray:
    """Describe linked pairs by what is left when their link is taken away.

    Args:
        adjacency: (N, N) zeros and ones, symmetric; it contains the pairs.
        z: (N, d) node features of any length.
        pairs: (2, E) linked nodes.
        guess: for the last column, which is 0 without it.
    Returns: (E, 10) float32, both orders of a pair give the same row: cosines of features, of neighbour means, of a
        node with the other's neighbours (mean and lower); Adamic-Adar, common neighbours, Jaccard; lower and higher
        degree; agreement of class guesses.
    """
    unit = _units(np.asarray(z, np.float32))
    degree = np.asarray(adjacency.sum(axis=1)).ravel().astype(np.float32)
    total = np.asarray(adjacency @ unit, np.float32)
    weight = (1 / np.log(np.maximum(degree, 2.0))).astype(np.float32)

    def columns(at: slice) -> list[np.ndarray]:
        i, j = pairs[:, at]
        zi, zj = unit[i], unit[j]
        around = [_left_out(total[a], unit[b], degree[a]) for a, b in ((i, j), (j, i))]
        ui, uj = map(_units, around)
        across = [(zi * uj).sum(axis=1), (zj * ui).sum(axis=1)]
        common = adjacency[i].multiply(adjacency[j]).tocsr()
        shared = np.asarray(common.sum(axis=1)).ravel()
        either = np.maximum(degree[i] + degree[j] - shared - 2, 1)
        cosines = [(zi * zj).sum(axis=1), (ui * uj).sum(axis=1), (across[0] + across[1]) / 2, np.minimum(*across)]
        counts = [np.log1p(common @ weight), np.log1p(shared), shared / either]
        degrees = [np.log1p(np.minimum(degree[i], degree[j])), np.log1p(np.maximum(degree[i], degree[j]))]
        agree = np.zeros(i.size) if guess is None else _agreement(guess, (zi, zj), around)
        return [*cosines, *counts, *degrees, agree]

    return _in_chunks(pairs.shape[1], FEATURES, columns)


def refined_features(
    gated: Any, z: np.ndarray, pairs: np.ndarray, chances: np.ndarray, guess: Guess | None = None
) -> np.ndarray:
    """Describe linked pairs anew on the graph that a first gate has reweighted, with their link left out again.

    Args:
        gated: (N, N) adjacency with the gate's probabilities as weights.
        z: (N, d) node features of any length.
        pairs: (2, E) linked nodes. chances: (E,) the gate's probabilities of these pairs.
        guess: for the last column, from unit features and unit gated means; 0 without it.
    Returns: (E, 8) float32, both orders of a pair give the same row: cosines of gated neighbour means, of a node with
        the other's (mean and lower), of mixtures of node and gated neighbours; lower and higher gated degree; log odds
        of the round before; agreement of class guesses from gated neighbours.
    """
    unit = _units(np.asarray(z, np.float32))
    degree = np.asarray(gated.sum(axis=1)).ravel().astype(np.float32)
    total = np.asarray(gated @ unit, np.float32)

    def columns(at: slice) -> list[np.ndarray]:
        (i, j), chance = pairs[:, at], chances[at]
        zi, zj = unit[i], unit[j]
        ui, uj = (_units(total[a] - chance[:, None] * unit[b]) for a, b in ((i, j), (j, i)))
        across = [(zi * uj).sum(axis=1), (zj * ui).sum(axis=1)]
        degrees = [np.log1p(np.maximum(degree[one] - chance, 0)) for one in (i, j)]
        sure = np.clip(chance, 1e-6, 1 - 1e-6)
        cosines = [(ui * uj).sum(axis=1), (across[0] + across[1]) / 2, np.minimum(*across)]
        mixed = (_units(zi + 2 * ui) * _units(zj + 2 * uj)).sum(axis=1)
        agree = np.zeros(i.size) if guess is None else _agreement(guess, (zi, zj), [ui, uj])
        return [*cosines, mixed, np.minimum(*degrees), np.maximum(*degrees), np.log(sure / (1 - sure)), agree]

    return _in_chunks(pairs.shape[1], REFINED, columns)


def _in_chunks(count: int, width: int, columns: Callable[[slice], list[np.ndarray]]) -> np.ndarray:
    """(count, width) float32 of columns that are made for 50,000 rows at a time."""
    slices = (slice(at, at + _CHUNK) for at in range(0, count, _CHUNK))
    parts = [np.stack(columns(at), axis=1).astype(np.float32) for at in slices]
    return np.concatenate([np.zeros((0, width), np.float32), *parts])


def _units(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)


def _left_out(total: np.ndarray, other: np.ndarray, degree: np.ndarray) -> np.ndarray:
    """Mean over a node's neighbours but the other end; zero if there is no other neighbour."""
    return (total - other) / np.maximum(degree - 1, 1)[:, None] * (degree > 1)[:, None]


def _agreement(guess: Guess, ends: tuple[np.ndarray, np.ndarray], around: list[np.ndarray]) -> np.ndarray:
    chances = []
    for own, near in zip(ends, around, strict=True):
        scores = guess.sharpness * (own @ guess.own + near @ guess.around + guess.bias)
        chances.append(softmax(scores))
    return (chances[0] * chances[1]).sum(axis=1)
