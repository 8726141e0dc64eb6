"""Every model on real data, beside a peer's figure where there is a peer: one JSON line a model.

Purchases: Online Retail, cut 2011-11-01, NDCG@10 of new, warm products. Ratings: MovieLens (ml-latest-small, fold 0
of 5), RMSE. Steps: Entree, sessions from 1998-10-01 on, MRR@10 of the next restaurant. Answers: coupons, 30 % of the
rows held out, AUC. Settings are the defaults but for those named in the line; nothing is tuned: it says what each model
does, not which is best. Run (NINEFOLD_DATA must point at the data), peers only where they are installed:

    uv run --no-project --with irspack==0.5.2 --with torch --with ./shared/core --with ./packages/recsys \\
        python packages/recsys/experiments/benchmarks/models_on_data.py [purchases|ratings|steps|answers] [NAME...]

`models_on_data.py spark` makes MLlib's row (`--with "pyspark>=4,<5"`, Java 17); `models_on_data.py table FILE.jsonl`
prints the lines of a file as a table.
"""

import importlib.util
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import recsys
from ninefold.measure import emit
from recsys import Recommender
from recsys.recommender._registry import MODELS, model_class

sys.path.insert(0, str(Path(__file__).parents[1]))
import real_sets

PURCHASES = {
    "als": {"reg": 30.0, "alpha": 5.0, "factors": 64},
    "content-knn": {},
    "content-profile": {"grams": 2},
    "co-occurrence": {},
    "ease": {},
    "feature-ials": {"factors": 64, "epochs": 8},
    "fusion": {},
    "ials": {"factors": 64, "a0": 0.6},
    "item-knn": {"k": 50},
    "popular": {},
    "puresvd": {},
    "random": {},
    "recent-popular": {},
    "rp3beta": {},
    "sansa": {},
    "slim": {},
    "trend": {"model": "ease(half_life=240)", "trend": 0.8, "damp": 0.8},
    "user-knn": {},
}
RATINGS = {"bias": {}, "mf": {}, "svd++": {}, "bayesian-fm": {"factors": 10, "sweeps": 256}}
STEPS = {
    "markov": {"order": 3, "action": "action"},
    "repeat": {},
    "sasrec": {"epochs": 6, "learning_rate": 0.003},
    "two-stage": {
        "models": "markov(order=3,action=action)+markov(order=1,action=action)+markov(order=3)+co-occurrence",
        "action": "action", "candidates": 30, "steps": 6000,
    },
}  # fmt: skip
ANSWERS = {"fm": {"head": "logit", "factors": 8}}


@dataclass(kw_only=True, eq=False, repr=False)
class Peer(Recommender):
    """A model of another package, evaluated by this one's rules."""

    name = "peer"
    scores: Any = None

    def _fit(self, data):  # noqa: ARG002
        self.table = self.scores(self.history_.matrix())

    def _score(self, query):
        return np.array(self.table[query.codes], np.float32)


def irspack_peer(kind, **settings):
    """A peer from irspack, if it is installed."""
    if importlib.util.find_spec("irspack") is None:
        return None
    import irspack

    def scores(X):
        model = getattr(irspack, kind)(X, **settings).learn()
        return model.get_score(np.arange(X.shape[0]))

    return f"irspack {kind}", Peer(scores=scores)


def implicit_peer(kind, **settings):
    """A peer of inner products or item weights from implicit."""
    import implicit.nearest_neighbours as nearest
    from implicit.cpu.als import AlternatingLeastSquares

    kinds = {"ALS": AlternatingLeastSquares, "cosine": nearest.CosineRecommender}

    def scores(X):
        model = kinds[kind](num_threads=1, **settings)
        model.fit(X, show_progress=False)
        if kind == "cosine":
            similarity = model.similarity.tolil()
            similarity.setdiag(0)
            return (X @ similarity.tocsr().T).toarray()
        return model.user_factors @ model.item_factors.T

    return f"implicit {kind}", Peer(scores=scores)


def peer_of(name):
    """(its name, the peer) with the same settings as in the tables above, or None."""
    found = {
        "als": lambda: implicit_peer("ALS", factors=64, regularization=30.0, alpha=5.0, iterations=16, random_state=0),
        "ease": lambda: irspack_peer("DenseSLIMRecommender", reg=500.0),
        "ials": lambda: irspack_peer("IALSRecommender", n_components=64, alpha0=0.6, reg=0.003, n_threads=1),
        "item-knn": lambda: implicit_peer("cosine", K=51),
        "puresvd": lambda: irspack_peer("TruncatedSVDRecommender", n_components=64),
        "rp3beta": lambda: irspack_peer(
            "RP3betaRecommender", alpha=0.6, beta=0.3, top_k=100, normalize_weight=True, n_threads=1
        ),
        "slim": lambda: irspack_peer("SLIMRecommender", alpha=51.0 / 4128, l1_ratio=1.0 / 51.0, n_threads=1),
        "user-knn": lambda: irspack_peer("CosineUserKNNRecommender", shrinkage=0.0, top_k=100, n_threads=1),
    }.get(name)
    return None if found is None else found()


