"""Cells: FCS list-mode files (Spidlen 2010), h5ad, and plain tables with one row a cell."""

from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError, require

from proteus.data._data import ProteomicsData
from proteus.loaders._samples import numbered_groups, typed
from proteus.loaders._table import Table, first_of, need, numbers, read_table


def read_fcs(path: Path) -> ProteomicsData:
    """One FCS 2.0-3.1 file: channels by cells, raw counts; the file's name is each cell's `sample_id`.

    Raises:
        ArtifactError: if it is damaged, truncated, or not in list mode.
    """
    data = path.read_bytes()
    if len(data) < 58 or data[:3] != b"FCS":
        raise ArtifactError(path, "is no FCS file")
    try:
        start, stop = int(data[10:18]), int(data[18:26])
        keys = _text_segment(data[start : stop + 1])
        first = int(data[26:34].strip() or 0) or int(keys["$BEGINDATA"])
        events, channels = int(keys["$TOT"]), int(keys["$PAR"])
        dtype = _dtype(keys, channels, path)
        if keys.get("$MODE", "L").upper() != "L":
            raise ArtifactError(path, f"is in mode {keys['$MODE']}, not list mode")
        need = events * dtype.itemsize
        if len(data) < first + need:
            raise ArtifactError(path, f"is truncated: {len(data) - first} of {need} data bytes")
        records = np.frombuffer(data, dtype, events, first)
    except (KeyError, ValueError) as error:
        raise ArtifactError(path, f"is damaged: its header cannot be read ({error})") from None
    values = np.stack([records[name].astype(float) for name in records.dtype.names or ()])
    short = [keys.get(f"$P{number + 1}N", f"P{number + 1}") for number in range(channels)]
    stain = [keys.get(f"$P{number + 1}S", "").strip() or name for number, name in enumerate(short)]
    if len(set(stain)) < len(stain):
        stain = short
    features = pd.DataFrame({"channel": short}, index=pd.Index(stain, name="id"))
    cells = pd.DataFrame(
        {"sample_id": path.stem}, index=pd.Index([f"{path.stem}:{n}" for n in range(events)], name="cell")
    )
    return ProteomicsData(values, features, cells, "cell", "counts", "fcs")


def _text_segment(segment: bytes) -> dict[str, str]:
    text = segment.decode("utf-8", "replace")
    mark = text[0]
    parts = [part.replace("\0", mark) for part in text[1:].replace(mark * 2, "\0").split(mark)]
    return {key.strip().upper(): value.strip() for key, value in zip(parts[::2], parts[1::2], strict=False)}


def _dtype(keys: dict[str, str], channels: int, path: Path) -> np.dtype:
    order = "<" if keys.get("$BYTEORD", "1,2,3,4").startswith("1") else ">"
    kind = keys["$DATATYPE"].upper()
    fields = []
    for number in range(1, channels + 1):
        bits = int(keys[f"$P{number}B"])
        if kind == "F":
            code = "f4"
        elif kind == "D":
            code = "f8"
        elif kind == "I" and bits in (8, 16, 32, 64):
            code = f"u{bits // 8}"
        else:
            raise ArtifactError(path, f"holds data type {kind} with {bits} bits, which is not supported")
        fields.append((f"p{number}", order + code))
    return np.dtype(fields)


def read_h5ad(path: Path) -> ProteomicsData:
    """An AnnData file: `obs` are samples (or cells, with a `sample_id` column), `var` features; NaN and scale kept."""
    anndata = require("anndata", "proteus", "cells")
    try:
        found = anndata.read_h5ad(path)
    except Exception as error:  # h5py raises several kinds for damaged files
        raise ArtifactError(path, f"is no readable h5ad file ({type(error).__name__})") from None
    x = found.X.toarray() if hasattr(found.X, "toarray") else np.asarray(found.X)
    about = found.uns
    cells = "sample_id" in found.obs
    level = str(about.get("level", "cell" if cells else "protein"))
    scale = str(about.get("scale", "counts" if cells else "log2"))
    if not cells and scale == "log2" and "scale" not in about and np.nanmax(x) >= 64:
        x = np.where(x > 0, np.log2(np.where(x > 0, x, 1)), np.nan)
    obs, var = found.obs.copy(), found.var.copy()
    return ProteomicsData(x.T, var, obs, level, scale, "h5ad")  # pyright: ignore[reportArgumentType]


def read_panel(path: str | Path) -> dict[str, str]:
    """Marker to class (`type`, `state`, ...) from a panel file: columns `antigen` (or `marker`) and `marker_class`."""
    table = read_table(Path(path))
    return dict(zip(need(table, "antigen", "marker"), need(table, "marker_class", "class"), strict=True))


def is_cell_table(table: Table) -> bool:
    """Whether the table has one row a cell: a `sample_id` that repeats."""
    return "sample_id" in table.frame and table.frame["sample_id"].duplicated().mean() > 0.5


def read_cell_table(table: Table) -> ProteomicsData:
    """Columns of numbers are markers; others, and numbers that only differ between samples, describe the cell."""
    first_of(table, "sample_id")
    known = ("sample_id", "donor", "patient_id", "patient", "condition", "group", "batch", "cell_id", "cluster")
    about = [name for name in table.columns if name in known or not _numeric(table, name)]
    markers = [name for name in table.columns if name not in about]
    constant = [name for name in markers if _of_samples(table, name)]
    markers = [name for name in markers if name not in constant]
    if not markers:
        raise InputError("cell table", got="no column of numbers", expected="markers", where=table.path)
    values = numbers(table, markers).T
    cells = table.frame[about].reset_index(drop=True)
    described, notes = numbered_groups(table.frame[constant].reset_index(drop=True).apply(typed))
    cells = cells.join(described).set_axis(pd.Index([f"cell{n}" for n in range(len(cells))], name="cell"))
    features = pd.DataFrame(index=pd.Index(markers, name="id"))
    return ProteomicsData(values, features, cells, "cell", "counts", "cell_table", [*table.notes, *notes])


def _of_samples(table: Table, name: str) -> bool:
    """Whether a column has one value in each sample, and not the same in all, as a marker that is 0 everywhere has."""
    column = table.frame[name]
    return column.nunique() > 1 and bool((column.groupby(table.frame["sample_id"]).nunique() <= 1).all())


def _numeric(table: Table, name: str) -> bool:
    column = table.frame[name]
    if pd.api.types.is_numeric_dtype(column):
        return True
    return bool(pd.to_numeric(column.iloc[:50], errors="coerce").notna().all())
