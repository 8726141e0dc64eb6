# ruff: noqa: E501  (a row of a layout is a line)
"""Layouts of MaxQuant, Proteome Discoverer, FragPipe and other programs for data-dependent runs."""

import re

import numpy as np
import pandas as pd

from .layout_base import (
    ACCESSIONS,
    CHANNELS,
    COUNT,
    COUNTS,
    GENES,
    LOGS,
    PEPTIDES,
    PLACES,
    RUNS,
    TRUTH,
    layout,
    long,
    msstats,
    wide,
)


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
