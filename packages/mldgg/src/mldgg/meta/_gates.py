"""The edge gate in rounds, and the class guesses it looks at, learnt so that each source is judged by the others alone.

The first round sees pairs on the graph as it is; each further one also sees them on the graph that the round before has
reweighted, so that wrong links spoil a pair's neighbourhood less. The gate that judges a source is fitted to the labels
of the others; from the second round on the features of those depend on how the first gates judged them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold_graphs import Graph, one_hot, ridge_weights, under, with_constant

from mldgg.structure import EdgeGate, Guess, features_only, pair_features, refined_features, undirected_pairs

ROUNDS = 3


@dataclass(frozen=True)
class GateRounds:
    """A gate for each round, and the class guesses it looks at (None without shared features and classes)."""

    gates: tuple[EdgeGate, ...]
    guesses: tuple[Guess | None, ...]

    def __call__(self, graph: Graph, z: np.ndarray) -> np.ndarray:
        """(E,) probability that the ends of each edge have one label."""
        pairs, place = undirected_pairs(graph.edge_index)
        rows = pair_features(graph.adjacency, z, pairs, self.guesses[0])
        chances = self.gates[0](rows)
        for gate, guess in zip(self.gates[1:], self.guesses[1:], strict=True):
            more = refined_features(graph.reweighted(chances[place]), z, pairs, chances, guess)
            chances = gate(np.concatenate([rows, more], axis=1))
        return chances[place]

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs, by path."""
        held = {f"{k}/{name}": one for k, gate in enumerate(self.gates) for name, one in gate.arrays().items()}
        for k, guess in enumerate(self.guesses):
            if guess is not None:
                held |= {f"{k}/guess-{name}": getattr(guess, name) for name in ("own", "around", "bias")}
        return held

    @classmethod
    def load(cls, arrays: dict[str, Any]) -> GateRounds:
        """The rounds that gave `arrays`."""
        gates, guesses = [], []
        for k in range(len({name.split("/")[0] for name in arrays})):
            part = under(arrays, f"{k}/")
            gates.append(EdgeGate.load(part))
            kept = [part.get(f"guess-{name}") for name in ("own", "around", "bias")]
            guesses.append(Guess(*kept) if kept[0] is not None else None)  # pyright: ignore[reportArgumentType]
        return cls(tuple(gates), tuple(guesses))


@dataclass
class _Source:
    """A source's pairs while rounds are learnt: its features so far and what the others' gate says of it."""

    graph: Graph
    z: np.ndarray
    pairs: np.ndarray
    place: np.ndarray
    agrees: np.ndarray
    known: np.ndarray
    chances: np.ndarray | None = None

    @classmethod
    def of(cls, graph: Graph, z: np.ndarray) -> _Source:
        pairs, place = undirected_pairs(graph.edge_index)
        ends = graph.y[pairs]
        return cls(graph, z, pairs, place, ends[0] == ends[1], np.asarray((ends >= 0).all(axis=0)))

    def gated(self) -> Any:
        """(N, N) adjacency as the round before has reweighted it."""
        return self.graph.reweighted(None if self.chances is None else self.chances[self.place])


def others(items: Sequence[Any], left_out: int) -> list[Any]:
    """All but one, or that one if there is no other."""
    return [one for place, one in enumerate(items) if place != left_out] or list(items)


def fit_gates(
    sources: Sequence[Graph], inputs: Sequence[np.ndarray], shared: bool, seed: int, kind: bool | str
) -> tuple[GateRounds, list[np.ndarray]]:
    """The gate for targets, and (E,) probabilities of each source's edges under the other sources' gates."""
    states = [_Source.of(graph, z) for graph, z in zip(sources, inputs, strict=True)]
    guessing = shared and len(sources) > 1 and kind is True
    learn = features_only if kind == "features" else EdgeGate.fit
    first: list[np.ndarray] = []
    gates, guesses = [], []
    for number in range(1 if kind == "features" else ROUNDS):
        blocks = []
        for place, one in enumerate(states):
            guess = fit_guess(others(states, place)) if guessing else None
            if number == 0:
                first.append(pair_features(one.graph.adjacency, one.z, one.pairs, guess))
                blocks.append(first[place])
            else:
                assert one.chances is not None
                more = refined_features(one.gated(), one.z, one.pairs, one.chances, guess)
                blocks.append(np.concatenate([first[place], more], axis=1))
        guesses.append(fit_guess(states) if guessing else None)
        rows = [block[one.known] for block, one in zip(blocks, states, strict=True)]
        truths = [one.agrees[one.known] for one in states]
        for place, (block, one) in enumerate(zip(blocks, states, strict=True)):
            one.chances = learn(others(rows, place), others(truths, place), seed=seed)(block)
        gates.append(learn(rows, truths, seed=seed))
    return GateRounds(tuple(gates), tuple(guesses)), [
        one.chances[one.place] for one in states if one.chances is not None
    ]


def fit_guess(states: Sequence[_Source]) -> Guess:
    """A ridge from a node's unit features and its (gated) neighbours' mean to its class."""
    rows, targets = [], []
    for one in states:
        unit = one.z / np.maximum(np.linalg.norm(one.z, axis=1, keepdims=True), 1e-9)
        gated, known = one.gated(), one.graph.y >= 0
        around = np.asarray(gated @ unit)
        size = np.asarray(gated.sum(axis=1)).ravel() if one.chances is None else np.linalg.norm(around, axis=1)
        around = around / np.maximum(size, 1 if one.chances is None else 1e-9)[:, None]
        rows.append(with_constant(np.concatenate([unit, around], axis=1)[known]))
        targets.append(one_hot(one.graph.y[known], len(one.graph.classes)))
    weights = ridge_weights(np.concatenate(rows), np.concatenate(targets), 1.0)
    width = states[0].z.shape[1]
    return Guess(weights[:width], weights[width : 2 * width], weights[-1])
