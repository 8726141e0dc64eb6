import gzip
import zipfile

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import ArtifactError, InputError
from proteus import add_symbols, load, load_gmt, load_network, moderated_test, profile, sniff
from proteus.loaders._table import read_table

from .helpers import needs_data, real

FIXTURES = {
    "fixtures/diann_1.9_report_hye_sample.tsv.gz": ("diann", "precursor", (232, 6)),
    "fixtures/diann_report_small.tsv": ("diann", "precursor", (30, 6)),
    "fixtures/diann_pg_matrix_small.tsv": ("diann_matrix", "protein", (7, 20)),
    "fixtures/fragpipe_combined_protein_small.tsv": ("fragpipe_protein", "protein", (6, 20)),
    "fixtures/fragpipe_msstats_small.csv": ("msstats", "precursor", (15, 6)),
    "fixtures/maxquant_peptides.txt.gz": ("maxquant_peptides", "peptide", (959, 12)),
    "fixtures/maxquant_proteinGroups_small.csv": ("maxquant_protein_groups", "protein", (4, 15)),
    "fixtures/spectronaut_long_small.csv.gz": ("spectronaut", "precursor", (18, 6)),
    "maxquant_full_header_proteinGroups.txt.gz": ("maxquant_protein_groups", "protein", (758, 10)),
    "ubilength_proteinGroups.txt.gz": ("maxquant_protein_groups", "protein", (2891, 12)),
    "rapamycin_lip_peptides.csv.gz": ("spectronaut", "precursor", (3319, 8)),
    "scp_melanoma_monocyte_peptides.csv.gz": ("matrix", "peptide", (200, 73)),
    "csf_proteome.parquet": ("matrix", "protein", (1542, 210)),
    "cytof_pbmc_bcrxl_cells.parquet": ("cell_table", "cell", (24, 5428)),
}


@needs_data
@pytest.mark.data
@pytest.mark.parametrize("name", FIXTURES)
def test_real_files_are_recognised_by_content(name):
    source, level, shape = FIXTURES[name]
    data = load(real(name))
    assert (data.source, data.level, data.shape) == (source, level, shape)
    if level != "cell":
        assert 5 < np.nanmedian(data.values) < 40  # log2 of intensities


@needs_data
@pytest.mark.data
def test_bom_and_commas_in_a_tsv_are_noted():
    notes = load(real("fixtures/diann_report_small.tsv")).notes
    assert any("byte-order mark" in note for note in notes)
    assert any("separated by commas" in note for note in notes)


def write(path, rows, separator="\t"):
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path


def groups(tmp_path, extra=(), value=lambda row, column: 1e6 * (row + 1) + 1e4 * column):
    head = ["Majority protein IDs", "Gene names", "LFQ intensity A1", "LFQ intensity A2", "LFQ intensity B1"]
    rows = [[f"P{row:05d}", f"G{row}", *[value(row, column) for column in range(3)], "", ""] for row in range(5)]
    return write(tmp_path / "proteinGroups.txt", [[*head, "Reverse", "Potential contaminant"], *rows, *extra])


def test_decoys_contaminants_and_zeros_are_taken_out_and_said(tmp_path):
    extra = [
        ["REV__P1", "x", 1e6, 1e6, 1e6, "+", ""],
        ["CON__P2", "y", 1e6, 1e6, 1e6, "", "+"],
        ["P9", "z", 0, 2e6, 3e6, "", ""],
    ]
    data = load(groups(tmp_path, extra))
    assert data.shape == (6, 3)
    assert np.isnan(data.values[5, 0])
    assert data.values[0, 0] == pytest.approx(np.log2(1e6))
    said = " ".join(data.notes)
    assert "1 decoys left out" in said
    assert "1 contaminants left out" in said
    assert "were taken for missing" in said


