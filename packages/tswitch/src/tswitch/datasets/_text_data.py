"""Text classification tasks: read, split three ways, cut down. Train, validation and test share no text.

Every file is a gzipped CSV in UTF-8 with the columns `split,label,text` (clinc150 also `domain`). Where a source has no
validation rows, a training row is held back when the SHA-1 of its text (salted, so that it is independent of the
hash that made the test splits) is 0 modulo 10: equal texts always fall on one side, on every machine.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

SPLITS = ("train", "validation", "test")
_VALIDATION = ("val", "valid", "dev")  # other names of it that people use


@dataclass(frozen=True)
class Split:
    """Rows of one part of a task: `texts` and their class indices `labels` (n,), int64."""

    texts: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, rows: np.ndarray) -> Split:
        """The rows with these positions, in this order."""
        return Split(tuple(self.texts[row] for row in rows), self.labels[rows])


@dataclass(frozen=True)
class TextTask:
    """One classification task.

    Attributes:
        name: e.g. "trec" or "clinc150/banking".
        classes: class names; `labels` index into them.
        train, validation, test: its rows; no text stands in two of them.
        licence: what the source says about its use.
    """

    name: str
    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    licence: str = field(default="", compare=False)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over class names and the training and validation rows: what a model trained on this depends on."""
        state = hashlib.sha256()
        for part in (self.classes, self.train.texts, self.validation.texts):
            state.update("\x1e".join(part).encode() + b"\x1d")
        for split in (self.train, self.validation):
            state.update(np.ascontiguousarray(split.labels, "<i8").tobytes())
        return "sha256:" + state.hexdigest()

    def over(self, classes: Sequence[str]) -> TextTask:
        """The same rows with labels that index into `classes`, a superset of the task's classes."""
        index = np.array([list(classes).index(name) for name in self.classes], np.int64)
        parts = {part: getattr(self, part) for part in SPLITS}
        moved = {part: Split(split.texts, index[split.labels]) for part, split in parts.items()}
        return replace(self, classes=tuple(classes), **moved)

    def limited(self, *, train: int | None = None, validation: int | None = None, test: int | None = None) -> TextTask:
        """The same task with at most so many rows a split: the same rows each time, each class in its share."""
        for name, limit in (("train", train), ("validation", validation), ("test", test)):
            if limit is not None and limit < 1:
                raise InputError(f"{name} rows", got=limit, expected="at least 1")
        limits = {"train": train, "validation": validation, "test": test}
        return replace(
            self,
            **{
                name: getattr(self, name) if limit is None else _spread(getattr(self, name), limit)
                for name, limit in limits.items()
            },
        )


def _spread(split: Split, limit: int) -> Split:
    """At most `limit` rows, drawn by text hash within each class in turn, so that rare classes stay represented."""
    if len(split) <= limit:
        return split
    keys = [text_hash(text, "order:") for text in split.texts]
    order = np.array(sorted(range(len(split)), key=keys.__getitem__))
    rank = np.empty(len(split))
    for label in np.unique(split.labels):
        own = order[split.labels[order] == label]
        rank[own] = (np.arange(len(own)) + 0.5) / len(own)  # quantile within the class keeps the class shares
    return split.take(order[np.argsort(rank[order], kind="stable")][:limit])


def text_hash(text: str, salt: str = "") -> int:
    """SHA-1 of `salt` and `text` in UTF-8, as an integer."""
    return int.from_bytes(hashlib.sha1((salt + text).encode(), usedforsecurity=False).digest(), "big")


