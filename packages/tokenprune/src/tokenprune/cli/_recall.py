"""The verb that asks for facts: recall, by depth and length."""

from __future__ import annotations

from typing import Annotated, Any

from ninefold.cli import Shared
from typer import Option

from tokenprune.cli._ftp import Pruned
from tokenprune.cli._options import checked_lengths, names_of


def recall(
    *, pruned: Pruned,
    methods: Annotated[str, Option(help="all, or names.")] = "truncation,fastkv,shortgpt",
    kinds: Annotated[str, Option(help="all, or some with commas between.")] = "all",
    lengths: Annotated[str, Option(help="Tokens of the prompts, e.g. 256,1024.")] = "256",
    items: Annotated[int, Option(min=1, help="Tasks of each kind and length.")] = 10,
    role: Annotated[str, Option(help="Templates: training, validation, test, foreign.")] = "test",
    text: Annotated[str, Option(help="Filler: its last fifth; rivals see the rest.")] = "embedded",
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Ask for what stands early, late or in the middle of long prompts, under dense, a pruner and its rivals.

    Without --pruner the training-free one is asked. Pictures go to -o, if it is given.
    """
    from ninefold.errors import require
    from ninefold.files import refuse_existing

    from tokenprune import datasets
    from tokenprune.evaluation._compare import chosen_methods
    from tokenprune.evaluation._on_text import RANDOM, RECALLED, draw_recall, recall_on_text
    from tokenprune.evaluation._recall import recall_table

    _ = pruned.target
    names, sizes = chosen_methods(methods), checked_lengths(lengths)
    wanted = datasets.KINDS if kinds == "all" else names_of(kinds)
    if opts.out:
        require("matplotlib", "tokenprune", "plots")
        for name in RECALLED:
            refuse_existing(opts.out / name, opts.force, "tokenprune")
    language, tokenizer, pruner = pruned.open(opts)
    arm = "pruner" if pruned.pruner else "observation"
    found = recall_on_text(
        language, tokenizer, pruner, names, text, kinds=wanted, lengths=sizes, items=items, role=role, name=arm,
        seed=opts.seed,
    )  # fmt: skip
    sparsity = pruner.config.target_sparsity
    table = recall_table(found, f"Recall of {pruned.model} at sparsity {sparsity:g}, {role} templates")
    table.notes += [RANDOM] if pruned.model == "tiny" else []
    if opts.out and draw_recall(found, arm, opts.out):
        table.notes.append(f"pictures: {opts.out}")
    return [table]
