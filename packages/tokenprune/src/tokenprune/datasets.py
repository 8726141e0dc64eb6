"""Texts and questions: the embedded text, WikiText-2 and multiple-choice sets, or a user's files.

`$NINEFOLD_DATA/tokenprune` may hold ARC-easy and -challenge (train, test), PIQA and WinoGrande (validation), WikiText-2
(validation, test) and Tiny Shakespeare; any of them is also found in the cache (see `ninefold.datasets.find`).
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import torch
from ninefold.datasets import find
from ninefold.errors import InputError, require
from torch import Tensor

Tokenize = Callable[[str], Tensor]
TASKS = {
    "arc_easy": "arc_easy_test.jsonl.gz",
    "arc_challenge": "arc_challenge_test.jsonl.gz",
    "piqa": "piqa_validation.jsonl.gz",
    "winogrande": "winogrande_xl_validation.jsonl.gz",
    "arc_easy_train": "arc_easy_train.jsonl.gz",
    "arc_challenge_train": "arc_challenge_train.jsonl.gz",
}
TEXTS = {
    "wikitext2_valid": "wikitext2_valid.txt.gz",
    "wikitext2_test": "wikitext2_test.txt.gz",
    "shakespeare": "tinyshakespeare.txt.gz",
}


@dataclass(frozen=True)
class Question:
    """One multiple-choice item.

    Attributes:
        question: what is asked; for a blank, what stands before the choice is `question` up to it.
        choices: possible answers.
        label: index of the right one.
    """

    question: str
    choices: tuple[str, ...]
    label: int


def embedded_text() -> str:
    """A few kilobytes of public-domain prose, shipped with the package."""
    return (resources.files("tokenprune") / "embedded" / "text.txt").read_text(encoding="utf-8")


def text(name: str | Path) -> str:
    """A text by name ("embedded", or one of `TEXTS`), or a user's file (.txt, .txt.gz, .jsonl, .parquet with `text`).

    Raises:
        DownloadError: if a named text is not on this machine; says where to put it.
        InputError: if a file cannot be read as text.
    """
    if str(name) == "embedded":
        return embedded_text()
    path = find("tokenprune", TEXTS[str(name)]) if str(name) in TEXTS else Path(name)
    if not path.is_file():
        known = ", ".join(["embedded", *TEXTS])
        raise InputError("text", got=str(name), expected=f"one of {known}, or a .txt, .jsonl or .parquet file")
    if path.suffix == ".parquet":
        table = require("pyarrow.parquet", "tokenprune", "data").read_table(path)
        if "text" not in table.column_names:
            raise InputError("column `text`", where=path, got=f"columns {table.column_names}")
        return "\n".join(str(one) for one in table["text"].to_pylist())
    raw = _read(path)
    if ".jsonl" in path.name:
        return "\n".join(str(_field(row, "text", path, at)) for at, row in enumerate(_rows(raw, path)))
    if not raw.strip():
        raise InputError("text", where=path, got="nothing", expected="some words")
    return raw


def questions(name: str | Path) -> list[Question]:
    """A multiple-choice set by name (one of `TASKS`), or a .jsonl file with question, choices and label.

    Raises:
        DownloadError: if a named set is not on this machine.
        InputError: names the row that is wrong.
    """
    path = find("tokenprune", TASKS[str(name)]) if str(name) in TASKS else Path(name)
    if not path.is_file():
        raise InputError("task", got=str(name), expected=f"one of {', '.join(TASKS)}, or a .jsonl file")
    items = []
    for at, row in enumerate(_rows(_read(path), path)):
        choices, label = _field(row, "choices", path, at), _field(row, "label", path, at)
        if not isinstance(choices, list) or len(choices) < 2 or label not in range(len(choices)):
            raise InputError("choices and label", where=f"{path}, row {at + 1}", got=f"{choices}, {label}",
                             expected="at least two choices and the index of one")  # fmt: skip
        items.append(Question(str(_field(row, "question", path, at)), tuple(map(str, choices)), int(label)))
    return items


def tokens(words: str, tokenizer: Any) -> Tensor:
    """A text as 1-D ids; without a tokenizer its bytes, for the small random models.

    No special token is added: SmolLM2 takes none.
    """
    if tokenizer is None:
        return torch.tensor(list(words.encode()), dtype=torch.long)
    return torch.tensor(tokenizer(words, add_special_tokens=False, verbose=False)["input_ids"], dtype=torch.long)


def few_shot(item: Question, shots: Sequence[Question]) -> str:
    """The question after solved ones, up to where the answer stands."""
    solved = "".join(f"Question: {one.question}\nAnswer: {one.choices[one.label]}\n\n" for one in shots)
    return f"{solved}Question: {item.question}\nAnswer:"


def _read(path: Path) -> str:
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        return raw.decode("utf-8")
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise InputError("text", where=path, got=str(error), expected="UTF-8") from None


def _rows(raw: str, path: Path) -> list[dict[str, Any]]:
    rows = []
    for at, line in enumerate(raw.splitlines()):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise InputError("row", where=f"{path}, row {at + 1}", got=line[:60], expected="a JSON object")
        rows.append(row)
    if not rows:
        raise InputError("rows", where=path, got="none")
    return rows


def _field(row: dict[str, Any], name: str, path: Path, at: int) -> Any:
    if name not in row:
        raise InputError(f"field `{name}`", where=f"{path}, row {at + 1}", expected=f"one beside {sorted(row)}")
    return row[name]
