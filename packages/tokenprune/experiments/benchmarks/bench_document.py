"""Ten questions on one document of 4,000 tokens, and second turns: SmolLM2-135M in bfloat16, a JSON line for each.

    python packages/tokenprune/experiments/benchmarks/bench_document.py [--documents 20] [--length 4000] [--seconds N]
        [--out FILE]
    python packages/tokenprune/experiments/benchmarks/bench_document.py --summary

A document is a foreign text (`bench_long.py`) with ten facts of foreign templates, evenly spread: four needles, three
constants, three clauses that appoint a person. Each is asked for once, in an order drawn by chance. tokenprune at .3 and
.6 reads the document once with its first blocks and chooses anew for each question, as `Document` does; the dense model
answers over the cache of the whole document, which is what ten prompts would give it. Operations are those of reading
and of the logits that begin the answers, and the dense model's those of ten whole prompts.

Second turns: after a question and its answer (the right one, decoded over the pruned cache) the next question follows.

Documents that are there are not made again. `--summary` prints means with 95 % intervals over documents, and the bars:
at most half of the operations of ten dense prefills, accuracy at least dense - 2 points, second turns at most dense + .1
nats a token.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from long_items import Prefilled, answered, fillers, mean, run_items
from ninefold.measure import emit
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, TokenPruner, datasets, load
from tokenprune.datasets._templates import BY_ROLE
from tokenprune.executor._scored import nll
from torch import Tensor

SPARSITIES, ROLE, FACTS = (0.3, 0.6), "foreign", {"needle": 4, "constant": 3, "clause": 3}


def facts(random: np.random.Generator) -> list[tuple[str, str, str]]:
    """(said, asked, answer) of each fact of a document; no two are about the same."""
    of, made = BY_ROLE[ROLE], []
    for subject in random.permutation(of.subjects)[: FACTS["needle"]]:
        fact, ask = of.facts[int(random.integers(len(of.facts)))]
        value = str(random.choice(of.values))
        made.append((fact.format(subject=subject, value=value), ask.format(subject=subject), value))
    names = [f"{one}_{other}" for one in of.parts for other in of.parts if one != other]
    for name in random.permutation(names)[: FACTS["constant"]]:
        line, ask = of.constants[int(random.integers(len(of.constants)))]
        value = str(int(random.integers(1000, 10_000)))
        made.append((line.format(name=name, value=value), ask.format(name=name), value))
    (question, slot), *_ = of.questions
    people = zip(random.permutation(of.firsts), random.permutation(of.lasts), strict=False)
    for (first, last), _ in zip(people, range(FACTS["clause"]), strict=False):
        person = {
            "first": first,
            "last": last,
            "trade": str(random.choice(of.trades)),
            "town": str(random.choice(of.towns)),
        }
        made.append((of.card.format(**person), question.format(**person), person[slot]))
    return [made[at] for at in random.permutation(len(made))]


def document(item: int, length: int, tokenizer: Any, texts: list[Tensor]) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Ids (length,) and (question, answer) pairs of ids."""
    random, filler = np.random.default_rng([77, item]), texts[item % len(texts)]
    held = facts(random)
    said = [datasets.tokens(f"\n{one}\n", tokenizer) for one, _, _ in held]
    room = length - sum(map(len, said))
    start = int(random.integers(len(filler) - room))
    cuts = [round((at + 0.5) / len(said) * room) for at in range(len(said))]
    parts = [part for before, stop, one in zip([0, *cuts], cuts, said, strict=False)
             for part in (filler[start + before : start + stop], one)]  # fmt: skip
    ids = torch.cat([*parts, filler[start + cuts[-1] : start + room]])
    asked = [
        (datasets.tokens(f"\n{ask}", tokenizer), datasets.tokens(f" {value}", tokenizer)) for _, ask, value in held
    ]
    return ids, [asked[at] for at in random.permutation(len(asked))]


class Dense:
    """The dense model over the document's cache."""

    def __init__(self, before: Prefilled) -> None:
        self.executor, self._cache, self.name, self.spent = Executor(before.layout), before.cache, "dense", 0.0
        self.length = before.length

    def begun(self) -> PrunedCache:
        return self._cache.fork()

    def ask(self, cache: PrunedCache, question: Tensor) -> Tensor:
        """(1, 1, d) the state after the question."""
        self.spent += self.executor.costs.dense([cache.seen + len(question)], logits=1).flops
        return self.executor.decode(self.executor.layout.embed(question[None]), cache)[:, -1:]


