"""Verbs that use a pruner (inspect, generate, ask, serve, bench), that learn its heads (learn), and convert-gguf."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.errors import InputError
from ninefold.report import Table
from typer import Argument, Option

from tokenprune.cli._ftp import Pruned, kind_of
from tokenprune.cli._options import ADVANCED, Model, Pruner, Sparsity, Text, load_model
from tokenprune.evaluation._naming import checked_lengths, naming

CONVERTED = "tokenprune.converted"  # kind of a folder of `convert-gguf`
Length = Annotated[int, Option(min=64, help="Length of the training prompts, in tokens.", rich_help_panel=ADVANCED)]
Each = Annotated[
    int, Option("--items", min=1, help="Number of training prompts of each of five kinds.", rich_help_panel=ADVANCED)
]
_DOCUMENT = "Text file to read: .txt, .jsonl, .parquet, or a folder of these."


def inspect(pruner: Pruner) -> list[Any]:
    """Show the schedule, settings and metrics of a saved pruner.

    Example: `tokenprune inspect learnt`
    """
    from tokenprune.pruner._answers import describe
    from tokenprune.pruner._files import read

    return describe(read(pruner, kind_of(pruner).kind))


def generate(
    prompt: Annotated[str, Argument(help="Text to continue.")], *, pruned: Pruned,
    tokens: Annotated[int, Option(min=1, help="Maximum number of tokens to generate.")] = 40,
    chat: Annotated[bool, Option("--chat", help="Treat PROMPT as a user's turn in the model's chat template.")] = False,
    system: Annotated[str, Option(help="System prompt, which no block skips. Requires --chat.")] = "",
    keep: Annotated[int | None, Option(min=1, help="Number of prompt tokens that a block keeps on "
        "average, instead of --sparsity.")] = None,
    query: Annotated[str, Option(help="Question within PROMPT, in its exact words, if more than 64 tokens or a long "
        "answer format follow it. Its tokens decide which tokens are kept.")] = "",
    opts: Shared,
) -> dict[str, Any]:  # fmt: skip
    """Continue PROMPT with a pruned model, greedily, and show the operations that the prompt took.

    Example: `tokenprune generate "Before we proceed any further" --model my-model --pruner learnt --tokens 5`
    """
    from tokenprune.pruner._answers import go_on

    if not prompt:
        raise InputError("PROMPT", got="nothing", expected="some words")
    if system and not chat:
        raise InputError("--system", got="no --chat", expected="both: a plain prompt has no system prompt")
    return go_on(*pruned.open(opts), prompt, tokens=tokens, chat=chat, system=system, keep=keep, query=query)


def ask(
    document: Annotated[Path, Argument(help=_DOCUMENT)],
    questions: Annotated[list[str], Argument(help="Questions about DOCUMENT, each in quotes.")], *, pruned: Pruned,
    tokens: Annotated[int, Option(min=1, help="Maximum number of tokens to generate per answer.")] = 40, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Read DOCUMENT once and answer each of QUESTIONS about it, in the model's chat template if there is one.

    Example: `tokenprune ask doc.txt "Who speaks?" "What does he ask for?" --model my-model --tokens 5`
    """
    from tokenprune import datasets
    from tokenprune.pruner._answers import answer_all

    if not all(one.strip() for one in questions):
        raise InputError("QUESTIONS", got="an empty one", expected="some words")
    whole = datasets.text(document)
    return [answer_all(*pruned.open(opts), document, whole, questions, tokens=tokens)]


def serve(
    *, pruned: Pruned, host: Annotated[str, Option(help="Network address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Option(min=1, max=65535, help="Network port to listen on.")] = 8000, opts: Shared,
) -> None:  # fmt: skip
    """Serve a pruned model over HTTP: POST /v1/chat/completions and /v1/completions, as OpenAI defines them.

    A request may have a `sparsity` of its own, from 0 to 0.95, and a `query`: the words of its prompt that ask.
    A short last user turn is taken for the question. Requires the extra `serve`.

    Example: `tokenprune serve --model smollm2 --sparsity 0.5 --port 8765`
    """
    from tokenprune import smollm2
    from tokenprune.cli._serve import run

    name = str(smollm2()) if pruned.model == "smollm2" else pruned.model
    run(name, pruned.on, host=host, port=port, device=opts.device)


def learn(
    *, model: Model = "smollm2", sparsity: Sparsity = 0.6, calibration: Text = "embedded", length: Length = 1024,
    items: Each = 3, opts: Shared,
) -> Table:  # fmt: skip
    """Find the attention heads that locate the answer, and save them as a pruner in the folder -o.

    Takes seconds. The heads are used at sparsities above 0.45; below, the first blocks suffice.

    Example: `tokenprune learn --model my-model --sparsity 0.75 --length 400 -o learnt`
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
    table = Table(["block", "head", "score"], [[*head, worth] for head, worth in list(found.items())[:8]],
                  title="Attention heads that locate the answer")  # fmt: skip
    chosen = ", ".join(f"head {head} of block {block}" for block, head in pruner.config.observation.heads)
    table.notes += ["score: attention on the answer, divided by the most attention on any token", f"chosen: {chosen}"]
    return table


def bench(
    *, model: Model = "tiny", sparsity: Sparsity = 0.3,
    lengths: Annotated[str, Option(help="Prompt lengths in tokens, separated by "
        "commas: for example 512,2048.")] = "256",
    repeats: Annotated[int, Option(min=3, help="Number of timed rounds.")] = 5, opts: Shared,
) -> Table:  # fmt: skip
    """Measure how much faster a pruned prompt is than the same model without pruning, in one process."""
    from tokenprune.evaluation._on_text import prefill_table

    sizes = checked_lengths(lengths)  # before any of them is timed
    return prefill_table(load_model(model, opts)[0], sizes, sparsity, repeats=repeats, seed=opts.seed)


def convert(file: Annotated[Path, Argument(help="GGUF file to unpack.")], *, opts: Shared) -> dict[str, Any]:
    """Unpack a GGUF model and its tokenizer into the folder -o, as float32 safetensors.

    Example: `tokenprune convert-gguf model.gguf -o model`
    """
    from tokenprune import convert_gguf

    convert_gguf(file, opts.need_out(), force=opts.force)
    return {"model": opts.out}
