"""The edge gate and the class guesses it looks at, learnt so that each source is judged by the other sources alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mldgg.datasets import Graph
from mldgg.encoders import one_hot, ridge_weights, with_constant
from mldgg.structure import EdgeGate, Guess, features_only, pair_features, undirected_pairs


def _others(items: Sequence[Any], left_out: int) -> list[Any]:
    """All but one, or that one if there is no other."""
    return [one for place, one in enumerate(items) if place != left_out] or list(items)


def fit_gates(
    sources: Sequence[Graph], inputs: Sequence[np.ndarray], shared: bool, seed: int, kind: bool | str
) -> tuple[EdgeGate, Guess | None, list[np.ndarray]]:
    """The gate and guess for targets, and (E,) probabilities of each source's edges under the other sources'."""
    guessing = shared and len(sources) > 1 and kind is True
    learn = features_only if kind == "features" else EdgeGate.fit
    blocks, places, rows, truths = [], [], [], []
    for number, (graph, z) in enumerate(zip(sources, inputs, strict=True)):
        guess = fit_guess(_others(sources, number), _others(inputs, number)) if guessing else None
        pairs, place = undirected_pairs(graph.edge_index)
        block = pair_features(graph.adjacency, z, pairs, guess)
        ends = graph.y[pairs]
        known = (ends >= 0).all(axis=0)
        blocks.append(block)
        places.append(place)
        rows.append(block[known])
        truths.append((ends[0] == ends[1])[known])
    chances = []
    for number, (block, place) in enumerate(zip(blocks, places, strict=True)):
        judge = learn(_others(rows, number), _others(truths, number), seed=seed)
        chances.append(judge(block)[place])
    return learn(rows, truths, seed=seed), fit_guess(sources, inputs) if guessing else None, chances


def fit_guess(graphs: Sequence[Graph], inputs: Sequence[np.ndarray]) -> Guess:
    """A ridge from a node's unit features and its neighbours' mean to its class."""
    rows, targets = [], []
    for graph, z in zip(graphs, inputs, strict=True):
        unit = z / np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-9)
        degree = np.asarray(graph.adjacency.sum(axis=1)).ravel()
        around = (graph.adjacency @ unit) / np.maximum(degree, 1)[:, None]
        known = graph.y >= 0
        rows.append(with_constant(np.concatenate([unit, around], axis=1)[known]))
        targets.append(one_hot(graph.y[known], len(graph.classes)))
    weights = ridge_weights(np.concatenate(rows), np.concatenate(targets), 1.0)
    width = inputs[0].shape[1]
    return Guess(weights[:width], weights[width : 2 * width], weights[-1])
