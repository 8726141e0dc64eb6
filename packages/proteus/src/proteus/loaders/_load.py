"""`load` and `sniff`: the format is found by what is in the file, never by its name."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError

from proteus.data._data import ProteomicsData
from proteus.loaders import _cytometry, _panels
from proteus.loaders._layouts import layouts
from proteus.loaders._matrix import read_matrix
from proteus.loaders._raw import finish
from proteus.loaders._samples import attach, names_in, read_samples
from proteus.loaders._table import Table, decode, grid, read_bytes, read_table
from proteus.loaders._tidy import read_tidy, tidy_columns

FORMATS = (*layouts(), "olink", "tidy")
_OTHERS = ("olink_wide", "progenesis", "quantms", "mztab", "adat", "fcs", "h5ad", "cell_table", "matrix")


def sniff(path: str | Path) -> str:
    """Name of a file's format; `matrix` for a plain table that nothing else claims.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import sniff
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "table.csv"
        ...     _ = file.write_text("protein,a,b\\nP1,100,200\\nP2,50,60\\n")
        ...     sniff(file)
        'matrix'
    """
    return _sniff(Path(path))[0]


def _sniff(path: Path) -> tuple[str, Table | None]:
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is a folder, not a file")
    with path.open("rb") as file:
        magic = file.read(8)
    if magic[:3] == b"FCS":
        return "fcs", None
    if magic == b"\x89HDF\r\n\x1a\n":
        return "h5ad", None
    if magic[:4] != b"PAR1":
        head = decode(read_bytes(path))[:4000]
        if _panels.is_mztab(head):
            return "mztab", None
        if "^TABLE_BEGIN" in head or head.startswith(("!Checksum", "^HEADER")):
            return "adat", None
        name = _stacked(path, magic)
        if name:
            return name, None
    table = read_table(path)
    columns = set(table.columns)
    if _panels.is_quantms(columns):
        return "quantms", table
    for name, one in layouts().items():
        if one.fits(columns):
            return name, table
    if {"SampleID", "OlinkID", "NPX"} <= columns:
        return "olink", table
    if tidy_columns(sorted(columns)) is not None:
        return "tidy", table
    return ("cell_table" if _cytometry.is_cell_table(table) else "matrix"), table


def _stacked(path: Path, magic: bytes) -> str:
    """The format of a table with several rows of headers; empty: another."""
    if magic[:2] != b"PK":
        head = decode(read_bytes(path))[:20_000].lower()
        if "olinkid" not in head and " abundance" not in head:
            return ""
    cells = grid(path)
    return "olink_wide" if _panels.is_olink_wide(cells) else "progenesis" if _panels.is_progenesis(cells) else ""


def load(
    path: str | Path,
    samples: str | Path | pd.DataFrame | None = None,
    format: str = "auto",  # noqa: A002  (the word users know)
    peptides: bool = False,
    join_levels: bool = False,
) -> ProteomicsData:
    """Read a proteomics table: intensities to log2, zeros to missing, decoys and contaminants out; each step noted.

    Args:
        path: the file, plain or gzipped.
        samples: sample sheet (CSV, TSV, SDRF) or data frame; its names must be in the table.
        format: `auto` (by content), or one of `FORMATS`, mztab, adat, fcs, h5ad, cell_table, matrix.
        peptides: keep precursors as rows of their own, as limited proteolysis needs, whose change is one of single
            peptides; else studies and tests sum them to proteins.
        join_levels: join levels of the sheet that differ only by case or blanks (`ctl`, `CTL`), which are refused else.
    Returns:
        The table; `notes` says what was changed and what looks suspicious.
    Raises:
        ArtifactError: for missing, truncated or damaged files.
        InputError: by name, row and column, for anything that cannot be read as proteomics.

    Examples:
        >>> from pathlib import Path
        >>> from proteus import load
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     file = Path(folder) / "table.csv"
        ...     _ = file.write_text("protein,a,b\\nP1,1024,2048\\nP2,0,4096\\n")
        ...     load(file).values.tolist()
        [[10.0, 11.0], [nan, 12.0]]
    """
    path = Path(path)
    sheet = None if samples is None else read_samples(samples, join=join_levels)
    if format not in ("auto", *FORMATS, *_OTHERS):
        raise InputError("format", got=repr(format), expected=f"auto, {', '.join([*FORMATS, *_OTHERS])}")
    name, table = _sniff(path) if format == "auto" else (format, None)
    data = _read(path, name, table, frozenset() if sheet is None else names_in(sheet))
    if sheet is not None:
        where = samples if isinstance(samples, (str, Path)) else "the sample sheet"
        data = _attach_cells(data, sheet, where) if data.level == "cell" else attach(data, sheet, where)
    if peptides and data.level not in ("precursor", "peptide"):
        raise InputError("peptides", got=f"a table whose rows are {data.level}s", expected="one of precursors")
    return replace(data, level="peptide") if peptides else data


def _read(path: Path, name: str, table: Table | None, known: frozenset[str]) -> ProteomicsData:
    if name in ("fcs", "h5ad"):
        return (_cytometry.read_fcs if name == "fcs" else _cytometry.read_h5ad)(path)
    if name in ("mztab", "adat"):
        return finish((_panels.read_mztab if name == "mztab" else _panels.read_adat)(path), path, name)
    if name in ("olink_wide", "progenesis"):
        stacked = {"olink_wide": _panels.read_olink_wide, "progenesis": _panels.read_progenesis}[name]
        return finish(stacked(path, grid(path)), path, name)
    table = table if table is not None else read_table(path)
    table.known = known
    if name == "cell_table":
        return _cytometry.read_cell_table(table)
    special = {"matrix": read_matrix, "olink": _panels.read_olink, "tidy": read_tidy, "quantms": _panels.read_quantms}
    return finish((special.get(name) or layouts()[name].read)(table), path, name)


def _attach_cells(data: ProteomicsData, sheet: pd.DataFrame, where: str | Path) -> ProteomicsData:
    """Sheet rows describe the cells' samples."""
    ids = data.samples["sample_id"].astype(str)
    names = pd.Index(ids.unique(), name="sample")
    stub = ProteomicsData(np.zeros((1, len(names))), pd.DataFrame(index=["x"]), pd.DataFrame(index=names))
    described = attach(stub, sheet, where)
    known = described.samples
    kept = ids.isin(known.index).to_numpy()
    taken = data.take(samples=kept)
    more = known.loc[ids.to_numpy()[kept].tolist()].set_axis(taken.samples.index)
    before = taken.samples.drop(columns=[name for name in taken.samples if name in more and name != "sample_id"])
    return ProteomicsData(taken.values, taken.features, before.join(more), "cell", data.scale, data.source,
                          [*data.notes, *described.notes])  # fmt: skip
