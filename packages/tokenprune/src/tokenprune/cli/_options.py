"""Options that several verbs share, and the model that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared
from ninefold.errors import InputError

Model = Annotated[str, typer.Option("--model", help="smollm2, tiny (random weights), a local folder, or a hub id.")]
Sparsity = Annotated[float, typer.Option("--sparsity", help="Share of (token, block) pairs to skip.")]
Text = Annotated[str, typer.Option("--calibration", help="embedded, wikitext2_valid, or a text file.")]
Scoring = Annotated[str, typer.Option("--text", help="What is scored: its last fifth, which nothing is fitted to.")]
Windows = Annotated[int, typer.Option("--windows", min=1, help="Windows of text, of each of the parts it is used for.")]
Length = Annotated[int, typer.Option("--length", min=2, help="Tokens of a window.")]
Tail = Annotated[int, typer.Option("--scored", min=1, help="Last tokens of a window that are scored.")]
Pruner = Annotated[Path, typer.Argument(help="A pruner's folder.")]
Folder = Annotated[Path | None, typer.Option("--pruner", help="A pruner's folder; left out, the training-free pruner.")]
Asked = Annotated[
    float | None, typer.Option("--sparsity", help="Without --pruner: share of (token, block) pairs to skip, else 0.3.")
]
TARGET = 0.3


def load_model(name: str, opts: Shared) -> tuple[Any, Any]:
    """(model, tokenizer); the tokenizer is None for random weights."""
    from tokenprune import load, tiny_model

    if name == "tiny":
        return tiny_model(seed=0).to(opts.device), None
    return load(name, device=opts.device)


def one_of(folder: Path | None, sparsity: float | None) -> float:
    """The sparsity asked of a pruner without a folder; InputError if both are given."""
    if folder is not None and sparsity is not None:
        raise InputError("--sparsity", got=sparsity, expected="none beside --pruner, which brings its own")
    from tokenprune.routers._schedule import checked_target

    with naming(target_sparsity="--sparsity"):
        return checked_target(TARGET if sparsity is None else sparsity)


@contextmanager
def naming(**options: str) -> Iterator[None]:
    """Within it an InputError about an argument is one about the option that gave it."""
    try:
        yield
    except InputError as error:
        if error.what not in options:
            raise
        told: Any = {key: getattr(error, key) for key in ("got", "expected", "where", "hint")}
        raise InputError(options[error.what], **told) from None


def checked_lengths(words: str) -> list[int]:
    """Lengths of prompts, as they were typed; InputError names the first that is no whole number from 1."""
    parts = [one.strip() for one in words.split(",")]
    wrong = [one for one in parts if not (one.isascii() and one.isdecimal() and int(one) > 0)]
    if wrong:
        raise InputError("--lengths", got=wrong[0], expected="whole numbers from 1 with commas between")
    return [int(one) for one in parts]