def read_rows(path: Path, columns: Sequence[str] = ("split", "label", "text")) -> list[dict[str, str]]:
    """Rows of one task file.

    Args:
        path: UTF-8 CSV, plain or gzipped, with a header; separated by commas, semicolons or tabs.
        columns: columns that must be there.
    Raises:
        ArtifactError: naming the file and the line, if it is damaged or a column or value is missing.
    """
    if not path.exists():
        raise ArtifactError(path, "is not there; give the path of a CSV file with the columns split, label and text")
    try:
        data = path.read_bytes()
        zipped = data.startswith(b"\x1f\x8b")
        text = (gzip.decompress(data) if zipped else data).decode("utf-8-sig")  # spreadsheets write a mark in front
    except (OSError, EOFError, UnicodeDecodeError, ValueError, zlib.error) as error:
        raise ArtifactError(path, f"cannot be read as UTF-8 text, plain or gzipped ({error})") from None
    header = text.partition("\n")[0]
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=max(",;\t", key=header.count))
    missing = set(columns) - set(reader.fieldnames or ())
    if missing:
        lacks = f"lacks the column(s) {', '.join(sorted(missing))}"
        has = f"its header has {', '.join(reader.fieldnames or ()) or 'nothing'}"
        raise ArtifactError(path, f"{lacks}; {has}; a row is split (train, validation or test), label, text")
    rows = []
    for row in _lines(reader, path):
        if None in row or None in row.values():
            raise ArtifactError(path, f"line {reader.line_num} has another number of columns than the header")
        if not row["text"].strip() or not row["label"]:
            raise ArtifactError(path, f"line {reader.line_num} has no {'text' if row['label'] else 'label'}")
        rows.append(row)
    return rows


def _lines(reader: csv.DictReader[str], path: Path) -> Iterator[dict[str, str]]:
    try:
        yield from reader
    except csv.Error as error:  # a field beyond csv's limit, say
        raise ArtifactError(path, f"line {reader.reader.line_num} cannot be read as CSV ({error})") from None


def own_rows(path: Path, default: str | None = None) -> list[dict[str, str]]:
    """Rows of a user's own file: `val`, `valid` and `dev` are validation rows, other names but SPLITS are refused.

    Args:
        path: see `read_rows`.
        default: split of all rows if the file has no column `split`; None: such a file is refused.
    Raises:
        ArtifactError: as `read_rows`, or for a split that would be left out without a word.
    """
    rows = read_rows(path, ("split", "label", "text") if default is None else ("label", "text"))
    for row in rows:
        split = row.setdefault("split", default or "").strip().lower()
        row["split"] = "validation" if split in _VALIDATION else split
    unknown = sorted({row["split"] for row in rows} - set(SPLITS))
    if unknown:
        raise ArtifactError(path, f"has the split(s) {', '.join(map(repr, unknown))}; expected {', '.join(SPLITS)}")
    return rows


def build_task(name: str, rows: Sequence[dict[str, str]], licence: str = "") -> TextTask:
    """A task from rows with split (train, test, optionally validation), label and text.

    A text that stands in several splits stays in the last of train, validation, test only.

    Raises:
        InputError: if a split is empty or a class of validation or test has no training row.
    """
    parts: dict[str, list[tuple[str, str]]] = {split: [] for split in SPLITS}
    given = any(row["split"] == "validation" for row in rows)
    for row in rows:
        split = row["split"]
        if split == "train" and not given and text_hash(row["text"], "validation:") % 10 == 0:
            split = "validation"
        if split in parts:
            parts[split].append((row["text"], row["label"]))
    seen: set[str] = set()
    for split in reversed(SPLITS):
        parts[split] = [pair for pair in parts[split] if pair[0] not in seen]
        seen |= {text for text, _ in parts[split]}
        if not parts[split]:
            raise InputError(f"task {name}", got=f"no {split} rows", expected="rows in train, validation and test")
    classes = tuple(sorted({label for _, label in parts["train"]}))
    index = {label: position for position, label in enumerate(classes)}
    return TextTask(name, classes, *(_split(name, split, parts[split], index) for split in SPLITS), licence=licence)


def scored_task(name: str, rows: Sequence[dict[str, str]]) -> TextTask:
    """A task of test rows only, with label and text; its classes are the labels that occur.

    Raises: InputError if there are no rows.
    """
    if not rows:
        raise InputError(f"task {name}", got="no rows", expected="at least one row to score")
    classes = tuple(sorted({row["label"] for row in rows}))
    none = Split((), np.zeros(0, np.int64))
    index = {label: position for position, label in enumerate(classes)}
    return TextTask(
        name, classes, none, none, _split(name, "test", [(row["text"], row["label"]) for row in rows], index)
    )


def _split(name: str, split: str, pairs: list[tuple[str, str]], index: dict[str, int]) -> Split:
    unknown = {label for _, label in pairs} - set(index)
    if unknown:
        raise InputError(
            f"task {name}", got=f"{split} labels {sorted(unknown)}", expected="labels that train has as well"
        )
    return Split(tuple(text for text, _ in pairs), np.array([index[label] for _, label in pairs], dtype=np.int64))
