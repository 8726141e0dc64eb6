"""What we claim, each as an experiment on real data or a world whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from ninefold_lab import Budget, Claim, Verdict, all_of, at_least, at_most

from ._trials_lists import msweb, retail
from ._trials_movielens import METRICS, held_out, last_film
from ._trials_shop import among_300, candidates, days, months, three_of_four
from ._trials_steps import attention, cold_items, entree, two_stages
from ._trials_truth import doubly, interleaved, ties
from ._trials_values import coupon, rating_table

Run: TypeAlias = Callable[[Budget, int], Mapping[str, np.ndarray]]
_BYO = "(only with your own files in `$NINEFOLD_DATA/recsys/movielens`)"


def _claim(
    name: str, says: str, source: str, run: Run, *bars: Verdict, seeds: int = 1, quick: float = 1, full: float
) -> Claim:
    """A claim whose bars all have to be passed; `quick` and `full` are minutes of a seed."""
    verdict = bars[0] if len(bars) == 1 else all_of(*bars)
    return Claim(
        id=f"recsys/{name}", says=says, source=source, run=run, verdict=verdict, quick=Budget(1, quick),
        full=Budget(seeds, full),
    )  # fmt: skip


def _own(
    name: str, says: str, source: str, run: Run, *bars: Verdict, seeds: int = 1, quick: float = 10, full: float
) -> Claim:
    """A claim on MovieLens files that a user brings."""
    source = f"{source}; brief, quality line 8"
    return _claim(f"movielens-{name}", f"{says} {_BYO}", source, run, *bars, seeds=seeds, quick=quick, full=full)


def _ranking(
    name: str, model: str, about: str, source: str, scores: tuple[float, ...], full: float, quick: float = 10
) -> Claim:
    """A model's row of recall@20, recall@50 and NDCG@100 on MovieLens 20M, less .003."""
    bars = (at_least(f"{model} {metric}", score, -0.003) for metric, score in zip(METRICS, scores, strict=True))
    says = f"on MovieLens 20M, users held out, {about} less .003"
    return _own(f"20m-{name}", says, source, held_out(model), *bars, quick=quick, full=full)


def _errors(**arms: float) -> list[Verdict]:
    """Each arm's RMSE is at most half a per cent above the published one; scores are minus squared errors."""
    names = {"bias": "bias", "knn": "item kNN", "mf": "MF", "svd": "SVD++"}
    return [at_least(names[arm], -((1.005 * rmse) ** 2)) for arm, rmse in arms.items()]


