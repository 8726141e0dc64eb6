"""A plain matrix: annotation columns first, then one column of numbers a sample."""

import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._raw import Raw
from proteus.loaders._table import THOUSANDS, Table, need, numbers

_ANNOTATION = {"n_peptides", "peptides", "length", "charge", "mass", "score", "pep", "q_value"}
_GENE = ("gene", "gene_name", "gene_symbol", "symbol", "gene names", "genes")
_PROTEIN = ("protein", "uniprot", "accession", "protein_id", "protein ids", "majority_protein_ids")


def read_matrix(table: Table) -> Raw:
    """Columns that hold text, or have an annotation's name, describe features; the first
    of them whose entries are unique (else the first that names genes or proteins, else the index) is the id.

    Raises:
        InputError: if fewer than two columns hold numbers.
    """
    samples = [name for name in table.columns if name.lower() not in _ANNOTATION and _is_number(table, name)]
    about = [name for name in table.columns if name not in samples]
    if len(samples) < 2:
        raise InputError(
            "table", got=f"{len(samples)} columns of numbers", expected="one for each sample", where=table.path
        )
    if about and any(name.lower() not in _ANNOTATION for name in about):
        columns = [need(table, name) for name in about if name.lower() not in _ANNOTATION]
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
        if lower in _ANNOTATION:
            key = "n_peptides" if lower == "peptides" else lower
            features[key] = pd.Series(numbers(table, [name])[:, 0])
        elif key not in features:
            features[key] = need(table, name).reset_index(drop=True)
    level = "peptide" if ids.name in ("peptide", "sequence") else "protein"
    return Raw(numbers(table, samples), ids.reset_index(drop=True), samples, features, level, notes=table.notes)


def _is_number(table: Table, name: str) -> bool:
    """Most filled cells are numbers (a stray cell is an error to report, not a reason to take a sample for text)."""
    column = table.frame[name]
    if pd.api.types.is_numeric_dtype(column):
        return True
    text = column.astype(str).str.strip()
    filled = text[~text.str.lower().isin({"", "na", "nan", "null", "none"})]
    if filled.empty:
        return True
    shown = filled.iloc[:: max(1, len(filled) // 500)]
    good = pd.to_numeric(shown.str.replace(",", ".", regex=False), errors="coerce").notna()
    good |= shown.str.match(THOUSANDS.pattern)
    return bool(good.mean() > 0.8)
