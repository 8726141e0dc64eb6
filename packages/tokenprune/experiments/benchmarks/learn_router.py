"""A learnt choice at .75 and 2,048 tokens: attempts on cached states, each a few processor minutes.

    python packages/tokenprune/experiments/benchmarks/learn_router.py [--attempt NAME,...] [--test NAME,...]

The dense model reads each prompt once; of it are kept the states after the dense blocks, the caches of these, the
answer's logits, and what a choice may look at: the attention of the last eight queries on each token by each head of the
dense blocks, and lookahead maps, the same of every later block's queries and keys on those states (2 % more operations).
An attempt makes a score of them; the later blocks run on the tokens of highest score, as many as the training-free form
keeps, with the same share of recent ones; what is reported is the answer's divergence from the dense model under that
hard choice. Learnt on training templates, chosen on validation templates, scored with `--test` on foreign ones.

    heads      a weight for each head of the dense blocks, by evolution on the divergence itself
    lookahead  the later heads that look at the answer's place on training prompts, how many chosen by the divergence
    linear     logistic regression of that place (and the tokens around it) on all maps
    evolved    the same, its heads' weights moved by evolution on the divergence
    indexer    a low-rank product of the last queries' states and each token's state, learnt for the same place
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from bench_long import KINDS, TEXT, sequence
from long_items import Prefilled, answered, choices_key, fillers
from ninefold.datasets import cache_path
from ninefold.interval import mean_interval
from safetensors.torch import load_file, save_file
from tokenprune import Executor, FTPConfig, Layout, PrunedCache, TokenPruner, load
from tokenprune.executor._held import Held
from tokenprune.executor._router import Choice, Router
from tokenprune.executor._scored import divergence
from tokenprune.executor._stream import Kept, Stream
from tokenprune.routers._observation_router import observed
from tokenprune.routers._schedule import dense_first, kept_count
from torch import Tensor
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

SPARSITY, LENGTH, WINDOW, SPAN, RECENT, NEAR = 0.75, 2048, 8, 13, 0.25, 12
EACH = {"training": 3, "validation": 2, "foreign": 5}
PLACED = ("needle", "name", "key-value", "paragraphs", "constant")  # kinds whose answer stands in one place
Score = Callable[["Prompt"], Tensor]


@dataclass
class Prompt:
    """One prompt, read: its kind, ids, maps (heads, n) of dense blocks and then of later ones, and what `run` needs."""

    kind: str
    ids: Tensor
    answer: Tensor
    maps: Tensor
    base: Tensor
    before: Prefilled
    reference: Tensor

    def place(self) -> Tensor:
        """(n,) whether a token stands at the answer's place or near it."""
        n, count = len(self.ids), len(self.answer)
        near = torch.zeros(n, dtype=torch.bool)
        for at in range(n - count - 20):
            if torch.equal(self.ids[at : at + count], self.answer):
                near[max(1, at - NEAR) : at + count + 2] = True
        return near


class Given(Router):
    """The first blocks keep all, the others what is given."""

    def __init__(self, first: int, kept: Kept) -> None:
        self.first, self.kept = first, kept

    def keep(self, block: int, stream: Stream) -> Choice:  # noqa: ARG002
        return True if block < self.first else self.kept

    def whole_blocks(self, blocks: int) -> int:  # noqa: ARG002
        return self.first


