"""Sheets and tables as people keep them: each is read right or refused by the name of what is wrong."""

import csv

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import ArtifactError, InputError
from proteus import load

SAMPLES = [f"S{one}" for one in range(1, 9)]
GROUPS = ["control"] * 4 + ["AD"] * 4
VALUES = np.round(2.0 ** np.random.default_rng(0).normal(22, 1, (12, 8))).astype(int)
GENES = [f"GENE{one}" for one in range(12)]
IDS = [f"P{one:05d}" for one in range(12)]


def write(path, rows, separator=","):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)
    return path


def excel(path, rows, merged=()):
    from openpyxl import Workbook

    book = Workbook()
    for row in rows:
        book.active.append(row)
    for cells in merged:
        book.active.merge_cells(cells)
    book.save(path)
    return path


@pytest.fixture
def matrix(tmp_path):
    return write(
        tmp_path / "m.csv",
        [["protein", *SAMPLES], *[[one, *row] for one, row in zip(IDS, VALUES.tolist(), strict=True)]],
    )


def rows(groups=GROUPS, names=SAMPLES, header=("sample", "group")):
    return [list(header), *[list(one) for one in zip(names, groups, strict=True)]]


def merged_rows():
    return rows([one if place % 4 == 0 else "" for place, one in enumerate(GROUPS)])


BLANKS = ["control", "control ", " control", "control"] + ["AD"] * 4
SHEETS = {  # name: (rows, groups wanted) or (rows, pattern of the refusal)
    "plain": (rows(), GROUPS),
    "merged cells": (merged_rows(), GROUPS),
    "merged with a title": ([["Study X", ""], *merged_rows()], GROUPS),
    "blanks around levels": (rows(BLANKS), GROUPS),
    "tabs in levels": (rows(["control\t"] * 4 + ["AD"] * 4), GROUPS),
    "two cases": (rows(["control", "Control", "control", "control"] + ["AD"] * 4), r"'group'.*differ only by case"),
    "ctl, Ctl , CTL": (rows(["ctl", "Ctl ", "CTL", "ctl"] + ["AD"] * 4), r"'group'.*differ only by case"),
    "blanks inside": (rows(["wild type", "wild  type", "wildtype", "wild type"] + ["ko"] * 4), r"'group'.*blanks"),
    "hard blank": (rows(["wild type", "wild\u00a0type", "wild type", "wild type"] + ["ko"] * 4), r"'group'.*blanks"),
    "full-width letters": (rows(["ctl", "ｃｔｌ", "ctl", "ctl"] + ["AD"] * 4), r"'group'.*differ only"),
    "error of Excel": (rows(["control", "#REF!", "control", "control"] + ["AD"] * 4), r"'group'.*row 3.*#REF!"),
    "error in a number": (
        [
            ["sample", "group", "age"],
            *[[a, b, "#DIV/0!" if a == "S3" else 50] for a, b in zip(SAMPLES, GROUPS, strict=True)],
        ],
        r"'age'.*#DIV/0!",
    ),
    "unnamed index": ([["", "sample", "group"], *[[k, *row] for k, row in enumerate(rows()[1:])]], GROUPS),
    "unnamed index from 1": ([["", "sample", "group"], *[[k, *row] for k, row in enumerate(rows()[1:], 1)]], GROUPS),
    "unnamed sample column": (rows(header=("", "group")), GROUPS),
    "header twice": ([rows()[0], *rows()], GROUPS),
    "header again below": ([*rows()[:5], rows()[0], *rows()[5:]], GROUPS),
    "two columns of a name": (
        [["sample", "group", "group"], *[[a, b, "x"] for a, b in zip(SAMPLES, GROUPS, strict=True)]],
        r"column 'group'.*two columns",
    ),
    "same column twice": (
        [["sample", "group", "group"], *[[a, b, b] for a, b in zip(SAMPLES, GROUPS, strict=True)]],
        GROUPS,
    ),
    "title above": ([["Table S1. Samples of the study", ""], *rows()], GROUPS),
    "two titles and a gap": ([["Study"], ["made in May"], [], *rows()], GROUPS),
    "comment above": ([["# exported by hand"], *rows()], GROUPS),
    "empty rows below": ([*rows(), ["", ""], ["", ""]], GROUPS),
    "empty column": ([[a, "", b] for a, b in rows()], GROUPS),
    "total below": ([*rows(), ["Total", "8"]], r"samples.*only in the sheet: Total"),
    "a sample twice": ([*rows(), ["S1", "AD"]], r"'S1' twice"),
    "an unknown sample": ([*rows(), ["S99", "AD"]], r"only in the sheet: S99"),
    "endings": (rows(names=[f"{one}.raw" for one in SAMPLES]), GROUPS),
    "folders": (rows(names=[f"D:\\runs\\{one}.raw" for one in SAMPLES]), GROUPS),
    "other case of names": (rows(names=[one.lower() for one in SAMPLES]), GROUPS),
    "samples in columns": ([list(one) for one in zip(*rows(), strict=True)], GROUPS),
    "no group": ([["sample"], *[[one] for one in SAMPLES]], r"one column|columns"),
}


