"""Wide tables of programs, one column a sample: Proteome Discoverer, Spectronaut's pivot, TMT-Integrator, DIA-NN's
sites, Sage, AlphaDIA, MaxQuant's sites."""

import re

import numpy as np
import pandas as pd
from ninefold.errors import InputError

from proteus.data._data import Level
from proteus.loaders._columns import sample_columns
from proteus.loaders._raw import Raw
from proteus.loaders._table import Table, counted, described, need, numbers, text

_LOCALISED = 0.75  # probability of a site, as MaxQuant's class I
_PD = re.compile(r"^Abundances? ?(\(Normalized\))?: (F\d+): (?:(1\d\d[NC]?|1\d\d\w?), )?(.*)$")
_PIVOT = re.compile(r"^(?:\[\d+\] )?(.+)\.(PG|PEP|EG|FG)\.(Log2)?(?:Total|MS[12])?Quantity(?: \(Settings\))?$")
_TMT_I = {"Index", "NumberPSM", "Gene", "ProteinID", "Protein", "Peptide", "SequenceWindow", "Start", "End",
          "MaxPepProb", "ReferenceIntensity", "Proteins", "Mapped Genes", "Mapped Proteins"}  # fmt: skip


def read_discoverer(table: Table) -> Raw:
    """Proteome Discoverer: `Abundance: F1: Sample, ...` of each file, or channel of a file, proteins or peptides."""
    found = [(name, match) for name in table.columns if (match := _PD.match(name))]
    plain = [one for one in found if not one[1][1]]
    found = plain or found
    if not found:
        raise InputError("columns", got="no 'Abundance: F1: ...'", expected="one a file or channel", where=table.path)
    names = [f"{match[2]} {match[3]}" if match[3] else match[2] for _, match in found]
    words = [[one for one in match[4].split(", ") if one.lower() not in ("sample", "n/a", "")] for _, match in found]
    sheet = pd.DataFrame(index=pd.Index(names, name="sample"))
    if all(words):
        sheet["condition"] = [", ".join(one) for one in words]
    marks = {}
    contaminant = text(table, "Contaminant")
    if contaminant is not None:
        marks["contaminants"] = contaminant.str.lower().isin(["true", "1"]).to_numpy()
    peptides = "Annotated Sequence" in table.frame
    features = {"protein": need(table, "Master Protein Accessions", "Accession", "Protein Accessions")}
    features |= described(table, gene="Gene Symbol", description="Description") | counted(table, "# Peptides")
    header = features.get("description")
    if "gene" not in features and header is not None and header.str.contains("GN=").any():
        features["gene"] = header.str.extract(r"GN=(\S+)", expand=False).fillna("")
    ids = features["protein"]
    if peptides:
        ids = need(table, "Annotated Sequence") + " " + need(table, "Modifications")
    values = numbers(table, [name for name, _ in found])
    notes = [*table.notes, "quantities: Abundance, as they are" if plain else "quantities: normalised"]
    level = "peptide" if peptides else "protein"
    return Raw(values, ids.str.strip(), names, features, level, drop=marks, sheet=sheet, notes=notes)


def read_spectronaut_pivot(table: Table) -> Raw:
    """Spectronaut's pivot report: `[1] run.raw.PG.Quantity`, of protein groups or of precursors."""
    found = [(name, match) for name in table.columns if (match := _PIVOT.match(name))]
    deepest = next(kind for kind in ("FG", "EG", "PEP", "PG") if any(match[2] == kind for _, match in found))
    found = [one for one in found if one[1][2] == deepest]
    logged = [one for one in found if one[1][3]]
    found = [one for one in found if not one[1][3]] or logged
    features = {"protein": need(table, "PG.ProteinGroups", "PG.ProteinAccessions")} | described(table, gene="PG.Genes")
    ids, level = features["protein"], "protein"
    if deepest != "PG":
        ids, level = need(table, "EG.PrecursorId", "FG.Id", "PEP.StrippedSequence"), "precursor"
    values = numbers(table, [name for name, _ in found])
    return Raw(values, ids, [match[1] for _, match in found], features, level,
               scale="log2" if len(logged) == len(found) else None, notes=table.notes)  # fmt: skip


def is_pivot(columns: set[str]) -> bool:
    """Whether a header has columns of Spectronaut's pivot report."""
    return any(_PIVOT.match(name) for name in columns) and "R.FileName" not in columns


