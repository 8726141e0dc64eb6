"""Options that several verbs share, and the model that they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from ninefold.cli import Shared
from typer import Argument, Option

ADVANCED = "Advanced"  # panel of rarely needed options
Model = Annotated[str, Option(help="Language model: smollm2, tiny (random weights), a local folder, or a hub id.")]
Sparsity = Annotated[float, Option(help="Share of (token, block) pairs to skip, from 0 to 0.95.")]
Text = Annotated[str, Option("--calibration", help="Text to fit to: embedded, wikitext2_valid, or a text file.")]
Scoring = Annotated[
    str, Option("--text", help="Text to score; only its last fifth is scored, and nothing is fitted to it.")
]
Windows = Annotated[int, Option(min=1, help="Number of text windows, for fitting and for scoring each.")]
Length = Annotated[int, Option(min=2, help="Length of a text window, in tokens.")]
Tail = Annotated[int, Option(min=1, help="Number of tokens to score at the end of each window.")]
Tasks = Annotated[str, Option(help="Multiple-choice sets to score, separated by commas: for example arc_easy,piqa.")]
Pruner = Annotated[Path, Argument(help="Folder of a saved pruner.")]
Folder = Annotated[
    Path | None, Option(help="Folder of a saved pruner, from `learn`. If omitted, the training-free pruner.")
]
Asked = Annotated[
    float | None,
    Option(help="Share of (token, block) pairs to skip, from 0 to 0.95; 0.3 by default. Not with --pruner."),
]


def load_model(name: str, opts: Shared) -> tuple[Any, Any]:
    """(model, tokenizer); the tokenizer is None for random weights."""
    from tokenprune import load, tiny_model

    if name == "tiny":
        return tiny_model(seed=0).to(opts.device), None
    return load(name, device=opts.device)
