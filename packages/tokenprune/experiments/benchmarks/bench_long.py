"""Facts in long prompts and text after them, prompts alone read: SmolLM2-135M in bfloat16, a JSON line for each item.

    python packages/tokenprune/experiments/benchmarks/bench_long.py [--lengths 2048] [--items 40] [--front 10]
        [--role foreign] [--seconds N] [--out FILE]
    python packages/tokenprune/experiments/benchmarks/bench_long.py --lengths 2048,4096 --summary

Six kinds of tasks and text (24 tokens after the prompt). The dense model reads each prompt once; every arm goes on from
there (`long_items.py`). Arms at sparsities of .3, .6 and .75: tokenprune by default; from .6 on with the heads that it
learns from the embedded text ("learnt"); FastKV; on text truncation. For the
first items of each kind (`--front`) also SnapKV and PyramidKV per head, a dense prefill and caches of as many bytes
(kvpress' windows, kernels and budgets), GemFilter, SpecPrefill with the model's own first blocks for a draft,
PyramidInfer, LLMLingua-2-like dropping (the most frequent tokens of validation text leave the prompt) and truncation.

An item's line holds by arm nats a token of the answer, divergence from the dense model, whether each token of the answer
is the likeliest, operations and bytes of the cache as shares of the dense model's. Items that are there are not made
again, so that a run which was ended goes on. `--summary` prints a JSON line for each length and arm over the items that
are there, each mean over the kinds, with its 95 % interval over items; and the bars: accuracy at least dense - 2 points
at .3 and .6 (.75: - 5), above FastKV with the whole interval, text divergence at most truncation's at .3
and twice that at .6; divergence of learnt at .75 at most half of what it is without, text no worse.

Foreign prompts: templates that nothing was chosen on (contracts, invoices, code) among WikiText-2 test text, licences of
installed packages and the standard library's code, in turn. Rivals' settings (`BLOCKS`) are the best of three on
validation prompts: `--role validation --tune`.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from long_items import Prefilled, answered, chosen, compressed, fillers, mean, run_items, subsequence
from ninefold.measure import emit
from pyramid_infer import PyramidInfer
from tokenprune import Executor, Layout, Scored, TokenPruner, datasets, load
from tokenprune.baselines import FastKV
from tokenprune.baselines._window import _WindowRouter
from tokenprune.executor._scored import divergence, nll
from torch import Tensor

SPARSITIES, TAIL, TEXT = (0.3, 0.6, 0.75), 24, "text"
LOW_UP_TO = 2100  # tokens, beyond which what is costly runs from .6 on: the front that is asked for begins there
KINDS = (*datasets.KINDS, TEXT)
SHARES = (0.1, 0.2, 1 / 3)  # of the blocks that read all for GemFilter and SpecPrefill
# of FastKV the choice after a fifth, a third or half of the blocks, as far as the rest holds the target; of the two
# that read twice, which of `SHARES`: the best in validation prompts of 2,048 tokens
BLOCKS: dict[str, dict[float, int]] = {
    "fastkv": {0.3: 2, 0.6: 0, 0.75: 0}, "gemfilter": {0.3: 1, 0.6: 0, 0.75: 0}, "specprefill": {0.3: 1, 0.6: 0, 0.75: 0},
    "pyramidinfer": {0.3: 1, 0.6: 1, 0.75: 0},
}  # fmt: skip
Found = tuple[Tensor, float, float]


def sequence(kind: str, item: int, length: int, role: str, tokenizer: Any, texts: list[Tensor]) -> tuple[Tensor, int]:
    """(ids, how many last ones are the answer) of one item."""
    if kind == TEXT:
        start = item * 37_013 % (len(texts[0]) - length)
        return texts[0][start : start + length], TAIL
    filler = texts[-1] if kind == "constant" else texts[item % len(texts)]
    (task,) = datasets.long_tasks(kind, role, tokenizer, filler=filler, count=1, length=length, seed=1000 + item,
                                  depths=[datasets.DEPTHS[item % 5]])  # fmt: skip
    return task.ids, task.answer


@cache
def frequency(size: int) -> Tensor:
    """How often each token stands in validation text."""
    counts = Counter(datasets.tokens(datasets.text("wikitext2_valid")[:600_000], load("smollm2")[1]).tolist())
    return torch.tensor([counts[token] for token in range(size)])


def reading_twice(name: str, before: Prefilled, s: float, share: float, answer: Tensor) -> Found:
    """Some first blocks read all; the whole model then runs on the tokens to which their last queries attend most."""
    blocks, n = len(before.layout.blocks), before.length
    first = max(1, round(share * blocks))
    count = round((1 - s - first / blocks) * n)
    if name == "gemfilter":  # the last query, the mean over five neighbours, in the last of these blocks
        scores, span, pool = before.scores(first - 1, 1), 5, torch.nn.functional.avg_pool1d
    else:  # the eight last queries, the maximum over heads and blocks, smoothed over thirteen, as its authors have it
        every = [before.scores(block, 8, "max") for block in range(first)]
        scores, span, pool = torch.stack(every).amax(0), 13, torch.nn.functional.avg_pool1d
    scores = pool(scores[None].float(), span, 1, span // 2)[0]
    scores[-1] = scores[0] = float("inf")
    places = scores.topk(count).indices.sort().values
    logits, spent, held = subsequence(before, places, answer, anew=name == "gemfilter")
    return logits, spent + before.dense.flops * first / blocks, held


def dropped(before: Prefilled, s: float, answer: Tensor) -> Found:
    """The most frequent tokens of the language leave the prompt, whatever is asked; its end stays."""
    rare = -frequency(before.layout.config.vocab_size)[before.ids[0]].float()
    rare[-TAIL:] = rare[0] = 1.0
    places = rare.topk(round((1 - s) * before.length)).indices.sort().values
    return subsequence(before, places, answer, anew=True)


def truncated(before: Prefilled, s: float, answer: Tensor) -> Found:
    """The first token and the last ones, at their positions: the static rule with one sparsity for all blocks."""
    kept = before.length - int(s * before.length)
    places = torch.cat([torch.zeros(1, dtype=torch.long), torch.arange(before.length - kept + 1, before.length)])
    return subsequence(before, places, answer, anew=False)


def pyramid(before: Prefilled, s: float, window: int = 64, beta: int = 20) -> list[int]:
    """Tokens of each block's cache under PyramidKV, fewer from block to block, the mean as asked."""
    blocks, n = len(before.layout.blocks), before.length
    mean_of = round((1 - s) * n) - window
    least, most = mean_of // beta, 2 * mean_of - mean_of // beta
    if most >= n - window:
        least, most = 2 * mean_of - (n - window), n - window
    return [most - round(block * (most - least) / (blocks - 1)) + window for block in range(blocks)]


