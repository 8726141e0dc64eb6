"""`load` and `sniff`: the format is found by what is in the file, never by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError

from proteus.data._data import ProteomicsData
from proteus.loaders import _cytometry, _dia, _fragpipe, _maxquant, _panels
from proteus.loaders._matrix import read_matrix
from proteus.loaders._raw import Raw, finish
from proteus.loaders._samples import attach, read_samples
from proteus.loaders._table import Table, decode, read_bytes, read_table


@dataclass(frozen=True)
class Format:
    """A tabular format: told by its header, read into a raw matrix."""

    fits: Callable[[set[str]], bool]
    read: Callable[[Table], Raw]


FORMATS: dict[str, Format] = {
    "maxquant_protein_groups": Format(_maxquant.is_protein_groups, _maxquant.read_protein_groups),
    "maxquant_evidence": Format(_maxquant.is_evidence, _maxquant.read_evidence),
    "maxquant_peptides": Format(_maxquant.is_peptides, _maxquant.read_peptides),
    "diann": Format(_dia.is_diann_long, _dia.read_diann_long),
    "diann_matrix": Format(_dia.is_diann_matrix, _dia.read_diann_matrix),
    "fragpipe_msstats": Format(_fragpipe.is_msstats, _fragpipe.read_msstats),
    "fragpipe_ion": Format(_fragpipe.is_combined_ion, _fragpipe.read_combined_ion),
    "fragpipe_protein": Format(_fragpipe.is_combined_protein, _fragpipe.read_combined_protein),
    "spectronaut": Format(_dia.is_spectronaut, _dia.read_spectronaut),
    "skyline": Format(_dia.is_skyline, _dia.read_skyline),
    "olink": Format(_panels.is_olink, _panels.read_olink),
    "cptac": Format(_panels.is_cptac, _panels.read_cptac),
}
_OTHERS = ("mztab", "adat", "fcs", "h5ad", "cell_table", "matrix")


def sniff(path: str | Path) -> str:
    """Name of a file's format; `matrix` for a plain table that nothing else claims."""
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
    table = read_table(path)
    columns = set(table.columns)
    for name, one in FORMATS.items():
        if one.fits(columns):
            return name, table
    return ("cell_table" if _cytometry.is_cell_table(table) else "matrix"), table


def load(
    path: str | Path,
    samples: str | Path | pd.DataFrame | None = None,
    format: str = "auto",  # noqa: A002  (the word users know)
) -> ProteomicsData:
    """Read a proteomics table: intensities to log2, zeros to missing, decoys and contaminants out; each step noted.

    Args:
        path: the file, plain or gzipped.
        samples: sample sheet (CSV, TSV, SDRF) or data frame; its names must be in the table.
        format: `auto` (by content), or one of `FORMATS`, mztab, adat, fcs, h5ad, cell_table, matrix.
    Returns:
        The table; `notes` says what was changed and what looks suspicious.
    Raises:
        ArtifactError: for missing, truncated or damaged files.
        InputError: by name, row and column, for anything that cannot be read as proteomics.
    """
    path = Path(path)
    if format not in ("auto", *FORMATS, *_OTHERS):
        raise InputError("format", got=repr(format), expected=f"auto, {', '.join([*FORMATS, *_OTHERS])}")
    name, table = _sniff(path) if format == "auto" else (format, None)
    data = _read(path, name, table)
    if samples is not None:
        where = samples if isinstance(samples, (str, Path)) else "the sample sheet"
        sheet = read_samples(samples)
        data = _attach_cells(data, sheet, where) if data.level == "cell" else attach(data, sheet, where)
    return data


def _read(path: Path, name: str, table: Table | None) -> ProteomicsData:
    if name == "fcs":
        return _cytometry.read_fcs(path)
    if name == "h5ad":
        return _cytometry.read_h5ad(path)
    if name in ("mztab", "adat"):
        reader = _panels.read_mztab if name == "mztab" else _panels.read_adat
        return finish(reader(path), path, name)
    table = table if table is not None else read_table(path)
    if name == "cell_table":
        return _cytometry.read_cell_table(table)
    raw = read_matrix(table) if name == "matrix" else FORMATS[name].read(table)
    return finish(raw, path, name)


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
