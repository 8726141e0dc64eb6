"""What we claim, each as an experiment on real data or a world whose truth is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from ninefold_lab import Budget, Claim, Verdict, all_of, at_least, at_most

from ._trials_lists import msweb, retail
from ._trials_movielens import (
    METRICS,
    held_out_factors,
    held_out_popular,
    held_out_users,
    held_out_vae,
    last_film,
)
from ._trials_movielens_ratings import rating_table, ratings_10m, sets_10m, side_data
from ._trials_shop import among_300, candidates, days, months, three_of_four
from ._trials_steps import attention, cold_items, entree, one_step, two_stages
from ._trials_truth import doubly, interleaved, propensities, ties, transitions
from ._trials_values import coupon, ratings

Run: TypeAlias = Callable[[Budget, int], Mapping[str, np.ndarray]]
_BROUGHT = "$NINEFOLD_DATA/recsys/movielens"


def _table(arms: dict[str, float], margin: float) -> Verdict:
    """Each arm reaches its published score, less a margin."""
    return all_of(*(at_least(arm, score, -margin) for arm, score in arms.items()))


def _errors(arms: dict[str, float]) -> Verdict:
    """Each arm's RMSE is at most half a per cent above the published one; scores are minus squared errors."""
    return all_of(*(at_least(arm, -((1.005 * rmse) ** 2)) for arm, rmse in arms.items()))


def _lists(arm: str, *scores: float) -> Verdict:
    """A model's row of recall@20, recall@50 and NDCG@100, less .003."""
    return _table({f"{arm} {metric}": score for metric, score in zip(METRICS, scores, strict=True)}, 0.003)


def _own(name: str, says: str, source: str, run: Run, verdict: Verdict, quick: Budget, full: Budget) -> Claim:
    """A claim on MovieLens files that a user brings."""
    return Claim(
        id=f"recsys/movielens-{name}", says=says, source=f"{source}; brief, quality line 8", run=run,
        verdict=verdict, quick=quick, full=full, brings=_BROUGHT,
    )  # fmt: skip