def every_arm(
    model: Any, before: Prefilled, answer: Tensor, learnt: TokenPruner, *, text: bool, front: bool, tune: bool
) -> Iterator[tuple[str, Found]]:  # fmt: skip
    """(name, (logits, operations, bytes)) of each arm."""
    layout, blocks = before.layout, len(before.layout.blocks)

    def window(kind: type[FastKV] | type[PyramidInfer], s: float, at: int) -> Found:
        schedules = kind().schedules(s, blocks)
        executor = Executor(layout, _WindowRouter(schedules[min(at, len(schedules) - 1)], kind.settings))
        return chosen(executor, before.begun(executor), answer)

    pruner, costly = TokenPruner(model), front and before.length <= LOW_UP_TO
    for s in SPARSITIES:
        pruner.set_sparsity(s)
        ours = pruner.executor()
        yield f"tokenprune {s:g}", chosen(ours, before.begun(ours), answer)
        if s > 0.5:
            learnt.set_sparsity(s)
            ahead = learnt.executor()
            yield f"learnt {s:g}", chosen(ahead, before.begun(ahead), answer)
        places = range(3) if tune else [BLOCKS["fastkv"][s]]
        for at in places:
            yield f"fastkv {s:g}" + f" ({at})" * tune, window(FastKV, s, at)
        if text or (front and (s > 0.3 or costly)):
            yield f"truncation {s:g}", truncated(before, s, answer)
        if front:
            tokens = round((1 - s) * before.length)
            yield f"snapkv {s:g}", compressed(before, [tokens] * blocks, answer, window=64, kernel=5)
            yield f"pyramidkv {s:g}", compressed(before, pyramid(before, s), answer, window=64, kernel=5)
        if tune or (front and (s > 0.3 or costly)):
            for name in ("gemfilter", "specprefill"):
                for at in range(3) if tune else [BLOCKS[name][s]]:
                    if 1 - s - SHARES[at] > 0.04:
                        yield f"{name} {s:g}" + f" ({at})" * tune, reading_twice(name, before, s, SHARES[at], answer)
            for at in range(3) if tune else [BLOCKS["pyramidinfer"][s]]:
                yield f"pyramidinfer {s:g}" + f" ({at})" * tune, window(PyramidInfer, s, at)
            if not tune:
                yield f"dropping {s:g}", dropped(before, s, answer)


