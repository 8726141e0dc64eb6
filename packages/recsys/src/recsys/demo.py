"""The main job: which model lists best what customers buy next, with intervals, on real data if it is there."""

from __future__ import annotations

from ninefold.errors import DownloadError
from ninefold.systems import DemoResult

from recsys._compare import compare
from recsys._dataset import Dataset
from recsys._ease import EASE
from recsys._ials import IALS
from recsys._report import bars
from recsys._simulate import simulate
from recsys.baselines._item_knn import ItemKNN
from recsys.baselines._popular import Popular, RandomItems
from recsys.baselines._puresvd import PureSVD


def default_events(seed: int) -> tuple[Dataset, str, str | None]:
    """(events, what they are, moment of the cut): Online Retail if it is on this machine, else the simulator."""
    from recsys.datasets import online_retail

    try:
        return online_retail(), "Online Retail (real)", "2011-11-01"
    except DownloadError:
        data = simulate(1500, 400, 60_000, drift=1.0, seed=seed).data
        return data, "simulated purchases (no real data here: see `recsys.datasets`)", None


def demo(seed: int = 0) -> DemoResult:
    """Compare five models and three baselines on a time split, full catalogue, seen items removed."""
    data, about, cut = default_events(seed)
    train, test = data.split.time(cut)
    models = [
        EASE(l2=400.0),
        EASE(l2=400.0, half_life=120.0),
        IALS(factors=32, epochs=8, reg=0.01, seed=seed),
        ItemKNN(weighting="bm25", k=50),
        PureSVD(),
        RandomItems(seed=seed),
    ]
    result = compare(models, train, test, ["ndcg@10", "hr@10", "recall@20"], targets="warm")
    table = result.table()
    scores = {name: one.mean("ndcg@10") for name, one in result.evaluations.items()}
    popular = scores[repr(Popular())]
    baseline = max((name for name in scores if "Popular" in name), key=lambda name: scores[name])
    verdict = (
        f"{result.best} ranks best: NDCG@10 {scores[result.best]:.3f}, {scores[result.best] / scores[baseline]:.2f} "
        f"times {baseline} and {scores[result.best] / popular:.2f} times plain popularity."
    )
    picture = bars(result)
    return DemoResult(
        data=f"{about}, {len(train):,} events before the cut, {len(test):,} after",
        method=f"{result.best} {scores[result.best]:.3f}",
        rival=f"{baseline} {scores[baseline]:.3f}",
        verdict=verdict,
        table=table,
        figures=[] if picture is None else [("NDCG@10 of new items after the cut, by model", picture)],
        notes=["Parameters are round defaults, not tuned on the test events; the claims tune every model alike."],
    )
