"""Options that several verbs share, and the model that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from typer import Argument, Option

Model = Annotated[str, Option(help="smollm2, tiny (random weights), a local folder, or a hub id.")]
Sparsity = Annotated[float, Option(help="Share of (token, block) pairs to skip.")]
Text = Annotated[str, Option("--calibration", help="embedded, wikitext2_valid, or a text file.")]
Scoring = Annotated[str, Option("--text", help="What is scored: its last fifth, which nothing is fitted to.")]
Windows = Annotated[int, Option(min=1, help="Windows of text, of each of the parts it is used for.")]
Length = Annotated[int, Option(min=2, help="Tokens of a window.")]
Tail = Annotated[int, Option(min=1, help="Last tokens of a window that are scored.")]
Tasks = Annotated[str, Option(help="Multiple-choice sets, e.g. arc_easy,piqa.")]
Pruner = Annotated[Path, Argument(help="A pruner's folder.")]
Folder = Annotated[Path | None, Option(help="A pruner's folder; left out, the training-free pruner.")]
Asked = Annotated[float | None, Option(help="Without --pruner: share of (token, block) pairs to skip, else 0.3.")]


def load_model(name: str, opts: Shared) -> tuple[Any, Any]:
    """(model, tokenizer); the tokenizer is None for random weights."""
    from tokenprune import load, tiny_model

    if name == "tiny":
        return tiny_model(seed=0).to(opts.device), None
    return load(name, device=opts.device)
