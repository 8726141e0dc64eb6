"""One user's list of 1,000 items beside implicit's `recommend`: median seconds of single calls, taken in turn; JSON lines.

    OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 uv run python packages/recsys/experiments/benchmarks/bench_one_user.py

The same factors and the same neighbours answer on both sides; implicit takes the user's row beside his number. Both
of ours take the path of many users; `recommend` then makes an Arrow table with sources. One bar holds for both.
"""

import sys
import time
from pathlib import Path

import numpy as np
from implicit.cpu.als import AlternatingLeastSquares
from implicit.nearest_neighbours import CosineRecommender
from ninefold.measure import emit
from recsys import IALS, Dataset, ItemKNN

sys.path.insert(0, str(Path(__file__).parent))
from pairs import zipf_pairs

CALLS, ROUNDS, BAR = 500, 5, 1.5


def seconds(call, users):
    """Seconds of each call."""
    found = []
    for user in users:
        start = time.perf_counter()
        call(user)
        found.append(time.perf_counter() - start)
    return found


def measured(what, ours, theirs, users):
    """Both in turn, `ROUNDS` times; the ratio of medians in each round, and its median, least and greatest."""
    ratios, medians = [], {"ours": [], "theirs": []}
    for one in (ours, theirs):  # compile and warm up
        seconds(one, users[:20])
    for _ in range(ROUNDS):
        a, b = (float(np.median(seconds(one, users))) for one in (ours, theirs))
        ratios.append(a / b)
        medians["ours"].append(a)
        medians["theirs"].append(b)
    emit(what=what, items=X.shape[1], calls=CALLS * ROUNDS, microseconds=1e6 * float(np.median(medians["ours"])),
         peer="implicit", peer_microseconds=1e6 * float(np.median(medians["theirs"])),
         times_its_time=float(np.median(ratios)), least=min(ratios), greatest=max(ratios), bar=BAR)  # fmt: skip


if __name__ == "__main__":
    X = zipf_pairs(5_000, 1_000, 230_000)
    data = Dataset.from_csr(X)
    users = np.random.default_rng(1).integers(0, X.shape[0], CALLS).tolist()
    ials, als = IALS(factors=64, epochs=1).fit(data), AlternatingLeastSquares(factors=64, num_threads=1)
    als.user_factors, als.item_factors = ials.user_factors_, ials.item_factors_
    knn, peer = ItemKNN(k=50).fit(data), CosineRecommender(K=51, num_threads=1)
    peer.fit(X, show_progress=False)
    for name, own, other in (("ALS", ials, als), ("kNN", knn, peer)):
        measured(f"one user, {name}", lambda user, own=own: own.recommend_one(user, 10),
                 lambda user, other=other: other.recommend(user, X[user], N=10), users)  # fmt: skip
        measured(f"one user as a table, {name}", lambda user, own=own: own.recommend([user], 10),
                 lambda user, other=other: other.recommend(user, X[user], N=10), users)  # fmt: skip
        table = own.recommend(users[:200], 10).to_pydict()
        lists = [(item, score) for user in users[:200] for item, score in own.recommend_one(user, 10)]
        same = [one for one, _ in lists] == table["item"]
        gap = float(np.abs(np.array([score for _, score in lists]) - np.array(table["score"])).max())
        emit(what=f"lists of {name} beside those of `recommend`", items_equal=same, greatest_gap=gap)
