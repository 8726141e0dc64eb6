"""The verbs that use a pruner: inspect, generate, ask, bench; and convert-gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table

from tokenprune.cli._ftp import kind_of, pruner_of
from tokenprune.cli._options import Asked, Folder, Model, Pruner, Sparsity, checked_lengths, load_model, one_of

CONVERTED = "tokenprune.converted"  # kind of a folder of `convert-gguf`
# .1 to .4 nats are lost below at 30 %, in the mean over twelve pieces of text, and .03 at 256 tokens
SHORT, NOTE = 96, {"note": "below 96 tokens pruning loses more than it saves: --sparsity 0"}


def inspect(pruner: Pruner) -> list[Any]:
    """Show what a pruner's folder holds."""
    from tokenprune.pruner._files import read

    about, net, history, metrics = read(pruner, kind_of(pruner).kind)
    table = Table(["block", "sparsity"], [[b, s] for b, s in enumerate(about["schedule"])], title="Schedule")
    facts = {**_flat(about["config"]), "base model": about["base"]["name"],
             "achieved sparsity": about["achieved_sparsity"], "measured sparsity": about.get("measured_sparsity"),
             "router numbers": sum(one.numel() for one in net.values()), "generations": len(history)}  # fmt: skip
    return [table, {**facts, **{f"metric {name}": value for name, value in metrics.items()}}]


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings with those of a part of it under "part setting"."""
    parts = {name: value for name, value in settings.items() if isinstance(value, dict)}
    inner = {f"{name} {key}": one for name, part in parts.items() for key, one in part.items()}
    return {name: value for name, value in settings.items() if name not in parts} | inner


def generate(
    prompt: Annotated[str, typer.Argument(help="What to go on from.")], *, model: Model = "smollm2",
    pruner: Folder = None, sparsity: Asked = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="New tokens.")] = 40,
    chat: Annotated[bool, typer.Option("--chat", help="PROMPT is a user's turn in the model's template.")] = False,
    system: Annotated[str, typer.Option("--system", help="With --chat: the system prompt, kept whole.")] = "",
    keep: Annotated[int | None, typer.Option("--keep", min=1, help="Prompt tokens a block keeps, on average.")] = None,
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Go on from PROMPT with a pruner attached, greedily; shows what the prompt took."""
    import torch

    from tokenprune import datasets

    if not prompt:
        raise InputError("PROMPT", got="nothing", expected="some words")
    if system and not chat:
        raise InputError("--system", got="no --chat", expected="both: a plain prompt has no system prompt")
    one_of(pruner, sparsity)  # before a model is loaded
    language, tokenizer = load_model(model, opts)
    ours, spans = pruner_of(language, pruner, sparsity), {}
    if chat:
        turns = [{"role": "system", "content": system}] if system else []
        ids, spans = datasets.chat([*turns, {"role": "user", "content": prompt}], tokenizer)
    else:
        ids = datasets.prompt(prompt, tokenizer)
    ids = ids[None].to(opts.device)
    if keep is not None:
        ours.set_budget(keep, ids.shape[1])
    guarded = [[spans["system"]]] if system and "system" in spans else ()
    with ours.protecting(guarded):
        out = language.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=tokens, do_sample=False,
                                pad_token_id=0)[0, ids.shape[1] :]  # fmt: skip
    report = ours.report(ids, spans=guarded)
    return {"text": datasets.words(out, tokenizer), "prompt tokens": ids.shape[1], "skipped": report.sparsity,
            "prompt operations, of dense": report.cost.flops / report.dense.flops,
            "prompt cache, of dense": report.cost.kv_bytes / report.dense.kv_bytes,
            **(NOTE if report.sparsity and ids.shape[1] < SHORT else {})}  # fmt: skip


def ask(
    document: Annotated[Path, typer.Argument(help="A text file: .txt, .jsonl, .parquet, or a folder of these.")],
    questions: Annotated[list[str], typer.Argument(help="Questions on it, each in quotes.")], *,
    model: Model = "smollm2", pruner: Folder = None, sparsity: Asked = None,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="New tokens of each answer.")] = 40, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Read DOCUMENT once, and answer each of QUESTIONS on it; in the model's chat template, if it has one."""
    from tokenprune import Document, Layout, datasets

    if not all(one.strip() for one in questions):
        raise InputError("QUESTIONS", got="an empty one", expected="some words")
    one_of(pruner, sparsity)
    whole = datasets.text(document)
    language, tokenizer = load_model(model, opts)
    ours, (before, after) = pruner_of(language, pruner, sparsity), datasets.frame(tokenizer)
    read = datasets.prompt(before + whole, tokenizer)
    asked = [datasets.tokens(f"\n\n{one}{after}", tokenizer) for one in questions]
    needed, limit = len(read) + max(map(len, asked)) + tokens, Layout.of(language).limit
    if needed > limit:
        raise InputError(
            "DOCUMENT", where=document, got=f"{len(read)} tokens", expected=f"at most {limit} with question and answer"
        )
    text = Document(ours, read)
    table = Table(["question", "answer"], title=f"{document.name}: {len(read)} tokens, read once")
    for one, ids in zip(questions, asked, strict=True):
        table.rows.append([one, datasets.words(text.ask(ids, max_new_tokens=tokens), tokenizer).strip()])
    dense = sum(text.executor.costs.dense([len(read) + len(ids)], logits=1).flops for ids in asked)
    share = text.cost([len(ids) for ids in asked]).flops / dense
    table.notes.append(f"operations of all prompts: {share:.1%} of those of the dense model, each question by itself")
    return [table]


def bench(
    *, model: Model = "tiny", sparsity: Sparsity = 0.3,
    lengths: Annotated[str, typer.Option("--lengths", help="Prompt lengths, e.g. 512,2048.")] = "256",
    repeats: Annotated[int, typer.Option("--repeats", min=3)] = 5, opts: Shared,
) -> Table:  # fmt: skip
    """Time prefill with last-position logits beside the same model dense, in one process."""
    from tokenprune.evaluation._speed import prefill

    sizes = checked_lengths(lengths)  # before any of them is timed
    language, _ = load_model(model, opts)
    table = Table(["tokens", "arm", "seconds", "times as fast", "95 % interval", "bound by FLOPs"])
    for length in sizes:
        for line in prefill(language, length, [sparsity], repeats=repeats, seed=opts.seed):
            interval = f"[{line['low']:.3g}, {line['high']:.3g}]"
            table.rows.append([line["tokens"], line["arm"], line["seconds"], line["ratio"], interval, line["bound"]])
    return table


def convert(file: Annotated[Path, typer.Argument(help="A GGUF file.")], *, opts: Shared) -> dict[str, Any]:
    """Unpack a GGUF model and its tokenizer into the folder -o, as float32 safetensors."""
    from tokenprune import convert_gguf

    convert_gguf(file, opts.need_out(), force=opts.force)
    return {"model": opts.out}
