"""The verbs that use a pruner: inspect, generate, ask, bench; and convert-gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from tokenprune.cli._ftp import Pruned, kind_of
from tokenprune.cli._options import Model, Pruner, Sparsity, checked_lengths, load_model

CONVERTED = "tokenprune.converted"  # kind of a folder of `convert-gguf`
_DOCUMENT = "A text file: .txt, .jsonl, .parquet, or a folder of these."


def inspect(pruner: Pruner) -> list[Any]:
    """Show what a pruner's folder holds."""
    from tokenprune.pruner._answers import describe
    from tokenprune.pruner._files import read

    return describe(read(pruner, kind_of(pruner).kind))


def generate(
    prompt: Annotated[str, Argument(help="What to go on from.")], *, pruned: Pruned,
    tokens: Annotated[int, Option(min=1, help="New tokens.")] = 40,
    chat: Annotated[bool, Option("--chat", help="PROMPT is a user's turn in the model's template.")] = False,
    system: Annotated[str, Option(help="With --chat: the system prompt, kept whole.")] = "",
    keep: Annotated[int | None, Option(min=1, help="Prompt tokens a block keeps, on average.")] = None,
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Go on from PROMPT with a pruner attached, greedily; shows what the prompt took."""
    from tokenprune.pruner._answers import go_on

    if not prompt:
        raise InputError("PROMPT", got="nothing", expected="some words")
    if system and not chat:
        raise InputError("--system", got="no --chat", expected="both: a plain prompt has no system prompt")
    return go_on(*pruned.open(opts), prompt, tokens=tokens, chat=chat, system=system, keep=keep)


def ask(
    document: Annotated[Path, Argument(help=_DOCUMENT)],
    questions: Annotated[list[str], Argument(help="Questions on it, each in quotes.")], *, pruned: Pruned,
    tokens: Annotated[int, Option(min=1, help="New tokens of each answer.")] = 40, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Read DOCUMENT once, and answer each of QUESTIONS on it; in the model's chat template, if it has one."""
    from tokenprune import datasets
    from tokenprune.pruner._answers import answer_all

    if not all(one.strip() for one in questions):
        raise InputError("QUESTIONS", got="an empty one", expected="some words")
    _ = pruned.target
    whole = datasets.text(document)
    return [answer_all(*pruned.open(opts), document, whole, questions, tokens=tokens)]


def bench(
    *, model: Model = "tiny", sparsity: Sparsity = 0.3,
    lengths: Annotated[str, Option(help="Prompt lengths, e.g. 512,2048.")] = "256",
    repeats: Annotated[int, Option(min=3)] = 5, opts: Shared,
) -> Table:  # fmt: skip
    """Time prefill with last-position logits beside the same model dense, in one process."""
    from tokenprune.evaluation._on_text import prefill_table

    sizes = checked_lengths(lengths)  # before any of them is timed
    return prefill_table(load_model(model, opts)[0], sizes, sparsity, repeats=repeats, seed=opts.seed)


def convert(file: Annotated[Path, Argument(help="A GGUF file.")], *, opts: Shared) -> dict[str, Any]:
    """Unpack a GGUF model and its tokenizer into the folder -o, as float32 safetensors."""
    from tokenprune import convert_gguf

    convert_gguf(file, opts.need_out(), force=opts.force)
    return {"model": opts.out}