@torch.no_grad()
def arms_of(
    model: Any, ids: Tensor, answer: int, learnt: TokenPruner, *, text: bool, front: bool, tune: bool
) -> dict[str, list[float]]:  # fmt: skip
    """By arm: NLL, divergence, exact, shares of operations and of bytes."""
    data = Scored([ids], [answer])
    before, said = Prefilled(Layout.of(model), data.prompts[0]), ids[-answer:]
    dense, spent = answered(Executor(before.layout), before.cache.fork(), before.states[-1][None, -1:], said)
    spent += before.dense.flops
    reference, lines = dense.log_softmax(-1), {}
    every = every_arm(model, before, said, learnt, text=text, front=front, tune=tune)
    for name, (logits, flops, held) in [("dense", (dense, spent, before.cache.nbytes)), *every]:
        right = float((logits.argmax(-1) == data.targets).all())
        found = float(nll(logits, data.targets).mean()), float(divergence(reference, logits).mean()), right
        lines[name] = [round(one, 6) for one in (*found, flops / spent, held / before.cache.nbytes)]
    return lines


def summary(lines: list[dict[str, Any]]) -> None:
    """Print what the items say by length and arm, and the bars."""
    for length in sorted({line["tokens"] for line in lines}):
        here = [line for line in lines if line["tokens"] == length]
        for arm in dict.fromkeys(name for line in here for name in line["arms"]):
            some = [line for line in here if arm in line["arms"]]
            tasks = {kind: [one["arms"] for one in some if one["kind"] == kind] for kind in datasets.KINDS}
            tasks = {kind: held for kind, held in tasks.items() if held}
            texts = [line["arms"] for line in some if line["kind"] == TEXT]
            found: dict[str, Any] = {"tasks": sum(map(len, tasks.values())), "texts": len(texts)}
            for at, name in ((3, "operations"), (4, "bytes")):
                found[name] = round(sum(line["arms"][arm][at] for line in some) / len(some), 4)
            if tasks:
                found["right"] = mean([one[arm][2] for one in held] for held in tasks.values())
                found["right above dense"] = mean(
                    [one[arm][2] - one["dense"][2] for one in held] for held in tasks.values()
                )
                found["right above learnt"] = _above(arm, "learnt", 2, tasks)
                found["loss above dense"] = mean(
                    [one[arm][0] - one["dense"][0] for one in held] for held in tasks.values()
                )
                found["right by kind"] = {kind: round(sum(one[arm][2] for one in held) / len(held), 3)
                                          for kind, held in tasks.items()}  # fmt: skip
            if texts:
                found["text divergence"] = mean([[one[arm][1] for one in texts]])
            emit(benchmark="long prompts", tokens=length, arm=arm, **{k: v for k, v in found.items() if v is not None})
        _bars(length, here)


def _above(arm: str, rival: str, at: int, tasks: dict[str, Any]) -> list[float] | None:
    other = f"{rival} {arm.split()[-1]}"
    if arm in (other, "dense") or any(other not in one for held in tasks.values() for one in held):
        return None
    return mean([one[arm][at] - one[other][at] for one in held] for held in tasks.values())


