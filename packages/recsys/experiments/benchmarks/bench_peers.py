"""Lists and fits beside implicit's and irspack's: 50,000 users, 10,000 items, 2.3 M pairs, one thread; JSON lines.

Run in an environment of its own, for irspack is no dependency:
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 uv run --no-project --with irspack==0.5.2 \\
        --with ./shared/core --with ./packages/recsys python packages/recsys/experiments/benchmarks/bench_peers.py [small]
"""

import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from irspack import RP3betaRecommender, SLIMRecommender
from ninefold.measure import emit
from recsys import IALS, SLIM, Dataset, ItemKNN, RP3beta

sys.path.insert(0, str(Path(__file__).parent))
from pairs import zipf_pairs

REPEATS = 3


def timed(what, bar, ours, theirs, peer, repeats=REPEATS):
    """Both in turn; the least seconds of each."""
    seconds = {"ours": [], "theirs": []}
    for name, call in (("ours", ours), ("theirs", theirs)):  # compile and warm up
        start = time.perf_counter()
        call()
        if repeats == 1:
            seconds[name].append(time.perf_counter() - start)
    for _ in range(repeats if repeats > 1 else 0):
        for name, call in (("ours", ours), ("theirs", theirs)):
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    least = {name: min(one) for name, one in seconds.items()}
    emit(what=what, seconds=least["ours"], peer=peer, peer_seconds=least["theirs"],
         times_its_time=least["ours"] / least["theirs"], bar=bar)  # fmt: skip
    sys.stdout.flush()


def lists(X, data):
    """Lists of all users, of one, and with items excluded."""
    users = np.arange(X.shape[0])
    knn = CosineRecommender(K=51, num_threads=1)
    knn.fit(X, show_progress=False)
    own = ItemKNN(k=50).fit(data)
    timed("kNN lists", 1.5, lambda: own.recommend(k=10), lambda: knn.recommend(users, X, N=10), "implicit")
    draw = np.random.default_rng(1)
    als, ials = AlternatingLeastSquares(factors=64, num_threads=1), IALS(factors=64, epochs=1).fit(data)
    als.user_factors, als.item_factors = ials.user_factors_, ials.item_factors_
    excluded = draw.choice(X.shape[1], 100, replace=False)
    ids = data.item_ids.values.take(excluded.tolist())
    timed("ALS lists", 1.1, lambda: ials.recommend(k=10), lambda: als.recommend(users, X, N=10), "implicit")
    timed("ALS lists, 100 items excluded", 1.2, lambda: ials.recommend(k=10, exclude=ids),
          lambda: als.recommend(users, X, N=10, filter_items=excluded), "implicit")  # fmt: skip
    some = draw.integers(0, X.shape[0], 500).tolist()
    for name, model, peer in (("ALS", ials, als), ("kNN", own, knn)):
        timed(f"one user, {name} (500 times)", 3.0, lambda model=model: [model.recommend_one(one) for one in some],
              lambda peer=peer: [peer.recommend(one, X[one], N=10) for one in some], "implicit")  # fmt: skip


def fits(X, data):
    """RP3beta and SLIM, the same settings."""
    rp3 = RP3beta(alpha=1.0, beta=0.6, k=100)
    peer = RP3betaRecommender(X, alpha=1.0, beta=0.6, top_k=100, n_threads=1)
    timed("RP3beta fit", 2.0, lambda: rp3.fit(data), lambda: peer._learn(), "irspack", repeats=1)
    slim = SLIM(l1=5.0, l2=50.0, sweeps=100, tolerance=1e-3)
    users = X.shape[0]
    theirs = SLIMRecommender(X, alpha=55.0 / users, l1_ratio=5.0 / 55.0, n_iter=100, tol=1e-3, n_threads=1)
    timed("SLIM fit", 2.0, lambda: slim.fit(data), lambda: theirs._learn(), "irspack", repeats=1)
    W = theirs.W.tocsr()
    apart = np.abs(W - slim.weights_).max()
    emit(what="SLIM weights", ours_stored=int(slim.weights_.nnz), theirs_stored=int(W.nnz), greatest_gap=float(apart))


if __name__ == "__main__":
    X = zipf_pairs(5_000, 1_000, 230_000) if "small" in sys.argv else zipf_pairs(50_000, 10_000, 2_800_000)
    emit(what="data", users=X.shape[0], items=X.shape[1], pairs=int(X.nnz))
    data = Dataset.from_csr(X)
    if "fits" not in sys.argv:
        lists(X, data)
    if "lists" not in sys.argv:
        fits(X, data)
