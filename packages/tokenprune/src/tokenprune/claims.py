"""What the publication claims, as experiments on SmolLM2-135M-Instruct; choices are made on validation text.

Routers and schedules are fitted to WikiText-2 validation text; windows of its test text, and ARC-easy and PIQA
questions, are scored. All arms leave out the same share of (token, block) pairs, or of blocks; as attention falls with
the square of the tokens kept, FTP then takes no more operations than the rivals that cut layers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import torch
from ninefold.claims import Budget, Claim, Scores, all_of, at_least, at_most

from tokenprune import datasets
from tokenprune._analyze import redundancy
from tokenprune._config import FTPConfig
from tokenprune._evaluate import answer, questions_as_scored, text_nll
from tokenprune._executor import Executor
from tokenprune._fitness import Fitness
from tokenprune._genetic import SearchConfig, influence_proportional
from tokenprune._layout import Layout
from tokenprune._models import load
from tokenprune._pruner import TokenPruner
from tokenprune._schedule import project, uniform
from tokenprune._scored import Scored, windows
from tokenprune._static_router import StaticRouter
from tokenprune._train import TrainConfig
from tokenprune.baselines import BASELINES

LENGTH, TAIL = 128, 24


@cache
def _smollm2() -> tuple[Any, Any]:
    return load("smollm2")


@cache
def _ids(name: str) -> torch.Tensor:
    return datasets.tokens(datasets.text(name)[:600_000], _smollm2()[1])


def _calibration(seed: int, count: int) -> Scored:
    return windows(_ids("wikitext2_valid"), length=LENGTH, scored=TAIL, count=count, seed=seed)


def _test_windows(count: int) -> Scored:
    return windows(_ids("wikitext2_test"), length=LENGTH, scored=TAIL, count=count)


def _sizes(budget: Budget) -> dict[str, Any]:
    full = budget.form == "full"
    return {
        "windows": 12 if full else 4,
        "search": SearchConfig(population=16, generations=8)
        if full
        else SearchConfig(population=5, generations=1, elite=2),
        "train": TrainConfig(steps=200 if full else 4),
        "test": 48 if full else 8,
        "items": 100 if full else 6,
    }


def _pruner(target: float, seed: int, sizes: dict[str, Any], router: str = "dynamic") -> TokenPruner:
    """Searched on calibration windows; a dynamic router is then trained on other windows, and the schedule refined."""
    pruner = TokenPruner(_smollm2()[0], FTPConfig(target_sparsity=target, router=router, seed=seed))
    data = _calibration(seed, sizes["windows"])
    pruner.search(data, sizes["search"])
    if router != "static":
        pruner.fit_router(_calibration(seed + 1000, 64), sizes["train"])
        pruner.refine(data, sizes["search"])
    return pruner


def _rivals(target: float, seed: int, sizes: dict[str, Any], names: list[str]) -> dict[str, Executor]:
    layout, data, arms = Layout.of(_smollm2()[0]), _calibration(seed, min(4, sizes["windows"])), {}
    for name in names:
        rival = BASELINES[name]()
        rival.fit(layout, data, target, seed)
        arms[name] = rival.apply()
    return arms


def _redundant(budget: Budget, seed: int) -> Scores:
    data = _calibration(seed, 12 if budget.form == "full" else 3)
    share = redundancy(Layout.of(_smollm2()[0]), data).share_above(0.8).numpy().astype(float)
    return {"all blocks": float(share.mean()), "block 0": float(share[0]), "median block": float(np.median(share))}


def _wikitext(target: float) -> Callable[[Budget, int], Scores]:
    def run(budget: Budget, seed: int) -> Scores:
        sizes = _sizes(budget)
        layout, data = Layout.of(_smollm2()[0]), _test_windows(sizes["test"])
        pruner = _pruner(target, seed, sizes)
        arms = {"dense": Executor(layout), "ftp": pruner.executor()}
        arms["static"] = Executor(layout, StaticRouter(pruner.history[sizes["search"].generations]["schedule"]))
        arms |= _rivals(target, seed, sizes, ["shortgpt", "blockpruner", "truncation", "random"])
        scores: dict[str, Any] = {name: text_nll(one, data)[0] for name, one in arms.items()}
        scores["a quarter of shortgpt's loss"] = scores["dense"] + 0.25 * (scores["shortgpt"] - scores["dense"])
        return scores

    return run


def _questions(budget: Budget, seed: int) -> Scores:
    sizes, target = _sizes(budget), 0.233
    pruner = _pruner(target, seed, sizes)
    arms = {"dense": Executor(pruner.layout), "ftp": pruner.executor()}
    arms |= _rivals(target, seed, sizes, ["shortgpt", "blockpruner", "truncation"])
    scores: dict[str, Any] = {f"{name} {what}": {} for name in arms for what in ("NLL", "accuracy")}
    for task in ("arc_easy", "piqa"):
        every = datasets.questions(task)
        draw = np.random.default_rng(seed).permutation(len(every))
        shots = datasets.questions("arc_easy_train")[:2] if task == "arc_easy" else [every[i] for i in draw[:2]]
        chosen = [every[i] for i in draw[2 : 2 + sizes["items"]]]
        asked = questions_as_scored(chosen, shots, _smollm2()[1])
        for name, one in arms.items():
            judged = answer(one, asked, [item.label for item in chosen])
            scores[f"{name} NLL"][task], scores[f"{name} accuracy"][task] = judged.nll, judged.right
    return scores


def _searched(budget: Budget, seed: int) -> Scores:
    """KL to the dense model on held-out windows: the searched schedule beside those that need no search."""
    sizes, target = _sizes(budget), 0.3
    pruner = _pruner(target, seed, sizes, "static")
    layout, blocks = pruner.layout, len(pruner.layout.blocks)
    data = _test_windows(sizes["test"])
    influence = pruner.analyze(_calibration(seed, sizes["windows"])).influence.numpy()
    proportional = project(influence_proportional(influence, target), target, highest=data.highest)
    judge = Fitness(layout, data, StaticRouter)
    schedules = {"searched": pruner.schedule, "uniform": uniform(target, blocks), "proportional": tuple(proportional)}
    return dict(zip(schedules, judge([tuple(map(float, one)) for one in schedules.values()]), strict=True))


def _wikitext_claim(target: float, percent: int) -> Claim:
    return Claim(
        id=f"tokenprune/keeps-text-at-{percent}-percent",
        says=f"at {percent} % sparsity WikiText loses a quarter of what ShortGPT loses at most, less than BlockPruner",
        source="arXiv 2412.11494, its tables of perplexity; the bar is ours",
        run=_wikitext(target),
        verdict=all_of(
            at_most("ftp", "a quarter of shortgpt's loss"), at_most("ftp", "blockpruner"), at_most("ftp", "random"),
            at_most("ftp", "static", margin=0.02),
        ),
        quick=Budget(seeds=1, minutes=3),
        full=Budget(seeds=3, minutes=30),
    )  # fmt: skip


CLAIMS = [
    Claim(
        id="tokenprune/most-blocks-change-little",
        says="cosine in/out is above 0.8 for 88 % of all pairs, at most 10 % in block 0, 98 % in the median block",
        source="arXiv 2412.11494, its figure of redundancy (LLaMA2-7B: 89.9 %); here SmolLM2-135M",
        run=_redundant,
        verdict=all_of(at_least("all blocks", 0.88), at_most("block 0", 0.1), at_least("median block", 0.98)),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=1),
    ),
    _wikitext_claim(0.233, 23),
    _wikitext_claim(0.3, 30),
    Claim(
        id="tokenprune/answers-better-than-cut-layers",
        says="at 23 % right answers are likelier than under ShortGPT, BlockPruner and truncation, accuracy no less",
        source="arXiv 2412.11494, zero-shot tasks (22 %: FTP 99.2 %, BlockPruner 84.9 % of dense); the bar is ours",
        run=_questions,
        verdict=all_of(*[
            bar for rival in ("shortgpt", "blockpruner", "truncation")
            for bar in (at_most("ftp NLL", f"{rival} NLL"), at_least("ftp accuracy", f"{rival} accuracy"))
        ]),
        quick=Budget(seeds=1, minutes=3),
        full=Budget(seeds=3, minutes=30),
    ),
    Claim(
        id="tokenprune/search-beats-fixed-schedules",
        says="at 30 % a searched schedule is nearer the dense model on unseen text than uniform and proportional ones",
        source="arXiv 2412.11494, its ablation (uniform 72.8, searched 98.0 % of dense)",
        run=_searched,
        verdict=all_of(at_most("searched", "uniform"), at_most("searched", "proportional")),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=15),
    ),
]  # fmt: skip
