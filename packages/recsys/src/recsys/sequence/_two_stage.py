"""Two stages: several models name candidates, and a ranker that learned which of them to trust orders these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError, require
from scipy.optimize import minimize

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._time import DAY
from recsys.data._untyped import Csr
from recsys.data._words import codes, distinct
from recsys.recommender._base import Recommender
from recsys.recommender._learner import Learner, bounded
from recsys.recommender._query import Query
from recsys.sequence import _trees
from recsys.sequence._facts import FACTS, item_facts, number_columns, pair_facts
from recsys.sequence._parts import OfParts

_LEAST = 1e-4  # share of a model's scores below which an item counts as not listed
_BLOCK = 512  # rows whose candidates are described at a time
_ROWS = 200_000  # candidates of all windows that a ranker learns from, beside those that were bought
Places = list[tuple[np.ndarray, np.ndarray]]


@dataclass(kw_only=True, eq=False, repr=False)
class TwoStage(OfParts):
    """Candidates of several models, ranked by a factorisation machine (Rendle 2010) or by boosted trees.

    The ranker sees, for each model, the log of the candidate's share of the list's scores and one over its rank. For
    sequences (`windows=0`) it also sees how lately the user had the item, how popular it is, and what the user did
    last, and learns from steps of the latest users, whom the models have not seen. For shops (`windows=3`) it sees
    how the item sells of late and over time, its age and price, how far these are from what the user had, and how
    active the user is; it learns from what users bought for the first time in the last windows, with models of what
    was known before each, and lists such items alone. Then the models learn from all. Scores are probabilities among
    the candidates.

    Args:
        models: of the first stage, e.g. "trend(model=ials(factors=64))+trend(model=ease(l2=300))": such as answer from
            a user's events (EASE, item kNN, iALS, Markov, content kNN, sequence networks).
        candidates: items that each of them names.
        action: context column that says what the user did last; None: not used.
        held: share of the users whose steps the ranker learns from; without windows.
        steps: greatest number of these steps.
        ranker: "fm", a factorisation machine with a softmax over each list, or "trees", LightGBM's XE-NDCG-MART (extra
            `lightgbm`, for learning alone).
        windows: of the past, each of `days`, from which the ranker learns; 0: from steps.
        days: length of a window: as long as lists are in use.
        lead: the mean share of scores of the first so many models is added to the ranker's score, both in deviations
            within the list; 0: the ranker's alone.
        numbers: columns of the context or the item table, comma-separated, whose mean tells of an item, e.g. its price;
            with windows.
        factors: of the machine's pairs; 0 leaves them out.
        reg: L2 of the machine's weights.
        trees, leaves: number of trees, and most leaves of each.
        seed: of the models, the chosen steps and the ranker.

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> model = recsys.TwoStage(models="markov(order=1)+co-occurrence", candidates=10, held=0.3).fit(train)
        >>> lists = model.recommend(["u1"], k=3)
        >>> lists.column("rank").to_pylist(), all(0 < one < 1 for one in lists.column("score").to_pylist())
        ([1, 2, 3], True)

        A shop, whose customers come back within three days or so:

        >>> shop = recsys.TwoStage(models="ials(factors=4)+ease(l2=50)", candidates=10, windows=2, days=3.0).fit(train)
        >>> shop.recommend(["u1"], k=3).num_rows
        3
    """

    source: ClassVar[str] = "Covington et al. 2016 (two stages), doi 10.1109/ICDM.2010.127"
    fitted: ClassVar[tuple[str, ...]] = ("weights_", "pairs_", "scale_")
    shapes: ClassVar[dict[str, str]] = Recommender.shapes | _trees.SHAPES | {
        "weights_": "w", "pairs_": "w f", "scale_": "w", "item_facts_": "items facts"}  # fmt: skip
    vocabularies: ClassVar[tuple[str, ...]] = ("actions_",)
    zero_is_no_evidence: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"factors": [0, 2, 4, 8], "reg": (1e-5, 1e-2, "log"), "candidates": [20, 50, 100]}
    models: str = "markov(order=2)+co-occurrence"
    candidates: int = bounded(50, least=1)
    action: str | None = None
    held: float = bounded(0.15, above=0, below=1)
    steps: int = bounded(20_000, least=1)
    ranker: str = bounded("fm", among=("fm", "trees"))
    windows: int = bounded(0, least=0)
    days: float = bounded(28.0, above=0)
    lead: int = bounded(0, least=0)
    numbers: str | None = None
    factors: int = bounded(4, least=0)
    reg: float = bounded(1e-4, above=0)
    trees: int = bounded(250, least=1)
    leaves: int = bounded(15, least=2)
    seed: int = 0

    @property
    def counts_repeats(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether seen items are listed by default: not in a shop, whose ranker learned from new ones alone."""
        return not self.windows

    def parts(self, seed: int | None = None) -> list[Recommender]:
        """The models of the first stage, not fitted; InputError for a text that names none that can serve."""
        found = super().parts(self.seed if seed is None else seed)
        for model in found:
            inner = getattr(model, "inner", model)
            if inner.per_user and type(inner)._fold is Learner._fold:
                expected = "models that answer from a user's events alone, e.g. IALS, EASE or Markov"
                raise InputError("models", got=repr(model), expected=expected)
        return found

    def check_extras(self) -> None:
        """See `Recommender.check_extras`."""
        super().check_extras()
        if self.ranker == "trees":
            require("lightgbm", "recsys", "lightgbm")

    def _fit(self, data: Dataset) -> None:
        if self.lead > len(self.parts()):
            raise InputError("lead", got=self.lead, expected=f"at most {len(self.parts())}, the number of models")
        if self.windows and data.time is None:
            raise InputError("windows", got="events without times", expected="a time column, or windows=0")
        if self.numbers and not self.windows:
            raise InputError("numbers", got=f"{self.numbers!r} without windows", expected="windows, e.g. 3")
        self.check_extras()
        columns = data.context.column_names
        if self.action is not None and self.action not in columns:
            raise InputError("action", got=repr(self.action), expected=f"one of {columns}, the context")
        self.actions_ = distinct(data.context[self.action]) if self.action else []
        row, hit, X = self._of_windows(data) if self.windows else self._of_steps(data)
        if not hit.any():
            raise InputError("TwoStage", got="no step whose item a model named", expected="more candidates")
        found = np.isin(row, row[hit])  # a list whose item no model named teaches nothing
        (self._learn if self.ranker == "fm" else self._learn_trees)(row[found], hit[found], X[found])
        self._fit_parts(data)
        if self.windows:
            self.item_facts_ = item_facts(self.history_, self._now(), number_columns(self.history_, data, self.numbers))

    def _of_steps(self, data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(list, whether it came next, what is known) of the candidates at steps of the latest users."""
        history = self.history_
        last = np.arange(len(history)) if history.time is None else history.time[history.indptr[1:] - 1]
        late = np.zeros(len(history), bool)
        late[np.argsort(last, kind="stable")[len(history) - max(1, round(self.held * len(history))) :]] = True
        place = np.arange(len(history.item)) - history.indptr[history.rows()]
        target = np.flatnonzero(late[history.rows()] & (place > 0))
        if not len(target) or late.all():
            raise InputError("TwoStage", got="no user with two events among the latest", expected="sequences")
        target = np.sort(np.random.default_rng(self.seed).permutation(target)[: self.steps])
        places = self._fit_on(data.take(~late[data.user]))
        blocks = []
        for start in range(0, len(target), _BLOCK):
            stops = target[start : start + _BLOCK]
            before = history.ranges(history.indptr[history.rows()[stops]], stops)
            row, item, X = self._described(np.full(len(stops), -1), before, places)
            blocks.append((row + start, item == history.item[stops][row], X))
        row, hit, X = (np.concatenate(one) for one in zip(*blocks, strict=True))
        return row, hit, X

    def _of_windows(self, data: Dataset) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(list, whether it was bought, what is known) of the candidates for all buyers of each window."""
        history, draw, blocks, lists = self.history_, np.random.default_rng(self.seed), [], 0
        assert history.time is not None  # else fit had refused
        assert data.time is not None
        for back in range(self.windows):
            start, end = (self._now() + 1 - int((back + one) * self.days * DAY) for one in (1, 0))
            past, inside = history.keep(history.time < start), (history.time >= start) & (history.time < end)
            had, items = np.unique(past.rows() * past.n_items + past.item), history.n_items
            bought = np.setdiff1d(np.unique(history.rows()[inside] * items + history.item[inside]), had)
            known = np.bincount(past.item, minlength=items) > 0
            bought = bought[known[bought % items] & (past.counts[bought // items] > 0)]
            users = np.unique(bought // items)
            if not len(users) or known.sum() < 2:
                continue
            early = data.take(data.time < start)
            places = self._fit_on(early)
            facts = item_facts(past, start, number_columns(past, data, self.numbers))
            kept = min(1.0, _ROWS / (self.windows * len(users) * self.candidates * len(self.parts_)))
            for first in range(0, len(users), _BLOCK):
                some = users[first : first + _BLOCK]
                row, item, X = self._described(np.full(len(some), -1), past.take(some), places, facts, start)
                hit = np.isin(some[row] * items + item, bought)
                use = hit | (draw.random(len(row)) < kept)
                blocks.append((row[use] + lists, hit[use], X[use]))
                lists += len(some)
        if not blocks:
            raise InputError("TwoStage", got=f"no first purchase in {self.windows} windows of {self.days:g} days",
                             expected="longer windows, or a longer log")  # fmt: skip
        row, hit, X = (np.concatenate(one) for one in zip(*blocks, strict=True))
        return row, hit, X

    def _fit_on(self, early: Dataset) -> Places:
        """Fit the models on some events; of each its code of each item (-1: none), and the item of each code."""
        self.parts_ = [part.fit(early) for part in self.parts()]
        return [
            (part.item_ids_.codes(self.item_ids_.values), self.item_ids_.codes(part.item_ids_.values))
            for part in self.parts_
        ]

    def _now(self) -> int:
        assert self.now_ is not None  # there are times
        return self.now_

    def _learn_trees(self, row: np.ndarray, hit: np.ndarray, X: np.ndarray) -> None:
        found = _trees.learn_trees(X, row, hit, self.trees, self.leaves, self.seed)
        for name, array in zip(_trees.ARRAYS, found, strict=True):
            setattr(self, name, array)
        width = X.shape[1]
        self.weights_, self.pairs_ = np.zeros(width, np.float32), np.zeros((width, 0), np.float32)
        self.scale_ = np.ones(width, np.float32)

    def _learn(self, row: np.ndarray, hit: np.ndarray, X: np.ndarray) -> None:
        """Weights of least cross-entropy: row (n,) of each candidate, sorted; whether it was right; what is known."""
        most = np.abs(X).max(axis=0)
        self.scale_ = np.where(most > 0, most, 1).astype(np.float32)
        X, width = (X / self.scale_).astype(np.float64), X.shape[1]
        squares = X**2
        starts, own = np.flatnonzero(np.append(True, np.diff(row) > 0)), np.cumsum(np.append(False, np.diff(row) > 0))
        wanted = hit / np.add.reduceat(hit.astype(np.float64), starts)[own]  # chances of each list that add up to 1
        start = np.concatenate([np.zeros(width), 0.1 * np.random.default_rng(self.seed).standard_normal(
            width * self.factors)])  # fmt: skip

        def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
            w, V = theta[:width], theta[width:].reshape(width, -1)
            score, inner = machine(X, w, V, squares)
            score = score - np.maximum.reduceat(score, starts)[own]
            total = np.add.reduceat(np.exp(score), starts)
            slope = (np.exp(score) / total[own] - wanted) / len(starts)
            value = (np.log(total).sum() - score @ wanted) / len(starts) + self.reg / 2 * theta @ theta
            of_pairs = X.T @ (slope[:, None] * inner) - (squares.T @ slope)[:, None] * V
            return value, np.concatenate([X.T @ slope, of_pairs.ravel()]) + self.reg * theta

        theta = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x.astype(np.float32)
        self.weights_, self.pairs_ = theta[:width], theta[width:].reshape(width, self.factors)

    def _described(
        self,
        users: np.ndarray,
        history: History,
        places: Places | None = None,
        facts: np.ndarray | None = None,
        now: int | None = None,
        allowed: np.ndarray | None = None,
        among: Csr | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(row and item of each candidate, sorted; what is known of it, float32 (n, width)) after some histories.

        Args:
            users: codes; those of a fold-in or before a moment are -1, and the models fold the histories in.
            history: of the users.
            places: from these items' codes to each model's and back, while the models know other ones.
            facts: `item_facts` with windows, at the moment `now`.
            allowed, among: see `Query`; without `places`.
        """
        items, listed = history.n_items, []
        for number, part in enumerate(self.parts_):
            inside, back = history, None
            if places is not None:
                known, back = places[number]
                inside = History(history.indptr, known[history.item], None, history.time, history.context, len(back))
                inside = inside.keep(inside.item >= 0)
                part, users = part.answering(inside), np.arange(len(inside))
            lists, _ = part._lists(Query(users, inside), self.candidates, self.windows > 0, allowed, among)
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
        if facts is not None and now is not None:
            columns += list(pair_facts(row, item, history, facts, now).T)
        else:
            columns += [_lately(keys, history), np.log1p(self.popular_[item])]
        if self.action:
            done = codes(history.context[self.action], self.actions_)
            ends = np.where(history.counts > 0, history.indptr[1:] - 1, 0)
            action = np.where(history.counts > 0, done[ends] if len(done) else -1, -1)
            columns += [(action[row] == one).astype(np.float32) for one in range(len(self.actions_))]
        X = np.stack(columns, axis=1).astype(np.float32)
        return row, item, in_list(row, X) if self.windows and self.ranker == "fm" else X

    def partial_fit(self, events: Dataset) -> Self:
        """See `Recommender.partial_fit`; what sells now follows the events."""
        super().partial_fit(events)
        if self.windows:
            numbers = self.item_facts_[:, FACTS:]
            self.item_facts_ = item_facts(self.history_, self._now(), numbers)
        return self

    def _reads(self) -> list[str]:
        own = [] if self.action is None else [self.action]
        return list(dict.fromkeys([*own, *super()._reads()]))

    def _score(self, query: Query) -> np.ndarray:
        scores = np.zeros((len(query), len(self.item_ids_)), np.float32)
        about = (self.item_facts_, self._now()) if self.windows else (None, None)
        for start in range(0, len(query), _BLOCK):
            rows = np.arange(start, min(start + _BLOCK, len(query)))
            among = None if query.among is None else query.among[rows]
            row, item, X = self._described(
                query.codes[rows], query.history.take(rows), None, *about, allowed=query.allowed, among=among
            )
            if self.ranker == "trees":
                found = _trees.score_trees(tuple(getattr(self, name) for name in _trees.ARRAYS), X)
            else:
                found, _ = machine(X / self.scale_, self.weights_, self.pairs_)
            if self.lead:
                found = in_list(row, found[:, None])[:, 0] + in_list(row, X[:, : 2 * self.lead : 2]).mean(axis=1)
            top = np.full(len(rows), -np.inf)
            np.maximum.at(top, row, found)
            chance = np.exp(found - top[row])
            scores[start + row, item] = np.maximum(chance / np.bincount(row, chance, len(rows))[row], 1e-30)
        return scores


def in_list(row: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Columns in deviations from the mean of their list, cut at 4: float32 (n, width), rows sorted by list.

    A machine extends a slope for ever, and what sells in one month is off the scale of another.
    """
    if not len(row):
        return X
    starts, own = np.flatnonzero(np.append(True, np.diff(row) > 0)), np.cumsum(np.append(False, np.diff(row) > 0))
    count = np.diff(np.append(starts, len(row)))[:, None]
    X = X - (np.add.reduceat(X, starts) / count)[own]
    spread = np.sqrt(np.add.reduceat(X**2, starts) / count)
    return np.clip(X / np.maximum(spread, 1e-6)[own], -4, 4).astype(np.float32)


def machine(
    X: np.ndarray, w: np.ndarray, V: np.ndarray, squares: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(scores X w + 1/2 sum_f [(X v_f)^2 - X^2 v_f^2], (n,); X V, (n, factors)) of rows X (n, width)."""
    inner = X @ V
    squares = X**2 if squares is None else squares
    return X @ w + 0.5 * ((inner**2).sum(axis=1) - squares @ (V**2).sum(axis=1)), inner


def _lately(keys: np.ndarray, history: History) -> np.ndarray:
    """One over how many events ago each pair's latest was, at sorted keys row * items + item; 0 where there is none."""
    mine, steps = history.rows() * history.n_items + history.item, np.repeat(history.indptr[1:], history.counts)
    lately = 1.0 / (steps - np.arange(len(mine)))
    order = np.lexsort((lately, mine))
    last = np.append(np.diff(mine[order]) > 0, True)[: len(mine)]  # the latest of a pair's events
    return _at(keys, mine[order][last], lately[order][last])


def _at(keys: np.ndarray, listed: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values at sorted keys, of sorted keys `listed` that have some; 0 elsewhere."""
    if not len(listed):
        return np.zeros(len(keys))
    place = np.minimum(np.searchsorted(listed, keys), len(listed) - 1)
    return np.where(listed[place] == keys, values[place], 0.0)
