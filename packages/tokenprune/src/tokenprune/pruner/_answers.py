"""Text from a pruned model: going on from a prompt, and answers to questions on one document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ninefold.errors import InputError
from ninefold.report import Table

from tokenprune import datasets
from tokenprune.models._layout import Layout
from tokenprune.pruner._document import Document
from tokenprune.routers._observation_router import MOST

# .1 to .4 nats are lost below at 30 %, in the mean over twelve pieces of text, and .03 at 256 tokens
SHORT, NOTE = 96, {"note": "below 96 tokens pruning loses more than it saves: --sparsity 0"}


def go_on(
    model: Any, tokenizer: Any, pruner: Any, prompt: str, *, tokens: int, chat: bool = False, system: str = "",
    keep: int | None = None, query: str = "",
) -> dict[str, Any]:  # fmt: skip
    """Go on from a prompt, greedily; the text, and what the prompt took of the dense model's operations and cache.

    Args:
        model: the language model. tokenizer: its own; None: bytes. pruner: on that model.
        prompt: words. tokens: new ones. chat: the prompt is a user's turn in the model's template.
        system: with `chat`, a system prompt, kept whole. keep: prompt tokens that a block keeps, on average.
        query: words of the prompt that ask; if omitted, a user's turn of at most `MOST` tokens.
    """
    if chat:
        turns = [{"role": "system", "content": system}] if system else []
        ids, spans = datasets.chat([*turns, {"role": "user", "content": prompt}], tokenizer)
    else:
        ids, spans = datasets.prompt(prompt, tokenizer), {}
    turn = len(ids) - spans["user"][0] if "user" in spans else MOST + 1
    asked = datasets.query_tokens(ids, query, tokenizer) if query else turn if turn <= MOST else None
    ids = ids[None].to(model.device)
    if keep is not None:
        pruner.set_budget(keep, ids.shape[1])
    guarded = [[spans["system"]]] if system and "system" in spans else ()
    with pruner.protecting(guarded), pruner.asking(asked):
        out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False,
                             pad_token_id=0)[0, ids.shape[1] :]  # fmt: skip
    report = pruner.report(ids, spans=guarded, query=asked)
    return {"text": datasets.words(out, tokenizer), "prompt tokens": ids.shape[1], "skipped": report.sparsity,
            "prompt operations, of dense": report.cost.flops / report.dense.flops,
            "prompt cache, of dense": report.cost.kv_bytes / report.dense.kv_bytes,
            **(NOTE if report.sparsity and ids.shape[1] < SHORT else {})}  # fmt: skip


def answer_all(
    model: Any, tokenizer: Any, pruner: Any, document: Path, text: str, questions: Sequence[str], *, tokens: int
) -> Table:
    """Read a document once, and answer each question on it.

    Args:
        model, tokenizer, pruner: see `go_on`. document: its file, for messages. text: its words.
        questions: each by itself. tokens: new ones of each answer.
    Raises: InputError if document, question and answer are longer than the model reads.
    """
    before, after = datasets.frame(tokenizer)
    read = datasets.prompt(before + text, tokenizer)
    asked = [datasets.tokens(f"\n\n{one}{after}", tokenizer) for one in questions]
    needed, limit = len(read) + max(map(len, asked)) + tokens, Layout.of(model).limit
    if needed > limit:
        expected = f"at most {limit} with question and answer"
        raise InputError("DOCUMENT", where=document, got=f"{len(read)} tokens", expected=expected)
    opened = Document(pruner, read)
    table = Table(["question", "answer"], title=f"{document.name}: {len(read)} tokens, read once")
    for one, ids in zip(questions, asked, strict=True):
        table.rows.append([one, datasets.words(opened.ask(ids, max_new_tokens=tokens), tokenizer).strip()])
    dense = sum(opened.executor.costs.dense([len(read) + len(ids)], logits=1).flops for ids in asked)
    share = opened.cost([len(ids) for ids in asked]).flops / dense
    table.notes.append(f"operations of all prompts: {share:.1%} of those of the dense model, each question by itself")
    return table


def describe(held: tuple[dict[str, Any], dict[str, Any], Sequence[Any], dict[str, Any]]) -> list[Any]:
    """A pruner's folder, as `_files.read` gives it: its schedule as a table, and facts of its settings and metrics."""
    about, net, history, metrics = held
    table = Table(["block", "sparsity"], [[b, s] for b, s in enumerate(about["schedule"])], title="Schedule")
    parts = {name: value for name, value in about["config"].items() if isinstance(value, dict)}
    inner = {f"{name} {key}": one for name, part in parts.items() for key, one in part.items()}
    plain = {name: value for name, value in about["config"].items() if name not in parts}
    facts = {**plain, **inner, "base model": about["base"]["name"],
             "achieved sparsity": about["achieved_sparsity"], "measured sparsity": about.get("measured_sparsity"),
             "router numbers": sum(one.numel() for one in net.values()), "generations": len(history)}  # fmt: skip
    return [table, {**facts, **{f"metric {name}": value for name, value in metrics.items()}}]
