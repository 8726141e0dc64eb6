"""Precursor reports of DIA software: DIA-NN (long 1.8 text, 2.x parquet, matrices), Spectronaut, Skyline."""

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.loaders._columns import sample_columns
from proteus.loaders._raw import Raw, pivot
from proteus.loaders._table import Table, counted, described, first_of, need, numbers, text

_Q = 0.01


def _filter(table: Table, limits: dict[str, float]) -> Table:
    """Rows within the q-value limits that are no decoys; what was left out is noted."""
    keep = np.ones(len(table.frame), bool)
    notes = list(table.notes)
    for name, limit in limits.items():
        if name in table.frame:
            q = numbers(table, [name])[:, 0]
            bad = keep & (q > limit)
            if bad.any():
                notes.append(f"{int(bad.sum())} rows with {name} above {limit:g} left out")
            keep &= ~bad
    for name in ("Decoy", "EG.IsDecoy", "eg_is_decoy", "Is Decoy", "IsDecoy"):
        column = text(table, name)
        if column is not None:
            decoy = column.str.lower().isin(["1", "true"]).to_numpy() & keep
            if decoy.any():
                notes.append(f"{int(decoy.sum())} rows of decoys left out")
            keep &= ~decoy
    if not keep.any():
        raise InputError("table", got="no row within the q-value limits", where=table.path)
    return Table(table.frame[keep].reset_index(drop=True), table.path, notes, table.known)


def _long(table: Table, ids: pd.Series, samples: pd.Series, quantity: str, features: dict[str, pd.Series]) -> Raw:
    values, ids, names, features, doubled = pivot(ids, samples, numbers(table, [quantity])[:, 0], features)
    notes = [*table.notes, f"quantities: {quantity}"]
    if doubled:
        notes.append(f"{doubled} repeated measurements of a precursor in a run: the largest was taken")
    return Raw(values, ids, names, features, "precursor", notes=notes)


def read_diann_long(table: Table) -> Raw:
    """Precursors by runs: normalised quantities at 1 % precursor and protein-group q-value."""
    limits = {"Q.Value": _Q, "PG.Q.Value": 0.05, "Lib.Q.Value": _Q, "Lib.PG.Q.Value": _Q, "Global.PG.Q.Value": _Q}
    table = _filter(table, limits)
    ids = text(table, "Precursor.Id")
    if ids is None:
        ids = need(table, "Modified.Sequence") + need(table, "Precursor.Charge")
    features = {"protein": need(table, "Protein.Group")} | described(table, gene="Genes")
    quantity = first_of(table, "Precursor.Normalised", "Precursor.Quantity")
    runs, channel = need(table, "Run"), text(table, "Channel")
    if channel is not None and channel.nunique() > 1:
        runs = runs + " " + channel  # plexDIA: each channel of a run is a sample
    return _long(table, ids, runs, quantity, features)


_ANNOTATION = {
    "Protein.Group", "Protein.Ids", "Protein.Names", "Genes", "First.Protein.Description", "Proteotypic",
    "Stripped.Sequence", "Modified.Sequence", "Precursor.Charge", "Precursor.Id", "N.Sequences",
    "N.Proteotypic.Sequences",
    "All Mapped Proteins", "All Mapped Genes",
}  # fmt: skip


def read_diann_matrix(table: Table) -> Raw:
    """pg_matrix (protein groups) or pr_matrix (precursors) by runs."""
    samples = sample_columns(table, _ANNOTATION)
    if not samples:
        raise InputError("columns", got="no run", expected="one a run after the annotation", where=table.path)
    precursors = "Precursor.Id" in table.frame
    group = need(table, "Protein.Group")
    features = {"protein": group} | described(table, gene="Genes") | counted(table, "N.Sequences")
    ids = need(table, "Precursor.Id") if precursors else group
    return Raw(
        numbers(table, samples), ids, samples, features, "precursor" if precursors else "protein", notes=table.notes
    )


def read_spectronaut(table: Table) -> Raw:
    """Precursors by files at 1 % q-value; fragment rows repeat their precursor's quantity and fall together."""
    table = _filter(table, dict.fromkeys(("EG.Qvalue", "PG.Qvalue", "eg_qvalue", "pg_qvalue"), _Q))
    ids = need(table, "EG.PrecursorId", "eg_precursor_id", "FG.Id")
    features = {"protein": need(table, "PG.ProteinGroups", "PG.ProteinAccessions", "pg_protein_accessions")}
    features |= described(
        table, gene=("PG.Genes", "pg_genes"), sequence=("PEP.StrippedSequence", "pep_stripped_sequence")
    )
    quantity = first_of(table, "FG.Quantity", "fg_quantity")
    samples = need(table, "R.FileName", "r_file_name")
    raw = _long(table, ids, samples, quantity, features)
    raw.notes = [note for note in raw.notes if "repeated measurements" not in note]  # fragments, not repeats
    condition = text(table, "R.Condition", "r_condition")
    if condition is not None:
        first = condition.groupby(samples).first().reindex(raw.samples)
        raw.sheet = pd.DataFrame({"condition": first.to_numpy()}, index=pd.Index(raw.samples, name="sample"))
    return raw


def read_skyline(table: Table) -> Raw:
    """Precursors by files, at 1 % annotation q-value where the report has it."""
    table = _filter(table, {"annotation_QValue": _Q, "Detection Q Value": _Q})
    sequence = need(table, "ModifiedSequence", "Modified Sequence", "Peptide Modified Sequence")
    charge = need(table, "PrecursorCharge", "Precursor Charge")
    protein = need(table, "ProteinName", "Protein Name", "Protein")
    area = first_of(table, "TotalArea", "Total Area", "Total Area Fragment")
    samples = need(table, "FileName", "File Name", "Replicate", "Replicate Name")
    return _long(table, sequence + "_" + charge, samples, area, {"protein": protein})