class Ours(Dense):
    """The first blocks' cache; later blocks choose for each question."""

    def __init__(self, before: Prefilled, executor: Executor, name: str) -> None:
        super().__init__(before)
        self.executor, self._cache, self.name = executor, before.begun(executor), name
        router = executor.router.of(self.length)
        first = router.whole_blocks(executor.blocks)
        scored = [router.queries(block) for block in range(first)]
        self.first = executor.costs.of_kept([[self.length]] * first, scored=scored).flops
        self.spent = self.first

    def ask(self, cache: PrunedCache, question: Tensor) -> Tensor:
        self.executor.read_on(self.executor.layout.embed(question[None]), cache)
        stream = self.executor.choose(cache)
        self.spent += self.executor.cost(stream, logits=1).flops - self.first
        return self.executor.tail(stream, 1)


@torch.no_grad()
def arms_of(model: Any, ids: Tensor, pairs: list[tuple[Tensor, Tensor]]) -> dict[str, Any]:
    """By arm: NLL and exactness of each answer, NLL of second turns, operations as a share of ten dense prompts'."""
    before, found, whole = Prefilled(Layout.of(model), ids[None]), {}, 1.0
    pruners = {f"tokenprune {s:g}": TokenPruner(model, FTPConfig(target_sparsity=s)) for s in SPARSITIES}
    arms = [Dense(before), *(Ours(before, one.executor(), name) for name, one in pruners.items())]
    for arm in arms:
        nats, right, second, caches = [], [], [], []
        for question, answer in pairs:
            cache = arm.begun()
            logits, _ = answered(arm.executor, cache, arm.ask(cache, question), answer)
            nats.append(round(float(nll(logits, answer).mean()), 5))
            right.append(float((logits.argmax(-1) == answer).all()))
            caches.append(cache)
        spent = arm.spent
        whole = spent if arm.name == "dense" else whole
        for at in range(0, len(pairs) - 1, 2):
            question, answer = pairs[at + 1]
            state = arm.ask(caches[at], torch.cat([pairs[at][1][-1:], question]))
            logits, _ = answered(arm.executor, caches[at], state, answer)
            second.append(round(float(nll(logits, answer).mean()), 5))
        found[arm.name] = {"nats": nats, "right": right, "second": second, "operations": round(spent / whole, 5)}
    return found


def summary(lines: list[dict[str, Any]]) -> None:
    """Print means over documents, and the bars."""

    def over(arm: str, name: str, beside: str | None = None) -> list[float]:
        return mean([[float(np.mean(one["arms"][arm][name]) - (np.mean(one["arms"][beside][name]) if beside else 0))
                      for one in lines]])  # fmt: skip

    for arm in lines[0]["arms"]:
        found = {name: over(arm, name) for name in ("operations", "right", "nats", "second")}
        emit(benchmark="ten questions on a document", tokens=lines[0]["tokens"], documents=len(lines), arm=arm, **found)
        if arm != "dense":
            spent, right, second = over(arm, "operations"), over(arm, "right", "dense"), over(arm, "second", "dense")
            for bar, by, holds in (
                (f"operations of {arm} <= half", [round(0.5 - one, 4) for one in spent], spent[0] <= 0.5),
                (f"accuracy of {arm} >= dense - 0.02", [round(one + 0.02, 4) for one in right], right[0] >= -0.02),
                (f"second turn of {arm} <= dense + 0.1", [round(0.1 - one, 4) for one in second], second[0] <= 0.1),
            ):
                emit(
                    benchmark="ten questions on a document, bar",
                    bar=bar,
                    passed_by=[by[0], *sorted(by[1:])],
                    holds=holds,
                )


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--out", type=Path)
    words.add_argument("--documents", type=int, default=20)
    words.add_argument("--length", type=int, default=4000)
    words.add_argument("--seconds", type=float, default=float("inf"))
    words.add_argument("--summary", action="store_true")
    asked = words.parse_args()
    held: dict[str, Any] = {}

    def make(length: int, item: int) -> dict[str, Any]:
        if not held:
            held["model"], held["tokenizer"] = load("smollm2", dtype="bfloat16")
            held["texts"] = fillers(held["tokenizer"], ROLE)
        return {"arms": arms_of(held["model"], *document(item, length, held["tokenizer"], held["texts"]))}

    plan = [(asked.length, item) for item in range(asked.documents)]
    lines = run_items(asked.out, plan, ("tokens", "item"), make, -1 if asked.summary else asked.seconds,
                      kind="document-items", stop=not asked.summary)  # fmt: skip
    if asked.summary:
        summary(lines)


if __name__ == "__main__":
    main()