@pytest.mark.parametrize("form", ["csv", "semicolons", "xlsx"])
@pytest.mark.parametrize("name", list(SHEETS))
def test_a_sheet_is_read_right_or_refused_by_name(name, form, matrix, tmp_path):
    made, wanted = SHEETS[name]
    if form == "xlsx":
        sheet = excel(tmp_path / "s.xlsx", made)
    else:
        sheet = write(tmp_path / "s.csv", made, ";" if form == "semicolons" else ",")
    if isinstance(wanted, str) and (name, form) != ("no group", "xlsx"):
        with pytest.raises((InputError, ArtifactError), match=wanted):
            load(matrix, sheet)
        return
    data = load(matrix, sheet)
    assert data.samples.index.tolist() == SAMPLES
    if isinstance(wanted, list):
        assert data.samples["group"].tolist() == wanted
        assert not [one for one in data.samples if str(one).startswith("Unnamed")]


def test_merged_cells_of_a_workbook_are_filled(matrix, tmp_path):
    sheet = excel(tmp_path / "s.xlsx", merged_rows(), ["B2:B5", "B6:B9"])
    assert load(matrix, sheet).samples["group"].tolist() == GROUPS


def test_a_merged_block_of_one_and_three_is_filled_as_the_workbook_says(matrix, tmp_path):
    made = rows(["a", "b", "", "", "c", "", "", ""])
    sheet = excel(tmp_path / "s.xlsx", made, ["B3:B5", "B6:B9"])
    assert load(matrix, sheet).samples["group"].tolist() == ["a", "b", "b", "b", "c", "c", "c", "c"]


@pytest.mark.parametrize("name", ["two cases", "ctl, Ctl , CTL", "blanks inside", "hard blank", "full-width letters"])
def test_levels_that_differ_by_case_are_joined_when_asked_to(name, matrix, tmp_path):
    made, _ = SHEETS[name]
    data = load(matrix, write(tmp_path / "s.csv", made), join_levels=True)
    assert data.samples["group"].nunique() == 2
    assert data.samples["group"].value_counts().tolist() == [4, 4]
    assert any("joined, as they differ only by case or blanks" in note for note in data.notes)


def test_gaps_that_are_no_merged_cells_stay_gaps(matrix, tmp_path):
    made = [
        ["sample", "group", "remark"],
        *[
            [a, b, "late" if a == "S1" else "haemolytic" if a == "S3" else ""]
            for a, b in zip(SAMPLES, GROUPS, strict=True)
        ],
    ]
    data = load(matrix, write(tmp_path / "s.csv", made))
    assert data.samples["remark"].isna().sum() == 6 or (data.samples["remark"] == "").sum() == 6


@pytest.mark.parametrize("word", ["n.d.", "unknown", "?", "-", "ND"])
def test_words_for_missing_among_numbers_leave_numbers(word, matrix, tmp_path):
    made = [
        ["sample", "group", "age"],
        *[[a, b, word if a == "S3" else 50 + k] for k, (a, b) in enumerate(zip(SAMPLES, GROUPS, strict=True))],
    ]
    data = load(matrix, write(tmp_path / "s.csv", made))
    assert data.samples["age"].isna().sum() == 1
    assert data.samples["age"].iloc[0] == 50


