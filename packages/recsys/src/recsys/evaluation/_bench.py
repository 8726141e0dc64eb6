"""Speed of lists compared with implicit's and with the bare matrix product, in one process, measured in turn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from ninefold.measure import compare
from ninefold.report import Table
from threadpoolctl import threadpool_limits

from recsys.recommender._longest import top_of_factors
from recsys.recommender._rows import threads
from recsys.recommender._topk import Filter


def bench(seed: int = 0, *, users: int = 4000, items: int = 20_000, repeats: int = 5) -> Table:
    """Ratios on made data: the exact top 10 by 64 factors, seen items left out.

    Args:
        seed: of the data.
        users, items: of the lists.
        repeats: rounds.
    """
    draw = np.random.default_rng(seed)
    P, Q = (draw.standard_normal((n, 64)).astype(np.float32) for n in (users, items))
    seen = sp.random(users, items, 40 / items, "csr", np.float32, rng=draw)
    theirs = AlternatingLeastSquares(factors=64, num_threads=threads())
    theirs.user_factors, theirs.item_factors = P, Q

    def product() -> None:
        for start in range(0, users, 500):
            np.argpartition(P[start : start + 500] @ Q.T, -10, axis=1)

    table = Table(["what", "seconds", "times as fast as", "ratio", "95 % interval"], notes=[f"{threads()} threads"])
    ours = {"lists of 10": lambda: top_of_factors(P, Q, 10, Filter(hidden=seen))}
    with threadpool_limits(threads(), user_api="blas"):
        add(table, {"implicit.recommend": lambda: theirs.recommend(np.arange(users), seen, N=10), **ours}, repeats)
        add(table, {"product and selection": product, **ours}, repeats)
    return table


def add(table: Table, callables: dict[str, Callable[[], object]], repeats: int) -> None:
    """Time all, and add a row for each but the first: its ratio to that."""
    reference, *others = callables
    found = compare(callables, repeats=repeats)
    for name in others:
        one = found[name]
        table.rows.append([name, one.seconds, reference, one.ratio, f"[{one.low:.3g}, {one.high:.3g}]"])
