"""Lists that follow a user's ties: what friends had, and what a model would list for them, combined with one's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._dataset import Dataset
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.data._ties import resized, shuffled
from recsys.data._untyped import Csr
from recsys.recommender._learner import bounded
from recsys.recommender._query import FALLBACK, FEATURES, MODEL, Query
from recsys.sequence._parts import OfParts


@dataclass(kw_only=True, eq=False, repr=False)
class Social(OfParts):
    """Score of an item: a model's own, plus `share` times the mean of its scores for the user's ties, plus `adopt`
    times the share of the ties who had the item. For a linear model this is the score of the profiles joined.

    A user with ties but without events is answered only from these, as `source` "features". Ties are those of
    `Dataset.with_ties`. Users of a later `fold_in` have the ties of its events; a service answers new events of a known
    user without ties until the next `partial_fit`.

    Args:
        models: one model that answers from a user's events, e.g. "ease(l2=300)" or "trend(model=ials(factors=64))".
        share: weight of what the model says of the ties.
        adopt: weight of what they had.
        shuffle: a control: ties are drawn anew between the users, so that only their numbers are left.
        seed: of the shuffle.

    Examples:
        >>> import recsys

        >>> users = "ann ann ann bob bob cy cy dee dee dee eve eve fay fay".split()
        >>> items = "tea pot mug tea pot tea mug coffee filter mill coffee mill coffee filter".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")
        >>> data = data.with_ties({"who": ["gus", "hal"], "follows": ["eve", "ann"]})

        >>> model = recsys.Social(models="ease(l2=1)").fit(data)
        >>> model.recommend(["gus", "hal"], k=1).select(["user", "item", "source"]).to_pylist()
        [{'user': 'gus', 'item': 'coffee', 'source': 'features'}, {'user': 'hal', 'item': 'tea', 'source': 'features'}]
    """

    source: ClassVar[str] = "doi 10.1145/1935826.1935877 (ties in factor models); neighbours' profiles"
    fitted: ClassVar[tuple[str, ...]] = ("ties_",)
    shapes: ClassVar[dict[str, str]] = OfParts.shapes | {"ties_": "csr users users"}
    zero_is_no_evidence: ClassVar[bool] = True
    knows_cold_users: ClassVar[bool] = True
    space: ClassVar[dict[str, Any]] = {"share": (0.0, 2.0), "adopt": (0.0, 1.0)}
    models: str = "ease"
    share: float = bounded(0.5, least=0)
    adopt: float = bounded(0.1, least=0)
    shuffle: bool = False
    seed: int = 0

    def seen_by(self, data: Dataset) -> Dataset:
        """See `Recommender.seen_by`: users with ties stay, items without events do not."""
        return data.warm() if data.ties is None else data.with_events_or(np.diff(data.ties.indptr) > 0, None)

    def _fit(self, data: Dataset) -> None:
        if len(self.parts()) != 1:
            raise InputError("models", got=repr(self.models), expected="one model")
        if data.ties is None:
            raise InputError("ties", got="events without ties", expected="data.with_ties(table), or the model alone")
        self.ties_ = shuffled(data.ties, self.seed) if self.shuffle else data.ties
        (part,) = self.parts()
        if part.counts_repeats or part._context_columns():
            raise InputError("models", got=repr(part), expected="a model of a user's new items, without contexts")
        self.parts_ = [part.fit(data)._folded(self.history_, self.user_ids_)]

    def fold_in(self, events: Dataset) -> Self:
        """See `Recommender.fold_in`; ties are those of the events."""
        copied = super().fold_in(events)
        if events.ties is not None:
            copied.ties_ = events.ties
        return copied

    def _folded(self, history: History, users: IdMap) -> Self:
        copied = super()._folded(history, users)
        copied.ties_ = sp.csr_matrix((len(history), len(history)), dtype=np.float32)
        return copied

    def partial_fit(self, events: Dataset) -> Self:
        """See `Recommender.partial_fit`; ties of the events are added."""
        before, users = self.ties_, len(self.user_ids_)
        super().partial_fit(events)
        size = len(self.user_ids_)
        self.ties_ = resized(before, np.arange(users), size)
        if events.ties is not None and not self.shuffle:
            added = resized(events.ties, self.user_ids_.codes(events.user_ids.values), size)
            self.ties_ = sp.csr_matrix(self.ties_.maximum(added))
        return self

    def _friends(self, query: Query) -> tuple[Csr, np.ndarray]:
        """(each row's weights of its friends, rows adding up to 1, CSR (rows, friends); these friends' codes)."""
        known = np.where(query.codes < len(self.user_ids_), query.codes, -1)
        ties = self.ties_[np.maximum(known, 0)]
        ties = sp.csr_matrix(sp.diags((known >= 0).astype(np.float32)) @ ties)
        ties = sp.csr_matrix(ties @ sp.diags((self.history_.counts > 0).astype(np.float32)))
        ties.eliminate_zeros()
        total = np.asarray(ties.sum(axis=1)).ravel()
        ties = sp.csr_matrix(sp.diags(1 / np.maximum(total, 1e-30)) @ ties)
        friends = np.unique(ties.indices)
        return ties[:, friends], friends

    def _origins(self, query: Query) -> np.ndarray:
        ties, _ = self._friends(query)
        missing = np.where(np.diff(ties.indptr) > 0, FEATURES, FALLBACK)
        return np.where(query.history.counts == 0, missing, self.origin_).astype(np.int8)

    def _score(self, query: Query) -> np.ndarray:
        (part,) = self.parts_
        ties, friends = self._friends(query)
        of_friends = self.history_.take(friends)
        own = self._of(part, query.history)
        if not len(friends):
            return own
        theirs = self.share * (ties @ self._of(part, of_friends)) + self.adopt * (ties @ of_friends.clicks).toarray()
        return (own + theirs).astype(np.float32)

    def _of(self, part: Any, history: History) -> np.ndarray:
        """The model's scores for some histories, 0 for those without events."""
        scores = part.answering(history)._answers(Query(np.arange(len(history)), history), np.full(len(history), MODEL))
        return np.where((history.counts > 0)[:, None] & np.isfinite(scores), scores, 0).astype(np.float32)
