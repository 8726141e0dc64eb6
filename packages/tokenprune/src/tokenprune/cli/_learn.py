"""The verb that learns which heads look ahead."""

from __future__ import annotations

from typing import Annotated

from ninefold.cli import Shared
from ninefold.report import Table
from typer import Option

from tokenprune.cli._options import Model, Sparsity, Text, load_model
from tokenprune.evaluation._naming import naming

Length = Annotated[int, Option(min=64, help="Tokens of a prompt.")]
Each = Annotated[int, Option("--items", min=1, help="Prompts of each of five kinds.")]


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