CLAIMS = [
    Claim(
        id="recsys/linear-models-beat-recent-popularity",
        says="tuned EASE and iALS reach 1.2 times recent popularity, 2.3 times popularity and 1.05 times the best item "
        "kNN in NDCG@10 on Online Retail, new items after 2011-11-01; iALS is within .003 of implicit's tuned ALS",
        source="ours; brief, quality line 1",
        run=retail,
        verdict=all_of(
            *(
                at_least(arm, rival)
                for arm in ("EASE", "iALS")
                for rival in ("1.2 x recent-popular", "2.3 x popular", "1.05 x ItemKNN")
            ),
            at_least("iALS", "implicit ALS", -0.003),
        ),
        quick=Budget(1, 3),
        full=Budget(3, 15),
    ),
    Claim(
        id="recsys/context-lifts-clicks",
        says="a factorisation machine with context reaches an AUC of .83 on coupon answers, .04 above one without and "
        "above weights alone, and is within .005 of myFM's .840",
        source="ours; brief, quality line 2",
        run=coupon,
        verdict=all_of(
            at_least("FM+context", 0.83),
            at_least("FM+context", "FM", 0.04),
            at_least("FM+context", "LR+context", 0.04),
            at_least("FM+context", 0.840, -0.005),
        ),
        quick=Budget(1, 1),
        full=Budget(10, 3),
    ),
    Claim(
        id="recsys/actions-tell-the-next-step",
        says="on Entree the best contextual model reaches .439 in MRR@10, is no worse than a Markov chain of one step "
        "over items and actions, and .05 above itself without actions; V-SKNN is no worse than co-occurrence",
        source="ours; brief, quality line 3",
        run=entree,
        verdict=all_of(
            at_least("longer Markov+action", "Markov+action"),
            at_least("longer Markov+action", "longer Markov", 0.05),
            at_least("longer Markov+action", 0.439),
            at_least("V-SKNN", "co-occurrence"),
            at_least("co-occurrence", "popular"),
        ),
        quick=Budget(1, 3),
        full=Budget(1, 15),  # nothing is drawn
    ),
    Claim(
        id="recsys/one-step-chain-reaches-its-figures",
        says="on Entree a Markov chain of one step reaches .337 in MRR@10, and .439 with actions (first measured "
        "elsewhere, perhaps to another cut: see experiments/ATTEMPTS.md)",
        source="brief, quality line 3 (a starting figure)",
        run=one_step,
        verdict=all_of(at_least("Markov", 0.337), at_least("Markov+action", 0.439)),
        quick=Budget(1, 0.2),
        full=Budget(1, 0.5),  # nothing is drawn
    ),
    Claim(
        id="recsys/two-stages-lead-the-next-step",
        says="on Entree a factorisation machine that ranks what Markov chains and co-occurrence name reaches .48 in "
        "MRR@10, more than the best of them",
        source="ours",
        run=two_stages,
        verdict=all_of(at_least("two stages", 0.48), at_least("two stages", "Markov+action, three steps")),
        quick=Budget(1, 1),
        full=Budget(3, 3),
    ),
    Claim(
        id="recsys/two-stages-lead-a-shop",
        says="on Online Retail two stages (six models, boosted trees) are .01 in NDCG@10 above the best single model "
        "in three of four months, August to November 2011; the single model is the best in the month itself",
        source="ours",
        run=months,
        verdict=three_of_four,
        quick=Budget(1, 1),
        full=Budget(1, 10),
    ),
    Claim(
        id="recsys/candidates-hold-the-targets",
        says="on Online Retail .6 of the new products of each of four months are among 300 candidates of two stages",
        source="ours",
        run=candidates,
        verdict=among_300,
        quick=Budget(1, 1),
        full=Budget(1, 10),
    ),
    Claim(
        id="recsys/stream-keeps-up-with-daily-refits",
        says="over 30 days of Online Retail iALS with a trend that takes each day's events in reaches .98 of the "
        "NDCG@10 of a fit each night, at 5 % of its time",
        source="ours",
        run=days,
        verdict=all_of(
            at_least("iALS, stream", ".98 x iALS, daily refit"),
            at_most("iALS, stream's share of the time", 0.05),
        ),
        quick=Budget(1, 1),
        full=Budget(1, 8),
    ),
    Claim(
        id="recsys/softmax-beats-one-negative",
        says="SASRec with full softmax beats SASRec with its original loss, both trained to patience, and co-"
        "occurrence in MRR@10 on Entree",
        source="Klenitskiy and Vasilev 2023; brief, quality line 3",
        run=attention,
        verdict=all_of(at_least("SASRec, softmax", "SASRec, original"), at_least("SASRec, softmax", "co-occurrence")),
        quick=Budget(1, 5),
        full=Budget(3, 30),
    ),
    Claim(
        id="recsys/texts-find-hidden-items",
        says="among 15 % hidden products of Online Retail content kNN reaches NDCG@10 .30, the profile cosine .25, and "
        "feature-aware iALS is no worse than the profile cosine",
        source="ours; brief, quality line 4",
        run=cold_items,
        verdict=all_of(
            at_least("content kNN", 0.30),
            at_least("profile cosine", 0.25),
            at_least("feature iALS", "profile cosine"),
        ),
        quick=Budget(1, 2),
        full=Budget(3, 10),
    ),
    Claim(
        id="recsys/bayesian-fm-leads-on-ratings",
        says="on MovieLens (ml-latest-small, 5-fold), all tuned, the Bayesian factorisation machine reaches RMSE .870; "
        "SVD++ errs less than MF, MF less than the bias (scores are minus squared errors)",
        source="Rendle et al. 2019 (the order); brief, quality line 5",
        run=ratings,
        verdict=all_of(
            at_least("Bayesian FM", -(0.870**2)),
            at_least("SVD++", "MF"),
            at_least("MF", "bias"),
        ),
        quick=Budget(1, 1),
        full=Budget(3, 5),
    ),
    Claim(
        id="recsys/ease-leads-on-msweb",
        says="EASE leads item cosine, user cosine and popularity in half-life utility on MSWeb, all but one",
        source="Breese et al. 1998 (protocol); brief, quality line 6",
        run=msweb,
        verdict=all_of(at_least("EASE", "ItemKNN"), at_least("EASE", "UserKNN"), at_least("UserKNN", "popular")),
        quick=Budget(1, 1),
        full=Budget(3, 5),
    ),
    Claim(
        id="recsys/snips-corrects-exposure",
        says="with known propensities the self-normalised estimate errs less than the naive mean, and its 95 % "
        "interval holds the truth in 93 to 97 % of runs",
        source="Swaminathan and Joachims 2015; brief, quality line 7",
        run=propensities,
        verdict=all_of(
            at_least("SNIPS", "naive mean"),
            at_least("interval holds the truth", 0.93),
            at_most("interval holds the truth", 0.97),
        ),
        quick=Budget(1, 0.1),
        full=Budget(40, 0.5),
    ),
    Claim(
        id="recsys/doubly-robust-intervals-hold",
        says="with known propensities the doubly robust estimate, whose model errs by up to a star, is nearer than "
        "IPS, and its 95 % interval holds the truth in 93 to 97 % of runs",
        source="Dudik et al. 2011",
        run=doubly,
        verdict=all_of(
            at_least("doubly robust", "IPS"),
            at_least("interval holds the truth", 0.93),
            at_most("interval holds the truth", 0.97),
        ),
        quick=Budget(1, 0.1),
        full=Budget(10, 0.2),
    ),
    Claim(
        id="recsys/interleaving-needs-fewer-sessions",
        says="400 interleaved sessions of users of unequal activity find the better of two list makers more often than "
        "an A/B test of as many",
        source="Radlinski et al. 2008; Chapelle et al. 2012",
        run=interleaved,
        verdict=at_least("interleaving", "A/B test"),
        quick=Budget(1, 0.1),
        full=Budget(5, 0.5),
    ),
    Claim(
        id="recsys/ties-help-those-without-a-past",
        says="in the simulator EASE with ties between users, most of them of one taste, is above itself with shuffled "
        "ties and without any, for users without events; for others it is above shuffled ties",
        source="ours",
        run=ties,
        verdict=all_of(
            at_least("ties, new users", "shuffled ties, new users"),
            at_least("ties, new users", "no ties, new users"),
            at_least("ties, others", "shuffled ties, others"),
        ),
        quick=Budget(1, 0.1),
        full=Budget(10, 0.2),
    ),
    Claim(
        id="recsys/sequence-pays-when-there-is-one",
        says="a chain beats EASE at the next item when events follow one another in the simulator, and only then",
        source="ours; brief, quality line 7",
        run=transitions,
        verdict=all_of(
            at_least("chain, transitions on", "static, transitions on"),
            at_most("chain, transitions off", "static, transitions off"),
        ),
        quick=Budget(1, 0.2),
        full=Budget(10, 1),
    ),
    _own(
        "20m-ranking-table", "on MovieLens 20M, users held out, EASE reaches its published table less .003",
        "Steck 2019, table 1", held_out_users, _lists("EASE", 0.391, 0.521, 0.420), Budget(1, 10), Budget(1, 30),
    ),
    _own(
        "20m-popularity", "on MovieLens 20M, users held out, popularity reaches its published row less .003",
        "Liang et al. 2018 (not checked against the paper)", held_out_popular, _lists("popular", 0.162, 0.235, 0.191),
        Budget(1, 5), Budget(1, 10),
    ),
    _own(
        "20m-ials", "on MovieLens 20M, users held out, iALS of 2,048 factors reaches its published row less .003",
        "Rendle et al. 2022 (not checked against the paper)", held_out_factors, _lists("iALS", 0.395, 0.532, 0.425),
        Budget(1, 10), Budget(1, 600),
    ),
    _own(
        "20m-mult-vae", "on MovieLens 20M, users held out, Mult-VAE reaches its published row less .003",
        "Liang et al. 2018, table 2", held_out_vae, _lists("Mult-VAE", 0.395, 0.537, 0.426),
        Budget(1, 10), Budget(1, 600),
    ),
    _own(
        "1m-last-film",
        "on MovieLens 1M, the last film left out, SASRec reaches its published rows less .003",
        "Klenitskiy and Vasilev 2023", last_film,
        _table({
            "SASRec hr@10": 0.250, "SASRec ndcg@10": 0.134, "SASRec+ hr@10": 0.315, "SASRec+ ndcg@10": 0.182,
        }, 0.003),
        Budget(1, 10), Budget(1, 600),
    ),
    _own(
        "100k-side-data",
        "on MovieLens 100K, split u1, RMSE of the Bayesian factorisation machine is within half a per cent of the "
        "published one, alone and with what is told of users and films",
        "myFM's examples (grouped priors; side data)", side_data,
        _errors({"Bayesian FM": 0.8925, "Bayesian FM, side data": 0.8855}), Budget(1, 1), Budget(3, 10),
    ),
    _own(
        "10m-rating-table",
        "on MovieLens 10M, 90/10, RMSE of MF and of Bayesian MF is within half a per cent of the table",
        "Rendle et al. 2019", ratings_10m, _errors({"MF": 0.7720, "BMF": 0.7633}), Budget(1, 30), Budget(1, 1500),
    ),
    _own(
        "10m-sets",
        "on MovieLens 10M, 90/10, RMSE with sets and days among the columns is within half a per cent of the "
        "published one",
        "Rendle et al. 2019", sets_10m, _errors({"B-SVD++": 0.7563, "B-timeSVD++": 0.7523, "flipped": 0.7485}),
        Budget(1, 60), Budget(1, 6000),
    ),
    _own(
        "100k-rating-table", "on MovieLens 100K, 5-fold, RMSE is within half a per cent of the published table",
        "Surprise's benchmark", rating_table("ml-100k/u.data"),
        _errors({"bias": 0.944, "item kNN": 0.931, "MF": 0.934, "SVD++": 0.919}), Budget(1, 1), Budget(3, 5),
    ),
    _own(
        "1m-rating-table", "on MovieLens 1M, 5-fold, RMSE is within half a per cent of the published table",
        "Surprise's benchmark", rating_table("ml-1m/ratings.dat"),
        _errors({"bias": 0.909, "item kNN": 0.895, "MF": 0.873, "SVD++": 0.862}), Budget(1, 10), Budget(1, 60),
    ),
]  # fmt: skip
