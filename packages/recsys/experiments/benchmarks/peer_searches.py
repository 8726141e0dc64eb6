"""`recsys best` beside irspack's and LensKit's own searches, for as long, on logs without their last window; JSON lines.

Each is given the same log and so many minutes, and is judged once on what came after it: NDCG@10 of known items that are
new to their users. irspack and LensKit share the time out evenly among their models, each searched by the library's own
tuner on the last window of the log (for them it is cut off as `best` would), and the best is fitted on all. Run in an
environment of its own, for they are no dependencies:
    OMP_NUM_THREADS=2 uv run --no-project --with irspack==0.5.2 --with 'lenskit[tune]==2025.8.1' --with hyperopt \\
        --with ./shared/core --with './packages/recsys[best,lightgbm]' \\
        python packages/recsys/experiments/benchmarks/peer_searches.py SET best|hand|irspack|lenskit FOLDER [MINUTES]
and at the end `... peer_searches.py summary FOLDER` and `... coverage FOLDER`. SET: online_retail, msweb, ml_latest_small, entree.
"""

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import recsys
from ninefold.measure import emit
from recsys.evaluation._cuts import moving_cuts, next_interval
from recsys.evaluation._stats import bootstrap_interval
from recsys.recommender._registry import parse_model

sys.path.insert(0, str(Path(__file__).parent.parent))
import real_sets

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
SETS = ("online_retail", "msweb", "ml_latest_small", "entree")
CHAINS = "markov(order=3,action=action)+markov(order=1,action=action)+markov(order=3)+co-occurrence"
SHOP = ("ease(l2=300,half_life=240)", "ials(factors=64,reg=0.006,a0=0.6,half_life=240)", "user-knn",
        "item-knn(weighting=bm25,k=100,k1=10,b=0.25,half_life=120)", "ease(l2=100,half_life=20)")  # fmt: skip
STAGES = "+".join(f"trend(model={one},trend=0.8,damp=0.8)" for one in SHOP)
HAND = {  # the best that was found by hand on earlier cuts of the same logs: of the claims, where these have the log
    "online_retail": f"two-stage(models={STAGES},candidates=100,ranker=trees,windows=3,lead=3)",
    "msweb": "ease(l2=50)",
    "ml_latest_small": "slim",
    "entree": f"two-stage(models={CHAINS},action=action,candidates=30,steps=6000)",
}


def last_cut(name):
    """The cut that no search sees: the log before it, and what to find after it."""
    data = real_sets.msweb()[0] if name == "msweb" else getattr(real_sets, name)()
    return moving_cuts(data.clicks(), 5)[-1]


def ids_by_user(events):
    """{user: [items, in order]}."""
    found = {}
    for user, item in zip(
        events.user_ids.ids(events.user).to_pylist(), events.item_ids.ids(events.item).to_pylist(), strict=True
    ):
        found.setdefault(user, []).append(item)
    return found


def ndcg(lists, cut):
    """NDCG@10 of each test user's list, {user: value}; targets that the user had before do not count."""
    had, wanted = ids_by_user(cut.train if cut.given is None else cut.given), ids_by_user(cut.test)
    gain = 1 / np.log2(np.arange(2, 12))
    found = {}
    for user, items in wanted.items():
        targets = set(items) - set(had[user])
        if targets:
            hits = [place for place, item in enumerate(lists.get(user, [])[:10]) if item in targets]
            found[user] = float(gain[hits].sum() / gain[: len(targets)].sum())
    return found


def of_model(model, cut):
    """Lists of a fitted model of ours."""
    if cut.given is not None:
        model = model.fold_in(cut.given)
    table = model.recommend(cut.test.user_ids.values.to_pylist(), k=10, filter_seen=True)
    lists = {}
    for user, item in zip(*(table.column(name).to_pylist() for name in table.column_names[:2]), strict=True):
        lists.setdefault(user, []).append(item)
    return lists


def best(cut, folder, minutes):
    """`recsys best`, as a user runs it."""
    found = recsys.best(cut.train, folder / "run", minutes=minutes)
    about = {"days": found.days, "trials": found.trials, "cuts": found.cuts, "interval": found.interval}
    return of_model(found.model, cut), found.text, about


def hand(name, cut):
    """The setting that a hand found."""
    return of_model(parse_model(HAND[name]).fit(cut.train), cut), HAND[name], {}


def matrix(events, users, items):
    """Ones at the pairs of users and items, both lists of ids, (users, items); unknown ones are left out."""
    import scipy.sparse as sp

    row_of, column_of = ({one: place for place, one in enumerate(ids)} for ids in (users, items))
    pairs = [
        (row_of[user], column_of[item])
        for user, listed in ids_by_user(events).items()
        if user in row_of
        for item in set(listed)
        if item in column_of
    ]
    rows, columns = np.array(pairs).T
    return sp.csr_matrix((np.ones(len(pairs)), (rows, columns)), shape=(len(users), len(items)))


