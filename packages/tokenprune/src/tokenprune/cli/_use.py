"""The verbs that use a pruner: inspect, generate, ask, serve, bench; that learn its heads: learn; and convert-gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from tokenprune.cli._ftp import Pruned, kind_of
from tokenprune.cli._options import Model, Pruner, Sparsity, Text, load_model
from tokenprune.evaluation._naming import checked_lengths, naming

CONVERTED = "tokenprune.converted"  # kind of a folder of `convert-gguf`
Length = Annotated[int, Option(min=64, help="Tokens of a prompt.")]
Each = Annotated[int, Option("--items", min=1, help="Prompts of each of five kinds.")]
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
    whole = datasets.text(document)
    return [answer_all(*pruned.open(opts), document, whole, questions, tokens=tokens)]


def serve(
    *, pruned: Pruned, host: Annotated[str, Option(help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, Option(min=1, max=65535)] = 8000, opts: Shared,
) -> None:  # fmt: skip
    """Serve a model under a pruner, with the interface of OpenAI: POST /v1/chat/completions, /v1/completions."""
    from tokenprune import smollm2
    from tokenprune.cli._serve import run

    name = str(smollm2()) if pruned.model == "smollm2" else pruned.model
    run(name, pruned.on, host=host, port=port, device=opts.device)


def learn(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.6, calibration: Text = "embedded", length: Length = 1024,
    items: Each = 3, opts: Shared,
) -> Table:  # fmt: skip
    """Learn which heads of later blocks find what is asked, and write the pruner's folder -o: takes seconds.

    They look ahead where more than 45 % is skipped; below, the first blocks see enough.
    """
    from tokenprune import FTPConfig, TokenPruner, datasets

    with naming(target_sparsity="--sparsity", filler="--length", length="--length"):
        config = FTPConfig(target_sparsity=sparsity)
        language, tokenizer = load_model(model, opts)
        filler = datasets.tokens(datasets.text(calibration)[: 100 * length], tokenizer)
        tasks = datasets.learning_tasks(tokenizer, filler, count=items, length=length, seed=opts.seed)
    pruner = TokenPruner(language, config)
    found = pruner.learn(tasks)
    pruner.save_pretrained(opts.need_out(), force=opts.force)
    table = Table(["block", "head", "worth"], [[*head, worth] for head, worth in list(found.items())[:8]],
                  title="Heads that find what is asked")  # fmt: skip
    chosen = ", ".join(f"head {head} of block {block}" for block, head in pruner.config.observation.heads)
    table.notes += ["worth: attention on the answer's place, share of the most on any token", f"look ahead: {chosen}"]
    return table


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
