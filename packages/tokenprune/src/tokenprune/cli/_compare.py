"""The verbs that score: analyze, compare and eval."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress
from ninefold.report import Table

from tokenprune.cli._ftp import pruner_of
from tokenprune.cli._options import Asked, Folder, Length, Model, Scoring, Tail, Text, Windows, load_model, one_of


def analyze(
    *, model: Model = "smollm2", calibration: Text = "embedded", windows: Windows = 8, length: Length = 128,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Show how redundant each block is: cosine of the stream before and after it, and block influence."""
    from tokenprune import Layout, datasets, redundancy
    from tokenprune import windows as cut
    from tokenprune.evaluation._roles import tokens_for

    language, tokenizer = load_model(model, opts)
    ids = tokens_for(windows * length, datasets.text(calibration), tokenizer)
    data = cut(ids, length=length, scored=1, count=windows, seed=opts.seed, prefix=datasets.prefix(tokenizer))
    found = redundancy(Layout.of(language), data)
    share, influence = found.share_above(0.8), found.influence
    table = Table(["block", "tokens with cosine > 0.8", "block influence"], title="Redundancy")
    table.rows += [[block, float(s), float(i)] for block, (s, i) in enumerate(zip(share, influence, strict=True))]
    overall = {"overall": float(share.mean()), "block 0": float(share[0]), "median block": float(share.median())}
    return [table, overall]


def compare(
    *, model: Model = "smollm2", pruner: Folder = None, sparsity: Asked = None,
    methods: Annotated[str, typer.Option("--methods", help="all, or names.")] = "all",
    calibration: Text = "embedded", text: Scoring = "embedded",
    tasks: Annotated[str, typer.Option("--tasks", help="Multiple-choice sets, e.g. arc_easy,piqa.")] = "",
    items: Annotated[int, typer.Option("--items", min=1, help="Questions of each set.")] = 20,
    windows: Windows = 3, length: Length = 128, scored: Tail = 24,
    prompt: Annotated[int, typer.Option("--prompt", min=2, help="Tokens of the timed prompt.")] = 512,
    repeats: Annotated[int, typer.Option("--repeats", min=3, help="Rounds of timing.")] = 3,
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score and time the dense model, a pruner and its rivals; pictures go to -o, or to ./tokenprune-compare."""
    from ninefold.errors import MissingExtraError, require
    from ninefold.files import refuse_existing

    one_of(pruner, sparsity)
    out = opts.out or Path("tokenprune-compare")
    for name in ("pareto.png", "gate-map.png"):  # before minutes of work
        refuse_existing(out / name, opts.force, "tokenprune")
    missing = None
    try:
        require("matplotlib", "tokenprune", "plots")
    except MissingExtraError as error:
        if opts.out is not None:  # pictures were asked for
            raise
        missing = str(error)
    made, arms, rows, data = _compared(
        model, pruner, sparsity, methods, calibration, text, tasks, items, windows, length, scored, prompt,
        repeats, opts,
    )  # fmt: skip
    if missing is None:
        _pictures(out, arms, rows, data)
    made.notes.append(f"pictures: {out}" if missing is None else f"pictures: none, {missing}")
    return [made]


def evaluate(
    *, model: Model = "smollm2", pruner: Folder = None, sparsity: Asked = None, text: Scoring = "embedded",
    tasks: Annotated[str, typer.Option("--tasks", help="Multiple-choice sets, e.g. arc_easy,piqa.")] = "",
    items: Annotated[int, typer.Option("--items", min=1)] = 20, windows: Windows = 8, length: Length = 128,
    scored: Tail = 24, opts: Shared,
) -> list[Any]:  # fmt: skip
    """Score a pruner beside the dense model and truncation to equal operations, on text and multiple-choice sets."""
    return [
        _compared(
            model, pruner, sparsity, "truncation", text, text, tasks, items, windows, length, scored, length, 3, opts
        )[0]
    ]


def _compared(
    model: str, pruner: Path | None, asked: float | None, methods: str, calibration: str, text: str, tasks: str,
    items: int, windows: int, length: int, scored: int, prompt: int, repeats: int, opts: Shared,
) -> tuple[Table, dict[str, Any], dict[str, Any], Any]:  # fmt: skip
    """(table, executors, their scores, the text's windows)."""
    from tokenprune import Layout, datasets
    from tokenprune.evaluation._compare import chosen_methods, fitted, table
    from tokenprune.evaluation._compare import compare as judge
    from tokenprune.evaluation._evaluate import questions_as_scored
    from tokenprune.evaluation._roles import for_fitting, for_scoring

    names, _ = chosen_methods(methods), one_of(pruner, asked)
    language, tokenizer = load_model(model, opts)
    ours = pruner_of(language, pruner, asked)
    sparsity = ours.config.target_sparsity
    cut: Any = {"count": windows, "length": length, "scored": scored}
    (chosen_on,) = for_fitting(calibration, tokenizer, roles=1, seed=0, **cut)
    data = for_scoring(text, tokenizer, seed=opts.seed + 100, **cut)
    posed, labels = [], []
    for task in [one.strip() for one in tasks.split(",") if one.strip()]:
        chosen = datasets.questions(task)[: items + 2]
        posed += questions_as_scored(chosen[2:], chosen[:2], tokenizer)
        labels += [one.label for one in chosen[2:]]
    with progress(len(names), "fitting") as bar:
        arms = fitted(language, ours, names, sparsity, chosen_on, seed=opts.seed,
                      advance=lambda count, name: bar.advance(count, note=f"fitting {name}"))  # fmt: skip
    with progress(len(arms), "comparing") as bar:
        rows = judge(Layout.of(language), arms, data, questions=posed, labels=labels, prompt=prompt, repeats=repeats,
                     advance=bar.advance)  # fmt: skip
    made = table(rows, f"{model} at sparsity {sparsity:g}: {windows} windows of {text}, prefill of {prompt} tokens")
    if model == "tiny":
        made.notes.append("random weights: the mechanics, and nothing about quality")
    return made, arms, rows, data


def _pictures(out: Path, arms: dict[str, Any], rows: dict[str, Any], data: Any) -> None:
    from ninefold.report import save_figure

    from tokenprune.pruner._report import Report, pareto

    dense = rows["dense"].flops
    points = [(name, row.flops / dense, float(row.nll.mean())) for name, row in rows.items()]
    save_figure(pareto(points, "NLL of text"), out / "pareto.png", "tokenprune")
    ids, mask, protect = data.part(0, 1).inputs
    ours = arms["tokenprune"]
    stream = ours.prefill(ours.start(ids, mask, protect=protect, record=True))
    save_figure(Report.of(ours, stream).gate_map(), out / "gate-map.png", "tokenprune")