def irspack(cut, minutes):
    """Every model with a range of its own, `tune`d by optuna for its share of the time."""
    import irspack as library
    from irspack.evaluation import Evaluator, EvaluatorWithColdUser

    os.environ["IRSPACK_NUM_THREADS_DEFAULT"] = str(THREADS)
    inner = moving_cuts(cut.train, 2)[-1]
    users, items = (one.values.to_pylist() for one in (inner.train.user_ids, inner.train.item_ids))
    learn = matrix(inner.train, users, items)
    if inner.given is None:
        wanted = matrix(inner.test, users, items)
        judge = Evaluator(wanted - wanted.multiply(learn), cutoff=10, target_metric="ndcg", n_threads=THREADS)
    else:
        asked = inner.test.user_ids.values.to_pylist()
        given, wanted = matrix(inner.given, asked, items), matrix(inner.test, asked, items)
        judge = EvaluatorWithColdUser(
            given, wanted - wanted.multiply(given), cutoff=10, target_metric="ndcg", n_threads=THREADS
        )
    names = ["DenseSLIM", "EDLAE", "RP3beta", "P3alpha", "CosineKNN", "AsymmetricCosineKNN", "TverskyIndexKNN",
             "TruncatedSVD", "IALS", "SLIM"]  # fmt: skip
    names += ["CosineUserKNN", "AsymmetricCosineUserKNN"] if inner.given is None else []
    until, tried, found = time.monotonic() + minutes * 60, 0, []
    for place, name in enumerate(names):
        share = (until - time.monotonic()) / (len(names) - place)
        if share < 1:
            break
        kind = getattr(library, f"{name}Recommender")
        try:
            params, trials = kind.tune(learn, judge, n_trials=10_000, timeout=max(int(share), 1), tuning_random_seed=0)
        except Exception as error:
            print(name, type(error).__name__, error, file=sys.stderr)
            continue
        tried += len(trials)
        found.append((float(trials["ndcg@10"].max()), name, params))
        print(*found[-1], len(trials), file=sys.stderr, flush=True)
    score, name, params = max(found, key=lambda one: one[0])
    users, items = (one.values.to_pylist() for one in (cut.train.user_ids, cut.train.item_ids))
    model = getattr(library, f"{name}Recommender")(matrix(cut.train, users, items), **params).learn()
    asked = cut.test.user_ids.values.to_pylist()
    if cut.given is None:
        row_of = {one: place for place, one in enumerate(users)}
        scores = model.get_score_remove_seen(np.array([row_of[one] for one in asked]))
    else:
        scores = model.get_score_cold_user_remove_seen(matrix(cut.given, asked, items))
    best_first = np.argsort(-scores, axis=1)[:, :10]
    lists = {user: [items[one] for one in row] for user, row in zip(asked, best_first, strict=True)}
    return lists, f"{name}({params})", {"trials": tried, "validation": score}


def frame(*parts):
    """Pairs of users and items as LensKit reads them."""
    import pandas as pd

    pairs = {(user, item) for events in parts if events is not None
             for user, listed in ids_by_user(events).items() for item in listed}  # fmt: skip
    return pd.DataFrame(sorted(pairs, key=str), columns=["user_id", "item_id"])


