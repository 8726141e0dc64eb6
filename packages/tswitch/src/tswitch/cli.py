"""The `tswitch` command: each verb parses, calls the API and returns what to print."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.app import house_verbs
from ninefold.cli import Shared, house_app, progress, run_app, verb

if TYPE_CHECKING:
    from ninefold.report import Table

    from tswitch.checkpoints._checkpoint import Checkpoint

app = house_app(
    "tswitch",
    "Store each fine-tuned model as a small ternary switch against its base, flip between tasks, route automatically. "
    "Begin with **tswitch demo**; then finetune (or bring your own model), compress, inspect, predict, export.",
)

Encoder = Annotated[
    str, typer.Argument(help="Base encoder: a local Hugging Face folder, or 'minilm' (extra `models`).")
]
Base = Annotated[str, typer.Argument(help="Base model: folder, weight file, hub id, or 'minilm' (extra `models`).")]
SwitchDir = Annotated[Path, typer.Argument(help="Folder of a switch.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is at --out.")]
Task = Annotated[str | None, typer.Option("--task", help="A known task, such as snips or clinc150/travel.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Your own rows: a CSV with columns text, label and split.")]
Mismatch = Annotated[
    str, typer.Option("--on-mismatch", help="Tensors that do not match: error, skip or dense.", show_choices=True)
]
Shards = Annotated[str, typer.Option("--max-shard-size", help="Most bytes of a file, like 500MB or 2GB.")]


@verb(app)
def finetune(
    base: Encoder,
    *,
    task: Task = None,
    csv: Csv = None,
    steps: Annotated[int, typer.Option("--steps", help="Optimiser steps.")] = 200,
    lr: Annotated[float, typer.Option("--lr", help="Step size of the encoder.")] = 5e-5,
    batch: Annotated[int, typer.Option("--batch", help="Rows a step.")] = 32,
    max_length: Annotated[int, typer.Option("--max-length", help="Tokens kept of each text.")] = 32,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Fine-tune BASE on a text task (all parameters and a fresh head) and write a Hugging Face folder.

    A run that was killed goes on where it was when the same command is given again.
    """
    from tswitch.models._finetune import FinetuneConfig, finetune
    from tswitch.models._models import TextClassifier
    from tswitch.models._models import predict as classes_of

    _only_used(opts)
    rows = _rows(task, csv)
    out = opts.need_out()
    config = FinetuneConfig(steps=steps, lr=lr, batch=batch, max_length=max_length)
    with progress(steps, f"fine-tuning on {rows.name}") as bar:
        finetune(base, rows, out, config, seed=opts.seed, on_step=bar.advance, force=force)
    held = rows.validation
    right = classes_of(TextClassifier.from_pretrained(out), held.texts) == held.labels
    return {
        "task": rows.name,
        "classes": len(rows.classes),
        "rows": len(rows.train),
        "validation accuracy": float(right.mean()),
        "folder": out,
    }