def read_tmt_integrator(table: Table) -> Raw:
    """TMT-Integrator's abundance tables: log2 of reporters against the reference, of genes, proteins or sites."""
    ids = need(table, "Index")
    features = {"protein": need(table, "ProteinID", "Index")} | described(table, gene=("Gene", "Index"))
    site = "Peptide" in table.frame and bool(ids.str.contains(r"[_%][STYCKMNR]\d").any())
    samples = sample_columns(table, _TMT_I)
    return Raw(numbers(table, samples), ids, samples, features, "site" if site else "protein", scale="log2",
               notes=[*table.notes, "log2 values, as TMT-Integrator writes them"])  # fmt: skip


def read_diann_sites(table: Table) -> Raw:
    """DIA-NN's site tables (phosphosites_90 and the like): residue and position in the protein, by runs."""
    protein = need(table, "Protein")
    about = {"Protein", "Protein.Names", "Gene.Names", "Residue", "Site", "Sequence"}
    features = {"protein": protein} | described(table, gene="Gene.Names")
    samples = sample_columns(table, about)
    ids = protein + "_" + need(table, "Residue") + need(table, "Site")
    return Raw(numbers(table, samples), ids, samples, features, "site", notes=table.notes)


def read_sage(table: Table) -> Raw:
    """Sage's lfq.tsv: peptides with charge by files, at 1 % q-value."""
    about = {"peptide", "charge", "proteins", "q_value", "score", "spectral_angle"}
    samples = sample_columns(table, about)
    protein = need(table, "proteins")
    drop = {"decoys": protein.str.startswith("rev_").to_numpy()}
    if "q_value" in table.frame:
        drop["rows with q_value above 0.01"] = numbers(table, ["q_value"])[:, 0] > 0.01
    return Raw(numbers(table, samples), need(table, "peptide") + "_" + need(table, "charge"), samples,
               {"protein": protein}, "precursor", drop=drop, notes=table.notes)  # fmt: skip


def read_alphadia(table: Table) -> Raw:
    """AlphaDIA's matrices: protein groups (`pg.matrix`), or peptides and precursors, by runs."""
    about = {"pg", "proteins", "genes", "sequence", "mods", "mod_sites", "charge", "mod_seq_charge_hash",
             "mod_seq_hash", "precursor", "peptide"}  # fmt: skip
    samples = sample_columns(table, about)
    parts = [one for one in ("sequence", "mods", "mod_sites", "charge") if one in table.frame]
    features = {"protein": need(table, "pg")} | described(table, gene="genes")
    ids, level = features["protein"], "protein"
    if parts:
        level: Level = "precursor" if "charge" in parts else "peptide"
        ids = table.frame[parts].fillna("").astype(str).agg("_".join, axis=1)
    return Raw(numbers(table, samples), ids, samples, features, level, notes=table.notes)


def read_maxquant_sites(table: Table) -> Raw:
    """MaxQuant's site tables (`Phospho (STY)Sites.txt`): intensities over all multiplicities, of localised sites."""
    every = [one for one in table.columns if re.match(r"(?:Reporter intensity corrected|Intensity) \S", one)]
    reporters = [one for one in every if one.startswith("Reporter")]
    single = [one for one in (reporters or every) if not re.search(r"___\d$", one)]
    prefix = "Reporter intensity corrected " if reporters else "Intensity "
    if single:
        values, samples = numbers(table, single), [one[len(prefix) :] for one in single]
    elif every:  # by multiplicity alone
        stems = list(dict.fromkeys(re.sub(r"___\d$", "", one) for one in every))
        parts = [numbers(table, [one for one in every if re.sub(r"___\d$", "", one) == stem]) for stem in stems]
        values, samples = np.stack([np.nansum(one, axis=1) for one in parts], 1), [one[len(prefix) :] for one in stems]
    else:
        raise InputError("columns", got="no 'Intensity ...'", expected="one a sample", where=table.path)
    drop = {}
    for reason, name in (("decoys", "Reverse"), ("contaminants", "Potential contaminant")):
        column = text(table, name)
        if column is not None:
            drop[reason] = (column == "+").to_numpy()
    drop[f"sites localised with less than {_LOCALISED}"] = numbers(table, ["Localization prob"])[:, 0] < _LOCALISED
    protein = need(table, "Protein", "Leading proteins", "Proteins").str.split(";").str[0]
    place = need(table, "Position", "Positions within proteins").str.split(";").str[0]
    features = {"protein": protein} | described(table, gene="Gene names")
    return Raw(values, protein + "_" + need(table, "Amino acid") + place, samples, features, "site", drop=drop,
               notes=table.notes)  # fmt: skip
