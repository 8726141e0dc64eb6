"""Hops, centring, power of the gate and strengths of the ridge, chosen with each source in turn as target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import scipy.linalg
from ninefold_graphs import Graph, Ridge, hop_features, one_hot, softmax, with_constant

from mldgg.domains import Rehearsal, measure, metric_of_choice, rehearsals

HOPS = ((0, 2), (0, 2, 6), (0, 1, 2, 4, 8))
POWERS = (0.0, 1.0, 2.0, 4.0, 8.0)  # of the gate's probability; 0 leaves the graph as it is
STRENGTHS = (0.1, 1.0, 10.0, 100.0, 1000.0)  # of W_src
CHANGES = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)  # strength of the change that a target's labels make
SHARPNESSES = (2.0, 3.0, 4.5, 6.0, 8.0, 12.0)  # of the softmax over scores
SHOTS = (1, 5, 20)
Gram = tuple[np.ndarray, np.ndarray]  # Z'Z and Z'Y
Trial = tuple[tuple[int, ...], float, bool, float, float]
LOSES = 1.0  # points that a choice may lose when sources play the target
JUDGED = 4  # sources that play the target, at most
REPEATS = 3  # supports drawn for each choice of a change


class Search:
    """Tries hops and powers on the sources and keeps the best with its features.

    Attributes:
        trials: (hops, power, centred, strength, score) of each choice tried; score, hops, power, centred, strength:
            of the best.
        metric: of all choices.
        rows: (N, d) features of each source under the best choice. weights: (E,) its edges' weights, None: ones.
    """

    def __init__(
        self, sources: Sequence[Graph], inputs: Sequence[np.ndarray], units: Sequence[int],
        chances: Sequence[np.ndarray] | None, *, shared: bool, seed: int, centre: bool = True,
    ) -> None:  # fmt: skip
        self._forms = (False, True) if centre else (False,)
        self._sources, self._inputs, self._chances, self._shared, self._seed = sources, inputs, chances, shared, seed
        self._units = units
        self._rehearsals = rehearsals(sources, most=JUDGED, seed=seed)
        self.metric = metric_of_choice(self._rehearsals)
        self.trials: list[Trial] = []
        self.score, self.hops, self.power, self.centred, self.strength = -1.0, HOPS[0], 0.0, False, STRENGTHS[0]
        self.rows: list[np.ndarray] = []
        self._kept: dict[int, Gram] = {}
        self.weights: list[np.ndarray | None] = []

    def trial(self, hops: tuple[int, ...], power: float) -> None:
        """Score one choice, centred and not, with each strength of W_src, once."""
        if any(one[:2] == (hops, power) for one in self.trials):
            return
        some = [None] * len(self._sources) if self._chances is None else self._chances
        weights = [None if one is None else powered(one, power) for one in some]
        parts = zip(self._inputs, self._units, self._sources, weights, strict=True)
        blocks = [hop_features(z, graph.step(weight), hops, unit=unit) for z, unit, graph, weight in parts]
        rows, shifts = [with_constant(one) for one in blocks], [one.mean(axis=0) for one in blocks]
        grams, shots = self._grams(rows), (0, 5) if self._shared else (5,)
        for centred in self._forms:
            if centred:
                rows = [around(one, shift) for one, shift in zip(rows, shifts, strict=True)]
                grams = {place: moved(one, shifts[place]) for place, one in grams.items()}
            for strength in STRENGTHS if self._shared else (1.0,):
                found: list[float] = []
                for (rehearsal, ridge), some in product(self._ridges(rows, strength, grams), shots):
                    z, change = rows[rehearsal.place], ridge.strengths[1]
                    found += self._scores(rehearsal, z, ridge, some, self._seed, (change,))
                score = float(np.mean(found)) if found else 0.0
                self.trials.append((hops, power, centred, strength, score))
                if score > self.score + 1e-9:
                    self.score, self.hops, self.power = score, hops, power
                    self.centred, self.strength = centred, strength
                    self.rows, self.weights, self._kept = rows, weights, grams

    @property
    def centring_is_free(self) -> bool:
        """Whether the best choice around own means loses at most a point against the best on features as they are."""
        plain, centred = (max((one[-1] for one in self.trials if one[2] == form), default=-np.inf) for form in (0, 1))
        return centred >= plain - LOSES

    def _grams(self, rows: Sequence[np.ndarray]) -> dict[int, Gram]:
        """Grams of the sources, of the labels that rehearsals may learn from."""
        learners = dict(pair for one in self._rehearsals for pair in one.learners) if self._shared else {}
        return {place: gram(rows[place], graph.y, len(graph.classes)) for place, graph in learners.items()}

    def _ridges(
        self, rows: Sequence[np.ndarray], strength: float, grams: dict[int, Gram]
    ) -> list[tuple[Rehearsal, Ridge]]:
        """Each rehearsal with the ridge of those that may be learnt from."""
        made = []
        for rehearsal in self._rehearsals:
            if self._shared:
                weights = solve([grams[place] for place, _ in rehearsal.learners], strength)
            else:
                weights = np.zeros((rows[rehearsal.place].shape[1], len(rehearsal.target.classes)), np.float32)
            made.append((rehearsal, Ridge(weights)))
        return made

    def _scores(
        self, rehearsal: Rehearsal, z: np.ndarray, ridge: Ridge, shots: int, seed: int, changes: Sequence[float]
    ) -> list[float]:
        """Score of the judged graph's query at each strength of the change."""
        split, y, before = rehearsal.split(shots, seed), rehearsal.target.y, z @ ridge.weights
        found = []
        for change in changes:
            scores = before
            if split.support.any():
                same = replace(ridge, strengths=(change,) * 3)
                scores = z @ same.update(z[split.support], y[split.support])
            found.append(measure(softmax(scores[split.query]), y[split.query], self.metric))
        return found

    def ridge(self) -> Ridge:
        """Strengths and sharpness that served the rehearsals best, without weights."""
        made, none = self._ridges(self.rows, self.strength, self._kept), np.zeros((0, 0), np.float32)
        if not made:
            return Ridge(none)

        def scores(shots: int) -> np.ndarray:
            found = [
                self._scores(rehearsal, self.rows[rehearsal.place], ridge, shots, self._seed + repeat, CHANGES)
                for rehearsal, ridge in made
                for repeat in range(REPEATS)
            ]
            return np.mean(found, axis=0)

        table = np.array([scores(shots) for shots in SHOTS])
        # neighbours on the grid steady the choice; of equals the stronger one, which stays nearer to the sources
        padded = np.pad(table, ((0, 0), (1, 1)), mode="edge")
        smooth = (padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]) / 4
        best = len(CHANGES) - 1 - smooth[:, ::-1].argmax(axis=1)
        count = len(self._sources)
        # W_src of all K sources is nearer to a target than that of K - 1: variance 1 + 1/K against 1 + 1/(K - 1)
        nearer = count**2 / (count**2 - 1) if count > 1 and self._shared else 1.0
        strengths = tuple(float(CHANGES[one] * nearer) for one in best)
        return Ridge(none, strengths, self._sharpness(made))

    def _sharpness(self, made: Sequence[tuple[Rehearsal, Ridge]]) -> float:
        """The sharpness with the least cross-entropy, without labels where the sources' weights serve."""
        losses = np.zeros(len(SHARPNESSES))
        for rehearsal, ridge in made:
            split = rehearsal.split(0 if self._shared else 5, self._seed)
            z, y = self.rows[rehearsal.place], rehearsal.target.y
            weights = ridge.update(z[split.support], y[split.support])
            scores = z[split.query] @ weights
            for place, sharpness in enumerate(SHARPNESSES):
                chances = softmax(sharpness * scores)[np.arange(len(scores)), y[split.query]]
                losses[place] -= np.log(np.maximum(chances, 1e-9)).mean()
        return SHARPNESSES[int(losses.argmin())]


