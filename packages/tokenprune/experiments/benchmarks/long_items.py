"""Long prompts that are read once by the dense model, from which every arm goes on; and where finished items are kept.

An arm whose first blocks keep every token starts from what the dense model left after them: its states, keys, values
and last queries. So a prompt costs one dense prefill and of each arm the blocks that skip tokens.
"""

from __future__ import annotations

import copy
import hashlib
import json
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tokenprune
import torch
import torch.nn.functional as F
from ninefold.datasets import cache_path
from ninefold.interval import mean_interval
from tokenprune import Everything, Executor, Layout, PrunedCache, datasets
from tokenprune.executor._attention import scores_over
from tokenprune.executor._held import Held
from tokenprune.executor._turns import Read
from torch import Tensor

QUERIES = 128  # last queries that are kept of each block: as many as any arm's window has
_CODE = {"foreign": ("email/message", "http/client", "smtplib", "mailbox", "subprocess", "imaplib", "statistics"),
         "validation": ("argparse", "tarfile", "typing", "ast", "inspect", "doctest", "optparse"),
         "training": ("turtle", "zipfile", "pickletools", "logging/__init__", "ssl", "shutil", "calendar")}  # fmt: skip
_DECIDES = ("routers", "pruner/_config.py", "baselines/_window.py", "datasets/_long.py", "datasets/embedded")


def choices_key() -> str:
    """A digest of the source that decides what is asked and which tokens are kept; other lines are not gone on from."""
    root, found = Path(tokenprune.__file__).parent, hashlib.sha256()
    for name in _DECIDES:
        for path in sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]:
            if path.suffix in (".py", ".json"):  # no bytecode, which says nothing new
                found.update(path.read_bytes())
    return found.hexdigest()[:12]


def fillers(tokenizer: Any, role: str) -> list[Tensor]:
    """Texts of a role, code the last: WikiText-2 test text and licences of installed packages for foreign prompts."""
    paths = sysconfig.get_paths()
    code = "\n".join(Path(paths["stdlib"], f"{one}.py").read_text(encoding="utf-8") for one in _CODE[role])
    text = datasets.text("wikitext2_test" if role == "foreign" else "wikitext2_valid")[:600_000]
    words = [text if role == "foreign" else text[300_000:] if role == "validation" else text[:300_000]]
    if role == "foreign":
        files = [one for one in sorted(Path(paths["purelib"]).rglob("*LICEN[CS]E*")) if one.is_file()]
        words.append("\n".join(dict.fromkeys(one.read_text(errors="ignore") for one in files))[:400_000])
    return [datasets.tokens(one, tokenizer) for one in (*words, code[:300_000])]


