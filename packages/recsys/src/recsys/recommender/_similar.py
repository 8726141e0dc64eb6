"""Which items and users are alike, by cosine of their vectors, and which of a user's items speak for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.data._ids import id_array
from recsys.data._untyped import Csr
from recsys.recommender._learner import Learner
from recsys.recommender._query import check_length
from recsys.recommender._topk import Filter, top_of_scores


def cosines(vectors: Any, codes: np.ndarray) -> np.ndarray:
    """Cosines of some rows with all rows.

    Args:
        vectors: (n, d), an array or a CSR matrix.
        codes: rows, int (m,).
    Returns: float32 (m, n); 0 for a zero vector.
    """
    if sp.issparse(vectors):
        norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        products = (vectors[codes] @ vectors.T).toarray().astype(np.float32)
    else:
        norms = np.linalg.norm(vectors, axis=1)
        products = np.asarray(vectors[codes] @ vectors.T, np.float32)
    scale = np.outer(norms[codes], norms).astype(np.float32)
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)


def unit_rows(X: Csr) -> Csr:
    """Rows of length 1; zero rows stay."""
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)) @ X)


@dataclass(kw_only=True, eq=False, repr=False)
class Likenesses(Learner):
    """What a model says of items and users that are alike, and why it scores an item as it does."""

    def _scale(self) -> np.ndarray | None:
        """The factor of each item's positive scores, by which negative ones are divided, float32 (items,); or None."""
        return None

    def _item_vectors(self) -> Any:
        """Vectors (items, d), array or CSR, whose cosine says how alike items are; None if the model has none."""
        return getattr(self, "item_factors_", None)

    def _user_vectors(self) -> Any:
        """Vectors (users, d), array or CSR, whose cosine says how alike users are: their factors, or what they had."""
        factors = getattr(self, "user_factors_", None)
        return self.history_.matrix() if factors is None else factors

    def _similarities(self, codes: np.ndarray) -> np.ndarray:
        """How alike some items are to all, float32 (codes, items), a fresh array; by default cosines of vectors."""
        vectors = self._item_vectors()
        if vectors is None or vectors.shape[1] == 0:
            raise InputError(f"{type(self).__name__}.similar_items", got="a model without item vectors")
        return cosines(vectors, codes)

    def similar_items(self, items: Any, k: int = 10) -> pa.Table:
        """The k items most like each given one: table (item, similar, rank, score), by cosine, itself left out."""
        return self._alike("item", items, k, self._similarities)

    def similar_users(self, users: Any, k: int = 10) -> pa.Table:
        """The k users most like each given one: table (user, similar, rank, score), by cosine of their vectors (of what
        they had, where a model has none), itself left out."""
        return self._alike("user", users, k, lambda codes: cosines(self._user_vectors(), codes))

    def _alike(self, what: str, given: Any, k: int, alike: Callable[[np.ndarray], np.ndarray]) -> pa.Table:
        """Lists of users or items for given ones, by the likeness of their codes to all, (codes, all)."""
        self._need_fit()
        k, known = check_length(k), getattr(self, f"{what}_ids_")
        ids = id_array(given, what)
        codes = known.codes(ids)
        if (codes < 0).any():
            unknown = ids.filter(pa.array(codes < 0))[0].as_py()
            raise InputError(f"{what}s", got=repr(unknown), expected=f"{what}s of the events")
        scores = alike(codes)
        scores[np.arange(len(codes)), codes] = -np.inf
        lists = top_of_scores(scores, k, Filter(skips_zeros=self.zero_is_no_evidence))
        columns = [ids.take(pa.array(lists.row)), known.ids(lists.item), lists.rank, lists.score]
        return pa.table(dict(zip((getattr(self.names_, what), "similar", "rank", "score"), columns, strict=True)))

    def explain(self, user: Any, item: Any, k: int = 10, *, context: Any = None) -> pa.Table:
        """Which of a user's items speak for one item: table (item, share), the shares adding up to the score.

        A factorisation machine says instead what the parts of an event do, and takes a `context`.
        """
        if context is not None:
            raise InputError("context", got="one", expected=f"none: {type(self).__name__} does not use it")
        k = check_length(k)
        code, target = self._known_pair(user, item)
        try:
            seen, share = self._explain(code, target)
        except np.linalg.LinAlgError as error:
            raise InputError(
                "explain", got=f"a system without a solution ({error})", expected="sound factors"
            ) from None
        scale = self._scale()
        if scale is not None:
            share = share * scale[target] if share.sum() > 0 else share / scale[target]
        best = np.argsort(-np.abs(share), kind="stable")[:k]
        return pa.table({self.names_.item: self.item_ids_.ids(seen[best]), "share": share[best].astype(np.float32)})

    def _known_pair(self, user: Any, item: Any) -> tuple[int, int]:
        """Codes of a user and an item of the events."""
        self._need_fit()
        code, target = int(self.user_ids_.codes([user])[0]), int(self.item_ids_.codes([item])[0])
        if code < 0 or target < 0:
            raise InputError(
                "explain", got=f"user {user!r}, item {item!r}", expected="a user and an item of the events"
            )
        return code, target

    def _explain(self, user: int, item: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ARG002
        """(item codes of the user's history, what each adds to the score)."""
        raise InputError(f"{type(self).__name__}.explain", got="a model that cannot say")
