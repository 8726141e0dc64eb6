"""Facts in long prompts and text after them, prompts alone read: SmolLM2-135M in bfloat16, a JSON line for each item.

    python packages/tokenprune/experiments/benchmarks/bench_long.py OUT [--role foreign] [--lengths 2048] [--items 40]
        [--front] [--seconds N]
    python packages/tokenprune/experiments/benchmarks/bench_long.py OUT --summary

Six kinds of tasks and text (24 tokens after the prompt), at sparsities of .3 and .6: the dense model, tokenprune by
default, the same with the mean over five neighbours in place of the maximum, FastKV as deep as the sparsity allows, and
on text truncation. An item's line holds by arm nats a token of the answer, divergence from the dense model, whether
each token of the answer is the likeliest, and operations as a share of the dense model's. Items that OUT holds are not
made again, so that a run which was ended goes on; what is left is said on the way. `--seconds` ends a run early, with
status 3 where some are left. `--front` adds a sparsity of .75 and the rivals GemFilter (a tenth of the blocks reads
first), PyramidInfer (its fall begins after a third) and SnapKV (a dense prefill, and caches of tokenprune's bytes), and
truncation on every kind: other lines, so another OUT.

`--summary` prints a JSON line for each length and arm over the items that OUT holds: answers right (all tokens of it
the likeliest) with how many more than dense and than FastKV these are, and the divergence on text as a share of
truncation's; each mean over the kinds, with its 95 % interval over items.

Foreign prompts: templates that nothing was chosen on (contracts, invoices, code) among WikiText-2 test text, licences of
installed packages and the standard library's code, in turn. Validation prompts: templates and texts of that role.
"""

from __future__ import annotations

import argparse
import json
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ninefold.interval import mean_interval
from ninefold.measure import emit
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, Scored, StaticRouter, TokenPruner, datasets, load
from tokenprune.baselines import FastKV, PyramidInfer
from tokenprune.baselines._window import GemFilterExecutor, _WindowRouter
from tokenprune.executor._scored import divergence, nll
from tokenprune.routers._observation_router import Observation, ObservationRouter, cache_choice
from torch import Tensor

SPARSITIES, DEEPER, TAIL, TEXT = (0.3, 0.6), 0.75, 24, "text"
KINDS = (*datasets.KINDS, TEXT)
_CODE = {"foreign": ("email/message", "http/client", "smtplib", "mailbox", "subprocess", "imaplib", "statistics"),
         "validation": ("argparse", "tarfile", "typing", "ast", "inspect", "doctest", "optparse")}  # fmt: skip


def fillers(tokenizer: Any, role: str) -> list[Tensor]:
    """Texts of a role, code the last."""
    paths = sysconfig.get_paths()
    code = "\n".join(Path(paths["stdlib"], f"{one}.py").read_text(encoding="utf-8") for one in _CODE[role])
    words = [datasets.text("wikitext2_test" if role == "foreign" else "wikitext2_valid")[:600_000]]
    if role == "foreign":
        files = [one for one in sorted(Path(paths["purelib"]).rglob("*LICEN[CS]E*")) if one.is_file()]
        words.append("\n".join(dict.fromkeys(one.read_text(errors="ignore") for one in files))[:400_000])
    return [datasets.tokens(one, tokenizer) for one in (*words, code[:300_000])]


def sequence(kind: str, item: int, length: int, role: str, tokenizer: Any, texts: list[Tensor]) -> tuple[Tensor, int]:
    """(ids, how many last ones are the answer) of one item."""
    if kind == TEXT:
        start = item * 37_013 % (len(texts[0]) - length)
        return texts[0][start : start + length], TAIL
    filler = texts[-1] if kind == "constant" else texts[item % len(texts)]
    (task,) = datasets.long_tasks(kind, role, tokenizer, filler=filler, count=1, length=length, seed=1000 + item,
                                  depths=[datasets.DEPTHS[item % 5]])  # fmt: skip
    return task.ids, task.answer


def scored_after(executor: Executor, read: PrunedCache, forms: Any, data: Scored) -> tuple[Tensor, float]:
    """Logits of an answer, and operations, where the first blocks have read the prompt already."""
    cache, answer = read.fork(), data.sequences[0][-data.counts[0] :]
    executor.forms = forms
    stream = executor.choose(cache)
    logits = [executor.layout.logits(executor.tail(stream, 1))[0]]
    cost = executor.cost(stream).plus(executor.cost_of_new([len(answer) - 1], cache, logits=len(answer)))
    if len(answer) > 1:
        out = executor.decode(executor.layout.embed(answer[None, :-1]), cache)
        logits.append(executor.layout.logits(out)[0])
    return torch.cat(logits).float(), cost.flops


def rivals_of(layout: Layout, s: float, tokens: int, *, text: bool, front: bool) -> dict[str, Executor]:
    """Rivals that skip as much, by name."""
    blocks = len(layout.blocks)
    routers: dict[str, Any] = {"fastkv": _WindowRouter(FastKV().schedules(s, blocks)[-1], FastKV.settings)}
    if text or front:
        routers["truncation"] = StaticRouter((s,) * blocks)
    if not front:
        return {name: Executor(layout, router) for name, router in routers.items()}
    routers["pyramidinfer"] = _WindowRouter(PyramidInfer().schedules(s, blocks)[-1], PyramidInfer.settings)
    made = {name: Executor(layout, router) for name, router in routers.items()}
    first = round(blocks / 10)
    made["gemfilter"] = GemFilterExecutor(layout, first, 1 - s - first / blocks)
    window = Observation(neighbours=7, pooling="max", reduction="mean", window=32)
    every = ObservationRouter((0.0,) * blocks, window, score_all=True)
    made["snapkv"] = Executor(layout, every, cache_choice(round((1 - s) * tokens), window))
    return made