def purchases(names):
    """New, warm products after the cut."""
    train, test = real_sets.online_retail().clicks().split.time("2011-11-01")

    def judged(model):
        start = time.process_time()
        fitted = model.fit(train)
        seconds = time.process_time() - start
        return recsys.evaluate(fitted, test, ["ndcg@10"], targets="warm", filter_seen=True).mean("ndcg@10"), seconds

    for name in chosen(PURCHASES, names):
        score, seconds = judged(model_class(name)(**PURCHASES[name]))
        peer = peer_of(name)
        beside = {} if peer is None else {"peer": peer[0], "peer_score": judged(peer[1])[0]}
        line(name, PURCHASES[name], "Online Retail", "ndcg@10", score, seconds, **beside)
    if not names or "bm25" in names:
        bm25(judged)


def bm25(judged):
    """Item kNN by BM25 beside irspack's, at equal settings."""
    settings = {"weighting": "bm25", "k": 50, "k1": 1.2, "b": 0.75}
    score, seconds = judged(recsys.ItemKNN(**settings))
    peer = irspack_peer(
        "CosineKNNRecommender", shrinkage=0.0, normalize=False, top_k=50, feature_weighting="BM_25", bm25_k1=1.2,
        bm25_b=0.75, n_threads=1,
    )  # fmt: skip
    beside = {} if peer is None else {"peer": peer[0], "peer_score": judged(peer[1])[0]}
    line("item-knn", settings, "Online Retail", "ndcg@10", score, seconds, **beside)


def ratings(names):
    """Held-out ratings of one fold."""
    train, test = next(iter(real_sets.ml_latest_small().split.kfold(5)))
    for name in chosen(RATINGS, names):
        start = time.process_time()
        fitted = model_class(name)(**RATINGS[name]).fit(train)
        seconds = time.process_time() - start
        score = recsys.evaluate(fitted, test, ["rmse"]).mean("rmse")
        line(name, RATINGS[name], "ml-latest-small", "rmse", score, seconds)


def steps(names):
    """The next restaurant of a session."""
    train, test = real_sets.entree().split.time("1998-10-01")
    for name in chosen(STEPS, names):
        start = time.process_time()
        fitted = model_class(name)(**STEPS[name]).fit(train)
        seconds = time.process_time() - start
        score = recsys.evaluate_next(fitted, test, ["mrr@10"], filter_seen=False).mean("mrr@10")
        line(name, STEPS[name], "Entree", "mrr@10", score, seconds)


def answers(names):
    """Whether a coupon is taken."""
    train, test = real_sets.coupon().split.rows(0.3, seed=0)
    for name in chosen(ANSWERS, names):
        start = time.process_time()
        fitted = model_class(name)(**ANSWERS[name]).fit(train)
        seconds = time.process_time() - start
        score = recsys.evaluate_values(fitted, test, ["row_auc"])["row_auc"]
        line(name, ANSWERS[name], "coupon", "row_auc", score, seconds)


def chosen(table, names):
    """The models of a table, or those named."""
    return [name for name in table if not names or name in names]


def line(name, settings, data, metric, score, seconds, **beside):
    """One row of the table."""
    emit(
        model=MODELS[name].rpartition(".")[2],
        settings=settings,
        data=data,
        metric=metric,
        score=score,
        seconds=seconds,
        **beside,
    )
    sys.stdout.flush()


def table(path):
    """The lines of a file as the README's table, in Markdown."""
    print("| model | settings | data | figure | a peer's | seconds |\n| --- | --- | --- | --- | --- | --- |")
    for one in map(json.loads, Path(path).read_text(encoding="utf-8").splitlines()):
        settings = ", ".join(f"{name}={value}" for name, value in one["settings"].items() if name != "seed")
        peer = f"{one['peer_score']:.4f} ({one['peer']})" if "peer" in one else ""
        figure = f"{one['metric'].replace('row_auc', 'auc').upper()} {one['score']:.4f}"
        print(f"| `{one['model']}` | {settings} | {one['data']} | {figure} | {peer} | {one['seconds']:.1f} |")


if __name__ == "__main__" and sys.argv[1:2] == ["table"]:
    table(sys.argv[2])
elif __name__ == "__main__":
    parts = {"purchases": purchases, "ratings": ratings, "steps": steps, "answers": answers}
    missing = set(MODELS) - set(PURCHASES) - set(RATINGS) - set(STEPS) - set(ANSWERS)
    assert not missing, f"models without a row: {missing}"
    asked = sys.argv[1:]
    for part, run in parts.items():
        if not asked or part in asked:
            run([name for name in asked if name not in parts])
