"""Beyond accuracy: what lists do to the catalogue, and whether they fit each user's taste."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError
from ninefold.report import Table

from recsys.data._dataset import Dataset, need_dataset
from recsys.data._frame import as_table, numbers, rows_text
from recsys.data._untyped import pc
from recsys.evaluation._propensity import as_numbers
from recsys.recommender._base import Recommender
from recsys.recommender._similar import cosines


def beyond_accuracy(model: Recommender, lists: Any, *, vectors: Any = None, categories: Any = None) -> dict[str, float]:
    """Describe lists made by a model.

    Args:
        model: gives catalogue, popularity and histories.
        lists: as from `model.recommend`, in any frame.
        vectors: by the model's item codes, (items, d), for intra-list diversity; the model's own if None.
        categories: one for each of the model's items: for calibration.
    Returns: by name
        coverage: share of the catalogue that is listed at all.
        gini: inequality of exposure, 0 if all items are listed alike, near 1 if few take all.
        novelty: mean of -log2 of the share of users who had the listed item.
        diversity: mean of 1 - cosine over pairs of a list (if there are vectors).
        serendipity: share of listed items that are not among the most popular ones, as many as a list is long.
        calibration_kl: mean KL divergence of a list's categories from the user's history's (if there are categories).

    Examples:
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> model = recsys.ItemKNN().fit(train)
        >>> lists = model.recommend(k=5)
        >>> for name, value in recsys.evaluation.beyond_accuracy(model, lists).items():
        ...     print(f"{name:12} {value:.2f}")
        coverage     0.97
        gini         0.43
        novelty      2.03
        serendipity  0.71
    """
    user, item, rank = _entries(model, lists)
    items = len(model.item_ids_)
    counts = np.bincount(item, minlength=items)
    share = np.maximum(model.popular_[item], 1) / max(len(model.user_ids_), 1)
    usual = np.argsort(-model.popular_, kind="stable")[: rank.max()]
    result = {
        "coverage": float((counts > 0).mean()),
        "gini": gini(counts),
        "novelty": float(-np.log2(share).mean()),
        "serendipity": float((~np.isin(item, usual)).mean()),
    }
    starts = np.flatnonzero(np.append(True, rank[1:] == 1))
    vectors = vectors_of(model, vectors)
    if vectors is not None:
        result["diversity"] = _diversity(item, starts, vectors)
    if categories is not None:
        result["calibration_kl"] = _calibration(model, user, item, starts, categories)
    return result


def gini(counts: np.ndarray) -> float:
    """Gini coefficient of non-negative counts (n,)."""
    ordered = np.sort(counts.astype(np.float64))
    n, total = len(ordered), ordered.sum()
    if total == 0:
        return 0.0
    return float((2 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def _diversity(item: np.ndarray, starts: np.ndarray, vectors: np.ndarray) -> float:
    distinct, place = np.unique(item, return_inverse=True)
    alike = cosines(vectors[distinct], np.arange(len(distinct)))
    values = []
    for part in np.split(place, starts[1:]):
        if len(part) > 1:
            among = alike[np.ix_(part, part)]
            values.append(1 - (among.sum() - np.trace(among)) / (len(part) * (len(part) - 1)))
    return float(np.mean(values)) if values else 0.0


def _entries(model: Recommender, lists: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(user codes, item codes, ranks), int (n,), of lists in any frame."""
    names = model.names_
    table = as_table(lists, columns=(names.user, names.item, "rank"))
    if table.num_rows == 0:
        raise InputError("lists", got="no rows", expected="at least one list")
    rank = numbers(table.column("rank"), "rank").astype(np.int64)
    return model.user_ids_.codes(table.column(names.user)), item_codes(model, table), rank


def item_codes(model: Recommender, lists: pa.Table) -> np.ndarray:
    """Codes of the items of lists, int32 (n,); InputError for items that the model does not know."""
    item = model.item_ids_.codes(lists.column(model.names_.item))
    if (item < 0).any():
        raise InputError("lists", got=f"unknown items in {rows_text(item < 0)}", expected="items of the model")
    return item


def vectors_of(model: Recommender, vectors: Any) -> Any:
    """Given vectors, (items, d), checked; the model's own if None, and None if it has none."""
    if vectors is None:
        return model._item_vectors()
    if not sp.issparse(vectors):
        found = as_numbers("vectors", vectors, 2)  # which refuses what is not finite
        vectors = vectors if isinstance(vectors, np.ndarray) else found
    if vectors.shape[0] != len(model.item_ids_):
        expected = f"one row for each of {len(model.item_ids_)} items"
        raise InputError("vectors", got=f"shape {vectors.shape}", expected=expected)
    return vectors


def category_codes(model: Recommender, categories: Any) -> tuple[np.ndarray, list[str]]:
    """(category of each item, int (items,); the categories' names)."""
    categories = as_table({"categories": categories}).column(0)
    if len(categories) != len(model.item_ids_):
        raise InputError(
            "categories", got=f"{len(categories)}", expected=f"one for each of {len(model.item_ids_)} items"
        )
    encoded = pc.fill_null(categories.cast(pa.string()), "").combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()


def category_shares(model: Recommender, categories: Any) -> tuple[np.ndarray, np.ndarray]:
    """(category of each item, int (items,); share of each category in each history, (users, categories))."""
    code, names = category_codes(model, categories)
    size, history = len(names), model.history_
    flat = np.bincount(history.rows() * size + code[history.item], minlength=len(history) * size)
    shares = flat.reshape(len(history), size).astype(np.float64)
    return code, shares / np.maximum(shares.sum(axis=1, keepdims=True), 1)