def _bars(length: int, here: list[dict[str, Any]]) -> None:
    """Print each bar with how far it is passed, the interval, and whether it holds."""
    tasks = [[line["arms"] for line in here if line["kind"] == kind] for kind in datasets.KINDS]
    texts = [line["arms"] for line in here if line["kind"] == TEXT]
    for ours in ("tokenprune 0.3", "tokenprune 0.6", "learnt 0.6", "tokenprune 0.75", "learnt 0.75"):
        s = float(ours.split()[1])
        below = 0.05 if s > 0.6 else 0.02
        if all(tasks):
            gain = mean([one[ours][2] - one["dense"][2] + below for one in held] for held in tasks)
            _bar(length, f"accuracy of {ours} >= dense - {below:g}", gain, passed=gain[0] >= 0)
            gain = mean([one[ours][2] - one[f"fastkv {s:g}"][2] for one in held] for held in tasks)
            _bar(length, f"accuracy of {ours} > FastKV, whole interval", gain, passed=gain[1] > 0)
        if texts and s < 0.7:
            times = 1 if s < 0.5 else 2
            gain = mean([[times * one[f"truncation {s:g}"][1] - one[ours][1] for one in texts]])
            _bar(length, f"text divergence of {ours} <= {times} truncation", gain, passed=gain[0] >= 0)
    whole = [
        [one for one in held if one["learnt 0.75"][1] is not None] for held in tasks
    ]  # not without a dense prefill
    if all(whole) and texts:
        gain = mean([one["tokenprune 0.75"][1] / 2 - one["learnt 0.75"][1] for one in held] for held in whole)
        _bar(length, "divergence of learnt 0.75 <= half of tokenprune 0.75", gain, passed=gain[1] > 0)
        gain = mean([[one["tokenprune 0.75"][1] - one["learnt 0.75"][1] for one in texts]])
        _bar(length, "text divergence of learnt 0.75 <= tokenprune 0.75", gain, passed=gain[0] >= 0)


def _bar(length: int, bar: str, gain: list[float], *, passed: bool) -> None:
    emit(benchmark="long prompts, bar", tokens=length, bar=bar, passed_by=gain, holds=passed)


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--out", type=Path)
    words.add_argument("--role", choices=("foreign", "validation"), default="foreign")
    words.add_argument("--lengths", default="2048")
    words.add_argument("--items", type=int, default=40)
    words.add_argument("--front", type=int, default=10)
    words.add_argument("--seconds", type=float, default=float("inf"))
    words.add_argument("--tune", action="store_true")
    words.add_argument("--summary", action="store_true")
    asked = words.parse_args()
    plan = [(asked.role, kind, int(length), item) for length in asked.lengths.split(",") for item in range(asked.items)
            for kind in KINDS]  # fmt: skip
    held: dict[str, Any] = {}

    def make(role: str, kind: str, length: int, item: int) -> dict[str, Any]:
        if not held:
            held["model"], held["tokenizer"] = load("smollm2", dtype="bfloat16")
            held["texts"] = fillers(held["tokenizer"], role)
            play = datasets.tokens(datasets.embedded_text(), held["tokenizer"])
            held["learnt"] = TokenPruner(held["model"])
            held["learnt"].learn(datasets.learning_tasks(held["tokenizer"], play))
        ids, answer = sequence(kind, item, length, role, held["tokenizer"], held["texts"])
        front = item < asked.front and not asked.tune
        return {"arms": arms_of(held["model"], ids, answer, held["learnt"], text=kind == TEXT, front=front,
                                tune=asked.tune)}  # fmt: skip

    kind = "long-items" + "-tune" * asked.tune
    lines = run_items(asked.out, plan, ("role", "kind", "tokens", "item"), make, -1 if asked.summary else asked.seconds,
                      kind=kind, stop=not asked.summary)  # fmt: skip
    if asked.summary:
        summary(lines)


if __name__ == "__main__":
    main()
