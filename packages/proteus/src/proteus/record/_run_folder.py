"""Where things of a run lie, and its artifacts: parquet tables whose rows are digested one by one.

config.json environment.json .lock      of the core's run module
input/table/ input/knowledge.json       as loaded (`ProteomicsData.save`); sets, network, markers, rules
events.jsonl                            what happened, a hash chain (`_journal`); what events hold: `words("events")`
llm/NNNN.json                           each paid call: question, answer, usage
artifacts/<objective>.<step>.v<version>.<table>.parquet, and .rows in addition to it (8 bytes a row)
plots/*.png  graph.json  hypotheses.json  report.html
judge.json                              what a model said as judge (`score --judge`)
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError
from ninefold.files import atomic_file, digest_file

from proteus.record._objects import Ref

_NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*$")


class _At:
    """A path inside a run's folder."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __get__(self, folder: Folder, _: type | None = None) -> Path:
        return folder.root / self.path


@dataclass(frozen=True)
class Folder:
    """Paths of a run. `root` may not exist yet.

    `input` holds the table and the knowledge as the run was given them, `events` is the journal, `graph` the evidence
    graph (`proteus.graph`: items are findings).
    """

    root: Path

    input, table, knowledge = _At("input"), _At("input/table"), _At("input/knowledge.json")
    events, llm, artifacts, plots = _At("events.jsonl"), _At("llm"), _At("artifacts"), _At("plots")
    graph, hypotheses, report, judge = (
        _At(name) for name in ("graph.json", "hypotheses.json", "report.html", "judge.json")
    )

    def artifact(self, name: str) -> Path:
        """Path of an artifact; ArtifactError for a name that could leave the folder."""
        if not _NAME.match(name) or ".." in name:
            raise ArtifactError(self.artifacts / "?", f"has no artifact of the name {name!r}")
        return self.artifacts / f"{name}.parquet"


def row_digests(frame: pd.DataFrame) -> np.ndarray:
    """(rows,) uint64, of each row's values as they are stored."""
    lines = np.zeros(len(frame), np.uint64)
    for name in frame.columns:
        column = pd.util.hash_array(frame[name].to_numpy(), categorize=False)
        label = int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:8], "little") | 1
        lines = lines * np.uint64(31) + column * np.uint64(label)
    return lines


def write_artifact(folder: Folder, name: str, frame: pd.DataFrame) -> dict[str, str]:
    """Write a table and its row digests; returns {file name: digest} for the journal.

    The first column must be `id`, unique text.
    """
    if frame.columns[0] != "id" or not frame["id"].is_unique:
        raise ValueError(f"artifact {name}: the first column must be a unique `id`")
    path = folder.artifact(name)
    with atomic_file(path) as temporary:
        frame.to_parquet(temporary, index=False)
    rows = path.with_suffix(".rows")
    with atomic_file(rows) as temporary:
        temporary.write_bytes(row_digests(read_frame(path)).tobytes())
    return {one.name: digest_file(one) for one in (path, rows)}


def read_frame(path: Path) -> pd.DataFrame:
    """Read an artifact.

    Raises:
        ArtifactError: missing or damaged.
    """
    if not path.is_file():
        raise ArtifactError(path, "is missing")
    try:
        frame = pd.read_parquet(path)
    except Exception as error:  # pyarrow raises several kinds
        raise ArtifactError(path, f"is damaged ({type(error).__name__})") from None
    if len(frame.columns) == 0 or frame.columns[0] != "id":
        raise ArtifactError(path, "is no artifact of ours: its first column is not `id`")
    return frame


def changed_rows(path: Path) -> list[str]:
    """Ids of rows that are not what they were when the artifact was written (all ids if rows came or went)."""
    frame = read_frame(path)
    rows = path.with_suffix(".rows")
    if not rows.is_file():
        raise ArtifactError(rows, "is missing")
    before, now = np.frombuffer(rows.read_bytes(), np.uint64), row_digests(frame)
    if len(before) != len(now):
        return frame["id"].tolist()
    return frame.loc[before != now, "id"].tolist()


def cell(frame: pd.DataFrame, ref: Ref) -> Any:
    """The value a reference points to.

    Raises:
        KeyError: if there is no such row or column; the message says which.
    """
    if ref.column not in frame.columns:
        raise KeyError(f"{ref.artifact} has no column {ref.column!r}")
    found = np.flatnonzero((frame["id"] == ref.row).to_numpy())
    if len(found) != 1:
        raise KeyError(f"{ref.artifact} has no row {ref.row!r}")
    value = frame[ref.column].iloc[int(found[0])]
    return value.item() if hasattr(value, "item") else value


def spreadsheet_text(text: str) -> str:
    """Text as a cell of a CSV file: what a spreadsheet would take for a formula is quoted."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t", "\r") else text


def for_spreadsheets(frame: pd.DataFrame) -> pd.DataFrame:
    """A table with its texts, names of rows and of columns as `spreadsheet_text` has them; numbers stay numbers."""

    def quoted(value: Any) -> Any:
        return spreadsheet_text(value) if isinstance(value, str) else value

    result = frame.copy()
    for name in result:
        if not pd.api.types.is_numeric_dtype(result[name]):
            result[name] = result[name].map(quoted)
    return result.rename(index=quoted, columns=quoted)


def shown(value: Any) -> str:
    """A cell as text, the one way numbers are printed everywhere: three significant digits, integers whole."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return "unknown" if value != value else f"{value}"
        if value == int(value) and abs(value) < 1e6:
            return str(int(value))
        return f"{value:.3g}"
    return str(value)
