"""What is claimed, as experiments on SmolLM2-135M-Instruct; choices are made on validation text.

Schedules, routers and rivals are fitted to validation templates, WikiText-2 validation text and ARC-easy training
questions (`models/_arms.py` says on how much); test templates, WikiText-2 test text and ARC-easy test questions are
scored, by sequence: these are what intervals resample. Scored tokens are decoded over the cache of the prompt alone.
"""

from __future__ import annotations

from dataclasses import replace

from ninefold.datasets import cache_path
from ninefold_lab import Budget, Claim, Scores, all_of, at_most, source_key
from tokenprune.ftp import SearchConfig, TrainConfig
from tokenprune_experiments.models._arms import Arms, sizes_of
from tokenprune_experiments.models._mixed import MixedArms

from ._long import early_facts
from ._published import FLOOR, stages_pay


def _arms(budget: Budget, seed: int) -> Arms:
    folder = cache_path("tokenprune") / "arms" / f"{budget.form}-{source_key(CLAIMS[0])}"
    return Arms(seed, sizes_of(budget.form), folder)


def _early_facts(budget: Budget, seed: int) -> Scores:
    return early_facts(_arms(budget, seed), 0.3)


def _stages_pay(budget: Budget, seed: int) -> Scores:
    arms = _arms(budget, seed)
    sizes = sizes_of(budget.form)
    if budget.form == "full":  # so that a seed takes a quarter of an hour
        sizes = replace(sizes, windows=12, items=9, texts=24, tasks=50, test=24, questions=50,
                        search=SearchConfig(population=8, generations=1, elite=3),
                        train=TrainConfig(steps=25, batch=4),
                        refine=SearchConfig(population=5, generations=2, elite=2))  # fmt: skip
    return stages_pay(MixedArms(seed, sizes, arms.shared))


CLAIMS = [
    Claim(
        id="tokenprune/keeps-early-facts-without-training",
        says="at 30 %, with default settings and at operations within .005 of truncation's, a needle and an early name "
        "cost at most .2 nats a token more than under the dense model and less than under truncation; text and 2-shot "
        "questions are no further from the dense model than under truncation",
        source="ours: the observation-window router (window and smoothing from arXiv 2404.14469)",
        run=_early_facts,
        verdict=all_of(
            *(at_most(f"{kind}, observation", f"{kind}, dense", margin=0.2) for kind in ("needle", "name")),
            *(at_most(f"{kind}, observation", f"{kind}, truncation") for kind in ("needle", "name")),
            *(at_most(f"{kind} KL, observation", f"{kind} KL, truncation") for kind in ("text", "questions")),
            at_most("operations of observation", "operations of truncation", margin=0.005),
        ),
        quick=Budget(seeds=1, minutes=2),
        full=Budget(seeds=3, minutes=6),
    ),
    Claim(
        id="tokenprune/published-stages-pay",
        says="at 30 %, on mixed sequences of test templates (text, long-context tasks, questions), the published "
        "method is nearer the dense model than truncation, than itself without search, without training, without "
        "refinement, and than the training-free pruner; its searched schedule than each that the search started from",
        source="arXiv 2412.11494, its three stages; the training-free pruner with default settings is the floor",
        run=_stages_pay,
        verdict=all_of(
            at_most("searched", "best schedule the search started from", margin=-0.001),
            at_most("searched and learnt", "searched", margin=-0.001),
            *(at_most("full", name, margin=-0.001)
              for name in ("without search", "without learning", "searched and learnt", FLOOR)),
            at_most("full", "truncation"),
        ),
        quick=Budget(seeds=1, minutes=2),
        full=Budget(seeds=3, minutes=20),
    ),
]  # fmt: skip
