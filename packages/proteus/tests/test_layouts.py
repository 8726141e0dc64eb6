# ruff: noqa: E501, PERF401  (a row of a layout is a line)
"""Tables as the programs of the field write them, after the public descriptions of their columns, numbers ours.

Each is read right, or refused by the name of what is wrong; with a sheet and without one. None is read wrongly.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import load

RUNS = ["ctl_1", "ctl_2", "drug_1", "drug_2"]
COUNT = 14
RNG = np.random.default_rng(8)
TRUTH = np.round(2 ** (RNG.normal(24, 2, (COUNT, 1)) + RNG.normal(0, 0.3, (COUNT, 4))), 1)
LOGS = np.round(np.log2(TRUTH), 5)
ACCESSIONS = [f"P{10000 + 7 * one}" for one in range(COUNT)]
GENES = [f"GENE{one}" for one in range(COUNT)]
PEPTIDES = [f"AC{'DEFGHIKLMNPQST'[one]}VLK" for one in range(COUNT)]
PLACES = [3 + 11 * one for one in range(COUNT)]
COUNTS = np.arange(COUNT) % 9 + 1
LAYOUTS: dict[str, tuple[Callable[[], pd.DataFrame], dict]] = {}


def layout(name: str, **expected):
    """Registers what makes a table; `ids`, `names`, `values` (log2), `level` of what is expected, or `refused`."""

    def keep(make):
        LAYOUTS[name] = (make, expected)
        return make

    return keep


def wide(pattern: str, numbers=TRUTH, runs=RUNS) -> dict[str, np.ndarray]:
    return {pattern.format(run): numbers[:, place] for place, run in enumerate(runs)}


def long(columns: dict, runs=RUNS, numbers=TRUTH) -> pd.DataFrame:
    """A row for each feature in each run; values may be functions of (feature, run)."""
    rows = []
    for feature in range(COUNT):
        for run in range(len(runs)):
            rows.append({name: one(feature, run) for name, one in columns.items()})
    return pd.DataFrame(rows)


def maxquant(**more) -> pd.DataFrame:
    about = {
        "Protein IDs": ACCESSIONS, "Majority protein IDs": ACCESSIONS, "Peptide counts (all)": COUNTS,
        "Protein names": GENES, "Gene names": GENES, "Fasta headers": [f"sp|{one}" for one in ACCESSIONS],
        "Number of proteins": 1, "Peptides": COUNTS, "Razor + unique peptides": COUNTS,
        **wide("Peptides {}", np.tile(COUNTS[:, None], 4)), **wide("Identification type {}", np.full((COUNT, 4), "By MS/MS")),
        "Sequence coverage [%]": 12.5, **wide("Sequence coverage {} [%]", np.full((COUNT, 4), 10.5)), "Mol. weight [kDa]": 51.2,
        "Sequence length": 410, "Q-value": 0, "Score": 120.5,
    }  # fmt: skip
    tail = {
        "MS/MS count": 12,
        "Only identified by site": "",
        "Reverse": "",
        "Potential contaminant": "",
        "id": range(COUNT),
    }
    return pd.DataFrame({**about, **more, **tail})


@layout("MaxQuant proteinGroups, LFQ", ids=ACCESSIONS)
def _():
    return maxquant(Intensity=TRUTH.sum(1), **wide("Intensity {}", TRUTH * 3), **{"iBAQ peptides": COUNTS,
                    "iBAQ": TRUTH.sum(1)}, **wide("iBAQ {}", TRUTH / 7), **wide("LFQ intensity {}"))  # fmt: skip


@layout("MaxQuant proteinGroups, intensities alone", ids=ACCESSIONS)
def _():
    return maxquant(Intensity=TRUTH.sum(1), **wide("Intensity {}"))


@layout("MaxQuant proteinGroups, reporters of one experiment", ids=ACCESSIONS,
        names=[f"{one} plex" for one in range(1, 5)])  # fmt: skip
def _():
    ones = [f"{one} plex" for one in range(1, 5)]
    return maxquant(**wide("Reporter intensity {}", TRUTH * 2, ones), **wide("Reporter intensity count {}", TRUTH * 0 + 3, ones),
                    **wide("Reporter intensity corrected {}", TRUTH, ones),
                    **{f"Reporter intensity corrected {one}": TRUTH[:, one - 1] * 5 for one in range(1, 5)},
                    **{"Intensity": TRUTH.sum(1), "Intensity plex": TRUTH.sum(1)})  # fmt: skip


@layout("MaxQuant proteinGroups, SILAC", refused="Ratio H/L")
def _():
    return maxquant(**{"Ratio H/L": 1.2, "Ratio H/L normalized": 1.1}, **wide("Ratio H/L normalized {}", TRUTH / TRUTH),
                    **wide("Intensity L {}"), **wide("Intensity H {}"))  # fmt: skip


@layout("MaxQuant proteinGroups, headers dotted by R", ids=ACCESSIONS)
def _():
    frame = maxquant(Intensity=TRUTH.sum(1), **wide("Intensity {}", TRUTH * 3), **wide("LFQ intensity {}"))
    return frame.rename(columns=lambda one: re.sub(r"[^\w.]", ".", one))


@layout("MaxQuant peptides", ids=PEPTIDES, level="peptide")
def _():
    return pd.DataFrame({
        "Sequence": PEPTIDES, "N-term cleavage window": "x", "A Count": 1, "Length": 6, "Missed cleavages": 0, "Mass": 711.4,
        "Proteins": ACCESSIONS, "Leading razor protein": ACCESSIONS, "Start position": PLACES, "Gene names": GENES,
        "Charges": "2;3", "PEP": 0.001, "Score": 88.1, **wide("Experiment {}", np.full((COUNT, 4), 1)), "Intensity": TRUTH.sum(1),
        **wide("Intensity {}"), "Reverse": "", "Potential contaminant": "", "id": range(COUNT), "MS/MS Count": 4,
    })  # fmt: skip


@layout("MaxQuant evidence", ids=[f"_{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return long({
        "Sequence": lambda f, r: PEPTIDES[f], "Length": lambda f, r: 6, "Modifications": lambda f, r: "Unmodified",
        "Modified sequence": lambda f, r: f"_{PEPTIDES[f]}_", "Proteins": lambda f, r: ACCESSIONS[f],
        "Leading razor protein": lambda f, r: ACCESSIONS[f], "Gene names": lambda f, r: GENES[f],
        "Raw file": lambda f, r: f"20240101_{RUNS[r]}", "Experiment": lambda f, r: RUNS[r], "Charge": lambda f, r: 2,
        "m/z": lambda f, r: 356.7, "Retention time": lambda f, r: 33.2, "PEP": lambda f, r: 0.001,
        "Score": lambda f, r: 90.0, "Intensity": lambda f, r: TRUTH[f, r], "Reverse": lambda f, r: "",
        "Potential contaminant": lambda f, r: "", "id": lambda f, r: 4 * f + r,
    }).assign(**{"Modified sequence": lambda t: t["Modified sequence"]})  # fmt: skip


@layout("MaxQuant Phospho (STY)Sites", ids=[f"{a}_S{b}" for a, b in zip(ACCESSIONS, PLACES, strict=True)], level="site")
def _():
    return pd.DataFrame({
        "Proteins": ACCESSIONS, "Positions within proteins": PLACES, "Leading proteins": ACCESSIONS, "Protein": ACCESSIONS,
        "Protein names": GENES, "Gene names": GENES, "Localization prob": 0.99, "Score diff": 40.1, "PEP": 1e-5,
        "Score": 120.0, **wide("Localization prob {}", TRUTH * 0 + 0.9), "Number of Phospho (STY)": "1", "Amino acid": "S",
        "Sequence window": "AAASAAA", "Position in peptide": 3, "Charge": 2, "Mass error [ppm]": 0.4,
        "Intensity": TRUTH.sum(1), "Intensity___1": TRUTH.sum(1), "Intensity___2": 0, **wide("Intensity {}"),
        **wide("Intensity {}___1", TRUTH * 0.8), **wide("Intensity {}___2", TRUTH * 0.2), **wide("Intensity {}___3", TRUTH * 0),
        "Reverse": "", "Potential contaminant": "", "id": range(COUNT), "Positions": PLACES, "Position": PLACES,
    })  # fmt: skip


PD = {"Checked": "False", "Protein FDR Confidence: Combined": "High", "Master": "IsMasterProtein", "Accession": ACCESSIONS,
      "Description": [f"Some protein OS=Homo sapiens OX=9606 GN={one} PE=1" for one in GENES],
      "Exp. q-value: Combined": 0.001, "Sum PEP Score": 40.2, "Coverage [%]": 31, "# Peptides": COUNTS, "# PSMs": COUNTS * 3,
      "# Unique Peptides": COUNTS, "# AAs": 410, "MW [kDa]": 51.2, "calc. pI": 6.2, "Contaminant": "False"}  # fmt: skip
FILES = [f"F{one}" for one in range(1, 5)]
CHANNELS = ["126", "127N", "127C", "128N"]


@layout("Proteome Discoverer proteins, label-free", ids=ACCESSIONS, names=FILES)
def _():
    about = [f"F{one}: Sample, {'ctl' if one < 3 else 'drug'}" for one in range(1, 5)]
    return pd.DataFrame({**PD, "Abundance Ratio: (drug) / (ctl)": 1.3, "Abundance Ratio P-Value: (drug) / (ctl)": 0.04,
                         **wide("Abundances (Grouped): {}", TRUTH * 2, ["ctl", "drug"]),
                         **wide("Abundances (Scaled): {}", TRUTH / 1e6, about), **wide("Abundance: {}", TRUTH, about),
                         **wide("Abundances (Normalized): {}", TRUTH * 1.1, about),
                         **wide("Found in Sample: {}", np.full((COUNT, 4), "High"), about)})  # fmt: skip


@layout("Proteome Discoverer proteins, TMT", ids=ACCESSIONS, names=[f"F1 {one}" for one in CHANNELS])
def _():
    about = [f"F1: {one}, Sample, {'ctl' if place < 2 else 'drug'}" for place, one in enumerate(CHANNELS)]
    return pd.DataFrame({**PD, **wide("Abundance: {}", TRUTH, about), **wide("Abundances Count: {}", TRUTH * 0 + 4, about),
                         "# Protein Groups": 1})  # fmt: skip


@layout("Proteome Discoverer peptide groups", ids=[f"[K].{one}.[A] 1xOxidation" for one in PEPTIDES], names=FILES,
        level="peptide")  # fmt: skip
def _():
    return pd.DataFrame({
        "Confidence": "High", "Annotated Sequence": [f"[K].{one}.[A]" for one in PEPTIDES], "Modifications": "1xOxidation",
        "Qvality PEP": 0.001, "# Protein Groups": 1, "# Proteins": 1, "# PSMs": COUNTS, "Master Protein Accessions": ACCESSIONS,
        "# Missed Cleavages": 0, "Theo. MH+ [Da]": 712.4, **wide("Abundance: {}: Sample", TRUTH, FILES),
    })  # fmt: skip


@layout("Proteome Discoverer PSMs", refused="Abundance")
def _():
    return pd.DataFrame({"Annotated Sequence": PEPTIDES, "Master Protein Accessions": ACCESSIONS, "# Proteins": 1,
                         "# Protein Groups": 1, "Charge": 2, "Spectrum File": "a.raw", "First Scan": PLACES,
                         "Intensity": TRUTH[:, 0], "Percolator PEP": 0.01})  # fmt: skip


FRAGPIPE = {"Protein": [f"sp|{one}|X_HUMAN" for one in ACCESSIONS], "Protein ID": ACCESSIONS, "Entry Name": "X_HUMAN",
            "Gene": GENES, "Protein Length": 410, "Organism": "Homo sapiens", "Protein Existence": "1",
            "Description": "Some protein", "Protein Probability": 1.0, "Top Peptide Probability": 0.99,
            "Combined Total Peptides": COUNTS, "Combined Spectral Count": COUNTS * 4,
            "Combined Unique Spectral Count": COUNTS * 4, "Combined Total Spectral Count": COUNTS * 4}  # fmt: skip


@layout("FragPipe combined_protein", ids=ACCESSIONS)
def _():
    return pd.DataFrame({**FRAGPIPE, **wide("{} Spectral Count", TRUTH * 0 + 4), **wide("{} Unique Spectral Count", TRUTH * 0 + 4),
                         **wide("{} Total Spectral Count", TRUTH * 0 + 4), **wide("{} Intensity", TRUTH * 2),
                         **wide("{} Unique Intensity", TRUTH * 2), **wide("{} Total Intensity", TRUTH * 2),
                         **wide("{} MaxLFQ Intensity"), **wide("{} MaxLFQ Unique Intensity", TRUTH * 1.5),
                         **wide("{} MaxLFQ Total Intensity", TRUTH * 1.5), "Indistinguishable Proteins": ""})  # fmt: skip


@layout("FragPipe combined_protein, spectral counts alone", refused="Intensity")
def _():
    return pd.DataFrame(
        {**FRAGPIPE, **wide("{} Spectral Count", TRUTH * 0 + 4), **wide("{} Total Spectral Count", TRUTH * 0 + 4)}
    )


IONS = {"Peptide Sequence": PEPTIDES, "Modified Sequence": PEPTIDES, "Prev AA": "K", "Next AA": "A", "Start": PLACES,
        "End": [one + 5 for one in PLACES], "Peptide Length": 6, "Assigned Modifications": "",
        "Protein": FRAGPIPE["Protein"], "Protein ID": ACCESSIONS, "Entry Name": "X_HUMAN", "Gene": GENES,
        "Protein Description": "Some protein", "Mapped Genes": "", "Mapped Proteins": ""}  # fmt: skip


@layout("FragPipe combined_ion", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return pd.DataFrame({**IONS, "M/Z": 356.7, "Charge": 2, "Compensation Voltage": "", **wide("{} Spectral Count", TRUTH * 0 + 2),
                         **wide("{} Apex Retention Time", TRUTH * 0 + 33.2), **wide("{} Intensity"),
                         **wide("{} Match Type", np.full((COUNT, 4), "MS/MS")), **wide("{} Localization", TRUTH * 0 + 1)})  # fmt: skip


@layout("FragPipe combined_peptide", ids=[f"{one}_2, 3" for one in PEPTIDES], level="precursor")
def _():
    about = {key: one for key, one in IONS.items() if key not in ("Modified Sequence", "Assigned Modifications")}
    return pd.DataFrame({**about, "Charges": "2, 3", **wide("{} Spectral Count", TRUTH * 0 + 2), **wide("{} Intensity"),
                         **wide("{} MaxLFQ Intensity")})  # fmt: skip


@layout("FragPipe combined_modified_peptide", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return pd.DataFrame({**IONS, "Charges": "2", **wide("{} Spectral Count", TRUTH * 0 + 2), **wide("{} Intensity")})


@layout("FragPipe MSstats.csv", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return msstats(lambda f, r: TRUTH[f, r])


@layout("TMT-Integrator abundance_gene", ids=GENES, values=LOGS)
def _():
    return pd.DataFrame({"Index": GENES, "NumberPSM": COUNTS, "ProteinID": ACCESSIONS, "MaxPepProb": 0.999,
                         "ReferenceIntensity": LOGS.mean(1), **wide("{}", LOGS)})  # fmt: skip


@layout("TMT-Integrator ratio_protein", ids=ACCESSIONS, values=LOGS - LOGS.mean(1, keepdims=True))
def _():
    return pd.DataFrame({"Index": ACCESSIONS, "NumberPSM": COUNTS, "Gene": GENES, "MaxPepProb": 0.999,
                         "ReferenceIntensity": LOGS.mean(1), **wide("{}", LOGS - LOGS.mean(1, keepdims=True))})  # fmt: skip


@layout("TMT-Integrator abundance_single-site", ids=[f"{a}_S{b}" for a, b in zip(ACCESSIONS, PLACES, strict=True)],
        values=LOGS, level="site")  # fmt: skip
def _():
    return pd.DataFrame({"Index": [f"{a}_S{b}" for a, b in zip(ACCESSIONS, PLACES, strict=True)], "Gene": GENES,
                         "ProteinID": ACCESSIONS, "Peptide": PEPTIDES, "SequenceWindow": "AAASAAA", "Start": PLACES,
                         "End": PLACES, "MaxPepProb": 0.999, "NumberPSM": COUNTS, "ReferenceIntensity": LOGS.mean(1),
                         **wide("{}", LOGS)})  # fmt: skip


def diann(path: bool, **more) -> pd.DataFrame:
    return long({
        **({"File.Name": lambda f, r: f"D:\\data\\{RUNS[r]}.raw"} if path else {"Run.Index": lambda f, r: r}),
        "Run": lambda f, r: RUNS[r], **({} if path else {"Channel": lambda f, r: ""}),
        "Protein.Group": lambda f, r: ACCESSIONS[f], "Protein.Ids": lambda f, r: ACCESSIONS[f],
        "Protein.Names": lambda f, r: "X_HUMAN", "Genes": lambda f, r: GENES[f], "PG.MaxLFQ": lambda f, r: 3 * TRUTH[f, r],
        "Modified.Sequence": lambda f, r: PEPTIDES[f], "Stripped.Sequence": lambda f, r: PEPTIDES[f],
        "Precursor.Id": lambda f, r: f"{PEPTIDES[f]}2", "Precursor.Charge": lambda f, r: 2, "Q.Value": lambda f, r: 0.001,
        "PEP": lambda f, r: 0.002, "Global.Q.Value": lambda f, r: 0.001, "PG.Q.Value": lambda f, r: 0.001,
        "Proteotypic": lambda f, r: 1, "Precursor.Quantity": lambda f, r: 2 * TRUTH[f, r],
        "Precursor.Normalised": lambda f, r: TRUTH[f, r], "RT": lambda f, r: 33.2, "Lib.Q.Value": lambda f, r: 0.0, **more,
    })  # fmt: skip


@layout("DIA-NN 1.8 report.tsv", ids=[f"{one}2" for one in PEPTIDES], level="precursor")
def _():
    return diann(path=True)


@layout("DIA-NN 2 report.parquet", ids=[f"{one}2" for one in PEPTIDES], level="precursor", suffix=".parquet")
def _():
    return diann(path=False, **{"Decoy": lambda f, r: 0, "Fr.0.Quantity": lambda f, r: TRUTH[f, r] / 3})


DIANN = {"Protein.Group": ACCESSIONS, "Protein.Ids": ACCESSIONS, "Protein.Names": "X_HUMAN", "Genes": GENES,
         "First.Protein.Description": "Some protein"}  # fmt: skip


@layout("DIA-NN 1.8 pg_matrix, D:\\ paths", ids=ACCESSIONS)
def _():
    return pd.DataFrame({**DIANN, **wide("D:\\data\\{}.raw")})


@layout("DIA-NN 2 pg_matrix, counts and posix paths", ids=ACCESSIONS)
def _():
    about = {key: one for key, one in DIANN.items() if key != "Protein.Ids"}
    return pd.DataFrame(
        {**about, "N.Sequences": COUNTS, "N.Proteotypic.Sequences": COUNTS, **wide("/mnt/data/{}.mzML")}
    )


@layout("DIA-NN pr_matrix", ids=[f"{one}2" for one in PEPTIDES], level="precursor")
def _():
    return pd.DataFrame({**DIANN, "Proteotypic": 1, "Stripped.Sequence": PEPTIDES, "Modified.Sequence": PEPTIDES,
                         "Precursor.Charge": 2, "Precursor.Id": [f"{one}2" for one in PEPTIDES],
                         **wide("E:\\acq\\{}.d")})  # fmt: skip


@layout("DIA-NN gg_matrix", ids=GENES)
def _():
    return pd.DataFrame(
        {"Genes": GENES, "N.Sequences": COUNTS, "N.Proteotypic.Sequences": COUNTS, **wide("D:\\data\\{}.raw")}
    )


@layout("DIA-NN 2 phosphosites_90", ids=[f"{a}_S{b}" for a, b in zip(ACCESSIONS, PLACES, strict=True)], level="site")
def _():
    return pd.DataFrame({"Protein": ACCESSIONS, "Protein.Names": "X_HUMAN", "Gene.Names": GENES, "Residue": "S",
                         "Site": PLACES, "Sequence": "AAASAAA", **wide("D:\\data\\{}.raw")})  # fmt: skip


def spectronaut(**more) -> pd.DataFrame:
    return long({"R.Condition": lambda f, r: RUNS[r][:3], "R.FileName": lambda f, r: RUNS[r], "R.Replicate": lambda f, r: r % 2 + 1,
                 "PG.Genes": lambda f, r: GENES[f], "PG.ProteinAccessions": lambda f, r: ACCESSIONS[f],
                 "PG.ProteinGroups": lambda f, r: ACCESSIONS[f], "PG.Qvalue": lambda f, r: 0.001, **more})  # fmt: skip


@layout("Spectronaut long", ids=[f"_{one}_.2" for one in PEPTIDES], level="precursor")
def _():
    return spectronaut(**{
        "PG.Quantity": lambda f, r: 5 * TRUTH[f, r], "PEP.StrippedSequence": lambda f, r: PEPTIDES[f],
        "EG.PrecursorId": lambda f, r: f"_{PEPTIDES[f]}_.2", "EG.Qvalue": lambda f, r: 0.001, "FG.Charge": lambda f, r: 2,
        "FG.Quantity": lambda f, r: TRUTH[f, r], "F.FrgIon": lambda f, r: "y3", "F.PeakArea": lambda f, r: TRUTH[f, r] / 3,
    })  # fmt: skip


@layout("Spectronaut long, protein groups", ids=ACCESSIONS)
def _():
    return spectronaut(**{"PG.Quantity": lambda f, r: TRUTH[f, r], "PG.NrOfPrecursorsIdentified": lambda f, r: 4})


PIVOT = {"PG.ProteinGroups": ACCESSIONS, "PG.ProteinAccessions": ACCESSIONS, "PG.Genes": GENES, "PG.Organisms": "Homo sapiens",
         "PG.ProteinDescriptions": "Some protein"}  # fmt: skip


@layout("Spectronaut pivot, protein groups", ids=ACCESSIONS)
def _():
    names = [f"[{place}] {run}.raw" for place, run in enumerate(RUNS, 1)]
    return pd.DataFrame({**PIVOT, "PG.Cscore": 11.2, **wide("{}.PG.NrOfStrippedSequencesIdentified", TRUTH * 0 + 3, names),
                         **wide("{}.PG.Quantity", TRUTH, names), **wide("{}.PG.IBAQ", TRUTH / 9, names)})  # fmt: skip


@layout("Spectronaut pivot, precursors", ids=[f"_{one}_.2" for one in PEPTIDES], level="precursor")
def _():
    names = [f"[{place}] {run}.raw" for place, run in enumerate(RUNS, 1)]
    return pd.DataFrame({**PIVOT, "PEP.StrippedSequence": PEPTIDES, "EG.PrecursorId": [f"_{one}_.2" for one in PEPTIDES],
                         **wide("{}.EG.Qvalue", TRUTH * 0 + 0.001, names),
                         **wide("{}.EG.TotalQuantity (Settings)", TRUTH, names)})  # fmt: skip


@layout("Sage lfq.tsv", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return pd.DataFrame({"peptide": PEPTIDES, "charge": 2, "proteins": [f"sp|{one}|X_HUMAN" for one in ACCESSIONS],
                         "q_value": 0.001, "score": 0.9, "spectral_angle": 0.8, **wide("{}.mzML")})  # fmt: skip


@layout("Sage results.sage.tsv", refused="filename")
def _():
    return long({"psm_id": lambda f, r: 4 * f + r, "peptide": lambda f, r: PEPTIDES[f], "proteins": lambda f, r: ACCESSIONS[f],
                 "num_proteins": lambda f, r: 1, "filename": lambda f, r: f"{RUNS[r]}.mzML", "scannr": lambda f, r: f"scan={f}",
                 "rank": lambda f, r: 1, "label": lambda f, r: 1, "expmass": lambda f, r: 711.4, "charge": lambda f, r: 2,
                 "hyperscore": lambda f, r: 30.1, "ms2_intensity": lambda f, r: TRUTH[f, r]})  # fmt: skip


@layout("Sage tmt.tsv", refused="filename")
def _():
    return long({"filename": lambda f, r: f"{RUNS[r]}.mzML", "scannr": lambda f, r: f"scan={f}",
                 "ion_injection_time": lambda f, r: 12.0, "tmt_1": lambda f, r: TRUTH[f, r],
                 "tmt_2": lambda f, r: TRUTH[f, r] * 2})  # fmt: skip


@layout("AlphaDIA pg.matrix.tsv", ids=ACCESSIONS)
def _():
    return pd.DataFrame({"pg": ACCESSIONS, **wide("{}")})


@layout("AlphaDIA precursors.tsv", ids=[f"{one}___2" for one in PEPTIDES], level="precursor")
def _():
    return long({"run": lambda f, r: RUNS[r], "precursor_idx": lambda f, r: f, "sequence": lambda f, r: PEPTIDES[f],
                 "mods": lambda f, r: "", "mod_sites": lambda f, r: "", "charge": lambda f, r: 2,
                 "pg": lambda f, r: ACCESSIONS[f], "genes": lambda f, r: GENES[f], "decoy": lambda f, r: 0,
                 "rt_observed": lambda f, r: 33.2, "score": lambda f, r: 0.01, "qval": lambda f, r: 0.001,
                 "pg_qval": lambda f, r: 0.001, "intensity": lambda f, r: TRUTH[f, r]})  # fmt: skip


@layout("Skyline report", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return long({"Protein": lambda f, r: ACCESSIONS[f], "Peptide Modified Sequence": lambda f, r: PEPTIDES[f],
                 "Precursor Charge": lambda f, r: 2, "Precursor Mz": lambda f, r: 356.7, "Replicate": lambda f, r: RUNS[r],
                 "Total Area": lambda f, r: TRUTH[f, r], "Best Retention Time": lambda f, r: 33.2})  # fmt: skip


def fragments(columns: dict, name: str) -> pd.DataFrame:
    parts = [long({**columns, name: lambda f, r, share=share: TRUTH[f, r] * share}) for share in (0.25, 0.75)]
    return pd.concat([one.assign(**{"Fragment Ion": ion}) for one, ion in zip(parts, ("y3", "y4"), strict=True)])


@layout("Skyline MSstats input", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return fragments({
        "Protein Name": lambda f, r: ACCESSIONS[f], "Peptide Modified Sequence": lambda f, r: PEPTIDES[f],
        "Precursor Charge": lambda f, r: 2, "Product Charge": lambda f, r: 1, "Isotope Label Type": lambda f, r: "light",
        "Condition": lambda f, r: RUNS[r][:3], "BioReplicate": lambda f, r: r, "File Name": lambda f, r: f"{RUNS[r]}.raw",
        "Standard Type": lambda f, r: "", "Truncated": lambda f, r: "False",
    }, "Area")  # fmt: skip


def msstats(value, **changes) -> pd.DataFrame:
    return long({
        "ProteinName": lambda f, r: ACCESSIONS[f], "PeptideSequence": lambda f, r: PEPTIDES[f], "PrecursorCharge": lambda f, r: 2,
        "FragmentIon": lambda f, r: "NA", "ProductCharge": lambda f, r: "NA", "IsotopeLabelType": lambda f, r: "L",
        "Condition": lambda f, r: RUNS[r][:3], "BioReplicate": lambda f, r: r + 1, "Run": lambda f, r: RUNS[r], "Intensity": value,
        **changes,
    })  # fmt: skip


@layout("MSstats input with heavy standards", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    heavy = msstats(lambda f, r: TRUTH[f, 0] * 9).assign(IsotopeLabelType="H")
    return pd.concat([msstats(lambda f, r: TRUTH[f, r]), heavy])


@layout("MSstats ProteinLevelData", ids=ACCESSIONS, values=LOGS)
def _():
    return long({"RUN": lambda f, r: r + 1, "Protein": lambda f, r: ACCESSIONS[f], "LogIntensities": lambda f, r: LOGS[f, r],
                 "originalRUN": lambda f, r: RUNS[r], "GROUP": lambda f, r: RUNS[r][:3], "SUBJECT": lambda f, r: r,
                 "TotalGroupMeasurements": lambda f, r: 20, "NumMeasuredFeature": lambda f, r: 5,
                 "MissingPercentage": lambda f, r: 0.0, "more50missing": lambda f, r: False,
                 "NumImputedFeature": lambda f, r: 0})  # fmt: skip


TMT = {"Mixture": lambda f, r: "mix1", "TechRepMixture": lambda f, r: "1", "Run": lambda f, r: "mix1_1.raw",
       "Channel": lambda f, r: CHANNELS[r], "BioReplicate": lambda f, r: RUNS[r], "Condition": lambda f, r: RUNS[r][:3]}  # fmt: skip


@layout(
    "MSstatsTMT input",
    ids=[f"{one}_2" for one in PEPTIDES],
    names=[f"mix1_{one}" for one in CHANNELS],
    level="precursor",
)
def _():
    return long({"ProteinName": lambda f, r: ACCESSIONS[f], "PeptideSequence": lambda f, r: PEPTIDES[f],
                 "Charge": lambda f, r: 2, "PSM": lambda f, r: f"{PEPTIDES[f]}_2", **TMT,
                 "Intensity": lambda f, r: TRUTH[f, r]})  # fmt: skip


@layout("MSstatsTMT proteinSummarization", ids=ACCESSIONS, names=[f"mix1_{one}" for one in CHANNELS], values=LOGS)
def _():
    return long({"Run": TMT["Run"], "Protein": lambda f, r: ACCESSIONS[f], "Abundance": lambda f, r: LOGS[f, r], **TMT})


@layout("MSstatsPTM input", ids=[f"{one}_2" for one in PEPTIDES], level="precursor")
def _():
    return msstats(lambda f, r: TRUTH[f, r], ProteinName=lambda f, r: f"{ACCESSIONS[f]}_S{PLACES[f]}")


def olink(columns: dict) -> pd.DataFrame:
    return long({"SampleID": lambda f, r: RUNS[r], "OlinkID": lambda f, r: f"OID{20000 + f}",
                 "UniProt": lambda f, r: ACCESSIONS[f], "Assay": lambda f, r: GENES[f], "Panel": lambda f, r: "Inflammation",
                 "PlateID": lambda f, r: "P1", "NPX": lambda f, r: LOGS[f, r] - 20, **columns})  # fmt: skip


OIDS = [f"OID{20000 + one}" for one in range(COUNT)]


@layout("Olink Explore, controls within", ids=OIDS, values=LOGS - 20, separator=";")
def _():
    frame = olink({"Index": lambda f, r: r, "MissingFreq": lambda f, r: 0.01, "QC_Warning": lambda f, r: "PASS",
                   "LOD": lambda f, r: -1.2, "Sample_Type": lambda f, r: "SAMPLE"})  # fmt: skip
    control = frame[frame["SampleID"] == RUNS[0]].assign(SampleID="CONTROL_SAMPLE_AS 1", Sample_Type="CONTROL")
    return pd.concat([frame, control])


@layout("Olink Explore HT", ids=OIDS, values=LOGS - 20, suffix=".parquet")
def _():
    frame = olink({"SampleType": lambda f, r: "SAMPLE", "WellID": lambda f, r: f"A{r}", "DataAnalysisRefID": lambda f, r: "D10007",
                   "AssayType": lambda f, r: "assay", "Block": lambda f, r: 1, "Count": lambda f, r: 5000 + f,
                   "ExtNPX": lambda f, r: 1.0, "PCNormalizedNPX": lambda f, r: 2.0, "AssayQC": lambda f, r: "PASS",
                   "SampleQC": lambda f, r: "PASS"})  # fmt: skip
    controls = [frame[frame["SampleID"] == RUNS[0]].assign(SampleID=name, SampleType=kind) for name, kind in
                (("PC1", "PLATE_CONTROL"), ("NC1", "NEGATIVE_CONTROL"), ("SC1", "SAMPLE_CONTROL"))]  # fmt: skip
    own = frame[frame["OlinkID"] == OIDS[0]].assign(
        OlinkID="OID99999", Assay="Incubation control 1", AssayType="inc_ctrl"
    )
    return pd.concat([frame, *controls, own])


@layout("Olink, two projects with a bridging sample", refused="bridging")
def _():
    first = olink({"Project": lambda f, r: "one"})
    second = first.assign(Project="two", SampleID=[f"b_{one}" if one != RUNS[0] else one for one in first["SampleID"]])
    return pd.concat([first, second])


@layout("QFeatures assay as CSV", ids=ACCESSIONS, separator=",")
def _():
    return pd.DataFrame({"": ACCESSIONS, **wide("{}")})


@layout("QFeatures longForm", ids=ACCESSIONS, separator=",")
def _():
    return long({"assay": lambda f, r: "proteins", "primary": lambda f, r: RUNS[r], "rowname": lambda f, r: ACCESSIONS[f],
                 "colname": lambda f, r: RUNS[r], "value": lambda f, r: TRUTH[f, r]})  # fmt: skip


@layout("QFeatures longForm of two assays", refused="one assay")
def _():
    one = long({"assay": lambda f, r: "peptides", "primary": lambda f, r: RUNS[r], "rowname": lambda f, r: ACCESSIONS[f],
                "colname": lambda f, r: RUNS[r], "value": lambda f, r: TRUTH[f, r]})  # fmt: skip
    return pd.concat([one, one.assign(assay="proteins")])


@layout("tidy long", ids=GENES)
def _():
    return long({"sample": lambda f, r: RUNS[r], "condition": lambda f, r: RUNS[r][:3], "gene": lambda f, r: GENES[f],
                 "intensity": lambda f, r: TRUTH[f, r]})  # fmt: skip


@layout("samples in rows, accessions in columns", ids=ACCESSIONS, separator=",")
def _():
    return (
        pd.DataFrame(TRUTH.T, columns=ACCESSIONS)
        .assign(age=[60, 61, 62, 63])
        .set_axis(RUNS)
        .rename_axis("sample")
        .reset_index()
    )


@layout("Perseus matrix", ids=ACCESSIONS, values=LOGS)
def _():
    frame = pd.DataFrame({"Protein IDs": ACCESSIONS, **wide("{}", LOGS), "Razor peptides": COUNTS, "Mol weight": 51.2})
    kinds = dict(zip(frame.columns, ["#!{Type}T", *["E"] * 4, "N", "N"], strict=True))
    return pd.concat([pd.DataFrame([kinds]), frame.astype(object)])


@layout("plain matrix with known annotation", ids=ACCESSIONS)
def _():
    return pd.DataFrame(
        {"Accession": ACCESSIONS, "Gene": GENES, "MW": 51.2, "Coverage": 20.5, "Peptides": COUNTS, **wide("{}")}
    )


@layout("plain matrix with limma's columns", ids=ACCESSIONS, values=LOGS)
def _():
    return pd.DataFrame({"Protein": ACCESSIONS, **wide("{}", LOGS), "logFC": 0.4, "AveExpr": 20.1, "t": 3.1, "P.Value": 0.01,
                         "adj.P.Val": 0.03, "B": -2.2})  # fmt: skip


@layout("plain matrix with a column that nothing explains", refused="hydropathy", only_without_sheet=True)
def _():
    return pd.DataFrame({"Protein": ACCESSIONS, "hydropathy": np.linspace(0.1, 3, COUNT), **wide("{}")})


@layout("plain matrix with means of groups", refused="Mean ctl", only_without_sheet=True)
def _():
    return pd.DataFrame(
        {"Protein": ACCESSIONS, **wide("{}"), "Mean ctl": TRUTH[:, :2].mean(1), "Mean drug": TRUTH[:, 2:].mean(1)}
    )


@layout("search results with scans", refused="Spectrum File")
def _():
    return long({"Peptide": lambda f, r: PEPTIDES[f], "Spectrum File": lambda f, r: RUNS[r], "Calibrated Mass": lambda f, r: 711.4,
                 "Hyperscore": lambda f, r: 31.0, "Ion Area": lambda f, r: TRUTH[f, r]})  # fmt: skip


MZTAB = ["MTD\tmzTab-version\t1.0.0", "MTD\tmzTab-type\tQuantification",
         *[f"MTD\tms_run[{n}]-location\tfile:///data/{run}.mzML" for n, run in enumerate(RUNS, 1)],
         *[f"MTD\tassay[{n}]-ms_run_ref\tms_run[{n}]" for n in range(1, 5)], ""]  # fmt: skip


def mztab() -> str:
    head = ["accession", "description", "best_search_engine_score[1]", *[f"protein_abundance_assay[{n}]" for n in range(1, 5)],
            "opt_global_mass"]  # fmt: skip
    rows = [["PRT", ACCESSIONS[f], f"x GN={GENES[f]} PE=1", "0.01", *map(str, TRUTH[f]), "51.2"] for f in range(COUNT)]
    return "\n".join([*MZTAB, "\t".join(["PRH", *head]), *["\t".join(row) for row in rows]]) + "\n"


def adat() -> str:
    lines = ["!Checksum\tx", "^HEADER", "!Version\t1.2", "^TABLE_BEGIN"]
    blank = ["", "", ""]
    annotation = {"SeqId": [f"{one}-1_1" for one in range(COUNT)], "UniProt": ACCESSIONS, "EntrezGeneSymbol": GENES}
    lines += ["\t".join([*blank, name, *values]) for name, values in annotation.items()]
    lines.append("\t".join(["PlateId", "SampleId", "SampleType", "", *[""] * COUNT]))
    rows = [*[(run, "Sample", TRUTH[:, r]) for r, run in enumerate(RUNS)], ("cal", "Calibrator", TRUTH[:, 0]),
            ("buf", "Buffer", TRUTH[:, 1])]  # fmt: skip
    lines += ["\t".join(["P1", name, kind, "", *map(str, values)]) for name, kind, values in rows]
    return "\n".join(lines) + "\n"


@layout("mzTab 1.0", ids=ACCESSIONS, raw=True)
def _():
    return mztab()


@layout("SomaScan adat with calibrators", ids=[f"{one}-1_1" for one in range(COUNT)], raw=True)
def _():
    return adat()


def written(folder: Path, name: str) -> Path:
    make, expected = LAYOUTS[name]
    made = make()
    path = folder / f"table{expected.get('suffix', '.txt')}"
    if isinstance(made, str):
        path.write_text(made, encoding="utf-8")
    elif path.suffix == ".parquet":
        made.reset_index(drop=True).to_parquet(path)
    else:
        made.to_csv(path, sep=expected.get("separator", "\t"), index=False)
    return path


def test_there_are_forty_layouts_or_more():
    assert len(LAYOUTS) >= 40


@pytest.mark.parametrize("sheet", [False, True], ids=["alone", "with a sheet"])
@pytest.mark.parametrize("name", list(LAYOUTS))
def test_each_layout_is_read_right_or_refused_by_name(name, sheet, tmp_path):
    expected = LAYOUTS[name][1]
    path = written(tmp_path, name)
    names = expected.get("names", RUNS)
    described = None
    if sheet:
        described = pd.DataFrame(
            {"file": [f"C:\\acq\\{one}.raw" for one in names], "arm": ["ctl", "ctl", "drug", "drug"]}
        )
    if expected.get("refused") and not (sheet and expected.get("only_without_sheet")):
        with pytest.raises(InputError, match=re.escape(expected["refused"])):
            load(path, samples=described)
        return
    data = load(path, samples=described)
    assert sorted(data.samples.index) == sorted(names)
    if "ids" in expected:
        assert sorted(data.features.index) == sorted(expected["ids"])
        order = data.values[data.features.index.get_indexer(expected["ids"])]
        values = order[:, data.samples.index.get_indexer(names)]
        np.testing.assert_allclose(values, expected.get("values", np.log2(TRUTH)), rtol=1e-4, atol=1e-4)
    assert data.level == expected.get("level", "protein")
    if sheet:
        assert data.samples.loc[names, "arm"].tolist() == ["ctl", "ctl", "drug", "drug"]
