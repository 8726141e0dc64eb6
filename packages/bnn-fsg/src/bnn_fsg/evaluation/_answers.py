"""Classes that a packed network gives to picture files; nothing here needs torch."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import InputError
from ninefold.files import starts_with, write_text
from ninefold.report import Table

from bnn_fsg.datasets._images import picture, pictures_in
from bnn_fsg.runtime import PackedModel

ANSWERS = "picture,class,score"  # first line of the file
_AT_ONCE = 256  # pictures


def answer_table(packed: PackedModel, given: Sequence[Path]) -> Table:
    """Class and score of each picture.

    Args:
        packed: a network whose file states how pictures are normalised, with one output per class.
        given: picture files, and folders, whose pictures are found in subfolders too.
    Returns: a table of picture (path), class (name, or index if the file has no names) and score: the softmax of the
        class's output, from 0 to 1.
    Raises: InputError for a path without pictures, a file that is no picture, or a network that cannot read pictures.
    """
    if len(packed.input_shape) != 3 or packed.input_shape[0] not in (1, 3) or packed.output_rank != 2:
        got = f"input {packed.input_shape} and an output of {packed.output_rank} dimensions"
        raise InputError("packed model", got=got, expected="a classifier of pictures with 1 or 3 channels")
    paths = list(_files(given))
    table = Table(ANSWERS.split(","))
    for begin in range(0, len(paths), _AT_ONCE):
        part = paths[begin : begin + _AT_ONCE]
        channels, height, width = packed.input_shape
        outputs = packed.on_pictures(np.stack([picture(path, channels, (height, width)) for path in part]))
        scores = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        scores /= scores.sum(axis=1, keepdims=True)
        for path, row in zip(part, scores, strict=True):
            best = int(row.argmax())
            table.rows.append([str(path), packed.classes[best] if packed.classes else str(best), float(row[best])])
    return table


def write_answers(table: Table, out: Path, *, force: bool = False) -> Table:
    """Write the rows of `answer_table` as CSV, and return how many; `force` replaces an earlier file of answers."""
    lines = io.StringIO()
    rows = ([path, name, f"{score:.4f}"] for path, name, score in table.rows)
    csv.writer(lines, lineterminator="\n").writerows([table.columns, *rows])
    write_text(out, lines.getvalue(), force=force, ours=starts_with(ANSWERS))
    return Table(["pictures", "file"], [[len(table.rows), str(out)]])


def _files(given: Sequence[Path]) -> Iterator[Path]:
    for path in given:
        found = pictures_in(path) if path.is_dir() else [path]
        if not found:
            raise InputError(f"folder {path}", got="no picture", expected="PNG, JPEG, WebP, BMP or PPM files")
        yield from found
