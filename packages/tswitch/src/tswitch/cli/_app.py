"""What all verbs share: the app, and their common arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ninefold.cli import house_app
from typer import Argument, Option

app = house_app(
    "tswitch",
    "Store a fine-tuned model as a small difference from its base, change the task of a live model, and route inputs "
    "to tasks. Start with **tswitch demo**; then compress your own model, and inspect, predict or export.",
)

_LEFT_OUT = "Pattern of tensors to leave out, such as 'classifier*'. Repeatable."
_SHARDS = "Maximum size of one weight file, such as 500MB or 2GB."
MISMATCH = "Tensors that differ in name or shape: error (default), skip (keep the base) or dense (store whole)."
Encoder = Annotated[str, Argument(help="Base model: a local Hugging Face folder, or 'minilm' (extra `models`).")]
Exclude = Annotated[
    list[str] | None,
    Option(help="Pattern of tensors to leave out, such as 'classifier*'. Repeatable.", rich_help_panel="Advanced"),
]
Base = Annotated[str, Argument(help="Base model: folder, weight file, hub id, or 'minilm' (extra `models`).")]
SwitchDir = Annotated[str, Argument(help="Switch of one task: its folder or hub id.")]
Task = Annotated[str | None, Option(help="Name of a text task that tswitch knows, such as snips or clinc150/travel.")]
Csv = Annotated[Path | None, Option(help="CSV file with your own rows: columns text, label and split.")]
Mismatch = Annotated[str, Option("--on-mismatch", help=MISMATCH, rich_help_panel="Advanced")]
Shards = Annotated[str, Option(help=_SHARDS, rich_help_panel="Advanced")]
