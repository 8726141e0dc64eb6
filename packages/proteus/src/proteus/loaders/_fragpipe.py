"""FragPipe: combined_protein.tsv, combined_ion.tsv, MSstats.csv."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._raw import Raw, pivot
from proteus.loaders._table import Table, counted, described, need, numbers, text

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


def read_msstats(table: Table) -> Raw:
    """Precursors by runs, fragments summed; condition and biological replicate go to the samples."""
    ids = need(table, "PeptideSequence") + "_" + need(table, "PrecursorCharge")
    protein = need(table, "ProteinName")
    drop = protein.str.startswith(("rev_", "DECOY_", "contam_")).to_numpy()
    notes = list(table.notes)
    if drop.any():
        notes.append(f"{int(drop.sum())} rows of decoys and contaminants left out")
    quantity = numbers(table, ["Intensity"])[:, 0]
    notes += [note for note in table.notes if note not in notes]
    runs = need(table, "Run")
    values, ids, samples, features, _ = pivot(
        ids[~drop].reset_index(drop=True),
        runs[~drop].reset_index(drop=True),
        quantity[~drop],
        {"protein": protein[~drop].reset_index(drop=True)},
        add=True,
    )
    sheet = pd.DataFrame(index=pd.Index(samples, name="sample"))
    for name, column in (("condition", text(table, "Condition")), ("subject", text(table, "BioReplicate"))):
        if column is not None:
            sheet[name] = column.groupby(runs).first().reindex(samples).to_numpy()
    return Raw(values, ids, samples, features, "precursor", sheet=sheet, notes=notes)