CLAIMS = [
    _claim(
        "linear-models-beat-recent-popularity",
        "tuned EASE and iALS reach 1.2 times recent popularity, 2.3 times popularity and 1.05 times the best item "
        "kNN in NDCG@10 on Online Retail, new items after 2011-11-01; iALS is within .003 of implicit's tuned ALS",
        "ours; brief, quality line 1", retail,
        *(at_least(arm, rival) for arm in ("EASE", "iALS")
          for rival in ("1.2 x recent-popular", "2.3 x popular", "1.05 x ItemKNN")),
        at_least("iALS", "implicit ALS", -0.003), seeds=3, quick=3, full=15,
    ),
    _claim(
        "context-lifts-clicks",
        "a factorisation machine with context reaches an AUC of .83 on coupon answers, .04 above one without and "
        "above weights alone, and is within .005 of myFM's .840",
        "ours; brief, quality line 2", coupon,
        at_least("FM+context", 0.83), at_least("FM+context", "FM", 0.04), at_least("FM+context", "LR+context", 0.04),
        at_least("FM+context", 0.840, -0.005), seeds=10, full=3,
    ),
    _claim(
        "actions-tell-the-next-step",
        "on Entree the best contextual model reaches .439 in MRR@10, is no worse than a Markov chain of one step "
        "over items and actions, and .05 above itself without actions; V-SKNN is no worse than co-occurrence",
        "ours; brief, quality line 3", entree,
        at_least("longer Markov+action", "Markov+action"), at_least("longer Markov+action", "longer Markov", 0.05),
        at_least("longer Markov+action", 0.439), at_least("V-SKNN", "co-occurrence"),
        at_least("co-occurrence", "popular"), quick=3, full=15,  # nothing is drawn
    ),
    _claim(
        "two-stages-lead-the-next-step",
        "on Entree a factorisation machine that ranks what Markov chains and co-occurrence name reaches .48 in "
        "MRR@10, more than the best of them",
        "ours", two_stages, at_least("two stages", 0.48), at_least("two stages", "Markov+action, three steps"),
        seeds=3, full=3,
    ),
    _claim(
        "two-stages-lead-a-shop",
        "on Online Retail two stages (six models, boosted trees) are .01 in NDCG@10 above the best single model "
        "in three of four months, August to November 2011; the single model is the best in the month itself",
        "ours", months, three_of_four, full=10,
    ),
    _claim(
        "candidates-hold-the-targets",
        "on Online Retail .6 of the new products of each of four months are among 300 candidates of two stages",
        "ours", candidates, among_300, full=10,
    ),
    _claim(
        "stream-keeps-up-with-daily-refits",
        "over 30 days of Online Retail iALS with a trend that takes each day's events in reaches .98 of the "
        "NDCG@10 of a fit each night, at 5 % of its time",
        "ours", days, at_least("iALS, stream", ".98 x iALS, daily refit"),
        at_most("iALS, stream's share of the time", 0.05), full=8,
    ),
    _claim(
        "softmax-beats-one-negative",
        "SASRec with full softmax beats SASRec with its original loss, both trained to patience, and co-"
        "occurrence in MRR@10 on Entree",
        "Klenitskiy and Vasilev 2023; brief, quality line 3", attention,
        at_least("SASRec, softmax", "SASRec, original"), at_least("SASRec, softmax", "co-occurrence"),
        seeds=3, quick=5, full=30,
    ),
    _claim(
        "texts-find-hidden-items",
        "among 15 % hidden products of Online Retail content kNN reaches NDCG@10 .30, the profile cosine .25, and "
        "feature-aware iALS is no worse than the profile cosine",
        "ours; brief, quality line 4", cold_items, at_least("content kNN", 0.30), at_least("profile cosine", 0.25),
        at_least("feature iALS", "profile cosine"), seeds=3, quick=2, full=10,
    ),
    _claim(
        "ease-leads-on-msweb",
        "EASE leads item cosine, user cosine and popularity in half-life utility on MSWeb, all but one",
        "Breese et al. 1998 (protocol); brief, quality line 6", msweb, at_least("EASE", "ItemKNN"),
        at_least("EASE", "UserKNN"), at_least("UserKNN", "popular"), seeds=3, full=5,
    ),
    _claim(
        "doubly-robust-intervals-hold",
        "with known propensities the doubly robust estimate, whose model errs by up to a star, is nearer than "
        "IPS, and its 95 % interval holds the truth in 93 to 97 % of runs",
        "Dudik et al. 2011", doubly, at_least("doubly robust", "IPS"), at_least("interval holds the truth", 0.93),
        at_most("interval holds the truth", 0.97), seeds=10, quick=0.1, full=0.2,
    ),
    _claim(
        "interleaving-needs-fewer-sessions",
        "400 interleaved sessions of users of unequal activity find the better of two list makers more often than "
        "an A/B test of as many",
        "Radlinski et al. 2008; Chapelle et al. 2012", interleaved, at_least("interleaving", "A/B test"),
        seeds=5, quick=0.1, full=0.5,
    ),
    _claim(
        "ties-help-those-without-a-past",
        "in the simulator EASE with ties between users, most of them of one taste, is above itself with shuffled "
        "ties and without any, for users without events; for others it is above shuffled ties",
        "ours", ties, at_least("ties, new users", "shuffled ties, new users"),
        at_least("ties, new users", "no ties, new users"), at_least("ties, others", "shuffled ties, others"),
        seeds=10, quick=0.1, full=0.2,
    ),
    _ranking("ranking-table", "EASE", "EASE reaches its published table", "Steck 2019, table 1", (0.391, 0.521, 0.420),
             30),
    _ranking("popularity", "popular", "popularity reaches its published row",
             "Liang et al. 2018 (not checked against the paper)", (0.162, 0.235, 0.191), 10, quick=5),
    _ranking("ials", "iALS", "iALS of 2,048 factors reaches its published row",
             "Rendle et al. 2022 (not checked against the paper)", (0.395, 0.532, 0.425), 600),
    _ranking("mult-vae", "Mult-VAE", "Mult-VAE reaches its published row", "Liang et al. 2018, table 2",
             (0.395, 0.537, 0.426), 600),
    _own(
        "1m-last-film",
        "on MovieLens 1M, the last film left out, sequence models reach their published rows less .003",
        "Klenitskiy and Vasilev 2023", last_film,
        *(at_least(f"{model} {metric}", score, -0.003) for model, scores in (
            ("SASRec", (0.250, 0.134)), ("BERT4Rec", (0.284, 0.154)), ("SASRec+", (0.315, 0.182)),
        ) for metric, score in zip(("hr@10", "ndcg@10"), scores, strict=True)), full=600,
    ),
    _own(
        "100k-rating-table", "on MovieLens 100K, 5-fold, RMSE is within half a per cent of the published table",
        "Surprise's benchmark", rating_table("ml-100k/u.data"),
        *_errors(bias=0.944, knn=0.931, mf=0.934, svd=0.919), seeds=3, quick=1, full=5,
    ),
    _own(
        "1m-rating-table", "on MovieLens 1M, 5-fold, RMSE is within half a per cent of the published table",
        "Surprise's benchmark", rating_table("ml-1m/ratings.dat"),
        *_errors(bias=0.909, knn=0.895, mf=0.873, svd=0.862), full=60,
    ),
]  # fmt: skip
