"""`load` and `sniff`: the format is found by what is in the file, never by its name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError

from proteus.data._data import ProteomicsData
from proteus.loaders import _cytometry, _dia, _fragpipe, _long, _maxquant, _panels, _wide
from proteus.loaders._matrix import read_matrix
from proteus.loaders._raw import Raw, finish
from proteus.loaders._samples import attach, names_in, read_samples
from proteus.loaders._table import Table, decode, read_bytes, read_table


@dataclass(frozen=True)
class Format:
    """A tabular format: told by its header, read into a raw matrix."""

    fits: Callable[[set[str]], bool]
    read: Callable[[Table], Raw]


def _some(columns: set[str], *choices: set[str]) -> bool:
    """Whether at least one column of each choice is there."""
    return all(columns & one for one in choices)


FORMATS: dict[str, Format] = {
    "maxquant_protein_groups": Format(
        lambda has: _some(has, {"Majority protein IDs", "Majority.protein.IDs"}), _maxquant.read_protein_groups
    ),
    "maxquant_evidence": Format(lambda has: {"Sequence", "Raw file", "Intensity"} <= has, _maxquant.read_evidence),
    "maxquant_peptides": Format(
        lambda has: {"Sequence", "Leading razor protein"} <= has and "Raw file" not in has, _maxquant.read_peptides
    ),
    "diann": Format(
        lambda has: {"Protein.Group", "Run"} <= has and _some(has, {"Precursor.Normalised", "Precursor.Quantity"}),
        _dia.read_diann_long,
    ),
    "diann_matrix": Format(
        lambda has: {"Protein.Group", "Genes"} <= has and not _some(has, {"Run", "File.Name"}), _dia.read_diann_matrix
    ),
    "diann_sites": Format(lambda has: {"Protein", "Residue", "Site", "Sequence"} <= has, _wide.read_diann_sites),
    "maxquant_sites": Format(
        lambda has: {"Localization prob", "Amino acid", "Reverse"} <= has and _some(has, {"Position", "Positions"}),
        _wide.read_maxquant_sites,
    ),
    "msstats_tmt": Format(
        lambda has: {"ProteinName", "PeptideSequence", "Channel", "Run", "Intensity"} <= has, _long.read_msstats_tmt
    ),
    "msstats_tmt_summary": Format(
        lambda has: {"Protein", "Abundance", "Channel", "Run"} <= has, _long.read_msstats_tmt_summary
    ),
    "msstats": Format(
        lambda has: {"ProteinName", "PeptideSequence", "PrecursorCharge", "Run", "Intensity"} <= has,
        _long.read_msstats,
    ),
    "msstats_summary": Format(
        lambda has: {"Protein", "LogIntensities"} <= has and _some(has, {"RUN", "originalRUN"}),
        _long.read_msstats_summary,
    ),
    "skyline_fragments": Format(
        lambda has: _some(has, {"Area"}, {"Fragment Ion", "FragmentIon"}, {"Precursor Charge", "PrecursorCharge"}),
        _long.read_skyline_fragments,
    ),
    "discoverer": Format(
        lambda has: _some(
            has, {"Accession", "Master Protein Accessions"}, {"# PSMs", "# Peptides", "# Protein Groups"}
        ),
        _wide.read_discoverer,
    ),
    "tmt_integrator": Format(
        lambda has: {"Index", "NumberPSM", "ReferenceIntensity"} <= has, _wide.read_tmt_integrator
    ),
    "sage": Format(
        lambda has: {"peptide", "charge", "proteins", "spectral_angle"} <= has and "scannr" not in has, _wide.read_sage
    ),
    "alphadia": Format(lambda has: {"pg", "run", "sequence"} <= has, _long.read_alphadia_long),
    "alphadia_matrix": Format(lambda has: "pg" in has and "run" not in has, _wide.read_alphadia),
    "qfeatures": Format(lambda has: {"assay", "rowname", "colname", "value"} <= has, _long.read_qfeatures_long),
    "spectronaut_pivot": Format(_wide.is_pivot, _wide.read_spectronaut_pivot),
    "spectronaut_proteins": Format(
        lambda has: {"R.FileName", "PG.Quantity"} <= has and not _some(has, {"EG.PrecursorId", "FG.Id"}),
        _long.read_spectronaut_proteins,
    ),
    "fragpipe_ion": Format(
        lambda has: "Protein ID" in has
        and ({"Modified Sequence", "Charge"} <= has or {"Peptide Sequence", "Charges"} <= has),
        _fragpipe.read_combined_ion,
    ),
    "fragpipe_protein": Format(
        lambda has: {"Protein ID", "Entry Name"} <= has and not _some(has, {"Peptide Sequence", "Modified Sequence"}),
        _fragpipe.read_combined_protein,
    ),
    "spectronaut": Format(  # also in lower case, as R's cleaners leave it
        lambda has: _some(has, {"R.FileName", "r_file_name"}, {"FG.Quantity", "fg_quantity", "F.PeakArea"}),
        _dia.read_spectronaut,
    ),
    "skyline": Format(
        lambda has: _some(
            has, {"ModifiedSequence", "Modified Sequence", "Peptide Modified Sequence"},
            {"TotalArea", "Total Area", "Total Area Fragment"},
        ),
        _dia.read_skyline,
    ),
    "olink": Format(lambda has: {"SampleID", "OlinkID", "NPX"} <= has, _panels.read_olink),
    "tidy": Format(lambda has: _long.tidy_columns(sorted(has)) is not None, _long.read_tidy),
    "cptac": Format(lambda has: "Gene" in has and any(one.endswith(" Log Ratio") for one in has), _panels.read_cptac),
}  # fmt: skip
_FORMER = {"fragpipe_msstats": "msstats"}
_OTHERS = ("mztab", "adat", "fcs", "h5ad", "cell_table", "matrix")


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
    sheet = None if samples is None else read_samples(samples)
    format = _FORMER.get(format, format)  # noqa: A001
    if format not in ("auto", *FORMATS, *_OTHERS):
        raise InputError("format", got=repr(format), expected=f"auto, {', '.join([*FORMATS, *_OTHERS])}")
    name, table = _sniff(path) if format == "auto" else (format, None)
    data = _read(path, name, table, frozenset() if sheet is None else names_in(sheet))
    if sheet is not None:
        where = samples if isinstance(samples, (str, Path)) else "the sample sheet"
        data = _attach_cells(data, sheet, where) if data.level == "cell" else attach(data, sheet, where)
    return data


def _read(path: Path, name: str, table: Table | None, known: frozenset[str]) -> ProteomicsData:
    if name == "fcs":
        return _cytometry.read_fcs(path)
    if name == "h5ad":
        return _cytometry.read_h5ad(path)
    if name in ("mztab", "adat"):
        reader = _panels.read_mztab if name == "mztab" else _panels.read_adat
        return finish(reader(path), path, name)
    table = table if table is not None else read_table(path)
    table.known = known
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
