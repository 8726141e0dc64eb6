"""Two stages: several models name candidates, and a factorisation machine of what they say of each ranks them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError
from scipy.optimize import minimize

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._words import codes, distinct
from recsys.recommender._base import Recommender
from recsys.recommender._query import MODEL, Query
from recsys.recommender._registry import parse_model, split_outside

_LEAST = 1e-4  # share of a model's scores below which an item counts as not listed
_BLOCK = 512  # rows whose candidates are described at a time


@dataclass(kw_only=True, eq=False, repr=False)
class TwoStage(Recommender):
    """Candidates of several models, ranked by a factorisation machine with a softmax over each list (Rendle 2010).

    The machine sees, for each model, the log of the candidate's share of the list's scores and one over its rank; then
    how lately the user had it, how popular it is, and what the user did last, whose pairs with the others say which
    model to trust when. It learns from steps of the latest users, whom the models have not seen; then they learn from
    all. Scores are probabilities among the candidates.

    Args:
        models: of the first stage, e.g. "markov(order=3,action=action)+co-occurrence": such as answer from a user's
            events alone (Markov, V-SKNN, co-occurrence, EASE, item kNN, sequence networks).
        candidates: items that each of them names.
        action: context column that says what the user did last; None: not used.
        held: share of the users whose steps the machine learns from.
        steps: greatest number of these steps.
        factors: of the machine's pairs; 0 leaves them out.
        reg: L2 of its weights.
        seed: of the models, the chosen steps and the machine's start.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> model = recsys.TwoStage(models="markov(order=1)+co-occurrence", candidates=10, held=0.3).fit(train)
        >>> lists = model.recommend(["u1"], k=3)
        >>> lists.column("rank").to_pylist(), all(0 < one < 1 for one in lists.column("score").to_pylist())
        ([1, 2, 3], True)
    """

    source: ClassVar[str] = "Covington et al. 2016 (two stages), doi 10.1109/ICDM.2010.127"
    fitted: ClassVar[tuple[str, ...]] = ("weights_", "pairs_", "scale_")
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | {"weights_": "w", "pairs_": "w f", "scale_": "w"}
    vocabularies: ClassVar[tuple[str, ...]] = ("actions_",)
    zero_is_no_evidence: ClassVar[bool] = True
    counts_repeats: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"factors": [0, 2, 4, 8], "reg": (1e-5, 1e-2, "log"), "candidates": [20, 50, 100]}
    models: str = "markov(order=2)+co-occurrence"
    candidates: int = 50
    action: str | None = None
    held: float = 0.15
    steps: int = 20_000
    factors: int = 4
    reg: float = 1e-4
    seed: int = 0

    def parts(self) -> list[Recommender]:
        """The models of the first stage, not fitted; InputError for a text that names none that can serve."""
        found = []
        for text in split_outside(self.models, "+"):
            model = parse_model(text, self.seed, "models")
            if model.per_user:
                expected = "models that answer from a user's events alone, e.g. Markov or EASE"
                raise InputError("models", got=repr(model), expected=expected)
            found.append(model)
        return found

    def check_extras(self) -> None:
        """See `Recommender.check_extras`."""
        for part in self.parts():
            part.check_extras()

    def _fit(self, data: Dataset) -> None:
        if min(self.candidates, self.steps) < 1 or self.factors < 0 or not 0 < self.held < 1 or self.reg <= 0:
            raise InputError(
                "candidates, held, steps, factors, reg", got=repr(self), expected="positive numbers, a share"
            )
        columns = data.context.column_names
        if self.action is not None and self.action not in columns:
            raise InputError("action", got=repr(self.action), expected=f"one of {columns}, the context")
        self.actions_ = distinct(data.context[self.action]) if self.action else []
        history = self.history_
        last = np.arange(len(history)) if history.time is None else history.time[history.indptr[1:] - 1]
        late = np.zeros(len(history), bool)
        late[np.argsort(last, kind="stable")[len(history) - max(1, round(self.held * len(history))) :]] = True
        place = np.arange(len(history.item)) - history.indptr[history.rows()]
        target = np.flatnonzero(late[history.rows()] & (place > 0))
        if not len(target) or late.all():
            raise InputError("TwoStage", got="no user with two events among the latest", expected="sequences")
        target = np.sort(np.random.default_rng(self.seed).permutation(target)[: self.steps])
        early = data.take(~late[data.user])
        self.parts_ = [part.fit(early) for part in self.parts()]
        places = [  # of each model: its code of each item (-1: none), and the item of each of its codes
            (part.item_ids_.codes(self.item_ids_.values), self.item_ids_.codes(part.item_ids_.values))
            for part in self.parts_
        ]
        blocks = []
        for start in range(0, len(target), _BLOCK):
            stops = target[start : start + _BLOCK]
            before = history.ranges(history.indptr[history.rows()[stops]], stops)
            row, item, X = self._described(np.full(len(stops), -1), before, places)
            blocks.append((row + start, item == history.item[stops][row], X))
        row, hit, X = (np.concatenate(one) for one in zip(*blocks, strict=True))
        found = np.isin(row, row[hit])  # a step whose item no model named teaches nothing
        self._learn(row[found], hit[found], X[found])
        self.parts_ = [part.fit(data) for part in self.parts()]
        for part in self.parts_:
            part.history_ = history

    def _learn(self, row: np.ndarray, hit: np.ndarray, X: np.ndarray) -> None:
        """Weights of least cross-entropy: row (n,) of each candidate, sorted; whether it came next; what is known."""
        if not len(row):
            raise InputError("TwoStage", got="no step whose item a model named", expected="more candidates")
        most = np.abs(X).max(axis=0)
        self.scale_ = np.where(most > 0, most, 1).astype(np.float32)
        X, width = (X / self.scale_).astype(np.float64), X.shape[1]
        squares = X**2
        starts, own = np.flatnonzero(np.append(True, np.diff(row) > 0)), np.cumsum(np.append(False, np.diff(row) > 0))
        start = np.concatenate([np.zeros(width), 0.1 * np.random.default_rng(self.seed).standard_normal(
            width * self.factors)])  # fmt: skip

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            w, V = theta[:width], theta[width:].reshape(width, -1)
            score, inner = machine(X, w, V, squares)
            score = score - np.maximum.reduceat(score, starts)[own]
            total = np.add.reduceat(np.exp(score), starts)
            slope = (np.exp(score) / total[own] - hit) / len(starts)
            value = (np.log(total).sum() - score[hit].sum()) / len(starts) + self.reg / 2 * theta @ theta
            of_pairs = X.T @ (slope[:, None] * inner) - (squares.T @ slope)[:, None] * V
            return value, np.concatenate([X.T @ slope, of_pairs.ravel()]) + self.reg * theta

        theta = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x.astype(np.float32)
        self.weights_, self.pairs_ = theta[:width], theta[width:].reshape(width, self.factors)

    def _described(
        self, users: np.ndarray, history: History, places: list[tuple[np.ndarray, np.ndarray]] | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row and item of each candidate, sorted; what is known of it, float32 (n, width)) after some histories.

        `places` leads from these items' codes to each model's and back, while the models know other ones.
        """
        items, listed = history.n_items, []
        for number, part in enumerate(self.parts_):
            inside, back = history, None
            if places is not None:
                known, back = places[number]
                inside = History(history.indptr, known[history.item], None, history.time, history.context, len(back))
                inside = inside.keep(inside.item >= 0)
            lists, _ = part._lists(Query(users, inside), self.candidates, False, None)
            if back is not None:
                lists = lists.where(back[lists.item] >= 0)  # listed in a table, but without an event here
            item = lists.item if back is None else back[lists.item]
            order = np.argsort(lists.row * items + item, kind="stable")
            low = np.minimum(lists.score, 0).min(initial=0)
            total = np.bincount(lists.row, lists.score - low, len(history))
            share = (lists.score - low) / np.maximum(total[lists.row], 1e-30)
            listed.append(((lists.row * items + item)[order], np.log(np.maximum(share, _LEAST) / _LEAST)[order],
                           1 / lists.rank[order]))  # fmt: skip
        keys = np.unique(np.concatenate([one[0] for one in listed]))
        row, item = np.divmod(keys, items)
        columns = [_at(keys, one[0], values) for one in listed for values in one[1:]]
        mine, steps = history.rows() * items + history.item, np.repeat(history.indptr[1:], history.counts)
        lately = 1.0 / (steps - np.arange(len(mine)))
        order = np.lexsort((lately, mine))
        last = np.append(np.diff(mine[order]) > 0, True)[: len(mine)]  # the latest of a pair's events
        columns += [_at(keys, mine[order][last], lately[order][last]), np.log1p(self.popular_[item])]
        if self.action:
            done = codes(history.context[self.action], self.actions_)
            ends = np.where(history.counts > 0, history.indptr[1:] - 1, 0)
            action = np.where(history.counts > 0, done[ends] if len(done) else -1, -1)
            columns += [(action[row] == one).astype(np.float32) for one in range(len(self.actions_))]
        return row, item, np.stack(columns, axis=1).astype(np.float32)

    def _reads(self) -> list[str]:
        own = [] if self.action is None else [self.action]
        return list(dict.fromkeys([*own, *(name for part in self.parts() for name in part._reads())]))

    def _score(self, query: Query) -> np.ndarray:
        scores = np.zeros((len(query), len(self.item_ids_)), np.float32)
        users = query.codes if self.origin_ == MODEL else np.full(len(query), -1)  # to the models a fold-in is new
        for start in range(0, len(query), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(query)))
            row, item, X = self._described(users[rows], query.history.take(rows))
            found, _ = machine(X / self.scale_, self.weights_, self.pairs_)
            top = np.full(len(rows), -np.inf)
            np.maximum.at(top, row, found)
            chance = np.exp(found - top[row])
            scores[start + row, item] = np.maximum(chance / np.bincount(row, chance, len(rows))[row], 1e-30)
        return scores

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        return self.parts_[0]._similarities(codes)


def machine(
    X: np.ndarray, w: np.ndarray, V: np.ndarray, squares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(scores X w + 1/2 sum_f [(X v_f)^2 - X^2 v_f^2], (n,); X V, (n, factors)) of rows X (n, width)."""
    inner = X @ V
    squares = X**2 if squares is None else squares
    return X @ w + 0.5 * ((inner**2).sum(axis=1) - squares @ (V**2).sum(axis=1)), inner


def _at(keys: np.ndarray, listed: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at sorted keys, of sorted keys `listed` that have some; 0 elsewhere."""
    if not len(listed):
        return np.zeros(len(keys))
    place = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
    return np.where(listed[place] == keys, values[place], 0.0)