# Tables -----------------------------------------------------------------------------------------------------------


def wide(head, about, columns, cells=None):
    """Rows of a wide table: annotation, then a column a sample."""
    cells = VALUES.tolist() if cells is None else cells
    return [[*head, *columns], *[[*one, *row] for one, row in zip(about, cells, strict=True)]]


def layouts():
    """{name: rows} of tables with the same twelve proteins in eight samples, from the programs' own descriptions."""
    named = [[a, b] for a, b in zip(IDS, GENES, strict=True)]
    made = {
        "maxquant": wide(
            [
                "Protein IDs",
                "Majority protein IDs",
                "Gene names",
                "Reverse",
                "Potential contaminant",
                "Only identified by site",
            ],
            [[a, a, b, "", "", ""] for a, b in named],
            [f"LFQ intensity {one}" for one in SAMPLES],
        ),
        "diann matrix": wide(
            ["Protein.Group", "Protein.Names", "Genes"],
            [[a, a, b] for a, b in named],
            [f"D:\\x\\{one}.raw" for one in SAMPLES],
        ),
        "fragpipe": wide(
            ["Protein", "Protein ID", "Entry Name", "Gene"],
            [[f"sp|{a}|X", a, "X_HUMAN", b] for a, b in named],
            [f"{one} MaxLFQ Intensity" for one in SAMPLES],
        ),
        "spectronaut pivot": wide(
            ["PG.ProteinGroups", "PG.Genes"],
            named,
            [f"[{k}] {one}.raw.PG.Quantity" for k, one in enumerate(SAMPLES, 1)],
        ),
        "peaks": wide(
            ["Protein Group", "Protein ID", "Accession", "-10lgP", "Coverage (%)", "#Peptides", "#Unique", "Avg. Mass"],
            [[k, k, a, 200, 30, 5, 4, 50_000] for k, (a, _) in enumerate(named)],
            [f"Area {one}" for one in SAMPLES],
        ),
        "peaks lfq": wide(
            ["Accession", "Significance", "Coverage (%)", "#Peptides", "Avg. Mass", "Group 1 Area"],
            [[a, 20, 30, 5, 50_000, 7e6] for a, _ in named],
            [f"{one} Area" for one in SAMPLES],
        ),
        "metamorpheus": wide(
            [
                "Protein Accession",
                "Gene",
                "Organism",
                "Protein Full Name",
                "Number of Proteins in Group",
                "Protein Decoy/Contaminant/Target",
                "Protein QValue",
            ],
            [[a, b, "Homo sapiens", "x", 1, "T", 0] for a, b in named],
            [f"Intensity_{one}" for one in SAMPLES],
        ),
        "metamorpheus peptides": wide(
            ["Sequence", "Base Sequence", "Protein Groups", "Gene Names", "Organism"],
            [[f"PEP{'ACDEFGHIKLMN'[k]}K", f"PEP{'ACDEFGHIKLMN'[k]}K", a, b, "x"] for k, (a, b) in enumerate(named)],
            [f"Intensity_{one}" for one in SAMPLES],
        ),
        "discoverer": wide(
            ["Accession", "Gene Symbol", "# Peptides"],
            [[a, b, 3] for a, b in named],
            [f"Abundance: F{k}: Sample" for k in range(1, 9)],
        ),
        "alphadia": wide(["pg"], [[a] for a, _ in named], SAMPLES),
        "plain": wide(["protein", "gene"], named, SAMPLES),
        "plain with limma's columns": wide(
            ["protein", "gene", "logFC", "AveExpr", "t", "P.Value", "adj.P.Val", "B"],
            [[a, b, 0.5, 22, 1.2, 0.2, 0.3, -4] for a, b in named],
            SAMPLES,
        ),
    }
    made["progenesis"] = [
        [*[""] * 3, "Normalized abundance", *[""] * 7, "Raw abundance", *[""] * 7],
        [*[""] * 3, *["control", *[""] * 3, "AD", *[""] * 3] * 2],
        ["Accession", "Peptide count", "Description", *SAMPLES, *SAMPLES],
        *[[a, 3, "x", *row, *[2 * one for one in row]] for (a, _), row in zip(named, VALUES.tolist(), strict=True)],
    ]
    long = [(s, a, b, v) for j, s in enumerate(SAMPLES) for (a, b), v in zip(named, VALUES[:, j].tolist(), strict=True)]
    made["spectronaut"] = [
        ["R.FileName", "PG.ProteinGroups", "PG.Genes", "EG.PrecursorId", "EG.Qvalue", "FG.Quantity", "PG.Quantity"],
        *[[s, a, b, f"_{a}K_.2", 0.001, v, 7.0] for s, a, b, v in long],
    ]
    made["spectronaut fragments"] = [
        [
            "R.FileName",
            "PG.ProteinGroups",
            "PG.Quantity",
            "EG.ModifiedSequence",
            "FG.Charge",
            "F.FrgIon",
            "F.PeakArea",
            "F.ExcludedFromQuantification",
        ],
        *[
            [s, a, 7.0, f"_{a}K_", 2, ion, area, skip]
            for s, a, _, v in long
            for ion, area, skip in (("y3", v / 4, "False"), ("y4", 3 * v / 4, "False"), ("y5", 9e9, "True"))
        ],
    ]
    made["diann report"] = [
        ["Run", "Protein.Group", "Genes", "Precursor.Id", "Precursor.Normalised", "Q.Value"],
        *[[s, a, b, f"{a}K2", v, 0.001] for s, a, b, v in long],
    ]
    made["msstats"] = [
        ["ProteinName", "PeptideSequence", "PrecursorCharge", "Run", "Intensity"],
        *[[a, "PEPK" + a, 2, s, v] for s, a, _, v in long],
    ]
    made["tidy"] = [["sample", "protein", "intensity"], *[[s, a, v] for s, a, _, v in long]]
    return made