def exposure(model: Recommender, lists: Any, categories: Any) -> Table:
    """Who is shown: each category's share of exposure, its share of the catalogue and of past events.

    Exposure of rank r is 1 / log2(1 + r) (Singh and Joachims, KDD 2018), so that it adds up as DCG does.

    Args:
        model: that made the lists.
        lists: as from `model.recommend`.
        categories: one for each of the model's items.

    Examples:
        >>> import numpy as np
        >>> import pyarrow as pa
        >>> import recsys

        >>> users = "ann ann ann ann bob bob bob cy cy dee".split()
        >>> items = "cup jar lid pan cup jar lid cup jar cup".split()
        >>> data = recsys.Dataset.from_frame({"user": users, "item": items}, user="user", item="item")
        >>> model = recsys.Popular().fit(data)
        >>> makers = pa.array(["big", "big", "small", "small"])  # of each of model.item_ids_.values
        >>> lists = model.recommend(["eve"], k=4)

        >>> for category, shown, *rest in recsys.evaluation.exposure(model, lists, makers).rows:
        ...     print(f"{category:6} {shown:.2f} of the exposure")
        big    0.64 of the exposure
        small  0.36 of the exposure
    """
    code, names = category_codes(model, categories)
    _, item, rank = _entries(model, lists)
    item, weight = code[item], 1 / np.log2(1.0 + rank)
    shown, there, had = (
        np.bincount(one, weights, len(names))
        for one, weights in ((item, weight), (code, None), (code[model.history_.item], None))
    )
    shown, there, had = (one / max(one.sum(), 1e-12) for one in (shown, there, had))
    table = Table(["category", "exposure", "of the catalogue", "of the events", "exposure / events"])
    for place in np.argsort(-shown, kind="stable"):
        ratio = float(shown[place] / had[place]) if had[place] else None
        table.rows.append([names[place], float(shown[place]), float(there[place]), float(had[place]), ratio])
    return table


def utility(model: Recommender, lists: Any, test: Dataset, categories: Any) -> Table:
    """Who is found: of what listed users went on to have, how much their lists held, by category of item.

    Args:
        model: that made the lists.
        lists: as from `model.recommend`.
        test: later events; pairs that the user had before are left out, and what the model does not know.
        categories: one for each of the model's items.
    Returns: category, its pairs, the share of them that was listed, the mean of 1 / log2(1 + rank) (0 where not
        listed), and by how much that mean differs from that of all pairs.

    Examples:
        >>> import pyarrow as pa
        >>> import recsys

        >>> train, test = recsys.simulate(100, 30, 2_000, seed=0).data.clicks().split.time()

        >>> model = recsys.ItemKNN().fit(train)
        >>> halves = pa.array(["old" if code < 15 else "new" for code in range(len(model.item_ids_))])
        >>> found = recsys.evaluation.utility(model, model.recommend(k=5), test, halves)
        >>> found.columns
        ['category', 'pairs', 'listed', 'utility', 'gap to all']
        >>> [row[0] for row in found.rows]
        ['old', 'new']
    """
    code, names = category_codes(model, categories)
    size, history = len(model.item_ids_), model.history_

    def keys(user: np.ndarray, item: np.ndarray) -> np.ndarray:
        return user.astype(np.int64) * size + item

    *shown, rank = _entries(model, lists)
    need_dataset(test, "utility")
    user, item = test.encoded(model.user_ids_, model.item_ids_)
    requested = (user >= 0) & (item >= 0) & np.isin(user, shown[0])
    pairs = np.setdiff1d(keys(user[requested], item[requested]), keys(history.rows(), history.item))
    if len(pairs) == 0:
        raise InputError("test", got="no new pair of a listed user", expected="later events of these users")
    order = np.argsort(keys(*shown), kind="stable")
    listed = keys(*shown)[order]
    place = np.minimum(np.searchsorted(listed, pairs), len(listed) - 1)
    hit = listed[place] == pairs
    gain = np.where(hit, 1 / np.log2(1.0 + rank[order][place]), 0.0)
    table = Table(["category", "pairs", "listed", "utility", "gap to all"])
    of_pair = code[pairs % size]
    for one in np.argsort(-np.bincount(of_pair, minlength=len(names)), kind="stable"):
        inside = of_pair == one
        if inside.any():
            mean = float(gain[inside].mean())
            row = [names[one], int(inside.sum()), float(hit[inside].mean()), mean, mean - float(gain.mean())]
            table.rows.append(row)
    return table


def kl(p: np.ndarray, q: np.ndarray, smooth: float = 0.01) -> np.ndarray:
    """KL(p || (1 - smooth) q + smooth p) along the last axis, as Steck (RecSys 2018) smooths it."""
    mixed = (1 - smooth) * q + smooth * p
    return np.where(p > 0, p * np.log(np.where(p > 0, p, 1) / np.where(mixed > 0, mixed, 1)), 0.0).sum(axis=-1)


def _calibration(model: Recommender, user: np.ndarray, item: np.ndarray, starts: np.ndarray, categories: Any) -> float:
    code, shares = category_shares(model, categories)
    row = np.cumsum(np.isin(np.arange(len(item)), starts)) - 1
    size = shares.shape[1]
    listed = np.bincount(row * size + code[item], minlength=len(starts) * size).reshape(len(starts), size)
    owner = user[starts]
    known = owner >= 0
    if not known.any():
        return 0.0
    q = listed[known] / listed[known].sum(axis=1, keepdims=True)
    return float(kl(shares[owner[known]], q).mean())
