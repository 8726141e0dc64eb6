"""FragPipe: combined_protein.tsv, combined_ion.tsv and their kin."""

import numpy as np
from ninefold.errors import InputError

from proteus.loaders._raw import Raw
from proteus.loaders._table import Table, counted, described, need, numbers

_SUFFIXES = (" MaxLFQ Intensity", " MaxLFQ Razor Intensity", " Razor Intensity", " Intensity", " Unique Intensity")
_KINDS = ("Unique", "Total", "Razor", "MaxLFQ", "MaxLFQ Unique", "MaxLFQ Total", "MaxLFQ Razor")


def _quantities(table: Table) -> tuple[list[str], list[str]]:
    for suffix in _SUFFIXES:
        found = [name for name in table.columns if name.endswith(suffix)]
        names = [name[: -len(suffix)].strip() for name in found]
        pairs = [(a, b) for a, b in zip(found, names, strict=True) if not any(b.endswith(f" {k}") for k in _KINDS)]
        pairs = [(a, b) for a, b in pairs if not b.startswith("Summarized") and b not in _KINDS]
        if pairs:
            return [a for a, _ in pairs], [b for _, b in pairs]
    raise InputError("columns", got="none that ends in ' Intensity'", expected="one a sample", where=table.path)


def _marks(table: Table) -> dict[str, np.ndarray]:
    """Decoys and contaminants; "Protein ID" is the bare accession, their marks stand in "Protein"."""
    names = need(table, "Protein", "Protein ID")
    return {
        "decoys": names.str.startswith(("rev_", "DECOY_")).to_numpy(),
        "contaminants": names.str.startswith("contam_").to_numpy(),
    }


def read_combined_protein(table: Table) -> Raw:
    """Proteins by samples: MaxLFQ intensities where present, then razor, then plain ones."""
    columns, samples = _quantities(table)
    ids = need(table, "Protein ID")
    features = {"protein": ids} | described(table, gene=("Gene", "Gene Names"))
    features |= counted(table, "Combined Total Peptides", "Unique Stripped Peptides")
    return Raw(numbers(table, columns), ids, samples, features, drop=_marks(table), notes=table.notes)


def read_combined_ion(table: Table) -> Raw:
    """Modified peptides with charge by samples."""
    columns, samples = _quantities(table)
    sequence = need(table, "Modified Sequence", "Peptide Sequence")
    ids = sequence + "_" + need(table, "Charge", "Charges")
    features = {"protein": need(table, "Protein ID")} | described(table, gene="Gene")
    return Raw(numbers(table, columns), ids, samples, features, "precursor", drop=_marks(table), notes=table.notes)
