"""A plain matrix: annotation columns first, then one column of numbers a sample; or one row a sample."""

import re

import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._columns import ABOUT, numeric, sample_columns
from proteus.loaders._raw import Raw
from proteus.loaders._table import Table, bare, need, numbers
from proteus.loaders._tidy import refuse_long
from proteus.record._words import named

_COUNTS = {"n_peptides", "peptides"}
_GENE = ("gene", "gene_name", "gene_symbol", "symbol", "gene names", "genes", "gene.name", "gene.names")
_PROTEIN = ("protein", "uniprot", "accession", "protein_id", "protein ids", "majority_protein_ids", "protein.group")
_ROWS = named("rows")
_COVARIATE = named("covariate")
_ACCESSION = re.compile(r"^(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})(?:[-;].*)?$")
_PERSEUS = re.compile(r"^#!\{")


def read_matrix(table: Table) -> Raw:
    """Columns that hold text, or have an annotation's name, describe features; the first
    of them whose entries are unique (else the first that names genes or proteins, else the index) is the id.

    Raises:
        InputError: if fewer than two columns hold samples; naming a column of numbers that is none.
    """
    refuse_long(table)
    table = _perseus(table)
    if _samples_in_rows(table):
        return _turned(table)
    samples = sample_columns(table)
    if len(samples) < 2:
        raise InputError(
            "table", got=f"{len(samples)} columns of numbers", expected="one for each sample", where=table.path
        )
    rest = [name for name in table.columns if name not in samples]
    measured = [name for name in rest if ABOUT.match(name) and numeric(table, name)]
    about = [name for name in rest if name not in measured and not (numeric(table, name) and table.known)]
    if about:
        columns = [need(table, name) for name in about]
        named = [column for column in columns if str(column.name).lower() in (*_PROTEIN, *_GENE)]
        ids = next((column for column in columns if column.is_unique), (named or columns)[0])
    elif not isinstance(table.frame.index, pd.RangeIndex):
        ids = pd.Series(table.frame.index.astype(str))
    else:
        raise InputError("table", got="no column of names", expected="a first column of feature ids", where=table.path)
    features: dict[str, pd.Series] = {}
    for name in about:
        lower = name.lower()
        key = "gene" if lower in _GENE else "protein" if lower in _PROTEIN else lower
        if key not in features:
            features[key] = need(table, name).reset_index(drop=True)
    for name in measured:
        key = "n_peptides" if name.lower() in _COUNTS else name.lower()
        features.setdefault(key, pd.Series(numbers(table, [name])[:, 0]))
    level = "peptide" if ids.name in ("peptide", "sequence") else "protein"
    return Raw(numbers(table, samples), ids.reset_index(drop=True), samples, features, level, notes=table.notes)


def _perseus(table: Table) -> Table:
    """Without the rows of annotation that Perseus writes below its header; its type `E` tells the samples."""
    first = table.frame.iloc[:, 0].astype(str)
    marks = first.str.match(_PERSEUS)
    if not marks.any():
        return table
    kinds = table.frame[first.str.startswith("#!{Type}")]
    frame = table.frame[~marks].reset_index(drop=True)
    if len(kinds):
        row = kinds.iloc[0].astype(str).str.replace(_PERSEUS.pattern + r"Type\}", "", regex=True)
        frame = frame[[name for name in frame if row[name].strip() != "N"]]
    return Table(frame, table.path, [*table.notes, "annotation rows of Perseus were left out"], table.known)


def _samples_in_rows(table: Table) -> bool:
    """Whether a row is a sample: its entries are in the sheet, or its header says so, or columns are accessions."""
    first = table.frame.iloc[:, 0].astype(str)
    columns = [name for name in table.columns[1:] if numeric(table, name)]
    if table.known:
        rows = first.map(bare).isin(table.known).mean()
        return bool(rows > 0.5 and rows > sum(bare(one) in table.known for one in columns) / max(len(columns), 1))
    named = bool(_ROWS.match(table.columns[0])) and first.is_unique
    accessions = bool(columns) and sum(map(bool, map(_ACCESSION.match, columns))) > len(columns) / 2
    return not numeric(table, table.columns[0]) and (named or accessions)


def _turned(table: Table) -> Raw:
    names = need(table, table.columns[0]).tolist()
    values = [one for one in table.columns[1:] if numeric(table, one) and not _COVARIATE.match(one)]
    sheet = table.frame[[one for one in table.columns[1:] if one not in values]]
    if len(values) < 2:
        raise InputError("table", got=f"{len(values)} columns of numbers", expected="features", where=table.path)
    notes = [*table.notes, "samples stand in rows: the table was transposed"]
    return Raw(numbers(table, values).T, pd.Series(values), names, {}, sheet=sheet.set_axis(pd.Index(names)),
               notes=notes)  # fmt: skip