@torch.no_grad()
def divergence_under(prompt: Prompt, score: Tensor) -> float:
    """Of the answer, with the tokens of highest score kept by all later blocks."""
    layout, n = prompt.before.layout, len(prompt.ids)
    schedule = dense_first(SPARSITY, len(layout.blocks))
    first = next(at for at, s in enumerate(schedule) if s > 0)
    count = kept_count(n, schedule[-1])
    order = F.max_pool1d(score[None].float(), SPAN, 1, SPAN // 2)[0]
    order[n - int(RECENT * count) :] = order[0] = order[-1] = float("inf")
    mask = torch.zeros(1, n, dtype=torch.bool)
    mask[0, order.topk(count).indices] = True
    executor = Executor(layout, Given(first, Kept(mask, [count])))
    cache = prompt.before.begun(executor)
    stream = executor.choose(cache)
    logits, _ = answered(executor, cache, executor.tail(stream, 1), prompt.answer)
    return float(divergence(prompt.reference, logits).mean())


@torch.no_grad()
def read(layout: Layout, ids: Tensor, answer: Tensor, kind: str) -> Prompt:
    """A prompt under the dense model, and what a choice may look at."""
    before = Prefilled(layout, ids[None])
    ours = TokenPruner(layout.model, FTPConfig(target_sparsity=SPARSITY)).executor()
    first = ours.router.whole_blocks(ours.blocks)
    cache = before.begun(ours)
    scores: dict[str, Tensor] = {}
    own = ours.router.keep

    def watched(block: int, stream: Stream) -> Choice:
        if block == first:
            scores["base"] = observed(stream)[0].nan_to_num(0.0)
        return own(block, stream)

    ours.router.keep = watched  # type: ignore[method-assign]
    ours.choose(cache)
    states, n = before.states[first], len(ids)
    cos, sin = layout.angles(states, torch.arange(n))
    ahead = torch.ones(WINDOW, n, dtype=torch.bool).triu(n - WINDOW + 1)
    maps = []
    for block in range(len(layout.blocks)):
        if block < first:
            held = before.cache.held[block]
            assert held is not None
            query, key = before.queries[block][:, :, -WINDOW:], held.keys
        else:
            module = layout.blocks[block]
            x = module.input_layernorm(states[None])
            query, key = (made(x).view(1, n, -1, layout.head_dim).transpose(1, 2)
                          for made in (module.self_attn.q_proj, module.self_attn.k_proj))  # fmt: skip
            query, key = apply_rotary_pos_emb(query, key, cos, sin)
            query = query[:, :, -WINDOW:]
        key = key.repeat_interleave(layout.heads // layout.kv_heads, 1).float()
        logits = query.float() @ key.mT * layout.head_dim**-0.5
        maps.append(logits.masked_fill(ahead, float("-inf")).softmax(-1).amax(2)[0])
    dense, _ = answered(Executor(layout), before.cache.fork(), before.states[-1][None, -1:], answer)
    before.states = [one if at == first else one[:0] for at, one in enumerate(before.states)]
    before.cache.held[first:] = [None] * (len(layout.blocks) - first)
    return Prompt(kind, ids, answer, torch.cat(maps).half(), scores["base"].float(), before, dense.log_softmax(-1))


def prompts(role: str) -> list[Prompt]:
    """Of a role; read once, then from the cache folder."""
    model, tokenizer = load("smollm2", dtype="bfloat16")
    layout, texts, found = Layout.of(model), fillers(tokenizer, role), []
    folder = cache_path("tokenprune") / f"learn-{choices_key()}"
    folder.mkdir(parents=True, exist_ok=True)
    for item in range(EACH[role]):
        for kind in KINDS:
            ids, count = sequence(kind, item, LENGTH, role, tokenizer, texts)
            path = folder / f"{role}-{kind}-{item}.safetensors"
            if not path.is_file():
                _keep(read(layout, ids[:-count], ids[-count:], kind), path)
            found.append(_kept(path, layout, kind, ids[:-count], ids[-count:]))
    return found


def _keep(prompt: Prompt, path: Any) -> None:
    before = prompt.before
    first = next(at for at, one in enumerate(before.states) if len(one))
    parts = {"maps": prompt.maps, "base": prompt.base, "reference": prompt.reference, "states": before.states[first]}
    for block in range(first):
        held = before.cache.held[block]
        assert held is not None
        parts |= {f"keys.{block}": held.keys, f"values.{block}": held.values, f"queries.{block}": before.queries[block]}
    save_file({name: one.contiguous() for name, one in parts.items()}, path)


def _kept(path: Any, layout: Layout, kind: str, ids: Tensor, answer: Tensor) -> Prompt:
    parts = load_file(path)
    before, blocks = Prefilled.__new__(Prefilled), len(layout.blocks)
    executor, first = Executor(layout), sum(name.startswith("keys.") for name in parts)
    before.layout, before.ids, before.length = layout, ids[None], len(ids)
    before.cache = PrunedCache(blocks)
    for block in range(first):
        before.cache.held[block] = Held(parts[f"keys.{block}"], parts[f"values.{block}"])
    before.cache.seen, before.cache.tokens = len(ids), torch.tensor([len(ids)])
    before.cache.next_position = torch.tensor([len(ids)])
    before.states = [parts["states"] if at == first else parts["states"][:0] for at in range(blocks + 1)]
    before.stream = executor.start(ids[None])
    before.queries = {block: parts[f"queries.{block}"] for block in range(first)}
    before.forms = {}
    return Prompt(kind, ids, answer, parts["maps"], parts["base"], before, parts["reference"])


def mean_of(data: list[Prompt], score: Score) -> tuple[float, list[float]]:
    """Divergence over prompts, and by prompt."""
    found = [divergence_under(one, score(one)) for one in data]
    return float(np.mean(found)), found


def of_base(prompt: Prompt) -> Tensor:
    """What the training-free form looks at."""
    return prompt.base


def weighted(weights: Tensor, some: slice = slice(None)) -> Score:
    """The highest of the maps, each with its weight."""
    return lambda prompt: (prompt.maps[some].float() * weights.exp()[:, None]).amax(0)


def evolve(start: Tensor, score: Callable[[Tensor], Score], data: list[Prompt], rounds: int, scale: float) -> Tensor:
    """Antithetic evolution of weights on the divergence: steps of eight draws, on a third of the prompts at a time."""
    draw, mean = torch.Generator().manual_seed(0), start.clone()
    for at in range(rounds):
        some = data[at % 3 :: 3]
        noise = torch.randn(4, len(mean), generator=draw)
        gain = [
            mean_of(some, score(mean - scale * one))[0] - mean_of(some, score(mean + scale * one))[0] for one in noise
        ]
        step = (torch.tensor(gain)[:, None] * noise).mean(0)
        mean = mean + scale * step / step.norm().clamp(min=1e-6) * len(mean) ** 0.5 * 0.5
    return mean


def best(candidates: dict[str, Score], data: list[Prompt]) -> tuple[str, Score]:
    """The candidate of lowest divergence."""
    found = {name: mean_of(data, one)[0] for name, one in candidates.items()}
    print(json.dumps({"chosen among": found}), flush=True)
    name = min(found, key=found.__getitem__)
    return name, candidates[name]


def looking(data: list[Prompt]) -> Tensor:
    """(heads,) how much of its weight on any token each head has on the answer's place, a mean over prompts."""
    shares = []
    for one in data:
        place = one.place()
        if one.kind in PLACED and place.any():
            maps = one.maps.float()
            shares.append(maps[:, place].amax(1) / maps[:, 1:-8].amax(1))
    return torch.stack(shares).mean(0)


def heads(train: list[Prompt], valid: list[Prompt]) -> Score:
    dense = slice(0, 27)
    moved = evolve(torch.zeros(27), lambda w: weighted(w, dense), train, 9, 0.7)
    return best(
        {"as it was": of_base, "all alike": weighted(torch.zeros(27), dense), "moved": weighted(moved, dense)}, valid
    )[1]


def _top(share: Tensor, count: int) -> Score:
    chosen = share.topk(count).indices
    return lambda prompt: prompt.maps[chosen].float().amax(0)


def _beside(score: Score) -> Score:
    """With the training-free form's score, each in ranks: the higher of the two."""

    def ranked(one: Tensor) -> Tensor:
        return one.argsort().argsort().float() / len(one)

    return lambda prompt: torch.maximum(ranked(of_base(prompt)), ranked(score(prompt)))


def lookahead(train: list[Prompt], valid: list[Prompt]) -> Score:
    share = looking(train)
    print(
        json.dumps(
            {"heads": [[int(at) // 9, int(at) % 9, round(float(share[at]), 3)] for at in share.topk(12).indices]}
        )
    )
    found = {f"top {count}": _top(share, count) for count in (3, 8, 20)}
    found |= {f"top {count} beside": _beside(_top(share, count)) for count in (3, 8)}
    return best({"as it was": of_base, **found}, valid)[1]


def _inputs(prompt: Prompt) -> Tensor:
    """(n, maps) logarithms, with that of the training-free form."""
    every = torch.cat([prompt.maps.float(), prompt.base[None]])
    return (every.clamp(min=1e-5).log() + 8).T / 3


def _fitted(train: list[Prompt]) -> Tensor:
    """(maps + 1,) weights of a logistic regression of the answer's place."""
    data = [(_inputs(one), one.place().float()) for one in train if one.kind in PLACED and one.place().any()]
    weights = torch.zeros(data[0][0].shape[1], requires_grad=True)
    bias = torch.tensor(-4.0, requires_grad=True)
    adam = torch.optim.AdamW([weights, bias], lr=0.01, weight_decay=1.0)
    for _ in range(150):
        loss = sum(F.binary_cross_entropy_with_logits(x @ weights + bias, y) for x, y in data) / len(data)
        adam.zero_grad()
        loss.backward()
        adam.step()
    print(json.dumps({"regression": float(loss)}))
    return weights.detach()


def _by(weights: Tensor) -> Score:
    return lambda prompt: (_inputs(prompt) @ weights).sigmoid()


def linear(train: list[Prompt], valid: list[Prompt]) -> Score:
    score = _by(_fitted(train))
    return best({"as it was": of_base, "alone": score, "beside": _beside(score)}, valid)[1]


def evolved(train: list[Prompt], valid: list[Prompt]) -> Score:
    share = looking(train)
    chosen = share.topk(16).indices

    def score(weights: Tensor) -> Score:
        return lambda prompt: (prompt.maps[chosen].float() * weights.exp()[:, None]).amax(0)

    moved = evolve(torch.zeros(16), score, train, 9, 0.7)
    return best(
        {"as it was": of_base, "start": score(torch.zeros(16)), "moved": score(moved), "beside": _beside(score(moved))},
        valid,
    )[1]


def indexer(train: list[Prompt], valid: list[Prompt], rank: int = 24) -> Score:
    def states(prompt: Prompt) -> Tensor:
        return F.layer_norm(next(one for one in prompt.before.states if len(one)).float(), (576,))

    draw = torch.Generator().manual_seed(0)
    both = [(torch.randn(576, rank, generator=draw) / 24).requires_grad_() for _ in range(2)]

    def logits(prompt: Prompt) -> Tensor:
        x = states(prompt)
        return ((x[-WINDOW:] @ both[0]) @ (x @ both[1]).T).amax(0) / rank**0.5

    data = [(one, one.place().float()) for one in train if one.kind in PLACED and one.place().any()]
    adam = torch.optim.AdamW(both, lr=0.003, weight_decay=0.3)
    for _ in range(60):
        losses = [-(y / y.sum() * logits(one).log_softmax(0)).sum() for one, y in data]
        loss = torch.stack(losses).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
    print(json.dumps({"indexer": float(loss)}))

    def score(prompt: Prompt) -> Tensor:
        return logits(prompt).detach().softmax(0)

    return best({"as it was": of_base, "alone": score, "beside": _beside(score)}, valid)[1]


ATTEMPTS = {"lookahead": lookahead, "linear": linear, "indexer": indexer, "heads": heads, "evolved": evolved}


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--attempt", default=",".join(ATTEMPTS))
    words.add_argument("--test", action="store_true", help="score on foreign prompts what each attempt comes to")
    words.add_argument("--read", choices=EACH, help="read the prompts of a role, and end")
    asked = words.parse_args()
    torch.manual_seed(0)
    if asked.read:
        prompts(asked.read)
        return
    train, valid = prompts("training"), prompts("validation")
    foreign = prompts("foreign") if asked.test else []
    plain = mean_of(foreign, of_base)[1] if foreign else []
    for name in asked.attempt.split(","):
        begun = time.process_time()
        score = ATTEMPTS[name](train, valid)
        print(json.dumps({"attempt": name, "cpu_s": round(time.process_time() - begun)}), flush=True)
        if foreign:
            found = mean_of(foreign, score)[1]
            for what, some in (
                ("tasks", [one.kind != TEXT for one in foreign]),
                ("text", [one.kind == TEXT for one in foreign]),
            ):
                ours, theirs = (np.array(one)[np.array(some)] for one in (found, plain))
                half = mean_interval([(theirs / 2 - ours)[None]])
                print(json.dumps({"attempt": name, "on": what, "prompts": len(ours), "training-free": theirs.mean(),
                                  "learnt": ours.mean(), "half less learnt": [float(one) for one in half]}), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