class Prefilled:
    """A prompt under the dense model: what every block read and left.

    Args:
        layout: of the model.
        ids: (1, n) the prompt.
    """

    def __init__(self, layout: Layout, ids: Tensor) -> None:
        self.layout, self.ids, self.length = layout, ids, ids.shape[1]
        router = Everything()
        router.window = QUERIES
        executor = Executor(layout, router)
        self.cache = PrunedCache(executor.blocks)
        stream = executor.start(ids)
        self.states = [stream.x]
        for block in range(executor.blocks):
            executor.step(stream, block, self.cache)
            self.states.append(stream.x)
        self.cache.seen, self.cache.tokens = self.length, torch.tensor([self.length])
        self.cache.next_position = torch.tensor([self.length])
        self.stream, self.forms, self.queries = stream, executor.forms, stream.queries
        self.dense = executor.costs.dense([self.length])
        self.of_heads = lru_cache(None)(self._of_heads)

    def begun(self, executor: Executor) -> PrunedCache:
        """What the first blocks of an executor, those that keep every token, would have left."""
        router = executor.router.of(self.length)
        first = router.whole_blocks(executor.blocks)
        cache = self.cache.fork()
        cache.held[first:] = [None] * (executor.blocks - first)
        windows = [router.queries(block) for block in range(first)]
        stream = copy.copy(self.stream)
        stream.x = self.states[first]
        cache.read = Read(stream, [self.queries[b][:, :, -w:] if w else None for b, w in enumerate(windows)])
        executor.forms = dict(self.forms)
        return cache

    def scores(self, block: int, window: int, reduction: str = "mean") -> Tensor:
        """(n,) attention of the last queries on each token in one block."""
        held = self.cache.held[block]
        assert held is not None
        return scores_over(self.queries[block][:, :, -window:], held, self.forms[block], reduction)

    def _of_heads(self, block: int, window: int) -> Tensor:
        """(kv_heads, n) attention of the last queries on each token, a mean over them and the heads that share keys."""
        held = self.cache.held[block]
        assert held is not None
        query = self.queries[block][0, :, -window:].float()
        keys = held.keys[0].float().repeat_interleave(self.layout.heads // self.layout.kv_heads, 0)
        logits = query @ keys.mT * (self.forms[block].scaling or query.shape[-1] ** -0.5)
        ahead = torch.ones(window, self.length, dtype=torch.bool).triu(self.length - window + 1)
        weights = logits.masked_fill(ahead, float("-inf")).softmax(-1).mean(1)
        return weights.view(self.layout.kv_heads, -1, self.length).mean(1)


def answered(
    executor: Executor, cache: PrunedCache, first: Tensor, answer: Tensor
) -> tuple[Tensor, float]:  # fmt: skip
    """Logits (tokens, vocabulary) of an answer: those after the prompt, then decoded; and operations of decoding."""
    layout, logits = executor.layout, [layout_logits(executor.layout, first)]
    cost = executor.cost_of_new([len(answer) - 1], cache, logits=len(answer))
    if len(answer) > 1:
        out = executor.decode(layout.embed(answer[None, :-1]), cache)
        logits.append(layout_logits(layout, out))
    return torch.cat(logits).float(), cost.flops


def layout_logits(layout: Layout, states: Tensor) -> Tensor:
    """(1, q, d) -> (q, vocabulary)."""
    return layout.logits(states)[0]


def chosen(executor: Executor, cache: PrunedCache, answer: Tensor) -> tuple[Tensor, float, int]:
    """Later blocks choose of what was read; then the answer. Logits, operations, bytes of keys and values."""
    stream = executor.choose(cache)
    spent, held = executor.cost(stream).flops, cache.nbytes
    logits, more = answered(executor, cache, executor.tail(stream, 1), answer)
    return logits, spent + more, held


def subsequence(before: Prefilled, places: Tensor, answer: Tensor, *, anew: bool) -> tuple[Tensor, float, int]:
    """The dense model on some of the prompt's tokens alone, numbered anew or at their own positions."""
    executor = Executor(before.layout)
    cache = PrunedCache(executor.blocks)
    stream = executor.start(before.ids[:, places], position_ids=None if anew else places[None])
    executor.prefill(stream, cache)
    spent, held = executor.cost(stream).flops, cache.nbytes
    logits, more = answered(executor, cache, executor.tail(stream, 1), answer)
    return logits, spent + more, held


def compressed(before: Prefilled, budgets: Iterable[int], answer: Tensor, *, window: int, kernel: int) -> Any:
    """A dense prefill, then caches of so many tokens in each block, chosen per head by the window's attention."""
    executor, cache = Executor(before.layout), before.cache.fork()
    for block, tokens in enumerate(budgets):
        scores = F.avg_pool1d(before.of_heads(block, window), kernel, 1, kernel // 2).clone()
        scores[:, -window:] = 2.0
        kept = scores.topk(min(max(tokens, window), before.length), -1).indices.sort(-1).values
        held = before.cache.held[block]
        assert held is not None
        at = kept[None, :, :, None].expand(-1, -1, -1, held.keys.shape[-1])
        cache.held[block] = Held(held.keys.gather(2, at), held.values.gather(2, at))
    size = cache.nbytes
    logits, more = answered(executor, cache, before.states[-1][None, -1:], answer)
    return logits, before.dense.flops + more, size


def run_items(
    out: Path | None, plan: list[tuple[Any, ...]], names: tuple[str, ...], make: Callable[..., dict[str, Any]],
    seconds: float, *, kind: str, stop: bool = True,
) -> list[dict[str, Any]]:  # fmt: skip
    """Make the items of a plan that the file does not hold, a JSON line each, and return the plan's lines.

    Args:
        out: the file; None: in the user's cache folder, where it outlives the session.
        plan: what identifies each item.
        names: of these values.
        make: (values) -> what to write beside them.
        seconds: end with status 3 after so long where items are left.
        kind: of the file.
        stop: False: return what is there in place of that.
    """
    key, begun = choices_key(), time.monotonic()
    path = cache_path("tokenprune") / f"{kind}.jsonl" if out is None else out
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    done = {tuple(one[name] for name in names): one for one in lines if one["source"] == key}
    left = [one for one in plan if one not in done]
    print(f"{path}: {len(plan) - len(left)} of {len(plan)} items are there", file=sys.stderr)
    for made, one in enumerate(left, 1):
        if time.monotonic() - begun > seconds:
            if stop:
                sys.exit(3)
            break
        spent = time.process_time()
        line = {**dict(zip(names, one, strict=True)), **make(*one), "source": key}
        line["cpu_s"] = round(time.process_time() - spent, 2)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        done[one] = line
        each = (time.monotonic() - begun) / made
        print(f"{made} of {len(left)}: {one}; {line['cpu_s']} s of processor time, {each:.0f} s an item, "
              f"{each * (len(left) - made) / 60:.0f} min left", file=sys.stderr)  # fmt: skip
    return [done[one] for one in plan if one in done]


def mean(groups: Iterable[Iterable[float]]) -> list[float]:
    """[mean, low, high], the mean over groups of their means and its 95 % interval over items."""
    found = mean_interval([np.array(list(one), dtype=float)[None] for one in groups])
    return [round(float(one), 4) for one in found]
