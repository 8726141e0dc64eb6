"""Long tables, one row a quantity: MSstats and its relatives, Skyline's fragments, AlphaDIA, QFeatures, tidy tables."""

import re

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import Level, Scale
from proteus.loaders._raw import Raw, pivot
from proteus.loaders._table import Table, bare, first_of, need, numbers, text

_DECOY = ("rev_", "DECOY_", "contam_", "XXX_")
_SHEET = {"condition": ("Condition", "GROUP"), "subject": ("BioReplicate", "SUBJECT"), "plex": ("Mixture",)}


def _chosen(table: Table, keep: np.ndarray, what: str) -> Table:
    if keep.all():
        return table
    table.notes.append(f"{int((~keep).sum())} rows of {what} left out")
    return Table(table.frame[keep].reset_index(drop=True), table.path, table.notes, table.known)


def _raw(
    table: Table, ids: pd.Series, samples: pd.Series, quantity: str, protein: pd.Series, level: Level, *,
    add: bool = False, scale: Scale | None = None, features: dict[str, pd.Series] | None = None,
) -> Raw:  # fmt: skip
    values = numbers(table, [quantity])[:, 0]
    about = {"protein": protein, **(features or {})}
    if scale is None:
        made, names, runs, kept, doubled = pivot(ids, samples, values, about, add=add)
    else:  # logarithms may be zero or negative
        made, names, runs, kept, doubled = pivot(ids, samples, np.exp2(values), about, add=add)
        made = np.log2(made)
    notes = [*table.notes, f"quantities: {quantity}"]
    if doubled and not add:
        notes.append(f"{doubled} repeated measurements in a run: the largest was taken")
    sheet = pd.DataFrame(index=pd.Index(runs, name="sample"))
    for name, columns in _SHEET.items():
        column = text(table, *columns)
        if column is not None and (column != "").any():
            sheet[name] = column.groupby(samples).first().reindex(runs).to_numpy()
    return Raw(made, names, runs, kept, level, scale, sheet=sheet, notes=notes)


def _no_decoys(table: Table, protein: str) -> Table:
    table = _chosen(table, ~need(table, protein).str.startswith(_DECOY).to_numpy(), "decoys and contaminants")
    label = text(table, "IsotopeLabelType", "Isotope Label Type")
    if label is None or label.str.upper().str[:1].nunique() < 2:
        return table
    light = label.str.upper().str.startswith("L").to_numpy()  # heavy peptides are standards
    return _chosen(table, light, "heavy standards")


def read_msstats(table: Table) -> Raw:
    """MSstats' input, also of FragPipe and MSstatsPTM: precursors by runs, fragments summed."""
    table = _no_decoys(table, "ProteinName")
    ids = need(table, "PeptideSequence") + "_" + need(table, "PrecursorCharge")
    return _raw(table, ids, need(table, "Run"), "Intensity", need(table, "ProteinName"), "precursor", add=True)


def read_msstats_summary(table: Table) -> Raw:
    """MSstats' ProteinLevelData: log2 of proteins by runs."""
    protein = need(table, "Protein")
    runs = need(table, "originalRUN", "RUN")
    return _raw(table, protein, runs, "LogIntensities", protein, "protein", scale="log2")


def _channels(table: Table) -> pd.Series:
    """A sample is a channel of a mixture; fractions of it are other runs."""
    mixture = need(table, "Mixture", "Run")
    technical = text(table, "TechRepMixture")
    if technical is not None and technical.nunique() > 1 and not (technical == mixture).all():
        mixture = mixture + "_" + technical
    return mixture + "_" + need(table, "Channel").str.removeprefix("channel.")


def read_msstats_tmt(table: Table) -> Raw:
    """MSstatsTMT's input: precursors by channels of mixtures, the PSMs of a channel summed."""
    table = _no_decoys(table, "ProteinName")
    ids = need(table, "PeptideSequence") + "_" + need(table, "Charge", "PrecursorCharge")
    return _raw(table, ids, _channels(table), "Intensity", need(table, "ProteinName"), "precursor", add=True)


def read_msstats_tmt_summary(table: Table) -> Raw:
    """MSstatsTMT's proteinSummarization: log2 of proteins by channels."""
    protein = need(table, "Protein")
    return _raw(table, protein, _channels(table), "Abundance", protein, "protein", scale="log2")


def read_skyline_fragments(table: Table) -> Raw:
    """Skyline's MSstats report: fragment areas, summed to precursors by files; iRT standards are left out."""
    kind = text(table, "Standard Type", "StandardType")
    if kind is not None:
        table = _chosen(table, ~kind.str.lower().isin(["irt", "qc"]).to_numpy(), "retention time standards")
    table = _no_decoys(table, first_of(table, "Protein Name", "ProteinName", "Protein"))
    sequence = need(table, "Peptide Modified Sequence", "PeptideModifiedSequence", "Peptide Sequence")
    ids = sequence + "_" + need(table, "Precursor Charge", "PrecursorCharge")
    protein = need(table, "Protein Name", "ProteinName", "Protein")
    runs = need(table, "File Name", "FileName", "Replicate Name")
    return _raw(table, ids, runs, "Area", protein, "precursor", add=True)


def read_spectronaut_proteins(table: Table) -> Raw:
    """Spectronaut's long report without precursors: protein groups by files."""
    protein = need(table, "PG.ProteinGroups", "PG.ProteinAccessions")
    gene = text(table, "PG.Genes")
    features = {} if gene is None else {"gene": gene.str.split(";").str[0]}
    raw = _raw(table, protein, need(table, "R.FileName"), "PG.Quantity", protein, "protein", features=features)
    raw.notes = [one for one in raw.notes if "repeated" not in one]
    return raw


