"""Questions that stand anywhere in a prompt: what each choice of tokens loses, SmolLM2-135M in bfloat16.

    python packages/tokenprune/experiments/benchmarks/bench_questions.py [--role choosing] [--length 1024] [--items 8]
        [--kinds tail-1,two] [--arms NAME,...] [--seconds N] [--out FILE]
    python packages/tokenprune/experiments/benchmarks/bench_questions.py --summary

Twelve kinds of prompts (`prompt_kinds.py`), and plain text of which 24 tokens follow. An item counts if the dense model
gives the right answer the highest likelihood a token among its candidates. Of these are reported, by arm: answers lost
(another candidate is likelier), nats a token of the right answer above dense, operations as a share of dense. Of text:
divergence from the dense model. A JSON line for each item; a run that was ended resumes.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from long_items import Prefilled, answered, fillers, run_items
from ninefold.measure import emit
from prompt_kinds import KINDS, Maker, Prompt
from tokenprune import Executor, FTPConfig, Layout, TokenPruner, load
from tokenprune.baselines import FastKV
from tokenprune.baselines._window import _WindowRouter
from tokenprune.executor._scored import divergence, nll
from tokenprune.pruner._report import planned_cost
from tokenprune.routers._observation_router import Observation
from torch import Tensor

TAIL, TEXT = 24, "text"
HEADS = ((7, 7), (8, 0), (15, 6))
FASTKV = {0.3: 2, 0.6: 0}  # where it chooses: the best of three on validation prompts (`bench_long.py --tune`)


def arms(model: Any, question: int) -> Iterator[tuple[str, Executor]]:
    """(name, executor) of each choice; `question`: how many last tokens hold what is asked."""
    known = min(max(question, 8), 128)
    layout = Layout.of(model)

    def ours(s: float, **settings: Any) -> Executor:
        return TokenPruner(model, FTPConfig(target_sparsity=s, observation=Observation(**settings))).executor()

    for s, before in ((0.3, 24), (0.6, 8)):
        yield f"before {s:g}", ours(s, window=before)
        yield f"64 {s:g}", ours(s, window=64)
        yield f"known {s:g}", ours(s, window=known)
        if s > 0.5:
            yield f"heads before {s:g}", ours(s, window=before, heads=HEADS)
            yield f"heads 64 {s:g}", ours(s, window=64, heads=HEADS)
            yield f"heads known {s:g}", ours(s, window=known, heads=HEADS)
        schedules = FastKV().schedules(s, len(layout.blocks))
        yield f"fastkv {s:g}", Executor(layout, _WindowRouter(schedules[FASTKV[s]], FastKV.settings))


def likelihoods(executor: Executor, cache: Any, first: Tensor, answers: Sequence[Tensor]) -> list[float]:
    """Nats a token of each candidate."""
    found = []
    for one in answers:
        logits, _ = answered(executor, cache.fork(), first, one)
        found.append(float(nll(logits, one).mean()))
    return found


@torch.no_grad()
def measured(model: Any, prompt: Prompt, only: Sequence[str]) -> dict[str, Any]:
    """By arm [nats of the right answer, whether it is the likeliest, operations]; of text its divergence first."""
    before = Prefilled(Layout.of(model), prompt.ids[None])
    plain, text = Executor(before.layout), prompt.kind == TEXT
    whole = plain.costs.dense([before.length], logits=1).flops
    if text:
        dense, _ = answered(plain, before.cache.fork(), before.states[-1][None, -1:], prompt.answers[0])
        reference = dense.log_softmax(-1)
    else:
        said = likelihoods(plain, before.cache, before.states[-1][None, -1:], prompt.answers)
        if said[0] > min(said):
            return {"answered": False, "arms": {}}
    found = {} if text else {"dense": [round(said[0], 4), 1, 1.0]}
    for name, executor in arms(model, prompt.question):
        if only and name not in only:
            continue
        cache = before.begun(executor)
        stream = executor.choose(cache)
        share = planned_cost(executor, FTPConfig(), [before.length]).flops / whole
        last = executor.tail(stream, 1)
        if text:
            logits, _ = answered(executor, cache, last, prompt.answers[0])
            found[name] = [round(float(divergence(reference, logits).mean()), 4), 0, round(share, 4)]
        else:
            nats = likelihoods(executor, cache, last, prompt.answers)
            found[name] = [round(nats[0], 4), int(nats[0] <= min(nats)), round(share, 4)]
    return {"answered": True, "arms": found}


def summary(lines: Sequence[dict[str, Any]]) -> None:
    """Print a JSON line for each arm, and one for each arm and kind."""
    good = [line for line in lines if line["answered"]]
    tasks = [line for line in good if line["kind"] != TEXT]
    for arm in dict.fromkeys(name for line in good for name in line["arms"]):
        some = [line for line in tasks if arm in line["arms"]]
        by_kind = {}
        for kind in KINDS:
            held = [line["arms"] for line in some if line["kind"] == kind]
            if held:
                above = [one[arm][0] - one["dense"][0] for one in held]
                by_kind[kind] = [len(held), sum(1 - one[arm][1] for one in held), round(sum(above) / len(held), 3),
                                 round(max(above), 2)]  # fmt: skip
        texts = [line["arms"][arm] for line in good if line["kind"] == TEXT and arm in line["arms"]]
        total = sum(one[0] for one in by_kind.values())
        more = {} if not texts else {"text divergence": round(sum(one[0] for one in texts) / len(texts), 4)}
        emit(arm=arm, items=total, lost=sum(one[1] for one in by_kind.values()),
             nats=round(sum(one[0] * one[2] for one in by_kind.values()) / max(1, total), 3),
             operations=round(sum(line["arms"][arm][2] for line in some) / max(1, len(some)), 4), **more,
             kinds=by_kind)  # fmt: skip


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--out", type=Path)
    words.add_argument("--role", choices=("choosing", "reporting"), default="choosing")
    words.add_argument("--length", type=int, default=1024)
    words.add_argument("--items", type=int, default=8)
    words.add_argument("--start", type=int, default=0)
    words.add_argument("--kinds", default=",".join((*KINDS, TEXT)))
    words.add_argument("--arms", default="")
    words.add_argument("--seconds", type=float, default=float("inf"))
    words.add_argument("--summary", action="store_true")
    asked = words.parse_args()
    plan = [
        (asked.role, kind, asked.length, item)
        for item in range(asked.start, asked.items)
        for kind in asked.kinds.split(",")
    ]
    held: dict[str, Any] = {}

    def make(role: str, kind: str, length: int, item: int) -> dict[str, Any]:
        if not held:
            held["model"], tokenizer = load("smollm2", dtype="bfloat16")
            text, *_, code = fillers(tokenizer, "validation" if role == "choosing" else "foreign")
            held["maker"], held["text"] = Maker(role, tokenizer, text, code, length), text
        if kind == TEXT:
            start = item * 37_013 % (len(held["text"]) - length - TAIL)
            ids = held["text"][start : start + length + TAIL]
            prompt = Prompt(TEXT, ids[:-TAIL], 64, (ids[-TAIL:],))
        else:
            prompt = held["maker"].make(kind, item)
        return measured(held["model"], prompt, asked.arms.split(",") if asked.arms else [])

    seconds = 0.0 if asked.summary else asked.seconds
    lines = run_items(asked.out, plan, ("role", "kind", "length", "item"), make, seconds, kind="questions",
                      stop=False)  # fmt: skip
    summary(lines)


if __name__ == "__main__":
    main()
