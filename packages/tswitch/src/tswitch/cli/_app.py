"""What all verbs share: the app, and their common arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from ninefold.cli import house_app
from typer import Argument, Option

app = house_app(
    "tswitch",
    "Store each fine-tuned model as a small ternary switch against its base, flip between tasks, route automatically. "
    "Begin with **tswitch demo**; then finetune (or bring your own model), compress, inspect, predict, export.",
)

Encoder = Annotated[str, Argument(help="Base encoder: a local Hugging Face folder, or 'minilm' (extra `models`).")]
Exclude = Annotated[list[str] | None, Option(help="Pattern of tensors to leave out, such as a task's head.")]
Base = Annotated[str, Argument(help="Base model: folder, weight file, hub id, or 'minilm' (extra `models`).")]
SwitchDir = Annotated[str, Argument(help="A switch: its folder, or its hub id.")]
Task = Annotated[str | None, Option(help="A known task, such as snips or clinc150/travel.")]
Csv = Annotated[Path | None, Option(help="Your own rows: a CSV with columns text, label and split.")]
Mismatch = Annotated[str, Option("--on-mismatch", help="Tensors that do not match: error, skip or dense.")]
Shards = Annotated[str, Option(help="Most bytes of a file, like 500MB or 2GB.")]