@verb(app)
def compress(
    base: Base,
    finetuned: Annotated[str, typer.Argument(help="Fine-tuned model in any of these forms, or a LoRA adapter.")],
    *,
    alpha: Annotated[
        float | None, typer.Option("--alpha", help="Share of the changes to drop, in [0, 1); 0.6, of an adapter 0.4.")
    ] = None,
    granularity: Annotated[
        str | None, typer.Option("--granularity", help="Thresholds by tensor (the default) or model.")
    ] = None,
    scale: Annotated[str, typer.Option("--scale", help="Switch knob: l2 (paper) or mean.")] = "l2",
    exclude: Annotated[list[str] | None, typer.Option("--exclude", help="Pattern of head tensors, kept whole.")] = None,
    on_mismatch: Annotated[
        str | None, typer.Option("--on-mismatch", help="Tensors that do not match: error (the default), skip or dense.")
    ] = None,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Compress a fine-tuned model against BASE into a switch folder, in bounded memory.

    An adapter is coded by itself: BASE, which its own configuration names, is not read then.
    """
    from ninefold.files import refuse_existing

    from tswitch.switch._compress import compress
    from tswitch.switch._switch import Switch

    _only_used(opts)
    out = opts.need_out()
    if (Path(finetuned) / "adapter_config.json").is_file():
        refuse_existing(out, force)
        unused = {"--granularity": granularity, "--exclude": exclude, "--on-mismatch": on_mismatch}
        _refuse_unused("an adapter's factors are coded by themselves", unused)
        given = 0.4 if alpha is None else alpha
        Switch.from_adapter(finetuned, given, scale).save_pretrained(out, force=force)  # pyright: ignore[reportArgumentType]
        return _facts(Switch.from_pretrained(out))
    before = _open_base(base)
    total = sum(before.info(name).numel for name in before.names)
    with progress(total, "compressing") as bar, warnings.catch_warnings(record=True, action="always") as told:
        switch = compress(
            before,
            finetuned,
            out,
            0.6 if alpha is None else alpha,
            granularity or "tensor",  # pyright: ignore[reportArgumentType]  (checked there)
            scale,  # pyright: ignore[reportArgumentType]
            ("classifier*",) if exclude is None else exclude,
            on_mismatch or "error",  # pyright: ignore[reportArgumentType]
            force,
            bar.advance,
        )
    for message in dict.fromkeys(str(warning.message) for warning in told):  # such as: the switch is empty
        typer.echo(f"warning: {message}", err=True)
    return _facts(switch)


@verb(app)
def inspect(
    switch: SwitchDir,
    *,
    tensors: Annotated[bool, typer.Option("--tensors", help="List every tensor.")] = False,
    opts: Shared,
) -> dict[str, Any] | list[Any]:
    """Show what a switch holds: density, bytes on disk, bits a parameter; with --tensors each tensor."""
    from ninefold.report import Table

    from tswitch.switch._switch import Switch

    _only_used(opts, writes=False)
    opened = Switch.from_pretrained(switch)
    if not tensors:
        return _facts(opened)
    table = Table(["tensor", "shape", "active", "density", "scale"])
    for name, about in opened.tensors.items():
        shape = "x".join(map(str, about.shape))
        table.rows.append([name, shape, about.active, about.active / max(about.numel, 1), about.scale])
    for kind, held in (("dense", opened.dense), ("head", opened.head)):
        table.rows += [[name, "x".join(map(str, held[name].shape)), None, kind, None] for name in held]
    return [_facts(opened), table]


@verb(app)
def verify(
    switch: SwitchDir,
    *,
    base: Annotated[str | None, typer.Option("--base", help="Also check that this is its base.")] = None,
    opts: Shared,
) -> dict[str, Any]:
    """Read every byte of a switch against its digests; a flipped bit or a missing byte is an error that names it."""
    from tswitch.routing._query_set import FILE, QuerySet
    from tswitch.switch._switch import Switch

    _only_used(opts, writes=False)
    opened = Switch.from_pretrained(switch)
    with progress(len(opened.tensors), "verifying") as bar:
        opened.verify(lambda _: bar.advance())
    if (switch / FILE).is_file():
        QuerySet.load(switch)
    if base is not None:
        opened.check_base(_open_base(base))
    return {
        "switch": switch,
        "tensors": len(opened.tensors) + len(opened.dense) + len(opened.head),
        "bytes": opened.nbytes,
        "base": "not asked" if base is None else "the one it was made against",
        "verdict": "whole",
    }


@verb(app)
def export(
    base: Base,
    switches: Annotated[list[Path], typer.Argument(help="One or more switch folders.")],
    *,
    weight: Annotated[list[float] | None, typer.Option("--weight", help="One for each switch; default 1.")] = None,
    dtype: Annotated[str | None, typer.Option("--dtype", help="float16, bfloat16 or float32; default: base's.")] = None,
    max_shard_size: Shards = "5GB",
    any_base: Annotated[bool, typer.Option("--any-base", help="Apply to another base than the recorded one.")] = False,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Write BASE with the switches applied as an ordinary Hugging Face folder, shard by shard; resumes after a kill.

    A switch of a LoRA adapter is written back as an adapter folder; BASE is not read then.
    """
    from tswitch.switch._export import export
    from tswitch.switch._switch import Switch

    _only_used(opts)
    out = opts.need_out()
    first = Switch.from_pretrained(switches[0])
    if len(switches) == 1 and "adapter" in first.config:
        unused = {"--weight": weight, "--dtype": dtype, "--any-base": any_base or None}
        _refuse_unused("an adapter is written as it was", unused)
        first.save_adapter(out, force=force)
        return {"folder": out, "adapter of": first.config["base"], "tensors": len(first.tensors) + len(first.dense)}
    before = _open_base(base)
    with progress(sum(before.info(name).numel for name in before.names), "exporting") as bar:
        written = export(
            before,
            switches,
            out,
            weights=weight,
            dtype=dtype,
            max_shard_size=max_shard_size,
            force=force,
            any_base=any_base,
            progress=bar.advance,
        )
    return _written(written, out)


@verb(app)
def merge(
    recipe: Annotated[Path, typer.Argument(help="YAML: merge_method, base_model, models, parameters, dtype.")],
    *,
    max_shard_size: Shards = "5GB",
    on_mismatch: Mismatch = "error",
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Merge fine-tuned models as a mergekit-style YAML file says, in bounded memory; resumes after a kill."""
    from tswitch.merging._recipe import merge_recipe

    _only_used(opts)
    out = opts.need_out()
    with progress(None, "merging") as bar:
        written = merge_recipe(
            recipe,
            out=out,
            max_shard_size=max_shard_size,
            on_mismatch=on_mismatch,  # pyright: ignore[reportArgumentType]
            force=force,
            progress=bar.advance,
        )
    return _written(written, out)


@verb(app)
def query_set(
    base: Encoder,
    switch: SwitchDir,
    *,
    task: Task = None,
    csv: Csv = None,
    samples: Annotated[int, typer.Option("--samples", help="Training texts to keep features of.")] = 100,
    force: Force = False,
    opts: Shared,
) -> dict[str, Any]:
    """Store features of some training texts beside a switch, so that inputs can be routed to it; no labels are used."""
    from tswitch.routing._live import TextBank
    from tswitch.routing._query_set import FILE

    _only_used(opts, writes=False)
    rows = _rows(task, csv)
    live = TextBank(base, {rows.name: switch})
    router = live.router(n_queries=samples, n_neighbors=1, seed=opts.seed).fit({rows.name: rows.train.texts})
    held = router.query_sets[rows.name]
    held.save(switch / FILE, force=force)
    return {
        "file": switch / FILE,
        "texts": len(held.features),
        "features": held.features.shape[1],
        "bytes": held.nbytes,
    }


@verb(app)
def predict(
    base: Encoder,
    switches: Annotated[list[Path], typer.Argument(help="Switch folders of text tasks, each with its query set.")],
    *,
    text: Annotated[list[str], typer.Option("--text", "-t", help="A text; may be given several times.")],
    task: Annotated[str | None, typer.Option("--task", help="Answer for this switch (its folder's name).")] = None,
    neighbors: Annotated[int, typer.Option("--neighbors", help="Nearest query texts that vote.")] = 10,
    opts: Shared,
) -> Table:
    """Classify texts on one live model: each text finds its task by Auto-Switch, or --task chooses for all."""
    from ninefold.errors import InputError
    from ninefold.report import Table

    from tswitch.routing._live import TextBank

    _only_used(opts, writes=False)
    folders = {folder.resolve().name: folder for folder in switches}
    if len(folders) < len(switches):
        raise InputError("switches", got=", ".join(map(str, switches)), expected="folders of different names")
    if not all(one.strip() for one in text):
        raise InputError("--text", got="an empty one", expected="at least one word in each")
    live = TextBank(base, folders)
    if task is not None:
        found = live.classify(task, text)
        return Table(
            ["text", "task", "label"], [[t, task, live.labels[task][k]] for t, k in zip(text, found, strict=True)]
        )
    router = live.router(n_neighbors=neighbors).use_query_sets(folders)
    table = Table(["text", "task", "label", "probability", "weights", "distance"])
    for row in live.answer(router, text):
        shares = ", ".join(f"{name} {share:g}" for name, share in row["weights"].items())
        table.rows.append([row["text"], row["task"], row["label"], row["probability"], shares, row["distance"]])
    return table


@verb(app, "eval")
def evaluate(
    base: Encoder,
    switch: SwitchDir,
    *,
    task: Task = None,
    csv: Csv = None,
    opts: Shared,
) -> dict[str, Any]:
    """Test accuracy of a text task with its switch on, and of the same head on the plain base."""
    from tswitch.routing._live import TextBank

    _only_used(opts, writes=False)
    rows = _rows(task, csv)
    live = TextBank(base, {rows.name: switch})
    _check_classes(f"head of switch {switch}", live.labels[rows.name], rows)
    scores = {on: live.classify(rows.name, rows.test.texts, switched=on) == rows.test.labels for on in (True, False)}
    return {
        "task": rows.name,
        "test rows": len(rows.test),
        "accuracy switched": float(scores[True].mean()),
        "accuracy of the base with this head": float(scores[False].mean()),
    }


@verb(app)
def sweep(
    base: Encoder,
    finetuned: Annotated[Path, typer.Argument(help="Folder of a fine-tuned text model, as `finetune` writes it.")],
    *,
    task: Task = None,
    csv: Csv = None,
    alpha: Annotated[str, typer.Option("--alpha", help="Drop ratios: first:last:step, or a list.")] = "0:0.95:0.05",
    rows: Annotated[int, typer.Option("--rows", help="Most validation rows to score.")] = 400,
    force: Force = False,
    opts: Shared,
) -> Table:
    """Accuracy and bytes over alpha, beside dropping the largest or random changes; writes a CSV and a picture."""
    from ninefold.errors import require
    from ninefold.files import atomic_folder, refuse_existing
    from ninefold.report import save_figure

    from tswitch.evaluation import _sweep
    from tswitch.models._models import classes_of

    _only_used(opts)
    out = opts.need_out()
    refuse_existing(out, force)
    require("matplotlib", "ninefold", "plots")  # now, not after the work
    chosen, ratios = _rows(task, csv), _sweep.alphas(alpha)
    _check_classes(f"head of {finetuned}", classes_of(finetuned), chosen)
    with progress(len(ratios), "sweeping") as bar:
        table = _sweep.sweep(base, finetuned, chosen, ratios, rows=rows, seed=opts.seed, advance=bar.advance)
    before = _open_base(base)
    whole = 4 * sum(before.info(name).numel for name in before.names)
    with atomic_folder(out, force=force) as folder:
        lines = [",".join(map(str, row)) for row in (table.columns, *table.rows)]
        (folder / "sweep.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        save_figure(_sweep.picture(table, whole), folder / "sweep.png")
    table.notes.append(f"written: {out}/sweep.csv, {out}/sweep.png")
    return table


@verb(app)
def bench(base: Encoder, switch: SwitchDir, *, opts: Shared) -> Table:
    """Time a switch on this machine: on and off on a live encoder, against reading the checkpoint anew."""
    from tswitch.evaluation._timing import time_switching
    from tswitch.switch._switch import Switch

    _only_used(opts, writes=False)
    return time_switching(base, Switch.from_pretrained(switch))


def _open_base(name: str) -> Checkpoint:
    from tswitch.checkpoints._checkpoint import Checkpoint
    from tswitch.models._models import minilm_folder

    if name != "minilm":
        return Checkpoint.open(name)
    checkpoint = Checkpoint.open(minilm_folder())
    checkpoint.source = "sentence-transformers/all-MiniLM-L6-v2"  # what a card calls it
    return checkpoint


def _rows(task: str | None, csv: Path | None) -> Any:
    """A text task from a known name (whole if its file is here, else the embedded slice) or a CSV file."""
    from ninefold.errors import DownloadError, InputError

    from tswitch.datasets import EMBEDDED_SETS, text_task
    from tswitch.datasets._text_data import build_task, own_rows

    if (task is None) == (csv is None):
        raise InputError("task", expected="one of --task NAME and --csv FILE")
    if csv is not None:
        return build_task(csv.name.removesuffix(".gz").removesuffix(".csv"), own_rows(csv))
    try:
        return text_task(str(task))
    except DownloadError:
        if str(task).partition("/")[0] not in EMBEDDED_SETS:
            raise
        return text_task(str(task), source="embedded")


def _only_used(opts: Shared, *, writes: bool = True) -> None:
    """Refuse shared options that were given and would do nothing: all verbs compute on the CPU, some write no --out."""
    device = opts.device if opts.device != "cpu" else None
    _refuse_unused("this verb computes on the CPU", {"--device": device})
    _refuse_unused("this verb has nothing to write there", {"--out": None if writes else opts.out})


def _refuse_unused(reason: str, given: dict[str, Any]) -> None:
    """Refuse options that were given and would do nothing."""
    from ninefold.errors import InputError

    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(", ".join(names), expected=f"to be left out: {reason}")


def _check_classes(head: str, classes: list[str], rows: Any) -> None:
    """Refuse a head of other classes than the task's: its scores would be plausible and mean nothing."""
    from ninefold.errors import InputError

    if len(classes) != len(rows.classes):
        raise InputError(head, got=f"{len(classes)} classes", expected=f"the {len(rows.classes)} of task {rows.name}")
    nameless = [[f"{prefix}{index}" for index in range(len(classes))] for prefix in ("", "LABEL_")]
    if classes not in (list(rows.classes), *nameless):
        at = next(index for index, pair in enumerate(zip(classes, rows.classes, strict=True)) if pair[0] != pair[1])
        got = f"{classes[at]!r} as class {at}"
        raise InputError(head, got=got, expected=f"the classes of task {rows.name}, there {rows.classes[at]!r}")


def _facts(switch: Any) -> dict[str, Any]:
    config = switch.config
    return {
        "switch": switch.path,
        "base": config["base"],
        "alpha": config["alpha"],
        "granularity": config["granularity"],
        "scale": config["scale"],
        "parameters": switch.parameters,
        "density": switch.density,
        "bytes on disk": switch.nbytes,
        "bits a parameter": switch.bits_per_param,
        "share of float32": switch.bits_per_param / 32,
        "ternary, dense, head tensors": f"{len(switch.tensors)}, {len(switch.dense)}, {len(switch.head)}",
    }


def _written(written: Any, out: Path) -> dict[str, Any]:
    return {
        "folder": out,
        "tensors": written.tensors,
        "parameters": written.parameters,
        "bytes": written.nbytes,
        "shards": written.shards,
        "additions in 16 bits": written.additions,
        "of these rounded to no change": written.rounded_away,
    }


house_verbs(app, "tswitch")
main = run_app(app)
