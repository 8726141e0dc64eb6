"""Tables and sheets as people have them: numbered subjects, other exports' names, damage that is easily misread."""

from proteus import load


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
