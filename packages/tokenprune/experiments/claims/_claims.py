"""What the publication claims, as experiments on SmolLM2-135M-Instruct; choices are made on validation text.

Schedules, routers and rivals are fitted to WikiText-2 validation text and ARC-easy training questions (`_arms.py` says
on how much); WikiText-2 test text, ARC-easy test and PIQA questions are scored, by window and by question: these are
what intervals resample. All arms leave out the same share of (token, block) pairs, or of blocks; as attention falls
with the square of the tokens kept, FTP then takes no more operations than the rivals that cut layers, which a bar
checks.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from ninefold.datasets import cache_path
from ninefold_lab import Budget, Claim, Scores, all_of, at_least, at_most, source_key
from tokenprune import datasets
from tokenprune.baselines import HiddenState
from tokenprune.evaluation._evaluate import answer, questions_as_scored, text_divergence, text_scores
from tokenprune.executor._executor import Executor
from tokenprune.executor._scored import Scored
from tokenprune.models._layout import Layout
from tokenprune.routers._dynamic_router import FACTORS, DynamicRouter, RouterNet
from tokenprune.routers._schedule import project, uniform
from tokenprune.routers._static_router import StaticRouter
from tokenprune.search._analyze import redundancy
from tokenprune.search._genetic import influence_proportional
from tokenprune.training._train import Training

from ._arms import Arms, calibration_windows, each_sequence, sizes_of, smollm2, test_windows
from ._long import early_facts
from ._stages import FLOOR, MixedArms, stages_pay
from ._threshold import at_operations_of_static, trained_by_threshold

_RIVALS = ("shortgpt", "blockpruner", "truncation", "random")


def _arms(budget: Budget, seed: int) -> Arms:
    folder = cache_path("tokenprune") / "arms" / f"{budget.form}-{source_key(CLAIMS[0])}"
    return Arms(seed, sizes_of(budget.form), folder)


def _redundant(budget: Budget, seed: int) -> Scores:
    data = calibration_windows(seed, 12 if budget.form == "full" else 3)
    share = redundancy(Layout.of(smollm2()[0]), data).share_above(0.8).numpy().astype(float)
    return {"all blocks": float(share.mean()), "block 0": float(share[0]), "median block": float(np.median(share))}


def _wikitext(target: float) -> Callable[[Budget, int], Scores]:
    def run(budget: Budget, seed: int) -> Scores:
        arms = _arms(budget, seed)
        data = test_windows(arms.sizes.test)
        makers: dict[str, Callable[[], Executor]] = {
            "dense": lambda: arms.dense, "ftp": lambda: arms.ftp(target).executor(),
            "static": lambda: arms.static(target), **{name: partial(arms.rival, name, target) for name in _RIVALS},
        }  # fmt: skip

        def score(make: Callable[[], Executor]) -> dict[str, np.ndarray]:
            found = text_scores(make(), data)
            return {"nll": each_sequence(found.nll, data), "flops": np.array([found.flops])}

        scores, dense = {}, 0.0
        scores: dict[str, Any]
        for name, make in makers.items():
            alike = name in ("dense", "blockpruner", "truncation")  # whatever the seed
            stored = f"text-{name}" if name == "dense" else f"text-{name}-{target:g}"
            found = arms.scores(stored, partial(score, make), shared=alike)
            dense = float(found["flops"][0]) if name == "dense" else dense
            scores[name], scores[f"operations of {name}"] = found["nll"], float(found["flops"][0]) / dense
        scores["a quarter of shortgpt's loss"] = scores["dense"] + 0.25 * (scores["shortgpt"] - scores["dense"])
        return scores

    return run


def _answers(budget: Budget, seed: int) -> Scores:
    """All arms on the same questions, at 23 %, and ShortGPT and FTP at 40 %."""
    arms = _arms(budget, seed)
    scores: dict[str, Any] = {}
    for task in ("arc_easy", "piqa"):
        every = datasets.questions(task)
        draw = np.random.default_rng(seed).permutation(len(every))
        shots = datasets.questions("arc_easy_train")[:2] if task == "arc_easy" else [every[i] for i in draw[:2]]
        chosen = [every[i] for i in draw[2 : 2 + arms.sizes.questions]]
        asked, labels = questions_as_scored(chosen, shots, smollm2()[1]), [item.label for item in chosen]
        dense = 0.0
        for name, make in _answering(arms).items():
            ask = partial(_ask, make, asked, labels)
            found = arms.scores(f"answers-{task}-{name.replace(' ', '-').replace('%', 'percent')}", ask)
            dense = float(found["flops"][0]) if name == "dense" else dense
            scores.setdefault(f"{name} NLL", {})[task] = found["nll"]
            scores.setdefault(f"{name} accuracy", {})[task] = found["right"]
            scores.setdefault(f"operations of {name}", {})[task] = found["flops"] / dense
    scores["92 % of dense accuracy"] = {task: 0.92 * right for task, right in scores["dense accuracy"].items()}
    return scores


def _answering(arms: Arms) -> dict[str, Callable[[], Executor]]:
    """Each made when it is asked for: what was scored before a kill is not fitted again."""
    rivals = {name: partial(arms.rival, name, 0.233) for name in ("shortgpt", "blockpruner", "truncation")}
    return {"dense": lambda: arms.dense, "ftp": lambda: arms.ftp(0.233).executor(), **rivals,
            "ftp at 40 %": lambda: arms.ftp(0.4).executor(),
            "shortgpt at 40 %": partial(arms.rival, "shortgpt", 0.4)}  # fmt: skip


def _ask(make: Callable[[], Executor], asked: list[Scored], labels: list[int]) -> dict[str, np.ndarray]:
    judged = answer(make(), asked, labels)
    return {"nll": judged.nll, "right": judged.right, "flops": np.array([judged.flops])}


def _searched(budget: Budget, seed: int) -> Scores:
    """KL to the dense model on unseen text, static router: the searched schedule beside those that need no search.

    The uniform schedule under this router is truncation.
    """
    arms = _arms(budget, seed)
    pruner, blocks = arms.trained(), len(arms.layout.blocks)
    target = pruner.config.target_sparsity
    influence = redundancy(arms.layout, arms.calibration).influence.numpy()
    proportional = project(influence_proportional(influence, target), target, highest=arms.calibration.highest)
    schedules = {"searched": pruner.schedule, "uniform": uniform(target, blocks),
                 "proportional": [float(one) for one in proportional]}  # fmt: skip
    executors = {name: Executor(arms.layout, StaticRouter(one)) for name, one in schedules.items()}
    return _divergences(executors, 2 * arms.sizes.test)  # they differ by a hundredth of a nat


def _factors(budget: Budget, seed: int) -> Scores:
    """KL to the dense model on unseen text, one schedule: routers that see less, or the hidden state, same steps."""
    arms = _arms(budget, seed)
    pruner = arms.trained()

    def factors(*left_out: str) -> Executor:
        seen = [one for one in FACTORS if one not in left_out]
        start = "static" if "position" in seen else "random"  # the static rule is one of position
        net = RouterNet(factors=seen, generator=torch.Generator().manual_seed(seed), start=start)
        training = Training(arms.layout, DynamicRouter(pruner.schedule, net), arms.texts, arms.sizes.ablate, seed,
                            arms.teacher, arms.validation)  # fmt: skip
        while not training.done:
            training.step()
        return Executor(arms.layout, DynamicRouter(pruner.schedule, net))

    def hidden() -> Executor:
        rival = HiddenState(train=arms.sizes.ablate, schedule=pruner.schedule, teacher=arms.teacher,
                            validation=arms.validation)  # fmt: skip
        rival.fit(arms.layout, arms.texts, pruner.config.target_sparsity, seed)
        return rival.apply()

    makers = {"four factors": factors, "without position": partial(factors, "position"),
              "without sparsity": partial(factors, "sparsity"), "hidden state": hidden,
              "static": lambda: arms.static(pruner.config.target_sparsity),
              "truncation": lambda: arms.rival("truncation", pruner.config.target_sparsity)}  # fmt: skip
    scores, windows = {}, arms.sizes.test
    for name, make in makers.items():
        stored = f"factors-{name.replace(' ', '-')}"
        kept = arms.scores(stored, lambda make=make: _divergences({"kl": make()}, windows))
        scores[name] = kept["kl"]
    return scores


def _by_threshold(budget: Budget, seed: int) -> Scores:
    """KL to the dense model on unseen text at equal operations, one schedule, routers that decide by their own sign."""
    arms = _arms(budget, seed)
    schedule, data = arms.trained().schedule, test_windows(arms.sizes.test)
    of_dense = text_scores(arms.dense, data).flops

    def score(sparsity: bool) -> dict[str, np.ndarray]:
        net = trained_by_threshold(arms, schedule, sparsity=sparsity)
        executor = at_operations_of_static(arms, schedule, net, arms.calibration.part(0, 16))
        flops = text_scores(executor, data).flops / of_dense
        return _divergences({"kl": executor}, arms.sizes.test) | {"flops": np.array([flops])}

    scores: dict[str, Any] = {}
    for name, sparsity in (("four factors", True), ("without sparsity", False)):
        found = arms.scores(f"threshold-{name.replace(' ', '-')}", partial(score, sparsity))
        scores[name], scores[f"operations of {name}"] = found["kl"], float(found["flops"][0])
    cut = arms.rival("truncation", arms.trained().config.target_sparsity)
    return scores | {"truncation": _divergences({"kl": cut}, arms.sizes.test)["kl"]}


def _divergences(executors: dict[str, Executor], count: int) -> dict[str, np.ndarray]:
    data = test_windows(count)
    return {name: each_sequence(values, data) for name, values in text_divergence(executors, data).items()}


_NAMES = ("Mercer", "Okafor", "Lindqvist", "Tanaka", "Alvarez", "Novak", "Haddad", "Fischer")


def _limits(budget: Budget, seed: int) -> Scores:
    """Recall of a fact that stands first in the prompt, and text of which every position is decoded strictly."""
    arms = _arms(budget, seed)
    tokenizer = smollm2()[1]
    filler = calibration_windows(seed + 2000, len(_NAMES), length=80)
    sequences, counts = [], []
    for name, text in zip(_NAMES, filler.sequences, strict=True):
        fact = datasets.tokens(f"The name of the station's captain is {name}.\n", tokenizer)
        asked = datasets.tokens("\nThe name of the station's captain is", tokenizer)
        said = datasets.tokens(f" {name}", tokenizer)
        sequences.append(torch.cat([fact, text, asked, said]))
        counts.append(len(said))
    facts = Scored(sequences, counts)
    pruner = arms.ftp(0.3)
    recall = {"dense": arms.dense, "static": arms.static(0.3), "ftp": pruner.executor()}
    recall["truncation"] = arms.rival("truncation", 0.3)
    scores: Any = {
        f"early fact, {name}": each_sequence(text_scores(one, facts).nll, facts) for name, one in recall.items()
    }
    text = calibration_windows(seed + 2000, 8)
    every = Scored(text.sequences, [len(one) - 2 for one in text.sequences])
    scores["every position, dense"] = each_sequence(text_scores(arms.dense, every).nll, every)
    strict = Executor(arms.layout, StaticRouter(pruner.schedule, decode="strict"))
    scores["every position, strict decoding"] = each_sequence(text_scores(strict, every).nll, every)
    return scores


def _early_facts(budget: Budget, seed: int) -> Scores:
    return early_facts(_arms(budget, seed), 0.3)


def _stages_pay(budget: Budget, seed: int) -> Scores:
    arms = _arms(budget, seed)
    return stages_pay(MixedArms(seed, arms.sizes, arms.shared))


def _wikitext_claim(target: float, percent: int) -> Claim:
    return Claim(
        id=f"tokenprune/keeps-text-at-{percent}-percent",
        says=f"at {percent} % sparsity WikiText loses a quarter of what ShortGPT loses at most, less than BlockPruner; "
        "random keep is worst; the learnt router is no worse than the static one",
        source="arXiv 2412.11494, its tables of perplexity; the bar is ours",
        run=_wikitext(target),
        verdict=all_of(
            at_most("ftp", "a quarter of shortgpt's loss"), at_most("ftp", "blockpruner"),
            *(at_most(name, "random") for name in ("ftp", "shortgpt", "blockpruner", "truncation")),
            at_most("ftp", "static", margin=0.02),
            *(at_most("operations of ftp", f"operations of {name}", margin=0.01) for name in _RIVALS),
        ),
        quick=Budget(seeds=1, minutes=3),
        full=Budget(seeds=3, minutes=17 if target < 0.25 else 5),  # the first of all claims fits the arms they share
    )  # fmt: skip


_ASKED: dict[str, Any] = {"run": _answers, "quick": Budget(seeds=1, minutes=3), "full": Budget(seeds=3, minutes=10)}

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
        verdict=all_of(*[
            bar for rival in ("shortgpt", "blockpruner", "truncation")
            for bar in (at_most("ftp NLL", f"{rival} NLL"), at_least("ftp accuracy", f"{rival} accuracy"),
                        at_most("operations of ftp", f"operations of {rival}", margin=0.01))
        ]),
        **_ASKED,
    ),
    Claim(
        id="tokenprune/answers-keep-most-accuracy",
        says="at 23 % accuracy keeps 92 % of the dense model's, and is 5 points above ShortGPT's",
        source="arXiv 2412.11494, zero-shot tasks (22 %: FTP 99.2 % of dense); the bar is ours",
        verdict=all_of(
            at_least("ftp accuracy", "92 % of dense accuracy"),
            at_least("ftp accuracy", "shortgpt accuracy", margin=0.05),
        ),
        **_ASKED,
    ),
    Claim(
        id="tokenprune/answers-better-at-40-percent",
        says="at 40 % right answers are still likelier than under ShortGPT, accuracy no less",
        source="arXiv 2412.11494, zero-shot tasks (40 %: FTP 92.3 % of dense); the bar is ours",
        verdict=all_of(
            at_most("ftp at 40 % NLL", "shortgpt at 40 % NLL"),
            at_least("ftp at 40 % accuracy", "shortgpt at 40 % accuracy"),
            at_most("operations of ftp at 40 %", "operations of shortgpt at 40 %", margin=0.01),
        ),
        **_ASKED,
    ),
    Claim(
        id="tokenprune/search-beats-fixed-schedules",
        says="at 30 % a searched schedule is nearer the dense model on unseen text than uniform and proportional ones",
        source="arXiv 2412.11494, its ablation (uniform 72.8, searched 98.0 % of dense)",
        run=_searched,
        verdict=all_of(*(at_most("searched", name, margin=-0.001)  # a search may end at the uniform one: no gain
                         for name in ("uniform", "proportional"))),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=1),
    ),
    Claim(
        id="tokenprune/four-factors-beat-the-hidden-state",
        says="at 30 %, after the same steps, a router that sees four factors is nearer the dense model than one that "
        "sees the hidden state, or one without position, or without the sparsity asked",
        source="arXiv 2412.11494, its ablation (hidden state 86.0, no position 82.4, no s 92.2, all four 98.0)",
        run=_factors,
        verdict=all_of(*(at_most("four factors", name)
                         for name in ("hidden state", "without position", "without sparsity"))),
        quick=Budget(seeds=1, minutes=2),
        full=Budget(seeds=3, minutes=6),
    ),
    Claim(
        id="tokenprune/a-threshold-needs-the-sparsity",
        says="at 30 %, where a router decides by its own threshold as published, one that does not see the sparsity "
        "asked is further from the dense model at equal operations",
        source="arXiv 2412.11494, its ablation (no s 92.2, all four 98.0)",
        run=_by_threshold,
        verdict=all_of(
            at_most("four factors", "without sparsity"),
            at_most("operations of four factors", "operations of without sparsity", margin=0.01),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=12),
    ),
    Claim(
        id="tokenprune/early-facts-and-strict-decoding-suffer",
        says="limits, at 30 %: a static router forgets a fact that stands first (half a nat a token at least), and "
        "strict decoding of every position costs a tenth of a nat at least",
        source="arXiv 2412.11494, its cached variant (perplexity 5.47 to 11.12); recall is ours",
        run=_limits,
        verdict=all_of(
            at_least("early fact, static", "early fact, dense", margin=0.5),
            at_least("every position, strict decoding", "every position, dense", margin=0.1),
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=3, minutes=1),
    ),
    Claim(
        id="tokenprune/keeps-early-facts-without-training",
        says="at 30 %, as it comes and at operations within .005 of truncation's, a needle and an early name cost at "
        "most .2 nats a token more than under the dense model and less than under truncation; text and 2-shot "
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
        full=Budget(seeds=3, minutes=30),
    ),
    Claim(
        id="tokenprune/search-and-training-pay",
        says="at 30 %, on mixed sequences of test templates (text, long-context tasks, questions), a searched schedule "
        "is nearer the dense model than each that its search started from, a learnt router than the training-free one, "
        "and the whole method than itself without search, without learning, without refinement",
        source="ours: the training-free pruner as it comes is the floor",
        run=_stages_pay,
        verdict=all_of(
            *(at_most("searched", name, margin=-0.001) for name in (FLOOR, "best schedule the search started from")),
            at_most("searched and learnt", "searched", margin=-0.001),
            *(at_most("full", name, margin=-0.001)
              for name in ("without search", "without learning", "searched and learnt", FLOOR)),
            at_most("full", "truncation"),
        ),
        quick=Budget(seeds=1, minutes=2),
        full=Budget(seeds=3, minutes=180),
    ),
]  # fmt: skip
