"""What all verbs share: the app, their common arguments, and how rows, bases and facts are read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import house_app

if TYPE_CHECKING:
    from tswitch.checkpoints._checkpoint import Checkpoint

app = house_app(
    "tswitch",
    "Store each fine-tuned model as a small ternary switch against its base, flip between tasks, route automatically. "
    "Begin with **tswitch demo**; then finetune (or bring your own model), compress, inspect, predict, export.",
)

Encoder = Annotated[
    str, typer.Argument(help="Base encoder: a local Hugging Face folder, or 'minilm' (extra `models`).")
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", help="Pattern of tensors to leave out, such as a task's head.")
]
Base = Annotated[str, typer.Argument(help="Base model: folder, weight file, hub id, or 'minilm' (extra `models`).")]
SwitchDir = Annotated[str, typer.Argument(help="A switch: its folder, or its hub id.")]
Task = Annotated[str | None, typer.Option("--task", help="A known task, such as snips or clinc150/travel.")]
Csv = Annotated[Path | None, typer.Option("--csv", help="Your own rows: a CSV with columns text, label and split.")]
Mismatch = Annotated[
    str, typer.Option("--on-mismatch", help="Tensors that do not match: error, skip or dense.", show_choices=True)
]
Shards = Annotated[str, typer.Option("--max-shard-size", help="Most bytes of a file, like 500MB or 2GB.")]


def open_base(name: str) -> Checkpoint:
    """A base or fine-tuned checkpoint; "minilm" is the one of its own package."""
    from tswitch.checkpoints._checkpoint import Checkpoint
    from tswitch.models._models import minilm_folder

    if name != "minilm":
        return Checkpoint.open(name)
    checkpoint = Checkpoint.open(minilm_folder())
    checkpoint.source = "sentence-transformers/all-MiniLM-L6-v2"  # what a card calls it
    return checkpoint


def local_folder(switch: Any) -> Path:
    """The folder that an opened switch lies in, whether it was given as one or came from the hub."""
    assert switch.path is not None
    return switch.path


def rows_of(task: str | None, csv: Path | None) -> Any:
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


def refuse_unused(reason: str, given: dict[str, Any]) -> None:
    """Refuse options that were given and would do nothing."""
    from ninefold.errors import InputError

    names = [name for name, value in given.items() if value is not None]
    if names:
        raise InputError(", ".join(names), expected=f"to be left out: {reason}")


def check_classes(head: str, classes: list[str], rows: Any) -> None:
    """Refuse a head of other classes than the task's: its scores would be plausible and mean nothing."""
    from ninefold.errors import InputError

    if len(classes) != len(rows.classes):
        raise InputError(head, got=f"{len(classes)} classes", expected=f"the {len(rows.classes)} of task {rows.name}")
    nameless = [[f"{prefix}{index}" for index in range(len(classes))] for prefix in ("", "LABEL_")]
    if classes not in (list(rows.classes), *nameless):
        at = next(index for index, pair in enumerate(zip(classes, rows.classes, strict=True)) if pair[0] != pair[1])
        got = f"{classes[at]!r} as class {at}"
        raise InputError(head, got=got, expected=f"the classes of task {rows.name}, there {rows.classes[at]!r}")


def facts(switch: Any) -> dict[str, Any]:
    """What `compress` and `inspect` print of a switch."""
    config, fitted = switch.config, switch.config.get("fitted")
    about = {"switch": switch.path, **{key: config[key] for key in ("base", "alpha", "granularity", "scale")}}
    about |= {"parameters": switch.parameters, "density": switch.density, "bytes on disk": switch.nbytes}
    about |= {"bits a parameter": switch.bits_per_param, "share of float32": switch.bits_per_param / 32}
    about["ternary, dense, head tensors"] = f"{len(switch.tensors)}, {len(switch.dense)}, {len(switch.head)}"
    if fitted:
        before, after = fitted["divergence"]
        about["knobs fitted on"] = f"{fitted['inputs']} inputs, divergence {before:.4g} to {after:.4g}"
    return about


def written_facts(written: Any, out: Path) -> dict[str, Any]:
    """What `export` and `merge` print of a folder."""
    made = {"folder": out, "tensors": written.tensors, "parameters": written.parameters, "bytes": written.nbytes}
    rounded = {"additions in 16 bits": written.additions, "of these rounded to no change": written.rounded_away}
    return {**made, "shards": written.shards, **rounded}