def read_alphadia_long(table: Table) -> Raw:
    """AlphaDIA's precursors: quantities by runs at 1 % q-value."""
    decoy, keep = text(table, "decoy"), np.ones(len(table.frame), bool)
    for name in ("qval", "pg_qval"):
        if name in table.frame:
            keep &= ~(numbers(table, [name])[:, 0] > 0.01)
    table = _chosen(table, keep, "q-values above 0.01")
    if decoy is not None:
        decoy = need(table, "decoy")
        table = _chosen(table, ~decoy.str.lower().isin(["1", "1.0", "true"]).to_numpy(), "decoys")
    parts = [one for one in ("sequence", "mods", "mod_sites", "charge") if one in table.frame]
    ids = table.frame[parts].fillna("").astype(str).agg("_".join, axis=1)
    gene = text(table, "genes")
    features = {} if gene is None else {"gene": gene.str.split(";").str[0]}
    quantity = first_of(table, "intensity", "sum_b_ion_intensity")
    return _raw(table, ids, need(table, "run"), quantity, need(table, "pg", "proteins"), "precursor", features=features)


def read_qfeatures_long(table: Table) -> Raw:
    """QFeatures' longForm: one assay, its rows by its columns."""
    assay = need(table, "assay")
    if assay.nunique() > 1:
        raise InputError("column 'assay'", got=", ".join(assay.unique()[:6]), expected="one assay", where=table.path,
                         hint="write one of them alone")  # fmt: skip
    rows = need(table, "rowname")
    logged = bool((numbers(table, ["value"])[:, 0] < 64).all())
    return _raw(table, rows, need(table, "colname"), "value", rows, "protein", scale="log2" if logged else None)


_SAMPLE = re.compile(
    r"(?i)^(?:sample(?:[_. ]?(?:id|name))?|run|file(?:[_. ]?name)?|replicate[_. ]name|assay[_. ]name)$"
)
_FEATURE = re.compile(
    r"(?i)^(?:protein(?:s|[_. ]?(?:id|ids|group|groups|accession|name))?|gene(?:s|[_. ]?(?:name|symbol|id))?|"
    r"uniprot\w*|accession|feature(?:[_. ]?id)?|peptide|analyte|target)$"
)
_VALUE = re.compile(
    r"(?i)^(?:(?:log2?[_. ]?)?(?:intensit(?:y|ies)|abundance|quantity|value|lfq|area|expression|npx|rfu)"
    r"(?:[_. ]?(?:log2|norm\w*))?)$"
)


def tidy_columns(columns: list[str]) -> tuple[str, str, str] | None:
    """(sample, feature, value) of a tidy long table: one column is each."""
    found = [[name for name in columns if kind.match(name)] for kind in (_SAMPLE, _FEATURE, _VALUE)]
    if not all(found) or len(found[0]) > 1 or len(found[2]) > 1:
        return None
    return found[0][0], found[1][0], found[2][0]


def read_tidy(table: Table) -> Raw:
    """A tidy table: a row for each feature in each sample; what is constant in samples describes them."""
    found = tidy_columns(table.columns)
    if found is None:
        raise InputError("columns", got=", ".join(table.columns[:8]), expected="sample, protein and intensity",
                         where=table.path)  # fmt: skip
    sample, feature, value = found
    rows, names = need(table, feature), need(table, sample)
    doubled = pd.DataFrame({"a": rows, "b": names}).duplicated()
    if doubled.any():
        row = int(np.flatnonzero(doubled)[0])
        raise InputError(f"column {value!r}", got=f"two values of {rows[row]} in {names[row]}", expected="one",
                         where=table.path)  # fmt: skip
    values = numbers(table, [value])[:, 0]
    logged = bool(np.nanmax(values) < 64) if np.isfinite(values).any() else False
    others = [one for one in table.columns if one not in found]
    level: Level = "peptide" if feature.lower() == "peptide" else "protein"
    of_features = {one.lower(): need(table, one) for one in others if _constant(table, one, rows)}
    raw = _raw(table, rows, names, value, of_features.pop("protein", rows), level, scale="log2" if logged else None,
               features={"gene" if _FEATURE.match(one) and one.startswith("gene") else one: column
                         for one, column in of_features.items()})  # fmt: skip
    assert raw.sheet is not None
    for one in others:
        if one.lower() not in of_features and _constant(table, one, names):
            raw.sheet[one] = need(table, one).groupby(names).first().reindex(raw.samples).to_numpy()
    return raw


def _constant(table: Table, name: str, groups: pd.Series) -> bool:
    return bool((need(table, name).groupby(groups).nunique() <= 1).all())


def refuse_long(table: Table) -> None:
    """Refuse a long table of an unknown kind, whose numbers would be taken for samples.

    Raises:
        InputError: naming the column of runs.
    """
    wanted = re.compile(r"(?i)^(?:run|raw.?file|spectrum.?file|file.?name|filename|r\.filename|raw\.name|scannr|scan|"
                        r"sample.?id|first.?scan)$")  # fmt: skip
    for name in table.columns:
        entries = table.frame[name].astype(str)
        if wanted.match(name) and len(entries) > 3 and entries.map(bare).duplicated().mean() > 0.3:
            raise InputError(f"column {name!r}", got="a row for each measurement, in a layout that is not known",
                             expected="one of the formats of `proteus.sniff`, or one column a sample",
                             where=table.path)  # fmt: skip
