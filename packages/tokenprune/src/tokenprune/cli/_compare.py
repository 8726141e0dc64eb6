"""The verbs that score: analyze, compare and eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from ninefold.report import Table
from typer import Option

from tokenprune.cli._ftp import Pruned
from tokenprune.cli._options import Length, Model, Scoring, Tail, Tasks, Text, Windows, load_model, names_of


def analyze(
    *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 8, length: Length = 128,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Show how redundant each block is: cosine of the stream before and after it, and block influence."""
    from tokenprune.evaluation._on_text import redundancy_on_text

    language, tokenizer = load_model(model, opts)
    return [*redundancy_on_text(language, tokenizer, calibration, count=windows, length=length, seed=opts.seed)]


def compare(
    *, pruned: Pruned,
    methods: Annotated[str, Option(help="all, or names.")] = "all",
    calibration: Text = "embedded", text: Scoring = "embedded", tasks: Tasks = "",
    items: Annotated[int, Option(min=1, help="Questions of each set.")] = 20,
    windows: Windows = 3, length: Length = 128, scored: Tail = 24,
    prompt: Annotated[int, Option(min=2, help="Tokens of the timed prompt.")] = 512,
    repeats: Annotated[int, Option(min=3, help="Rounds of timing.")] = 3,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score and time the dense model, a pruner and its rivals; pictures go to -o, or to ./tokenprune-compare."""
    from ninefold.errors import MissingExtraError, require
    from ninefold.files import refuse_existing

    from tokenprune.evaluation._on_text import COMPARED, Cut

    _ = pruned.target
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
    cut, words = Cut(count=windows, length=length, scored=scored), (calibration, text, tasks)
    made, found = _compared(pruned, methods, words, items, cut, prompt, repeats, opts)
    if missing is None:
        found.draw(out)
    made.notes.append(f"pictures: {out}" if missing is None else f"pictures: none, {missing}")
    return [made]


def evaluate(
    *, pruned: Pruned, text: Scoring = "embedded", tasks: Tasks = "", items: Annotated[int, Option(min=1)] = 20,
    windows: Windows = 8, length: Length = 128, scored: Tail = 24, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score a pruner beside the dense model and truncation to equal operations, on text and multiple-choice sets."""
    from tokenprune.evaluation._on_text import Cut

    cut = Cut(count=windows, length=length, scored=scored)
    return [_compared(pruned, "truncation", (text, text, tasks), items, cut, length, 3, opts)[0]]


def _compared(
    pruned: Pruned, methods: str, words: tuple[str, str, str], items: int, cut: Any, prompt: int, repeats: int,
    opts: Shared,
) -> tuple[Table, Any]:  # fmt: skip
    """The table, and what came of each arm; `words` are the text to fit to, the text to score, and question sets."""
    from tokenprune.evaluation._compare import chosen_methods, table
    from tokenprune.evaluation._on_text import RANDOM, compare_on_text

    names, (calibration, text, tasks) = chosen_methods(methods), words
    language, tokenizer, pruner = pruned.open(opts)
    found = compare_on_text(
        language, tokenizer, pruner, names, cut, calibration=calibration, text=text, tasks=names_of(tasks),
        items=items, prompt=prompt, repeats=repeats, seed=opts.seed,
    )  # fmt: skip
    sparsity = pruner.config.target_sparsity
    title = f"{pruned.model} at sparsity {sparsity:g}: {cut.count} windows of {text}, prefill of {prompt} tokens"
    made = table(found.rows, title)
    made.notes += [RANDOM] if pruned.model == "tiny" else []
    return made, found
