"""The verbs that score: analyze, compare, eval and recall."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from typer import Option

from tokenprune.cli._ftp import Pruned
from tokenprune.cli._options import ADVANCED, Length, Model, Scoring, Tail, Tasks, Text, Windows, load_model
from tokenprune.evaluation._naming import checked_lengths, names_of


def analyze(
    *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 8, length: Length = 128,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Show how much each block changes the hidden states: cosine of input and output, and block influence."""
    from tokenprune.evaluation._on_text import redundancy_on_text

    language, tokenizer = load_model(model, opts)
    return [*redundancy_on_text(language, tokenizer, calibration, count=windows, length=length, seed=opts.seed)]


def compare(
    *, pruned: Pruned,
    methods: Annotated[str, Option(help="Methods to compare with, separated by commas: "
        "truncation, fastkv, shortgpt; or all.")] = "all",
    calibration: Text = "embedded", text: Scoring = "embedded", tasks: Tasks = "",
    items: Annotated[int, Option(min=1, help="Number of questions of each multiple-choice set.")] = 20,
    windows: Windows = 3, length: Length = 128, scored: Tail = 24,
    prompt: Annotated[int, Option(min=2, help="Length of the timed "
        "prompt, in tokens.", rich_help_panel=ADVANCED)] = 512,
    repeats: Annotated[int, Option(min=3, help="Number of timed rounds.", rich_help_panel=ADVANCED)] = 3,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Compare a pruner with the dense model and other methods, in quality, operations and time.

    Pictures are written to -o, or to ./tokenprune-compare.

    Example: `tokenprune compare --model my-model --windows 2 --length 48 --scored 8 --prompt 64 -o pictures`
    """
    from ninefold.errors import MissingExtraError, require
    from ninefold.files import refuse_existing

    from tokenprune.evaluation._on_text import COMPARED, draw_compared

    out = opts.out or Path("tokenprune-compare")
    for name in COMPARED:  # before minutes of work
        refuse_existing(out / name, opts.force, "tokenprune")
    missing = None
    try:
        require("matplotlib", "tokenprune", "plots")
    except MissingExtraError as error:
        if opts.out is not None:  # pictures were asked for
            raise
        missing = str(error)
    cut = {"count": windows, "length": length, "scored": scored}
    made, arms, rows, data = _compared(pruned, opts, methods, calibration, text, cut, tasks, items=items,
                                        prompt=prompt, repeats=repeats)  # fmt: skip
    if missing is None:
        draw_compared(arms, rows, data, out)
    made.notes.append(f"pictures: {out}" if missing is None else f"pictures: none, {missing}")
    return [made]


def evaluate(
    *, pruned: Pruned, text: Scoring = "embedded", tasks: Tasks = "",
    items: Annotated[int, Option(min=1, help="Number of questions of each multiple-choice set.")] = 20,
    windows: Windows = 8, length: Length = 128, scored: Tail = 24, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score a pruner on text and multiple-choice sets, against the dense model and truncation at equal operations.

    Example: `tokenprune eval --model my-model --windows 2 --length 48 --scored 8`
    """
    cut = {"count": windows, "length": length, "scored": scored}
    return [_compared(pruned, opts, "truncation", text, text, cut, tasks, items=items, prompt=length, repeats=3)[0]]


def _compared(
    pruned: Pruned, opts: Shared, methods: str, calibration: str, text: str, cut: dict[str, int], tasks: str, *,
    prompt: int, **more: int,
) -> tuple[Any, ...]:  # fmt: skip
    """The table, and what `compare_on_text` gives."""
    from tokenprune.evaluation._compare import chosen_methods, table
    from tokenprune.evaluation._on_text import RANDOM, compare_on_text

    names = chosen_methods(methods)
    language, tokenizer, pruner = pruned.open(opts)
    found = compare_on_text(
        language, tokenizer, pruner, names, calibration, text, cut, tasks=names_of(tasks), prompt=prompt,
        seed=opts.seed, **more,
    )  # fmt: skip
    of_text = f"{cut['count']} windows of {text}, prefill of {prompt} tokens"
    made = table(found[1], f"{pruned.model} at sparsity {pruner.config.target_sparsity:g}: {of_text}")
    made.notes += [RANDOM] if pruned.model == "tiny" else []
    return made, *found


def recall(
    *, pruned: Pruned,
    methods: Annotated[str, Option(help="Methods to compare with, "
        "separated by commas; or all.")] = "truncation,fastkv,shortgpt",
    kinds: Annotated[str, Option(help="Kinds of question, separated by commas: needle, name, "
        "key-value, few-shot, paragraphs, constant; or all.")] = "all",
    lengths: Annotated[str, Option(help="Prompt lengths in tokens, separated by "
        "commas: for example 256,1024.")] = "256",
    items: Annotated[int, Option(min=1, help="Number of questions of each kind and length.")] = 10,
    role: Annotated[str, Option(help="Set of question templates: training, "
        "validation, test or foreign.", rich_help_panel=ADVANCED)] = "test",
    text: Annotated[str, Option(help="Text that surrounds the facts; only its "
        "last fifth is used for questions.")] = "embedded",
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Test whether facts early, late or in the middle of a long prompt are still found, for each method.

    Pictures are written to -o if it is given.

    Example: `tokenprune recall --model my-model --kinds needle,constant --items 5`
    """
    from ninefold.errors import require
    from ninefold.files import refuse_existing

    from tokenprune import datasets
    from tokenprune.evaluation._compare import chosen_methods
    from tokenprune.evaluation._on_text import RANDOM, RECALLED, draw_recall, recall_on_text
    from tokenprune.evaluation._recall import recall_table

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
