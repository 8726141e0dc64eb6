# ruff: noqa: E501  (a row of a layout is a line)
"""Layouts of DIA-NN, Spectronaut and other programs for data-independent runs."""

import pandas as pd

from .layout_base import ACCESSIONS, COUNTS, GENES, PEPTIDES, PLACES, RUNS, TRUTH, layout, long, wide


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