def test_decoys_left_in_a_plain_matrix_are_found(tmp_path):
    rows = [["id", "s1", "s2"], ["P1", 1e5, 2e5], ["rev_P2", 1e5, 2e5], ["DECOY_P3", 1e5, 2e5]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.features.index.tolist() == ["P1"]
    assert "2 decoys left out" in data.notes


def test_decimal_commas_are_read_and_said(tmp_path):
    rows = [["id", "s1", "s2"], *[[f"P{k}", f"{k}00000,5", f"{k}50000,25"] for k in range(1, 5)]]
    data = load(write(tmp_path / "m.csv", rows, ";"))
    assert 2 ** data.values[0, 0] == pytest.approx(100000.5)
    assert any("decimal commas" in note and "'s1'" in note for note in data.notes)


def test_decimal_commas_of_a_sheet_are_numbers_and_said(tmp_path):
    rows = [["id", *(f"s{k}" for k in range(1, 5))], *[[f"P{k}", *[1e5 * k] * 4] for k in range(1, 5)]]
    sheet = [["Probe", "age", "code", "dose", "batch"], ["s2", "60,5", "1,5 mM", "1,250", "2"],
             ["s1", "41", "2,5 mM", "2,500", "1"], ["s4", "", "1,5 mM", "1,250", "2"],
             ["s3", "28,25", "x", "2,500", "1"]]  # fmt: skip
    data = load(write(tmp_path / "m.tsv", rows), write(tmp_path / "s.csv", sheet, ";"))
    assert data.samples["age"].tolist()[:3] == [41.0, 60.5, 28.25]
    assert "decimal commas of the sheet were read as points (age)" in data.notes
    assert data.samples["code"].tolist() == ["2,5 mM", "1,5 mM", "x", "1,5 mM"]
    assert data.samples["dose"].tolist() == ["2,500", "1,250", "2,500", "1,250"]  # thousands, or not: nothing tells
    assert data.samples["batch"].tolist() == ["1", "2", "1", "2"]


def test_a_stray_word_is_named_with_row_and_column(tmp_path):
    rows = [["id", "s1", "s2"], *[[f"P{k}", 1e5 * k, 1e5] for k in range(1, 20)], ["P20", "oops", 1e5]]
    with pytest.raises(InputError, match=r"column 's1'.*m.tsv, row 21.*'oops'.*a number"):
        load(write(tmp_path / "m.tsv", rows))


def test_log_data_are_left_as_they_are(tmp_path):
    rows = [["id", "s1", "s2"], *[[f"P{k}", 20 + k, 21 + k] for k in range(4)]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.values[0].tolist() == [20, 21]
    assert any("already on a log scale" in note for note in data.notes)


def test_excel_dates_among_genes_are_named(tmp_path):
    rows = [
        ["protein", "gene", "s1", "s2"],
        ["P1", "2-Sep", 1e5, 2e5],
        ["P2", "TP53", 1e5, 2e5],
        ["P3", "Mar-01", 1e5, 2e5],
    ]
    data = load(write(tmp_path / "m.tsv", rows))
    assert any("2 gene names look like dates, e.g. '2-Sep'" in note for note in data.notes)


def test_repeated_ids_are_numbered_and_empty_ones_left_out(tmp_path):
    rows = [["protein", "s1", "s2"], ["P1", 1e5, 2e5], ["P1", 3e5, 4e5], ["", 1e5, 1e5]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.features.index.tolist() == ["P1", "P1.2"]
    assert any("repeated ids" in note for note in data.notes)
    assert any("rows without an id" in note for note in data.notes)


def test_constant_and_all_missing_features_are_said(tmp_path):
    rows = [["id", "s1", "s2", "s3"], ["P1", 1e5, 1e5, 1e5], ["P2", 0, 0, 0], ["P3", 1e5, 2e5, 3e5]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.shape[0] == 2
    assert any("without any value left out, e.g. 'P2'" in note for note in data.notes)
    assert any("constant, e.g. 'P1'" in note for note in data.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (gzip.compress(b"id\ts1\n" * 999)[:-20], "truncated or damaged gzip"),
        (b"PAR1 broken", "parquet"),
    ],
    ids=["empty", "cut", "parquet"],  # gzip's bytes hold the time
)
def test_damaged_files_are_named(tmp_path, content, message):
    path = tmp_path / "broken.tsv"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=f"broken.tsv.*{message}"):
        load(path)
    with pytest.raises(ArtifactError, match=r"nowhere.tsv: is not there"):
        load(tmp_path / "nowhere.tsv")


def test_a_table_that_ends_inside_a_row_is_said(tmp_path):
    whole = "id\ts1\ts2\ts3\n" + "".join(f"P{one}\t1e5\t2e5\t3e5\n" for one in range(4))
    (tmp_path / "m.tsv").write_text(whole[:-1])
    assert not any("cut off" in note for note in load(tmp_path / "m.tsv").notes)  # just no newline at the end
    (tmp_path / "m.tsv").write_text(whole[:-6])
    notes = load(tmp_path / "m.tsv").notes
    assert "the last row (5) ends before its last column: the file may be cut off" in notes


def test_truncated_parquet_is_named(tmp_path):
    path = tmp_path / "m.parquet"
    pd.DataFrame({"id": ["a", "b"], "s1": [1e5, 2e5], "s2": [1e5, 2e5]}).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ArtifactError, match="parquet"):
        load(path)


def test_the_first_sheet_of_a_workbook_is_read(tmp_path):
    pytest.importorskip("openpyxl", reason="the extra xlsx is not installed")
    frame = pd.DataFrame({"Protein": ["P1", "P2"], "s1": [10.5, None], "s2": ["1,024", "7"]})
    with pd.ExcelWriter(tmp_path / "m.xlsx") as book:
        frame.to_excel(book, sheet_name="values", index=False)
        frame.to_excel(book, sheet_name="more", index=False)
    found = read_table(tmp_path / "m.xlsx")
    assert found.columns == ["Protein", "s1", "s2"]
    assert found.frame["s1"].tolist() == ["10.5", ""]
    assert found.notes == ["the first sheet of a workbook, 'values'; not read: more"]
    with zipfile.ZipFile(tmp_path / "other.xlsx", "w") as packed:
        packed.writestr("a.txt", "x")
    with pytest.raises(InputError, match="a zip archive"):
        read_table(tmp_path / "other.xlsx")


def test_workbooks_and_single_columns_are_refused(tmp_path):
    (tmp_path / "m.xlsx").write_bytes(b"PK\x03\x04 something")
    with pytest.raises(InputError, match=r"workbook.*save the sheet as CSV"):
        load(tmp_path / "m.xlsx")
    (tmp_path / "one.txt").write_text("just\nwords\n")
    with pytest.raises(InputError, match="one column"):
        load(tmp_path / "one.txt")


def test_sheet_gives_factors_in_the_tables_order(tmp_path):
    sheet = write(
        tmp_path / "s.csv", [["file", "group", "age"], ["B1.raw", "b", 3], ["A1.raw", "a", 1], ["A2.raw", "a", 2]], ","
    )
    data = load(groups(tmp_path), sheet)
    assert data.samples.index.tolist() == ["A1", "A2", "B1"]
    assert data.samples["group"].tolist() == ["a", "a", "b"]
    assert data.samples["age"].tolist() == [1, 2, 3]


def test_numbers_that_are_names_become_groups_and_it_is_said(tmp_path):
    names = [f"S{one}" for one in range(8)]
    rows = [[f"P{one}", *(f"{2.0 ** (20 + one + place % 3):.0f}" for place in range(8))] for one in range(5)]
    path = write(tmp_path / "m.csv", [["protein", *names], *rows], ",")
    head = ["sample", "group", "batch", "subject", "age", "treatment", "run", "drug"]
    rows = [[name, k % 2, 1 + k // 4, k // 2, 30 + k, 0.5 * (k % 3), k, k % 2] for k, name in enumerate(names)]
    data = load(path, write(tmp_path / "s.csv", [head, *rows], ","))
    assert data.samples["group"].tolist() == ["0", "1"] * 4
    assert data.samples["batch"].tolist() == ["1"] * 4 + ["2"] * 4
    assert data.samples["subject"].tolist() == [str(k // 2) for k in range(8)]
    for measured in ("age", "treatment", "run", "drug"):  # doses and run numbers stay numbers
        assert data.samples[measured].tolist() == [row[head.index(measured)] for row in rows]
    assert "column 'batch' holds the numbers 1, 2: taken as groups" in data.notes
    found = profile(data)
    assert set(found.factors) == {"group", "batch", "subject"}
    assert any("column 'drug' holds two numbers; a study compares them as two groups" in one for one in found.warnings)
    assert moderated_test(data, "~ group", "1-0").contrast == "1-0"


def test_mismatch_lists_both_sides(tmp_path):
    sheet = write(tmp_path / "s.csv", [["sample", "group"], ["A1", "a"], ["A9", "b"]], ",")
    with pytest.raises(InputError, match=r"only in the sheet: A9; only in the table: A2, B1"):
        load(groups(tmp_path), sheet)


def test_samples_outside_the_sheet_are_left_out_and_said(tmp_path):
    sheet = write(tmp_path / "s.csv", [["sample", "group"], ["A1", "a"], ["B1", "b"]], ",")
    data = load(groups(tmp_path), sheet)
    assert data.samples.index.tolist() == ["A1", "B1"]
    assert any("not in the sheet and were left out: A2" in note for note in data.notes)


def test_sample_named_twice_is_refused(tmp_path):
    sheet = write(tmp_path / "s.csv", [["sample", "group"], ["A1", "a"], ["A1", "b"], ["A2", "b"], ["B1", "b"]], ",")
    with pytest.raises(InputError, match="'A1' twice"):
        load(groups(tmp_path), sheet)


def test_sdrf_is_a_sample_sheet(tmp_path):
    head = ["source name", "characteristics[organism]", "comment[data file]", "factor value[disease]"]
    rows = [
        [f"src{k}", "Homo sapiens", f"{name}.raw", disease]
        for k, (name, disease) in enumerate([("A1", "x"), ("A2", "x"), ("B1", "y")])
    ]
    data = load(groups(tmp_path), write(tmp_path / "e.sdrf.tsv", [head, *rows]))
    assert data.samples["disease"].tolist() == ["x", "x", "y"]
    assert data.samples["organism"].iloc[0] == "Homo sapiens"


def test_evidence_sums_features_of_a_precursor(tmp_path):
    head = ["Sequence", "Modified sequence", "Charge", "Raw file", "Intensity", "Leading razor protein", "Reverse"]
    rows = [
        ["AK", "_AK_", 2, "r1", 1e5, "P1", ""],
        ["AK", "_AK_", 2, "r1", 3e5, "P1", ""],
        ["AK", "_AK_", 2, "r2", 2e5, "P1", ""],
        ["BK", "_BK_", 2, "r2", 2e5, "P2", "+"],
    ]
    data = load(write(tmp_path / "evidence.txt", [head, *rows]))
    assert data.source == "maxquant_evidence"
    np.testing.assert_allclose(2**data.values, [[4e5, 2e5]])


def test_diann_parquet_drops_decoys_and_weak_rows(tmp_path):
    frame = pd.DataFrame(
        {
            "Run": ["r1", "r2", "r1", "r1"], "Protein.Group": ["P1", "P1", "P2", "P3"], "Genes": list("abcd"),
            "Precursor.Id": ["AK2", "AK2", "BK2", "CK2"], "Precursor.Normalised": [1e5, 2e5, 3e5, 4e5],
            "Q.Value": [0.001, 0.001, 0.5, 0.001], "Decoy": [0, 0, 0, 1],
        }
    )  # fmt: skip
    frame.to_parquet(tmp_path / "report.parquet")
    data = load(tmp_path / "report.parquet")
    assert data.source == "diann"
    assert data.features.index.tolist() == ["AK2"]
    assert any("Q.Value above 0.01" in note for note in data.notes)
    assert any("decoys" in note for note in data.notes)


def test_pr_matrix_and_combined_ion_are_precursors(tmp_path):
    pr = [["Protein.Group", "Genes", "Precursor.Id", "r1.raw", "r2.raw"], ["P1", "a", "AK2", 1e5, 2e5]]
    data = load(write(tmp_path / "pr.tsv", pr))
    assert (data.source, data.level, data.features.index[0]) == ("diann_matrix", "precursor", "AK2")
    ion = [
        [
            "Peptide Sequence",
            "Modified Sequence",
            "Charge",
            "Protein ID",
            "s1 Intensity",
            "s2 Intensity",
            "s1 Spectral Count",
        ],
        ["AK", "AK", 2, "P1", 1e5, 2e5, 3],
    ]
    data = load(write(tmp_path / "ion.tsv", ion))
    assert (data.source, data.level, data.samples.index.tolist()) == ("fragpipe_ion", "precursor", ["s1", "s2"])


def test_skyline_report_is_filtered_by_q(tmp_path):
    rows = [
        ["FileName", "ProteinName", "PrecursorCharge", "ModifiedSequence", "TotalArea", "annotation_QValue"],
        ["a.mzML", "P1", 2, "AK", 1e5, 0.001],
        ["b.mzML", "P1", 2, "AK", 2e5, 0.2],
        ["b.mzML", "P1", 2, "BK", 2e5, "#N/A"],
    ]
    data = load(write(tmp_path / "sky.tsv", rows))
    assert data.source == "skyline"
    assert data.features.index.tolist() == ["AK_2", "BK_2"]
    assert np.isnan(data.values[0, 1])


def test_mztab_names_assays_by_their_run(tmp_path):
    lines = [
        "MTD\tmzTab-version\t1.0.0",
        "MTD\tms_run[1]-location\tfile:///x/run_a.mzML",
        "MTD\tms_run[2]-location\tfile:///x/run_b.mzML",
    ]
    lines += ["MTD\tassay[1]-ms_run_ref\tms_run[1]", "MTD\tassay[2]-ms_run_ref\tms_run[2]"]
    lines += [
        "PRH\taccession\tdescription\tprotein_abundance_assay[1]\tprotein_abundance_assay[2]",
        "PRT\tP1\tx GN=TP53 y\t100000\t200000",
        "PRT\tP2\tz\tnull\t300000",
    ]
    (tmp_path / "x.mztab").write_text("\n".join(lines) + "\n")
    data = load(tmp_path / "x.mztab")
    assert data.source == "mztab"
    assert data.samples.index.tolist() == ["run_a", "run_b"]
    assert data.features["gene"].tolist() == ["TP53", ""]
    assert np.isnan(data.values[1, 0])


def test_olink_is_wide_and_log2(tmp_path):
    rows = [["SampleID", "OlinkID", "UniProt", "Assay", "NPX", "QC_Warning"]]
    rows += [
        [s, o, u, a, v, w]
        for s, o, u, a, v, w in [
            ("x", "OID1", "P1", "IL6", 3.5, "PASS"),
            ("y", "OID1", "P1", "IL6", -0.5, "WARN"),
            ("x", "OID2", "P2", "TNF", 1.0, "PASS"),
        ]
    ]
    data = load(write(tmp_path / "npx.csv", rows, ","))
    assert (data.source, data.scale) == ("olink", "log2")
    assert data.values.tolist()[0] == [3.5, -0.5]
    assert data.features["gene"].tolist() == ["IL6", "TNF"]
    assert any("1 values carry a QC warning" in note for note in data.notes)


def test_adat_keeps_samples_alone(tmp_path):
    lines = ["!Checksum\tabc", "^HEADER", "!Title\tx", "^TABLE_BEGIN"]
    lines += [
        "\t\t\tSeqId\t10-1\t11-2",
        "\t\t\tUniProt\tP1\tP2",
        "\t\t\tEntrezGeneSymbol\tIL6\tTNF",
        "SampleId\tSampleType\tAge\t\t\t",
    ]
    lines += ["a\tSample\t50\t\t1000.5\t2000", "b\tSample\t60\t\t1500\t2500", "c\tBuffer\t\t\t10\t20"]
    (tmp_path / "x.adat").write_text("\n".join(lines) + "\n")
    data = load(tmp_path / "x.adat")
    assert data.source == "adat"
    assert data.samples.index.tolist() == ["a", "b"]
    assert data.features["gene"].tolist() == ["IL6", "TNF"]
    assert data.values[0, 0] == pytest.approx(np.log2(1000.5))
    (tmp_path / "cut.adat").write_text("!Checksum\tabc\n^HEADER\n")
    with pytest.raises(ArtifactError, match="TABLE_BEGIN"):
        load(tmp_path / "cut.adat")


def test_cptac_takes_log_ratios_without_summary_rows(tmp_path):
    rows = [
        ["Gene", "T1 Log Ratio", "T1 Unshared Log Ratio", "T2 Log Ratio", "Description"],
        ["Mean", 0.1, 0, 0.1, ""],
        ["TP53", -0.5, 0, 0.7, "x"],
        ["MYC", 0.5, 0, -0.7, "y"],
    ]
    data = load(write(tmp_path / "c.tsv", rows))
    assert (data.source, data.samples.index.tolist()) == ("cptac", ["T1", "T2"])
    assert data.values.tolist() == [[-0.5, 0.7], [0.5, -0.7]]


def fcs(events, order="<", kind="F"):
    code = {"F": "f4", "I": "u2"}[kind]
    data = np.asarray(events, order + code).tobytes()
    keys = {
        "$TOT": len(events),
        "$PAR": 2,
        "$MODE": "L",
        "$DATATYPE": kind,
        "$BYTEORD": "1,2,3,4" if order == "<" else "4,3,2,1",
    }
    for number, (short, stain) in enumerate([("Ir191Di", "CD3"), ("Ir193Di", "CD20")], 1):
        keys |= {f"$P{number}N": short, f"$P{number}S": stain, f"$P{number}B": 32 if kind == "F" else 16}
    start = 58 + 400
    keys["$BEGINDATA"] = start
    text = ("|" + "|".join(f"{key}|{value}" for key, value in keys.items()) + "|").encode().ljust(400)
    header = b"FCS3.0    " + b"".join(
        f"{one:>8}".encode() for one in (58, 58 + 399, start, start + len(data) - 1, 0, 0)
    )
    return header + text + data


@pytest.mark.parametrize(("order", "kind"), [("<", "F"), (">", "F"), (">", "I")])
def test_fcs_is_read_in_both_byte_orders(tmp_path, order, kind):
    (tmp_path / "donor1.fcs").write_bytes(fcs([[1, 2], [3, 4], [5, 6]], order, kind))
    data = load(tmp_path / "donor1.fcs")
    assert (data.source, data.level, data.scale) == ("fcs", "cell", "counts")
    assert data.features.index.tolist() == ["CD3", "CD20"]
    assert data.values.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert set(data.samples["sample_id"]) == {"donor1"}
    (tmp_path / "donor1.fcs").write_bytes(fcs([[1, 2], [3, 4]], order, kind)[:-3])
    with pytest.raises(ArtifactError, match="truncated"):
        load(tmp_path / "donor1.fcs")


def test_h5ad_comes_back_as_it_went(tmp_path):
    pytest.importorskip("anndata")
    data = load(groups(tmp_path))
    data.to_anndata().write_h5ad(tmp_path / "x.h5ad")
    again = load(tmp_path / "x.h5ad")
    np.testing.assert_allclose(again.values, data.values)
    assert again.features.index.tolist() == data.features.index.tolist()
    (tmp_path / "x.h5ad").write_bytes((tmp_path / "x.h5ad").read_bytes()[:2000])
    with pytest.raises(ArtifactError, match="h5ad"):
        load(tmp_path / "x.h5ad")


def test_cell_table_takes_a_sheet_of_its_samples(tmp_path):
    rows = [["sample_id", "CD3", "CD20"], *[[f"d{k % 2}", k, 2 * k] for k in range(12)]]
    sheet = pd.DataFrame({"sample_id": ["d0", "d1"], "condition": ["x", "y"]})
    data = load(write(tmp_path / "cells.csv", rows, ","), sheet)
    assert sniff(tmp_path / "cells.csv") == "cell_table"
    assert data.samples["condition"].tolist() == ["x", "y"] * 6


def test_unknown_format_lists_the_known(tmp_path):
    with pytest.raises(InputError, match=r"format.*diann.*mztab"):
        load(groups(tmp_path), format="excel")


def test_gmt_and_networks(tmp_path):
    (tmp_path / "s.gmt").write_text("A\tone\tg1\tg2\tg1\nA\ttwo\tg3\nB\tx\n")
    assert load_gmt(tmp_path / "s.gmt") == {"A": ["g1", "g2"], "A (two)": ["g3"]}
    (tmp_path / "n.tsv").write_text("a\tb\nx\ty\ny\tx\nx\tx\n")
    assert len(load_network(tmp_path / "n.tsv").edges) == 1


def test_symbols_follow_the_first_known_accession(tmp_path):
    data = load(write(tmp_path / "m.tsv", [["protein", "s1", "s2"], ["X9;P04637-2", 1e5, 2e5], ["Q0", 1e5, 2e5]]))
    mapping = write(tmp_path / "map.tsv", [["uniprot", "entry", "symbol"], ["P04637", "P53_HUMAN", "TP53"]])
    found = add_symbols(data, mapping)
    assert found.features["gene"].tolist() == ["TP53", ""]
    assert found.genes.tolist() == ["TP53", "Q0"]