def twice(rows):
    return [rows[0], *rows]


def again(rows):
    return [*rows[:6], rows[0], *rows[6:]]


def titled(rows):
    return [["Exported proteins"], [], *rows]


def trailing(rows):
    return [*rows, [""] * len(rows[0])]


ANNOYANCES = {
    "as it is": lambda rows: rows,
    "header twice": twice,
    "header again": again,
    "title": titled,
    "empty rows": trailing,
}
CASES = [(name, how) for name in layouts() for how in ANNOYANCES if not (name == "progenesis" and how != "as it is")]


def test_at_least_sixty_layouts_are_tried():
    assert len(CASES) >= 60


@pytest.mark.parametrize(("name", "how"), CASES)
def test_a_layout_is_read_right_whatever_stands_around_it(name, how, tmp_path):
    path = write(tmp_path / "t.tsv", ANNOYANCES[how](layouts()[name]), "\t")
    data = load(path)
    order = sorted(range(8), key=lambda k: data.samples.index[k]) if name != "discoverer" else list(range(8))
    if name != "discoverer":
        assert sorted(data.samples.index) == sorted(SAMPLES)
    found = {str(one).split(";")[0].strip("_"): row for one, row in zip(data.features.index, data.values, strict=True)}
    assert len(found) == 12
    by_protein = data.features["protein"] if "protein" in data.features else data.features.index.to_series()
    for protein, row in zip(by_protein, data.values, strict=True):
        np.testing.assert_allclose(np.exp2(row[order]), VALUES[IDS.index(str(protein).split(";")[0])], rtol=1e-9)


RESULTS = {
    "FragPipe-Analyst": [
        "Protein ID",
        "Gene Name",
        "AD_vs_control_log2 fold change",
        "AD_vs_control_p.val",
        "AD_vs_control_p.adj",
        "AD_vs_control_significant_num",
        "AD_centered",
        "control_centered",
    ],
    "limma": ["protein", "logFC", "AveExpr", "t", "P.Value", "adj.P.Val", "B"],
    "MSstats": [
        "Protein",
        "Label",
        "log2FC",
        "SE",
        "Tvalue",
        "DF",
        "pvalue",
        "adj.pvalue",
        "MissingPercentage",
        "ImputationPercentage",
    ],
    "DESeq2": ["gene", "baseMean", "log2FoldChange", "lfcSE", "stat", "pvalue", "padj"],
    "proDA": ["name", "pval", "adj_pval", "diff", "t_statistic", "se", "df", "avg_abundance", "n_approx", "n_obs"],
    "DEP": [
        "name",
        "ID",
        "AD_vs_control_p.val",
        "AD_vs_control_p.adj",
        "AD_vs_control_ratio",
        "AD_centered",
        "control_centered",
    ],
    "Spectronaut candidates": [
        "Group",
        "Comparison (group1/group2)",
        "AVG Log2 Ratio",
        "Absolute AVG Log2 Ratio",
        "Pvalue",
        "Qvalue",
        "% Change",
    ],
    "Perseus": [
        "T: Protein",
        "-Log Student's T-test p-value AD_control",
        "Student's T-test Difference AD_control",
        "Student's T-test q-value AD_control",
    ],
}


