"""The verb that asks for facts: recall, by depth and length."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, progress

from tokenprune.cli._ftp import pruner_of
from tokenprune.cli._options import Asked, Folder, Model, checked_lengths, load_model, one_of


def recall(
    *, model: Model = "smollm2", pruner: Folder = None, sparsity: Asked = None,
    methods: Annotated[str, typer.Option("--methods", help="all, or names.")] = "truncation,fastkv,shortgpt",
    kinds: Annotated[str, typer.Option("--kinds", help="all, or some with commas between.")] = "all",
    lengths: Annotated[str, typer.Option("--lengths", help="Tokens of the prompts, e.g. 256,1024.")] = "256",
    items: Annotated[int, typer.Option("--items", min=1, help="Tasks of each kind and length.")] = 10,
    role: Annotated[str, typer.Option("--role", help="Templates: training, validation, test, foreign.")] = "test",
    text: Annotated[str, typer.Option("--text", help="Filler: its last fifth; rivals see the rest.")] = "embedded",
    opts: Shared,
) -> list[Any]:  # fmt: skip
    """Ask for what stands early, late or in the middle of long prompts, under dense, a pruner and its rivals.

    Without --pruner the training-free one is asked. Pictures go to -o, if it is given.
    """
    from ninefold.files import refuse_existing

    from tokenprune import Layout, datasets
    from tokenprune.baselines import BASELINES
    from tokenprune.evaluation._compare import chosen_methods
    from tokenprune.evaluation._recall import recall as ask
    from tokenprune.evaluation._recall import recall_table
    from tokenprune.evaluation._roles import filler_for, for_fitting, with_tasks
    from tokenprune.executor._executor import Executor

    one_of(pruner, sparsity)
    names, sizes = chosen_methods(methods), checked_lengths(lengths)
    wanted = datasets.KINDS if kinds == "all" else [one.strip() for one in kinds.split(",") if one.strip()]
    pictures = ["recall-by-depth.png", "recall-depth-by-length.png"] if opts.out else []
    if opts.out and importlib.util.find_spec("matplotlib") is None:
        from ninefold.errors import MissingExtraError

        raise MissingExtraError("matplotlib", "tokenprune", "plots")
    for name in pictures:
        refuse_existing(opts.out / name, opts.force, "tokenprune")  # type: ignore[operator]
    language, tokenizer = load_model(model, opts)
    ours = pruner_of(language, pruner, sparsity)
    target, layout = ours.config.target_sparsity, Layout.of(language)
    filler = filler_for(text, tokenizer, longest=max(sizes))
    groups = [datasets.long_tasks(kind, role, tokenizer, filler=filler, count=items, length=size, seed=opts.seed)
              for kind in wanted for size in sizes]  # fmt: skip
    arms = {"dense": Executor(layout), "pruner" if pruner else "observation": ours.executor()}
    with progress(len(names) + len(groups), "fitting") as bar:
        (chosen_on,) = for_fitting(text, tokenizer, roles=1, count=8, length=128, scored=24, seed=0)
        chosen_on = with_tasks(chosen_on, "validation", tokenizer, each=2, length=min(sizes), seed=0)
        for name in names:
            rival = BASELINES[name]()
            rival.fit(layout, chosen_on, target, opts.seed)
            arms[name] = rival.apply()
            bar.advance(1, note=f"fitting {name}")
        found = []
        for group in groups:
            found.append(ask(arms, group))
            bar.advance(1, note=f"{found[-1].kind}, {found[-1].length} tokens")
    table = recall_table(found, f"Recall of {model} at sparsity {target:g}, {role} templates")
    if model == "tiny":
        table.notes.append("random weights: the mechanics, and nothing about quality")
    if pictures and any(one.kind != "few-shot" for one in found):
        _draw(opts.out, found, list(arms)[1])  # type: ignore[arg-type]
        table.notes.append(f"pictures: {opts.out}")
    return [table]


def _draw(out: Path, found: list[Any], arm: str) -> None:
    from ninefold.report import save_figure

    from tokenprune.evaluation._recall import by_depth, depth_by_length

    save_figure(by_depth(found), out / "recall-by-depth.png", "tokenprune")
    save_figure(depth_by_length(found, arm), out / "recall-depth-by-length.png", "tokenprune")
