# ruff: noqa: E501  (a row of a layout is a line)
"""Layouts of MSstats, tidy tables, mzTab, and of the panels of Olink and SomaScan."""

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
