"""MaxQuant: proteinGroups.txt, peptides.txt, evidence.txt (Cox & Mann 2008), also with R's dotted headers."""

import re

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._raw import Raw, pivot
from proteus.loaders._table import Table, counted, described, need, numbers, text

# reporters first: beside them, the others are totals over a plex
_PREFIXES = ("Reporter intensity corrected ", "LFQ intensity ", "Intensity ", "iBAQ ")


def undotted(table: Table) -> Table:
    """Headers as MaxQuant writes them, where R has replaced blanks and signs by dots."""
    if not any(
        "." in name and name.split(".")[0] in ("Majority", "Protein", "LFQ", "Leading") for name in table.columns
    ):
        return table
    frame = table.frame.rename(columns=_undot)
    return Table(frame, table.path, [*table.notes, "dotted column names (R) were read as MaxQuant's"], table.known)


def _undot(name: str) -> str:
    fixed = {
        "Protein.IDs": "Protein IDs",
        "Majority.protein.IDs": "Majority protein IDs",
        "Gene.names": "Gene names",
        "Protein.names": "Protein names",
        "Razor...unique.peptides": "Razor + unique peptides",
        "Potential.contaminant": "Potential contaminant",
        "Only.identified.by.site": "Only identified by site",
        "Leading.razor.protein": "Leading razor protein",
        "Raw.file": "Raw file",
        "Modified.sequence": "Modified sequence",
    }
    if name in fixed:
        return fixed[name]
    for prefix in _PREFIXES:
        dotted = prefix.replace(" ", ".")
        if name.startswith(dotted) and len(name) > len(dotted):
            return prefix + name[len(dotted) :]
    return name


def _quantities(table: Table) -> tuple[list[str], list[str]]:
    ratios = [name for name in table.columns if re.match(r"Ratio [HM]/[LM](?: |$)", name)]
    if ratios:
        raise InputError(
            f"column {ratios[0]!r}", got="SILAC ratios, whose channels are no samples of their own",
            expected="label-free or reporter intensities", where=table.path,
            hint="write log2 of the ratios as a plain matrix, one column a sample",
        )  # fmt: skip
    for prefix in _PREFIXES:
        found = [name for name in table.columns if name.startswith(prefix) and not re.match(r"Intensity [LMH]$", name)]
        channels = [name for name in found if re.match(r"\d+[ .]", name[len(prefix) :])]  # of one experiment
        if prefix.startswith("Reporter") and channels:
            found = channels
        if found:
            return found, [name[len(prefix) :].strip() for name in found]
    raise InputError(
        "columns", got="no 'LFQ intensity ...' or 'Intensity ...'", expected="one a sample", where=table.path
    )


def _marks(table: Table) -> dict[str, np.ndarray]:
    marks = {}
    for reason, names in {
        "decoys": ("Reverse",),
        "contaminants": ("Potential contaminant", "Contaminant"),
        "proteins only identified by site": ("Only identified by site",),
    }.items():
        column = text(table, *names)
        if column is not None:
            marks[reason] = (column == "+").to_numpy()
    return marks


def _first(column: pd.Series) -> pd.Series:
    return column.str.split(";").str[0].str.strip()


def read_protein_groups(table: Table) -> Raw:
    """Protein groups by samples: reporter intensities where present, then LFQ, else intensities."""
    table = undotted(table)
    columns, samples = _quantities(table)
    groups = need(table, "Majority protein IDs")
    features = {"protein": groups, "accession": _first(groups)}
    features |= described(table, gene="Gene names", description="Protein names")
    header = text(table, "Fasta headers")
    if "gene" not in features and header is not None:
        told = r"GN=(\S+)" if header.str.contains("GN=").any() else r"\|[^|]+\|(\w+)_"
        features["gene"] = header.str.extract(told, expand=False).fillna("")
    features |= counted(table, "Razor + unique peptides", "Peptides")
    kind = columns[0][: len(columns[0]) - len(samples[0])].strip()
    notes = [*table.notes, f"quantities: {kind}"]
    return Raw(numbers(table, columns), groups, samples, features, drop=_marks(table), notes=notes)


def read_peptides(table: Table) -> Raw:
    """Peptides by samples."""
    table = undotted(table)
    columns, samples = _quantities(table)
    features = {"protein": _first(need(table, "Leading razor protein", "Proteins"))} | described(
        table, gene="Gene names"
    )
    values = numbers(table, columns)
    return Raw(values, need(table, "Sequence"), samples, features, "peptide", drop=_marks(table), notes=table.notes)


def read_evidence(table: Table) -> Raw:
    """Modified peptides with charge by experiments (or raw files); several features of one precursor are summed."""
    table = undotted(table)
    reverse = text(table, "Reverse")
    contaminant = text(table, "Potential contaminant", "Contaminant")
    keep = np.ones(len(table.frame), bool)
    notes = list(table.notes)
    for reason, column in (("decoys", reverse), ("contaminants", contaminant)):
        if column is not None and (column == "+").any():
            notes.append(f"{int((column == '+').sum())} rows of {reason} left out")
            keep &= (column != "+").to_numpy()
    table = Table(table.frame[keep].reset_index(drop=True), table.path, notes, table.known)
    sequence = need(table, "Modified sequence", "Sequence")
    charge = text(table, "Charge")
    ids = sequence if charge is None else sequence + charge
    features = {"protein": _first(need(table, "Leading razor protein", "Proteins"))} | described(
        table, gene="Gene names"
    )
    quantity = numbers(table, ["Intensity"])[:, 0]
    samples = need(table, "Experiment", "Raw file")
    values, ids, names, features, _ = pivot(ids, samples, quantity, features, add=True)
    return Raw(values, ids, names, features, "precursor", notes=table.notes)