def lenskit(cut, folder, minutes):
    """Six scorers, each searched by LensKit's `PipelineTuner` (Ray, optuna) for its share of the time."""
    import ray.tune
    from lenskit import recommend
    from lenskit.als import ImplicitMFScorer
    from lenskit.data import ItemListCollection, from_interactions_df
    from lenskit.knn import EASEScorer, ItemKNNScorer, SLIMScorer, UserKNNScorer
    from lenskit.pipeline import Pipeline, topn_pipeline
    from lenskit.tuning import PipelineTuner, TuningSpec

    def number(kind, low, high):
        return {"type": kind, "min": low, "max": high, "scale": "log"}

    reg = {"user": number("float", 1e-5, 1.0), "item": number("float", 1e-5, 1.0)}
    spaces = {
        EASEScorer: ({}, {"regularization": number("float", 1.0, 1e4)}),
        ItemKNNScorer: ({"feedback": "implicit"}, {"max_nbrs": number("int", 5, 500), "min_sim": number("float", 1e-6, 0.1)}),
        ImplicitMFScorer: ({"epochs": 15}, {"embedding_size": number("int", 8, 256), "regularization": reg, "weight": number("float", 1.0, 200.0)}),
        SLIMScorer: ({}, {"l1_reg": number("float", 0.01, 50.0), "l2_reg": number("float", 0.01, 500.0)}),
        UserKNNScorer: ({"feedback": "implicit"}, {"max_nbrs": number("int", 5, 500), "min_sim": number("float", 1e-6, 0.1)}),
    }  # fmt: skip
    inner = moving_cuts(cut.train, 2)[-1]
    had = ids_by_user(inner.train if inner.given is None else inner.given)
    wanted = frame(inner.test)
    wanted = wanted[[item not in had[user] for user, item in zip(wanted.user_id, wanted.item_id, strict=True)]]
    learn, test = from_interactions_df(frame(inner.train, inner.given)), ItemListCollection.from_df(wanted, ["user_id"])
    ray.init(num_cpus=THREADS, include_dashboard=False, log_to_driver=False)
    until, tried, found, plain = time.monotonic() + minutes * 60, 0, [], ray.tune.TuneConfig
    for place, (kind, (fixed, space)) in enumerate(spaces.items()):
        share = (until - time.monotonic()) / (len(spaces) - place)
        if share < 5:
            break
        config = topn_pipeline(kind, fixed, n=10).config
        spec = TuningSpec(search={"method": "optuna", "default_points": 10_000, "metric": "NDCG", "list_length": 10, "num_cpus": 1},
                          space={"scorer": space}, pipeline=config)  # fmt: skip
        ray.tune.TuneConfig = partial(plain, time_budget_s=share)
        tuner = PipelineTuner(spec, folder / kind.__name__, rng=0)
        tuner.settings.jobs = THREADS
        tuner.set_data(learn, test, name="log")
        try:
            results = tuner.run()
            score = float(tuner.best_result()["NDCG"])
        except Exception as error:
            print(kind.__name__, type(error).__name__, error, file=sys.stderr)
            continue
        tried += len(results)
        found.append((score, kind.__name__, tuner.best_pipeline()))
        print(*found[-1][:2], len(results), file=sys.stderr, flush=True)
    score, name, config = max(found, key=lambda one: one[0])
    pipe = Pipeline.from_config(config)
    pipe.train(from_interactions_df(frame(cut.train, cut.given)))
    lists = {user: recommend(pipe, user, n=10).ids().tolist() for user in cut.test.user_ids.values.to_pylist()}
    text = f"{name}({config.components['scorer'].config})"
    return lists, text, {"trials": tried, "validation": score}


def summary(folder):
    """One line for each set and tool: its score, and how far `best` is ahead, with a 95 % interval over users."""
    for name in SETS:
        found = {path.stem.partition(".")[2]: json.loads(path.read_text()) for path in folder.glob(f"{name}.*.json")}
        for tool, one in sorted(found.items()):
            gap = {}
            if tool != "best" and "best" in found:
                mine = found["best"]["ndcg"]
                gaps = np.array([mine[user] - value for user, value in one["ndcg"].items()])
                low, high = bootstrap_interval(gaps)
                gap = {"best_ahead": float(gaps.mean()), "low": low, "high": high}
            score = float(np.mean(list(one["ndcg"].values())))
            about = {key: value for key, value in one.items() if key != "ndcg"}
            emit(what=f"{name}, {tool}", ndcg_at_10=score, users=len(one["ndcg"]), **gap, **about)


def coverage(folder):
    """How often the interval of 90 %, from a found model's scores on three cuts or more in a row, holds the next cut."""
    for name in SETS:
        found = json.loads((folder / f"{name}.best.json").read_text())
        data = real_sets.msweb()[0] if name == "msweb" else getattr(real_sets, name)()
        model = parse_model(found["setting"])
        scores = [float(cut.judge(model, "ndcg@10", found["days"]).mean()) for cut in moving_cuts(data.clicks(), 8)]
        held = []
        for count in range(3, len(scores)):
            low, high = next_interval(np.array(scores[:count]))
            held.append(bool(low <= scores[count] <= high))
        emit(what=f"{name}, the next cut", cuts=scores, held=sum(held), of=len(held))


if __name__ == "__main__":
    if sys.argv[1] in ("summary", "coverage"):
        (summary if sys.argv[1] == "summary" else coverage)(Path(sys.argv[2]))
        sys.exit()
    name, tool, folder, minutes = sys.argv[1], sys.argv[2], Path(sys.argv[3]), float([*sys.argv, "20"][4])
    work = (folder / f"{name}-{tool}").absolute()
    work.mkdir(parents=True, exist_ok=True)
    cut, start = last_cut(name), time.monotonic()
    run = {"best": lambda: best(cut, work, minutes), "hand": lambda: hand(name, cut),
           "irspack": lambda: irspack(cut, minutes), "lenskit": lambda: lenskit(cut, work, minutes)}[tool]  # fmt: skip
    lists, text, about = run()
    seconds = time.monotonic() - start
    values = {str(user): value for user, value in ndcg(lists, cut).items()}
    line = {"setting": text, "minutes": minutes, "threads": THREADS, "seconds": seconds, **about, "ndcg": values}
    (folder / f"{name}.{tool}.json").write_text(json.dumps(line) + "\n")
    print(name, tool, text[:300], float(np.mean(list(values.values()))), f"{seconds:.0f} s", file=sys.stderr)
