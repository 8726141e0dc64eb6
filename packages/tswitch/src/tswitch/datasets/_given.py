"""Text tasks that a user names, and the check that a head is of a task's classes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ninefold.errors import DownloadError, InputError

from tswitch.datasets._named import EMBEDDED_SETS, text_task
from tswitch.datasets._text_data import TextTask, build_task, own_rows, scored_task


def rows_of(task: str | None, csv: Path | None) -> TextTask:
    """A text task from a known name (whole if its file is here, else the embedded slice) or a CSV file.

    Raises: InputError unless one of both is given; DownloadError for a set that is not embedded.
    """
    if (task is None) == (csv is None):
        raise InputError("task", expected="one of --task NAME and --csv FILE")
    if csv is not None:
        return build_task(_name(csv), own_rows(csv))
    try:
        return text_task(str(task))
    except DownloadError:
        if str(task).partition("/")[0] not in EMBEDDED_SETS:
            raise
        return text_task(str(task), source="embedded")


def rows_to_score(task: str | None, csv: Path | None) -> TextTask:
    """A text task whose test rows are scored: as `rows_of`, but a CSV file may have test rows only, or no split.

    Raises: as `rows_of`.
    """
    if task is None and csv is not None:
        rows = own_rows(csv, default="test")
        if all(row["split"] == "test" for row in rows):
            return scored_task(_name(csv), rows)
    return rows_of(task, csv)


def _name(csv: Path) -> str:
    return csv.name.removesuffix(".gz").removesuffix(".csv")


def check_classes(head: str, classes: Sequence[str], rows: TextTask) -> None:
    """Refuse a head of other classes than the task's: its scores would be plausible and mean nothing.

    Args:
        head: what it is called in the message. classes: its labels; "0" or "LABEL_0" and so on say nothing.
        rows: the task.
    """
    if len(classes) != len(rows.classes):
        raise InputError(head, got=f"{len(classes)} classes", expected=f"the {len(rows.classes)} of task {rows.name}")
    nameless = [[f"{prefix}{index}" for index in range(len(classes))] for prefix in ("", "LABEL_")]
    if classes not in (list(rows.classes), *nameless):
        at = next(index for index, pair in enumerate(zip(classes, rows.classes, strict=True)) if pair[0] != pair[1])
        got = f"{classes[at]!r} as class {at}"
        raise InputError(head, got=got, expected=f"the classes of task {rows.name}, there {rows.classes[at]!r}")
