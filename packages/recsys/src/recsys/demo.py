"""The main job: which model lists best what customers buy next, with intervals, on the real purchases embedded here."""

from __future__ import annotations

from typing import Any

from ninefold.arms import Arms
from ninefold.systems import DemoResult

from recsys.baselines._implicit import ImplicitALS
from recsys.baselines._item_knn import ItemKNN
from recsys.baselines._popular import Popular, RandomItems, RecentPopular
from recsys.baselines._puresvd import PureSVD
from recsys.data._dataset import Dataset
from recsys.datasets import embedded_retail
from recsys.evaluation._compare import Comparison, compare
from recsys.evaluation._report import bars
from recsys.factors._ials import IALS
from recsys.linear._ease import EASE
from recsys.recommender._base import Recommender
from recsys.recommender._trend import Trend

CUT = "2011-11-01"
_PLAIN = "#3d444d"  # dark grey
_SHOWN, _LISTED = 4, 8  # purchases and recommendations of the customer in the picture
_GLOSSARY = {
    "NDCG@10": "Quality of a list of ten, from 0 to 1: 1 if what the customer bought next is at the top.",
    "Recent popularity": "Products by sales in the last days; the number of days is tuned as well.",
    "Tuned": "The best of 24 settings per model, chosen on events before the cut.",
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
    hits = {name: 100 * one.mean("hr@10") for name, one in found.items()}
    return DemoResult(
        data=f"Online Retail (real), {len(train):,} events before {CUT}, {len(test):,} after",
        arms=arms,
        table=result.table(),
        figures=_figures(models[best].fit(train), train, test, result),
        notes=[
            "All settings were chosen on events before the cut, with the same number of trials.",
            "Data: D. Chen, Online Retail, UCI 2015, CC BY 4.0.",
        ],
        headline=f"{hits[best]:.0f} of 100 customers buy something new to them from their list of ten, "
        f"instead of {hits['recent popularity']:.0f} with current best-sellers",
        looking_at=f"How well lists of ten predict which products customers bought for the first time after {CUT}.",
        glossary=_GLOSSARY,
    )


def _figures(model: Recommender, train: Dataset, test: Dataset, result: Comparison) -> list[tuple[str, Any]]:
    """The list of one customer, and the scores of all models; none without matplotlib."""
    picture = bars(result)
    if picture is None:
        return []
    return [
        (("One customer's last purchases and the list made from them; green: bought within the next weeks. "
          "A favourable case: the first customer with three hits or more"),
         _one_list(model, train, test)),
        ("NDCG@10 of new items after the cut, by model", picture),
    ]  # fmt: skip


def _one_list(model: Recommender, train: Dataset, test: Dataset) -> Any:
    """Last purchases and list of the first customer who then bought three or more of the listed products."""
    from ninefold.report import GREEN, figure

    assert train.items is not None  # the embedded products have descriptions
    described = (str(one).strip().capitalize() for one in train.items.column("description").to_pylist())
    names = dict(zip(train.item_ids.values.to_pylist(), described, strict=True))
    events = test.to_table()
    later = set(zip(*(events.column(name).to_pylist() for name in ("customer", "product")), strict=True))
    lists: dict[Any, list[str]] = {}
    for row in model.recommend(test.user_ids.values, _LISTED).select(["customer", "product"]).to_pylist():
        lists.setdefault(row["customer"], []).append(row["product"])
    customer = next(one for one, listed in lists.items() if sum((one, item) in later for item in listed) >= 3)
    mine = train.take(train.user == train.user_ids.codes([customer])[0]).to_table().column("product").to_pylist()
    lines = [("Last bought", "black"), *((names[item], _PLAIN) for item in list(dict.fromkeys(mine[::-1]))[:_SHOWN])]
    lines.append(("Recommended (green: then bought)", "black"))
    lines += [(names[item], GREEN if (customer, item) in later else _PLAIN) for item in lists[customer]]
    made, axes = figure(4.8, 4.4)
    axes.set_axis_off()
    for place, (text, colour) in enumerate(lines):
        weight = "normal" if colour == _PLAIN else "bold"
        axes.text(0, -place, text, color=colour, weight=weight, fontsize=13, va="center")
    axes.set(xlim=(0, 1), ylim=(-len(lines) + 0.5, 0.5))
    return made
