"""Approximate neighbours (HNSW, by usearch) for lists of models whose scores are inner products; recall is measured."""

from __future__ import annotations

import copy
import json
import warnings
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import ArtifactError, InputError, require
from ninefold.files import atomic_folder, digest_file

from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._longest import top_of_factors
from recsys.recommender._query import FALLBACK, Query
from recsys.recommender._rows import threads
from recsys.recommender._store import schema_hash
from recsys.recommender._topk import Filter, Lists, top_of_product

_WIDEST = 4096  # candidates looked at in one search


class Index:
    """An HNSW graph over a model's items; make one with `build_index` or `Index.load`.

    Attributes:
        recall: share of the exact top 10 that the index finds, measured on users of the model, nothing filtered.
        width: candidates kept in a search (expansion).

    Examples:
        >>> import recsys

        >>> data = recsys.simulate(200, 300, 6_000, seed=0).data.clicks()
        >>> model = recsys.IALS(factors=8, epochs=4).fit(data)
        >>> path = recsys.build_index(model).save("index")
        >>> index = recsys.Index.load("index", model)
        >>> index.recommend(["u1"], k=3).num_rows
        3
        >>> index.recommend(["u1"], k=3, candidates=["i4", "i7"]).num_rows
        2
    """

    def __init__(self, model: Recommender, graph: Any, width: int, recall: float) -> None:
        self.model, self.graph, self.width, self.recall = model, graph, width, recall

    def search(self, queries: np.ndarray, k: int) -> np.ndarray:
        """Codes of about the k items of greatest inner product, best first, int64 (rows, k); -1: none found."""
        self.graph.expansion_search = max(self.width, k)
        found = self.graph.search(_unit(queries), k, threads=threads())
        keys = np.asarray(found.keys).reshape(len(queries), -1).astype(np.int64)
        counts = np.atleast_1d(np.asarray(found.counts)) if hasattr(found, "counts") else np.full(len(keys), k)
        keys[np.arange(keys.shape[1]) >= counts[:, None]] = -1
        return keys

    def recommend(self, users: Any = None, k: int = 10, **options: Any) -> pa.Table:
        """As `model.recommend`, through the index; filtered and exact where the index comes short.

        More items than k are fetched, as many as are likely to be filtered (seen, excluded, no candidates). A user left
        with fewer than k of them, or of whom nothing is known, is answered by the model.
        """
        view: Any = copy.copy(self.model)
        view._lists = self._lists
        return view.recommend(users, k, **options)

    def _lists(
        self, query: Query, k: int, filter_seen: bool, allowed: np.ndarray | None, among: Csr | None = None
    ) -> tuple[Lists, np.ndarray]:
        model, items = self.model, len(self.model.item_ids_)
        if among is not None:
            return model._lists(query, k, filter_seen, allowed, among)
        origin, found = model._origins(query), model._factors(query)
        assert found is not None  # build_index has seen to it
        hidden = query.had if filter_seen else None
        spare = 0 if allowed is None else int((~allowed).sum())
        if hidden is not None:  # enough for nine rows of ten; the others may come short
            spare += int(np.quantile(np.diff(hidden.indptr), 0.9, method="higher"))
        keys = self.search(found[0], min(k + spare, items, _WIDEST))
        scores = np.einsum("rd,rkd->rk", found[0], _scaled(model, found[1])[keys])
        near = sp.csr_matrix((scores[keys >= 0], ((keys >= 0).nonzero()[0], keys[keys >= 0])), (len(query), items))
        rules = Filter(hidden=hidden, allowed=allowed, users=query.users)
        lists = top_of_product(sp.identity(len(query), format="csr"), near, k, rules)
        short = np.flatnonzero((lists.counts < min(k, items)) | (origin == FALLBACK))
        if not len(short):
            return lists, origin
        users = None if query.users is None else query.users[short]
        left = Query(query.codes[short], query.history.take(short), users=users)
        exact, _ = model._lists(left, k, filter_seen, allowed)
        whole = lists.where(~np.isin(lists.row, short))
        row = np.concatenate([whole.row, short[exact.row]])
        item, score = (np.concatenate([getattr(one, name) for one in (whole, exact)]) for name in ("item", "score"))
        order = np.argsort(row, kind="stable")
        return Lists(np.bincount(row, minlength=len(query)), item[order], score[order]), origin

    # --- files ---

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Write the graph (usearch's format) and what it belongs to, with a digest."""
        with atomic_folder(folder, force=force, ours="recsys.index") as place:
            self.graph.save(str(place / "graph.usearch"))
            about = {
                "kind": "recsys.index",
                "format_version": 1,
                "model": self.model.key_,
                "schema": schema_hash(self.model),
                "width": self.width,
                "recall": self.recall,
                "digests": {"graph.usearch": digest_file(place / "graph.usearch")},
            }
            (place / "index.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
        return Path(folder)

    @classmethod
    def load(cls, folder: str | Path, model: Recommender) -> Self:
        """Read an index of this very model; ArtifactError if it is damaged, newer, or another model's."""
        folder = Path(folder)
        try:
            about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            kind, version = about["kind"], about["format_version"]
            same = (about["model"], about["schema"]) == (model.key_, schema_hash(model))
            width, recall = int(about["width"]), float(about["recall"])
            expected = about["digest"] if "digest" in about else about["digests"]["graph.usearch"]  # 0.1 had one
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ArtifactError(folder / "index.json", f"is damaged or not there ({error})") from None
        if kind != "recsys.index" or version > 1:
            raise ArtifactError(folder / "index.json", f"is {kind} of format {version}, not recsys.index of format 1")
        if not same:
            raise ArtifactError(folder / "index.json", "field model: it belongs to another model, or to another fit")
        if not (folder / "graph.usearch").is_file() or digest_file(folder / "graph.usearch") != expected:
            raise ArtifactError(folder / "graph.usearch", "is damaged: it does not match its digest in index.json")
        graph = _graph(_vectors(model).shape[1])
        graph.load(str(folder / "graph.usearch"))
        return cls(model, graph, width, recall)


def build_index(
    model: Recommender, *, recall: float = 0.95, connectivity: int = 16, expansion: int = 128, sample: int = 500,
    seed: int = 0,
) -> Index:  # fmt: skip
    """An index over a model's items, as wide in its searches as the wanted recall needs.

    The graph is built on inner products themselves (Morozov and Babenko 2018). To turn them into distances by one more
    coordinate was tried and found .67 where this finds .995, at the same width, when items differ in length.

    Args:
        model: fitted, one whose scores are inner products (ALS, SASRec, ...).
        recall: of the exact top 10 on `sample` users; the width is doubled until it is reached.
        connectivity, expansion: links of an item and candidates when it is added (M and efConstruction).
        sample: users on which recall is measured.
        seed: of their choice.
    Raises:
        InputError: if the model's scores are no inner products.
        MissingExtraError: without usearch.
    Warns:
        UserWarning: if no width reaches the wanted recall; `recall` says what the index has.

    Of models whose items differ much in length (ALS, where popular items are the longest) the exact lists of many users
    need few items and no index: `model.recommend(users, block=10_000)`.

    Examples:
        >>> import recsys

        >>> data = recsys.simulate(200, 300, 6_000, seed=0).data.clicks()
        >>> model = recsys.IALS(factors=8, epochs=4).fit(data)
        >>> index = recsys.build_index(model, recall=0.95)
        >>> index.recall >= 0.95
        True
        >>> index.recommend(["u1"], k=3).column_names
        ['user', 'item', 'rank', 'score', 'source']
    """
    if not 0 < recall <= 1:
        raise InputError("recall", got=recall, expected="a share above 0, e.g. 0.95")
    vectors = _vectors(model)
    graph = _graph(vectors.shape[1], connectivity, expansion)
    # the graph's distance is 1 - product: of products far below 1 float32 would keep nothing
    longest = max(float(np.abs(vectors).max(initial=0)), np.finfo(np.float32).tiny) * np.sqrt(vectors.shape[1])
    graph.add(np.arange(len(vectors), dtype=np.uint64), vectors / np.float32(longest), threads=threads())
    some = np.flatnonzero(model.history_.counts > 0)
    some = np.sort(np.random.default_rng(seed).permutation(some)[:sample]).astype(np.int32)
    found = model._factors(Query(some, model.history_.take(some)))
    assert found is not None
    index, k = Index(model, graph, 32, 0.0), min(10, len(vectors))
    exact = top_of_factors(found[0], vectors, k).item.reshape(len(some), k)
    while True:
        near = index.search(found[0], k)
        index.recall = float((near[:, :, None] == exact[:, None, :]).any(axis=1).mean())
        if index.recall >= recall:
            return index
        if index.width >= min(_WIDEST, 2 * len(vectors)):
            message = f"the index finds {index.recall:.3f} of the exact lists, not {recall}; the model's own are exact"
            warnings.warn(message, UserWarning, stacklevel=2)
            return index
        index.width *= 2


def _vectors(model: Recommender) -> np.ndarray:
    model._need_fit()
    first = np.flatnonzero(model.history_.counts > 0)[:1].astype(np.int32)
    found = model._factors(Query(first, model.history_.take(first)))
    if found is None or model.zero_is_no_evidence:
        raise InputError(f"an index of {model!r}", got="scores that are no inner products", expected="e.g. IALS")
    return np.ascontiguousarray(_scaled(model, found[1]), np.float32)


def _unit(queries: np.ndarray) -> np.ndarray:
    """Rows of length 1 or 0: the same neighbours, products of the size that the graph's distance needs."""
    queries = np.asarray(queries, np.float32)
    length = np.sqrt(np.einsum("rd,rd->r", queries, queries, dtype=np.float64))
    return (queries / np.where(length > 0, length, 1)[:, None]).astype(np.float32)


def _scaled(model: Recommender, vectors: np.ndarray) -> np.ndarray:
    """Vectors of items whose inner products are the model's scores, where these are above 0."""
    scale = model._scale()
    return vectors if scale is None else vectors * scale[:, None]


def _graph(width: int, connectivity: int = 16, expansion: int = 128) -> Any:
    usearch = require("usearch.index", "recsys", "ann")
    return usearch.Index(ndim=width, metric="ip", dtype="f32", connectivity=connectivity, expansion_add=expansion)
