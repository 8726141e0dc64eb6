"""Re-ranking of finished lists: maximal marginal relevance, calibration to a user's taste, quotas, a shop's rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._frame import as_table
from recsys.evaluation._beyond import category_codes, category_shares, item_codes, kl, vectors_of
from recsys.recommender._base import Recommender
from recsys.recommender._query import check_length
from recsys.recommender._similar import cosines


def mmr(model: Recommender, lists: Any, k: int, *, weight: float = 0.7, vectors: Any = None) -> pa.Table:
    """Pick k of each list, each time the item of greatest weight * relevance - (1 - weight) * likeness to those picked.

    Carbonell and Goldstein (SIGIR 1998). Relevance is the score scaled to 0..1 within the list, likeness the cosine.

    Args:
        model: that made the lists.
        lists: longer ones than k, as from `model.recommend`.
        k: length of the new lists.
        weight: 1 keeps the order, 0 looks at likeness alone.
        vectors: by the model's item codes, (items, d); the model's own if None.

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

        >>> after = recsys.mmr(model, lists, 3, weight=0.3, vectors=np.array([[1, 0], [1, 0], [1, 0], [0, 1]]))
        >>> lists.column("item").to_pylist(), after.column("item").to_pylist()
        (['cup', 'jar', 'lid', 'pan'], ['cup', 'pan', 'jar'])
    """
    lists, vectors = as_table(lists), vectors_of(model, vectors)
    if vectors is None:
        raise InputError("mmr", got=f"{type(model).__name__}, which has no item vectors", expected="vectors=")
    distinct, place = np.unique(item_codes(model, lists), return_inverse=True)
    alike = cosines(vectors[distinct], np.arange(len(distinct)))

    def gain(part: np.ndarray, relevance: np.ndarray, picked: list[int]) -> np.ndarray:
        if not picked:
            return weight * relevance
        near = alike[np.ix_(place[part], place[part[picked]])].max(axis=1)
        return weight * relevance - (1 - weight) * near

    return _greedy(lists, k, weight, gain)


def calibrate(model: Recommender, lists: Any, k: int, categories: Any, *, weight: float = 0.5) -> pa.Table:
    """Pick k of each list for (1 - weight) * relevance - weight * KL(history's categories || list's) (Steck 2018).

    Args:
        model: that made the lists; its histories say what each user likes.
        lists: longer ones than k.
        k: length of the new lists.
        categories: one for each of the model's items.
        weight: 0 keeps the order.

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

        >>> lists = model.recommend(["ann"], k=4, filter_seen=False)  # ann bought as much of one maker as of the other
        >>> after = recsys.calibrate(model, lists, 2, makers, weight=0.9)
        >>> lists.column("item").to_pylist(), after.column("item").to_pylist()
        (['cup', 'jar', 'lid', 'pan'], ['cup', 'lid'])
    """
    lists, (code, shares) = as_table(lists), category_shares(model, categories)
    item = code[item_codes(model, lists)]
    user = model.user_ids_.codes(lists.column(model.names_.user))
    one_hot = np.eye(shares.shape[1])

    def gain(part: np.ndarray, relevance: np.ndarray, picked: list[int]) -> np.ndarray:
        taste = shares[user[part[0]]] if user[part[0]] >= 0 else np.zeros(shares.shape[1])
        counts = one_hot[item[part[picked]]].sum(axis=0) if picked else np.zeros(shares.shape[1])
        mixed = (counts + one_hot[item[part]]) / (len(picked) + 1)
        return (1 - weight) * relevance - weight * kl(taste, mixed)

    return _greedy(lists, k, weight, gain)


def quota(model: Recommender, lists: Any, k: int, categories: Any, shares: Mapping[str, float]) -> pa.Table:
    """Pick k of each list so that of the first p items at least floor(p * share) are of a category, for each p up to k.

    DetGreedy of Geyik et al. (KDD 2019): where categories fall behind, the best item of those is next, else the best of
    all. A list without such an item left continues without it.

    Args:
        model: that made the lists.
        lists: longer ones than k.
        k: length of the new lists.
        categories: one for each of the model's items, e.g. a supplier.
        shares: category -> least share of the exposure; together at most 1.

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

        >>> after = recsys.quota(model, lists, 3, makers, {"small": 0.5})
        >>> lists.column("item").to_pylist(), after.column("item").to_pylist()
        (['cup', 'jar', 'lid', 'pan'], ['cup', 'lid', 'jar'])
    """
    lists, (code, names) = as_table(lists), category_codes(model, categories)
    unknown = sorted(set(shares) - set(names))
    if unknown:
        raise InputError("shares", got=f"no item of category {unknown[0]!r}", expected=f"of {', '.join(names[:10])}")
    if not (min(shares.values(), default=0) >= 0 and sum(shares.values()) <= 1 + 1e-9):
        raise InputError("shares", got=dict(shares), expected="0 or more each, at most 1 together")
    least = np.array([shares.get(name, 0.0) for name in names])
    item = code[item_codes(model, lists)]

    def gain(part: np.ndarray, relevance: np.ndarray, picked: list[int]) -> np.ndarray:
        counts = np.bincount(item[part[picked]], minlength=len(names))
        behind = counts < np.floor((len(picked) + 1) * least + 1e-9)
        return relevance + 2.0 * behind[item[part]]

    return _greedy(lists, k, 1.0, gain)


def rules(
    model: Recommender,
    lists: Any,
    k: int,
    *,
    categories: Any = None,
    most: Mapping[str, int] | None = None,
    boost: Mapping[str, float] | None = None,
    first: Any = (),
) -> pa.Table:
    """Pick k of each list as a shop's rules want it; what must never be listed is left out by `recommend(exclude=...)`.

    Args:
        model: that made the lists.
        lists: longer ones than k.
        k: length of the new lists; they are shorter where `most` leaves too few.
        categories: one for each of the model's items, e.g. a brand.
        most: category -> how many of its items a list may hold.
        boost: category -> what is added to the relevance of its items, which is 0 to 1 within a list.
        first: ids of items that stand first, in this order, in lists that hold them.

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

        >>> after = recsys.rules(model, lists, 3, categories=makers, most={"big": 1}, first=["pan"])
        >>> lists.column("item").to_pylist(), after.column("item").to_pylist()
        (['cup', 'jar', 'lid', 'pan'], ['pan', 'cup', 'lid'])
    """
    named = {**(most or {}), **(boost or {})}
    code, names = (None, []) if categories is None else category_codes(model, categories)
    unknown = sorted(set(named) - set(names))
    if unknown:
        raise InputError("most, boost", got=f"no item of category {unknown[0]!r}", expected="one of the categories")
    if min((most or {}).values(), default=0) < 0:
        raise InputError("most", got=dict(most or {}), expected="0 items or more of a category")
    lists = as_table(lists)
    item = item_codes(model, lists)
    group = np.zeros(len(item), np.int64) if code is None else code[item]
    limit = np.array([(most or {}).get(name, np.inf) for name in names or [""]])
    added = np.array([(boost or {}).get(name, 0.0) for name in names or [""]])[group]
    pinned = model.item_ids_.codes(first) if len(first) else np.empty(0, np.int32)
    added += np.sum([1e6 * (len(pinned) - place) * (item == one) for place, one in enumerate(pinned)], axis=0)

    def gain(part: np.ndarray, relevance: np.ndarray, picked: list[int]) -> np.ndarray:
        counts = np.bincount(group[part[picked]], minlength=len(limit))
        return np.where((counts < limit)[group[part]], relevance + added[part], -np.inf)

    return _greedy(lists, k, 1.0, gain)


_Gain = Callable[[np.ndarray, np.ndarray, list[int]], np.ndarray]


def _greedy(lists: Any, k: int, weight: float, gain: _Gain) -> pa.Table:
    """Rows of each list in the order in which they are picked, ranks renewed."""
    k = check_length(k)
    if not 0 <= weight <= 1:
        raise InputError("weight", got=weight, expected="a weight in 0..1")
    rank, score = lists.column("rank").to_numpy(), lists.column("score").to_numpy()
    starts = np.flatnonzero(rank == 1)
    rows, ranks = [], []
    for part in np.split(np.arange(len(rank)), starts[1:]):
        low, high = (score[part].min(), score[part].max()) if len(part) else (0.0, 1.0)
        relevance = (score[part] - low) / (high - low) if high > low else np.zeros(len(part))
        picked: list[int] = []
        while len(picked) < min(k, len(part)):
            value = gain(part, relevance, picked)
            value[picked] = -np.inf
            if np.isneginf(value).all():
                break
            picked.append(int(np.argmax(value)))
        rows += part[picked].tolist()
        ranks += range(1, len(picked) + 1)
    index = lists.schema.get_field_index("rank")
    return lists.take(pa.array(rows, pa.int64())).set_column(index, "rank", pa.array(ranks, pa.int32()))
