"""Tables and sheets as people have them: numbered subjects, other exports' names, damage that is easily misread."""

import numpy as np
import pytest
from ninefold.errors import InputError
from proteus import add_symbols, load, load_network


def write(path, rows, separator="\t"):
    path.write_text("\n".join(separator.join(map(str, row)) for row in rows) + "\n", encoding="utf-8")
    return path


def plain(path, names, rows=5):
    """A plain matrix of the samples named."""
    cells = [
        [f"P{row}", *(f"{2.0 ** (20 + row + place % 3):.0f}" for place in range(len(names)))] for row in range(rows)
    ]
    return write(path, [["protein", *names], *cells])


def test_any_number_of_numbered_subjects_are_names(tmp_path):
    names = [f"S{one}" for one in range(50)]
    rows = [[name, k % 2, k // 2 + 1, k // 2 + 1] for k, name in enumerate(names)]
    sheet = write(tmp_path / "s.tsv", [["sample", "group", "patient", "batch"], *rows])
    data = load(plain(tmp_path / "m.tsv", names), sheet)
    assert data.samples["patient"].tolist() == [str(k // 2 + 1) for k in range(50)]
    assert data.samples["batch"].dtype == int  # more than a few batches are rather a running number
    some = load(plain(tmp_path / "m.tsv", names), write(tmp_path / "s.tsv", [["sample", "donor"], *[
        [name, max(k - 20, 0)] for k, name in enumerate(names)]]))  # fmt: skip
    assert some.samples["donor"].iloc[-1] == "29"  # most of them measured once


def test_lower_case_spectronaut_is_filtered_by_q(tmp_path):
    head = ["r_file_name", "pg_protein_accessions", "eg_precursor_id", "fg_quantity", "eg_qvalue", "pg_qvalue"]
    rows = [["a", "P1", "_AK_.2", 1e5, 0.001, 0.001], ["b", "P1", "_AK_.2", 1e5, 0.5, 0.001]]
    rows += [["a", "P2", "_BK_.2", 1e5, 0.001, 0.5], ["b", "P3", "_CK_.2", 1e5, 0.001, 0.001]]
    data = load(write(tmp_path / "s.tsv", [head, *rows]))
    assert data.features.index.tolist() == ["_AK_.2", "_CK_.2"]
    assert np.isnan(data.values[0, 1])
    assert {"1 rows with eg_qvalue above 0.01 left out", "1 rows with pg_qvalue above 0.01 left out"} <= set(data.notes)


def test_ions_of_decoys_and_contaminants_are_left_out(tmp_path):
    head = ["Modified Sequence", "Charge", "Protein", "Protein ID", "s1 Intensity", "s2 Intensity"]
    rows = [["AK", 2, "sp|P1|X", "P1", 1e5, 2e5], ["BK", 2, "contam_sp|P2|Y", "P2", 1e5, 2e5]]
    rows += [["CK", 2, "rev_sp|P3|Z", "P3", 1e5, 2e5]]
    data = load(write(tmp_path / "ion.tsv", [head, *rows]))
    assert data.features.index.tolist() == ["AK_2"]
    assert {"1 decoys left out", "1 contaminants left out"} <= set(data.notes)


def test_skylines_decoys_are_left_out(tmp_path):
    head = ["File Name", "Protein Name", "Precursor Charge", "Modified Sequence", "Total Area", "Is Decoy"]
    rows = [["a", "P1", 2, "AK", 1e5, "False"], ["a", "P2", 2, "BK", 1e5, "True"], ["b", "P1", 2, "AK", 1e5, "False"]]
    data = load(write(tmp_path / "s.tsv", [head, *rows]))
    assert data.features.index.tolist() == ["AK_2"]
    assert "1 rows of decoys left out" in data.notes


def test_a_negative_among_intensities_is_missing_not_a_log_ratio(tmp_path):
    rows = [["id", "s1", "s2"], *[[f"P{k}", 2e6, 1e5 * k] for k in range(1, 5)], ["P9", -35, 1e5]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.scale == "log2"
    assert data.values[0].tolist() == pytest.approx([np.log2(2e6), np.log2(1e5)])
    assert np.isnan(data.values[4, 0])
    assert any("1 negative value among intensities" in note for note in data.notes)
    ratios = load(write(tmp_path / "r.tsv", [["id", "s1", "s2"], ["P1", -1.5, 2], ["P2", 0, 1]]))
    assert (ratios.scale, ratios.values.tolist()) == ("score", [[-1.5, 2], [0, 1]])


@pytest.mark.parametrize("dots", [False, True])
def test_tmt_channels_come_before_plex_totals(tmp_path, dots):
    head = ["Majority protein IDs", "Intensity", "Intensity plexA", "Reporter intensity corrected 1"]
    head += ["Reporter intensity corrected 1 plexA", "Reporter intensity corrected 2 plexA"]
    head = [name.replace(" ", ".") for name in head] if dots else head
    data = load(
        write(tmp_path / "proteinGroups.txt", [head, ["P1", 9e6, 9e6, 5e5, 1e5, 4e5], ["P2", 9e6, 9e6, 5, 1, 4]])
    )
    assert data.samples.index.tolist() == (["1.plexA", "2.plexA"] if dots else ["1 plexA", "2 plexA"])
    np.testing.assert_allclose(2 ** data.values[0], [1e5, 4e5])
    assert "quantities: Reporter intensity corrected" in data.notes


def test_tmt_without_experiments_has_its_channels_bare(tmp_path):
    head = ["Majority protein IDs", "Reporter intensity corrected 1", "Reporter intensity corrected 2"]
    data = load(write(tmp_path / "proteinGroups.txt", [head, ["P1", 1e5, 4e5]]))
    assert data.samples.index.tolist() == ["1", "2"]


@pytest.mark.parametrize("cells", [["1,234", "987", "12,345", "0"], ["1,234,567", "2,345", "3,456", "4,567"]])
def test_separators_of_thousands_are_no_decimal_commas(tmp_path, cells):
    rows = [["id", "s1", "s2"], ["P1", *cells[:2]], ["P2", *cells[2:]]]
    data = load(write(tmp_path / "m.tsv", rows))
    found = [float(cell.replace(",", "")) or np.nan for cell in cells]
    np.testing.assert_allclose(2**data.values, np.reshape(found, (2, 2)))
    assert any("commas were read as separators of thousands" in note and "'s1'" in note for note in data.notes)


def test_three_decimals_after_a_comma_are_decimals_where_every_value_has_them(tmp_path):
    rows = [["id", "s1", "s2"], ["P1", "25,123", "24,000"], ["P2", "20,500", "0"]]
    data = load(write(tmp_path / "m.tsv", rows))
    assert data.values[0].tolist() == [25.123, 24.0]


def test_spellings_of_missing_leave_a_column_of_numbers(tmp_path):
    rows = [["sample", "age"], ["a", 40], ["b", "N/A"], ["c", "#N/A"], ["d", "null"]]
    data = load(plain(tmp_path / "m.tsv", list("abcd")), write(tmp_path / "s.tsv", rows))
    assert data.samples["age"].iloc[0] == 40
    assert data.samples["age"].isna().sum() == 3


def test_adats_samples_are_typed_as_a_sheet_is(tmp_path):
    lines = ["^TABLE_BEGIN", "\t\t\t\tSeqId\t10-1", "SampleId\tAge\tPlateId\tSex\t\t"]
    lines += [f"{name}\t{50 + k}\t{k // 2}\tF\t\t{1000 + k}" for k, name in enumerate("abcd")]
    (tmp_path / "x.adat").write_text("\n".join(lines) + "\n")
    data = load(tmp_path / "x.adat")
    assert data.samples["Age"].tolist() == [50, 51, 52, 53]
    assert data.samples["PlateId"].tolist() == ["0", "0", "1", "1"]
    assert "column 'PlateId' holds the numbers 0, 1: taken as groups" in data.notes


def test_numbers_that_describe_cells_samples_are_no_markers(tmp_path):
    rows = [[f"d{k % 4}", k, 0, k % 4 // 2 + 1, 5 * (k % 4)] for k in range(24)]
    data = load(write(tmp_path / "c.csv", [["sample_id", "CD3", "CD4", "subject", "time"], *rows], ","))
    assert data.features.index.tolist() == ["CD3", "CD4"]  # also where no cell has any
    assert data.samples["subject"].tolist()[:4] == ["1", "1", "2", "2"]
    assert data.samples["time"].tolist()[:4] == [0, 5, 10, 15]


def test_a_sheet_names_fcs_files_with_their_ending(tmp_path):
    sheet = write(tmp_path / "s.csv", [["file", "condition"], ["d0.fcs", "x"], ["d1.fcs", "y"]], ",")
    rows = [["sample_id", "CD3"], *[[f"d{k % 2}", k] for k in range(12)]]
    data = load(write(tmp_path / "c.csv", rows, ","), sheet)
    assert data.samples["condition"].tolist() == ["x", "y"] * 6


@pytest.mark.parametrize(
    ("form", "head", "missing"),
    [
        ("skyline", "FileName ProteinName PrecursorCharge ModifiedSequence Area", "TotalArea or Total Area"),
        ("olink", "SampleID OlinkID Quantified_value", "NPX"),
        ("diann", "Run Protein.Group Precursor.Id", "Precursor.Normalised or Precursor.Quantity"),
        ("maxquant_evidence", "Sequence Experiment Charge Proteins", "Intensity"),
        ("msstats", "ProteinName PeptideSequence PrecursorCharge Run", "Intensity"),
        ("spectronaut", "R.FileName EG.PrecursorId PG.ProteinGroups", "FG.Quantity or fg_quantity"),
        ("cell_table", "id s1 s2", "sample_id"),
    ],
)
def test_a_format_that_the_file_does_not_have_names_the_missing_column(tmp_path, form, head, missing):
    columns = head.split(" ")
    path = write(tmp_path / "t.tsv", [columns, ["1"] * len(columns), ["2"] * len(columns)])
    with pytest.raises(InputError, match=rf"column in .*t\.tsv: got missing, expected {missing}"):
        load(path, format=form)


def test_zero_padded_sample_names_stay_as_they_are_written(tmp_path):
    rows = [["sample", "patient", "age"], ["01", "007", 40], ["02", "007", 50], ["03", "010", 60], ["10", "010", 70]]
    data = load(plain(tmp_path / "m.tsv", ["01", "02", "03", "10"]), write(tmp_path / "s.tsv", rows))
    assert data.samples.index.tolist() == ["01", "02", "03", "10"]
    assert data.samples["patient"].tolist() == ["007", "007", "010", "010"]
    assert data.samples["age"].tolist() == [40, 50, 60, 70]


def test_symbols_complete_gene_names_and_blank_none(tmp_path):
    rows = [["protein", "gene", "s1", "s2"], ["P04637", "old", 1e5, 2e5], ["Q0", "KEPT", 1e5, 2e5]]
    mapping = write(tmp_path / "map.tsv", [["uniprot", "symbol"], ["P04637", "TP53"]])
    found = add_symbols(load(write(tmp_path / "m.tsv", rows)), mapping)
    assert found.features["gene"].tolist() == ["TP53", "KEPT"]
    assert found.notes[-2:] == [
        "1 features kept the gene name they had: the table of symbols does not know them",
        "100% of the features have a gene symbol",
    ]


@pytest.mark.parametrize("score", [[], [900]])
def test_a_network_without_a_header_keeps_its_first_edge(tmp_path, score):
    edges = [["TP53", "MDM2", *score], ["MDM2", "MDM4", *score]]
    assert len(load_network(write(tmp_path / "bare.tsv", edges)).edges) == 2
    head = ["a", "b", *["score"] * len(score)]
    assert len(load_network(write(tmp_path / "n.tsv", [head, *edges])).edges) == 2
