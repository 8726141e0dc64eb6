"""Speed beside implicit and beside the bare matrix product, in one process, taken in turn."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from ninefold.measure import compare
from ninefold.report import Table
from threadpoolctl import threadpool_limits

from recsys.linear._ease import ease_weights
from recsys.recommender._rows import solve_rows, threads
from recsys.recommender._topk import Filter, top_of_factors


def bench(seed: int = 0, *, users: int = 4000, items: int = 20_000, repeats: int = 5) -> Table:
    """Ratios on made data: exact top-10 of 64 factors, one iALS epoch, EASE on 2,000 items.

    Args:
        seed: of the data.
        users, items: of the lists; the epoch takes 3,000 users and items with 100,000 events.
        repeats: rounds.
    """
    draw = np.random.default_rng(seed)
    table = Table(["what", "seconds", "times as fast as", "ratio", "95 % interval"])
    P, Q = (draw.standard_normal((n, 64)).astype(np.float32) for n in (users, items))
    seen = sp.random(users, items, 40 / items, "csr", np.float32, rng=draw)
    theirs = AlternatingLeastSquares(factors=64, num_threads=threads())
    theirs.user_factors, theirs.item_factors = P, Q

    def product() -> None:
        for start in range(0, users, 500):
            np.argpartition(P[start : start + 500] @ Q.T, -10, axis=1)

    lists = {
        "implicit.recommend": lambda: theirs.recommend(np.arange(users), seen, N=10),
        "lists of 10": lambda: top_of_factors(P, Q, 10, Filter(hidden=seen)),
    }
    with threadpool_limits(threads(), user_api="blas"):
        _add(table, lists, repeats)
        _add(table, {"product and selection": product, "lists of 10": lists["lists of 10"]}, repeats)
    _add(table, _epochs(draw), repeats)
    X = sp.random(5000, 2000, 0.01, "csr", np.float32, rng=draw)
    G = np.asfortranarray((X.T @ X).toarray() + 100 * np.eye(2000, dtype=np.float32))
    inverses = {"general inverse": lambda: np.linalg.inv(G), "EASE, Cholesky": lambda: ease_weights(G.copy(order="F"))}
    _add(table, inverses, repeats)
    table.notes.append(f"{threads()} threads")
    return table


def _epochs(draw: np.random.Generator) -> dict:
    X = sp.random(3000, 3000, 100_000 / 9e6, "csr", np.float32, rng=draw)
    X.data[:] = 1
    Xt = X.T.tocsr()
    W, H = (draw.standard_normal((3000, 64)).astype(np.float32) for _ in range(2))
    ridge = np.ones(3000, np.float32)

    def ours() -> None:
        solve_rows(X, H, 0.1 * (H.T @ H), ridge)
        solve_rows(Xt, W, 0.1 * (W.T @ W), ridge)

    def implicits(cg: bool) -> None:
        model = AlternatingLeastSquares(factors=64, alpha=2.0, iterations=1, use_cg=cg, num_threads=threads())
        model.user_factors, model.item_factors = W.copy(), H.copy()
        with threadpool_limits(1, user_api="blas"):
            model.fit(X, show_progress=False)

    return {
        "implicit ALS epoch, exact": lambda: implicits(False),
        "implicit ALS epoch, CG": lambda: implicits(True),
        "iALS epoch": ours,
    }


def _add(table: Table, callables: dict, repeats: int) -> None:
    found = compare(callables, repeats=repeats)
    reference = next(iter(callables))
    for name, one in found.items():
        if name != reference:
            interval = f"[{one.low:.3g}, {one.high:.3g}]"
            table.rows.append([name, one.seconds, reference, one.ratio, interval])