def powered(chances: np.ndarray, power: float) -> np.ndarray | None:
    """(E,) weights of edges; None where the power is 0: the graph as it is."""
    return chances**power if power else None


def around(rows: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """(N, d + 1) rows with a constant, less a shift of the others."""
    return np.concatenate([rows[:, :-1] - shift, rows[:, -1:]], axis=1)


def moved(one: Gram, shift: np.ndarray) -> Gram:
    """The gram of rows with a constant, had they been taken around a shift: M' Z'Z M and M' Z'Y."""
    square, targets = (part.astype(np.float64) for part in one)
    square[:-1] -= np.outer(shift, square[-1])
    square[:, :-1] -= np.outer(square[:, -1], shift)
    targets[:-1] -= np.outer(shift, targets[-1])
    return square, targets


def gram(z: np.ndarray, y: np.ndarray, classes: int) -> Gram:
    """Z'Z (d, d) and Z'Y (d, C) over labelled nodes."""
    known = z[y >= 0]
    return known.T @ known, known.T @ one_hot(y[y >= 0], classes)


def solve(grams: Sequence[Gram], strength: float) -> np.ndarray:
    """(d, C) ridge solution of pooled grams."""
    total = np.sum([one for one, _ in grams], axis=0).astype(np.float64)
    total[np.diag_indices_from(total)] += strength
    factor = scipy.linalg.cho_factor(total, lower=True, overwrite_a=True, check_finite=False)
    targets = np.sum([one for _, one in grams], axis=0).astype(np.float64)
    return scipy.linalg.cho_solve(factor, targets, check_finite=False).astype(np.float32)


def discriminant(one: Gram, strength: float, prior: np.ndarray, means: np.ndarray | None = None) -> np.ndarray:
    """(d, C) weights of linear discriminant analysis, log odds, of the gram of rows with a constant as last column.

    strength: nodes of identity in the pooled within-class covariance. means: (d - 1, C) instead of the gram's own.
    """
    square, sums = (part.astype(np.float64) for part in one)
    counts, total = sums[-1], sums[-1].sum()
    own = sums[:-1] / np.maximum(counts, 1)
    within = (square[:-1, :-1] - (own * counts) @ own.T) / total
    within[np.diag_indices_from(within)] += strength / total
    at = own if means is None else means
    weights = np.linalg.solve(within, at)
    offset = np.log(np.maximum(prior, 1e-6)) - (at * weights).sum(axis=0) / 2
    return np.concatenate([weights, offset[None]]).astype(np.float32)