@torch.no_grad()
def arms_of(model: Any, data: Scored, *, text: bool, front: bool) -> dict[str, list[float]]:
    """By arm: NLL, divergence, exact, share of operations."""
    layout = Layout.of(model)
    logits, cost = data.decoded(Executor(layout))
    reference, found = logits.log_softmax(-1), {"dense": (logits, cost.flops)}
    reader = TokenPruner(model, FTPConfig(target_sparsity=SPARSITIES[0])).executor()
    reader.read(reader.start(data.prompts[0]), read := PrunedCache(reader.blocks))
    for s in (*SPARSITIES, DEEPER)[: None if front else 2]:
        before = Observation(neighbours=5, pooling="mean")
        for name, window in (("tokenprune", Observation()), ("mean over five", before)):
            ours = TokenPruner(model, FTPConfig(target_sparsity=s, observation=window)).executor()
            if ours.router.whole_blocks(ours.blocks) == read.read.blocks:  # type: ignore[union-attr]
                found[f"{name} {s:g}"] = scored_after(ours, read, reader.forms, data)
            else:
                out, spent = data.decoded(ours)
                found[f"{name} {s:g}"] = out, spent.flops
        for name, executor in rivals_of(layout, s, data.prompts[0].shape[1], text=text, front=front).items():
            out, spent = data.decoded(executor)
            found[f"{name} {s:g}"] = out, spent.flops
    lines = {}
    for name, (logits, flops) in found.items():
        right = float((logits.argmax(-1) == data.targets).all())
        lines[name] = [float(nll(logits, data.targets).mean()), float(divergence(reference, logits).mean()), right,
                       flops / cost.flops]  # fmt: skip
    return lines


def summary(lines: list[dict[str, Any]]) -> None:
    """Print what the items say by length and arm."""
    for length in sorted({line["tokens"] for line in lines}):
        here = [line for line in lines if line["tokens"] == length]
        tasks = [[line["arms"] for line in here if line["kind"] == kind] for kind in datasets.KINDS]
        texts = [line["arms"] for line in here if line["kind"] == TEXT]
        for arm in here[0]["arms"]:
            sparsity = arm.split()[-1]
            found: dict[str, Any] = {"operations": float(np.mean([line["arms"][arm][3] for line in here]))}
            for name, other in (("right", None), ("right above dense", "dense"), ("right above FastKV", "fastkv")):
                beside = f"fastkv {sparsity}" if other == "fastkv" else other
                if beside is None or (beside in here[0]["arms"] and beside != arm):
                    found[name] = _mean([[one[arm][2] - (one[beside][2] if beside else 0) for one in kind]
                                         for kind in tasks if kind])  # fmt: skip
            found["loss"] = _mean([[one[arm][0] for one in kind] for kind in tasks if kind])
            bar = f"truncation {sparsity}"
            if texts:
                found["text divergence"] = _mean([[one[arm][1] for one in texts]])
                if bar in texts[0] and bar != arm:
                    found["text divergence above truncation"] = _mean([[one[arm][1] - one[bar][1] for one in texts]])
            emit(benchmark="long prompts", tokens=length, items=len(here), arm=arm, **found)


def _mean(groups: list[list[float]]) -> list[float]:
    """[mean, low, high], the mean over groups of their means."""
    found = mean_interval([np.array(one, dtype=float)[None] for one in groups])
    return [round(float(one), 4) for one in found]


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("out", type=Path)
    words.add_argument("--role", choices=list(_CODE), default="foreign")
    words.add_argument("--lengths", default="2048")
    words.add_argument("--items", type=int, default=40)
    words.add_argument("--seconds", type=float, default=float("inf"))
    words.add_argument("--front", action="store_true")
    words.add_argument("--summary", action="store_true")
    asked, begun = words.parse_args(), time.monotonic()
    lines = asked.out.read_text(encoding="utf-8").splitlines() if asked.out.is_file() else []
    if asked.summary:
        summary([json.loads(line) for line in lines])
        return
    done = {tuple(json.loads(line)[key] for key in ("role", "kind", "tokens", "item")) for line in lines}
    plan = [(asked.role, kind, int(length), item) for item in range(asked.items)
            for length in asked.lengths.split(",") for kind in KINDS]  # fmt: skip
    left = [one for one in plan if one not in done]
    if not left:
        return
    model, tokenizer = load("smollm2", dtype="bfloat16")
    texts = fillers(tokenizer, asked.role)
    for at, (role, kind, length, item) in enumerate(left):
        if time.monotonic() - begun > asked.seconds:
            sys.exit(3)
        ids, answer = sequence(kind, item, length, role, tokenizer, texts)
        arms = arms_of(model, Scored([ids], [answer]), text=kind == TEXT, front=asked.front)
        line = {"role": role, "kind": kind, "tokens": length, "item": item, "arms": arms}
        with asked.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        seconds = (time.monotonic() - begun) / (at + 1)
        print(f"{at + 1} of {len(left)}: {kind}, {length} tokens; {seconds:.0f} s an item, "
              f"{seconds * (len(left) - at - 1) / 60:.0f} min left", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    main()