@pytest.mark.parametrize("name", list(RESULTS))
def test_a_table_of_results_is_refused_by_name(name, tmp_path):
    rng = np.random.default_rng(1)
    texts = {
        "protein",
        "Protein ID",
        "Gene Name",
        "Protein",
        "Label",
        "gene",
        "name",
        "ID",
        "Group",
        "Comparison (group1/group2)",
        "T: Protein",
    }
    body = [[f"P{k}" if one in texts else round(float(rng.random()), 4) for one in RESULTS[name]] for k in range(30)]
    with pytest.raises(
        InputError, match=r"a table of results|one for each sample|numbers that are not those of a sample"
    ):
        load(write(tmp_path / "r.tsv", [RESULTS[name], *body], "\t"))


def test_two_columns_of_one_sample_are_refused(tmp_path):
    made = wide(["protein"], [[one] for one in IDS], ["S1", "S1", *SAMPLES[2:]])
    with pytest.raises(InputError, match=r"column 'S1'.*two columns of this name"):
        load(write(tmp_path / "m.csv", made))


def test_features_of_quantms_are_read_by_sample(tmp_path):
    frame = pd.DataFrame(
        [
            {
                "sequence": f"PEP{k}K",
                "peptidoform": f"PEP{k}K",
                "precursor_charge": 2,
                "is_decoy": 0,
                "pg_accessions": [IDS[k]],
                "reference_file_name": f"run{j}",
                "calculated_mz": 500.0,
                "rt": 10.0,
                "posterior_error_probability": 0.01,
                "intensities": [{"sample_accession": name, "channel": "LFQ", "intensity": float(VALUES[k, j])}],
            }
            for k in range(12)
            for j, name in enumerate(SAMPLES)
        ]
    )
    frame.to_parquet(tmp_path / "feature.parquet")
    data = load(tmp_path / "feature.parquet")
    assert (data.source, data.level, list(data.samples.index)) == ("quantms", "precursor", SAMPLES)
    np.testing.assert_allclose(np.exp2(data.values[0]), VALUES[0])
    assert data.features["protein"].tolist() == IDS


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_olink_96_wide_is_read(form, tmp_path):
    npx = np.random.default_rng(2).normal(5, 2, (8, 6)).round(3)
    made = [
        ["NPX data"],
        ["Panel", *["Olink Target 96 Inflammation"] * 6, "Plate ID", "QC Warning"],
        ["Assay", *GENES[:6], "Plate ID", "QC Warning"],
        ["Uniprot ID", *IDS[:6]],
        ["OlinkID", *[f"OID0{one}" for one in range(100, 106)]],
        [],
        *[
            [name, *row, "p1", "Warning" if name == "S2" else "Pass"]
            for name, row in zip(SAMPLES, npx.tolist(), strict=True)
        ],
        [],
        ["LOD", *[1.0] * 6],
        ["Missing Data freq.", *[0.1] * 6],
        ["Normalization", *["Intensity"] * 6],
    ]
    path = excel(tmp_path / "o.xlsx", made) if form == "xlsx" else write(tmp_path / "o.csv", made, ";")
    data = load(path)
    assert data.samples.index.tolist() == SAMPLES
    assert data.features["gene"].tolist() == GENES[:6]
    np.testing.assert_allclose(data.values, npx.T)
    assert any("1 samples carry a QC warning" in note for note in data.notes)
