"""Lists and fits beside implicit's and a bare matrix product: one JSON line each. Run: python bench_speed.py"""

import numpy as np
import scipy.sparse as sp
from implicit.cpu.als import AlternatingLeastSquares
from ninefold.measure import emit
from recsys.evaluation._bench import add, bench
from recsys.linear._ease import ease_weights
from recsys.recommender._rows import solve_rows, threads
from threadpoolctl import threadpool_limits

REPEATS = 7


def epochs(draw):
    """One epoch of 64 factors over 3,000 users and items with 100,000 events."""
    X = sp.random(3000, 3000, 100_000 / 9e6, "csr", np.float32, rng=draw)
    X.data[:] = 1
    Xt = X.T.tocsr()
    W, H = (draw.standard_normal((3000, 64)).astype(np.float32) for _ in range(2))
    ridge = np.ones(3000, np.float32)

    def ours():
        solve_rows(X, H, 0.1 * (H.T @ H), ridge)
        solve_rows(Xt, W, 0.1 * (W.T @ W), ridge)

    def implicits(cg):
        model = AlternatingLeastSquares(factors=64, alpha=2.0, iterations=1, use_cg=cg, num_threads=threads())
        model.user_factors, model.item_factors = W.copy(), H.copy()
        with threadpool_limits(1, user_api="blas"):
            model.fit(X, show_progress=False)

    exact, cg = "implicit ALS epoch, exact", "implicit ALS epoch, CG"
    return {exact: lambda: implicits(False), cg: lambda: implicits(True), "iALS epoch": ours}


def inverses(draw):
    """EASE's inverse on 2,000 items."""
    X = sp.random(5000, 2000, 0.01, "csr", np.float32, rng=draw)
    G = np.asfortranarray((X.T @ X).toarray() + 100 * np.eye(2000, dtype=np.float32))
    return {"general inverse": lambda: np.linalg.inv(G), "EASE, Cholesky": lambda: ease_weights(G.copy(order="F"))}


if __name__ == "__main__":
    table, draw = bench(repeats=REPEATS), np.random.default_rng(0)
    for made in (epochs, inverses):
        add(table, made(draw), REPEATS)
    for row in table.rows:
        emit(**dict(zip(table.columns, row, strict=True)))
