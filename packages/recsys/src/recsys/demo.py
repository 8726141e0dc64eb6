"""The main job: which model lists best what customers buy next, with intervals, on the real purchases embedded here."""

from __future__ import annotations

from ninefold.arms import Arms
from ninefold.systems import DemoResult

from recsys.baselines._implicit import ImplicitALS
from recsys.baselines._item_knn import ItemKNN
from recsys.baselines._popular import Popular, RandomItems, RecentPopular
from recsys.baselines._puresvd import PureSVD
from recsys.datasets import embedded_retail
from recsys.evaluation._compare import compare
from recsys.evaluation._report import bars
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.recommender._trend import Trend

CUT = "2011-11-01"
_GLOSSARY = {
    "NDCG@10": "Worth of a list of ten beside the best possible one: 1 if what the customer bought stands on top.",
    "Recent popularity": "Items by how often they sold in the last days; the number of days is tuned, too.",
    "Tuned": "The best of 24 settings on events before the cut, as many for each model.",
    "Interval": "95 %, over customers.",
}


def tuned_models(seed: int) -> dict[str, Recommender]:
    """Each model as `experiments/benchmarks/tune_demo.py` found it best on events before the cut."""
    return {
        "EASE": Trend(model=EASE(l2=300.0, half_life=240.0), trend=0.8, damp=0.8),
        "iALS": Trend(model=IALS(factors=64, reg=0.006, a0=0.6, half_life=240.0, seed=seed), trend=0.8, damp=0.8),
        "ALS of implicit": Trend(
            model=ImplicitALS(factors=64, reg=30.0, alpha=5.0, half_life=240.0, seed=seed), trend=0.8, damp=0.8
        ),
        "item kNN": Trend(
            model=ItemKNN(weighting="bm25", k=438, k1=0.5393, b=0.1287, half_life=120.0),
            trend=0.6708,
            damp=0.9111,
            recent=4.0,
        ),
        "PureSVD": PureSVD(factors=33),
        "recent popularity": RecentPopular(days=11.65, half_life=15.0),
        "popularity": Popular(),
        "chance": RandomItems(seed=seed),
    }


def demo(seed: int = 0) -> DemoResult:
    """Compare two models with six rivals on a time split: full catalogue, seen items removed, all tuned alike."""
    train, test = embedded_retail().split.time(CUT)
    models = tuned_models(seed)
    result = compare(list(models.values()), train, test, ["ndcg@10", "hr@10", "recall@20"], targets="warm")
    found = {name: result.evaluations[repr(model)] for name, model in models.items()}
    result = result.renamed({repr(model): name for name, model in models.items()})
    scores = {name: one.of_users("ndcg@10") for name, one in found.items()}
    best, other = sorted(("EASE", "iALS"), key=lambda name: -scores[name].mean())
    arms = Arms(scores=scores, ours=best, measured="NDCG@10 of the next purchases", shown=["chance", other])
    picture = bars(result)
    return DemoResult(
        data=f"Online Retail (real), {len(train):,} events before {CUT}, {len(test):,} after",
        arms=arms,
        table=result.table(),
        figures=[] if picture is None else [("NDCG@10 of new items after the cut, by model", picture)],
        notes=[
            "All settings were chosen on events before the cut, with the same number of trials.",
            "Data: D. Chen, Online Retail, UCI 2015, CC BY 4.0.",
        ],
        looking_at=f"How well lists of ten predict which products customers bought for the first time after {CUT}.",
        glossary=_GLOSSARY,
    )
