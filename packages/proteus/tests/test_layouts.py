"""Tables as the programs of the field write them, after the public descriptions of their columns, numbers ours.

Each is read right, or refused by the name of what is wrong: with a sheet and without one, and with what people and
programs put around a table. None is read wrongly.
"""

import gzip
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import ArtifactError, InputError
from proteus import load

from . import layouts_dda, layouts_dia, layouts_other
from .layout_base import GENES, LAYOUTS, RUNS, TRUTH

assert layouts_dda
assert layouts_dia
assert layouts_other  # each registers its layouts


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


NEIGHBOURS = {  # what stands around the text of a table, or how it is written
    "byte order mark, Windows lines": lambda text: ("\ufeff" + text.replace("\n", "\r\n")).encode(),
    "UTF-16, as Excel saves text": lambda text: text.encode("utf-16"),
    "packed": lambda text: gzip.compress(text.encode()),
    "semicolons and decimal commas": lambda text: (
        pd.read_csv(io.StringIO(text), sep="\t", keep_default_na=False)
        .to_csv(sep=";", decimal=",", index=False)
        .encode()
    ),
    "all quoted": lambda text: "\n".join(
        "\t".join(f'"{one}"' for one in line.split("\t")) if line else line for line in text.split("\n")
    ).encode(),
    "title above": lambda text: f"Exported on Monday\n\n{text}".encode(),
    "comment above": lambda text: f"# exported by hand\n{text}".encode(),
    "empty lines below": lambda text: f"{text}\n\n\n".encode(),
    "header twice": lambda text: f"{text.split(chr(10))[0]}\n{text}".encode(),
    "last line cut": lambda text: text[: -max(len(text.rstrip().rsplit("\n", 1)[-1]) // 2, 2)].encode(),
    "columns turned round": lambda text: "\n".join(
        "\t".join(line.split("\t")[::-1]) for line in text.split("\n")
    ).encode(),
    "rows turned round": lambda text: "\n".join(
        [text.split("\n")[0], *[line for line in text.split("\n")[1:] if line][::-1], ""]
    ).encode(),
}
TEXTS = [name for name, (_, expected) in LAYOUTS.items() if expected.get("suffix", ".txt") != ".parquet"]
TABS = [name for name in TEXTS if not isinstance(LAYOUTS[name][0](), str)]
CASES = [(name, how) for name in TABS for how in NEIGHBOURS]


def test_sixty_layouts_with_annoyances_or_more_are_tried():
    assert len(CASES) >= 60 * 5


@pytest.mark.parametrize("how", list(NEIGHBOURS))
@pytest.mark.parametrize("name", TABS)
def test_a_neighbour_of_a_layout_is_read_right_or_refused_by_name(name, how, tmp_path):
    make, expected = LAYOUTS[name]
    text = make().to_csv(sep="\t", index=False, lineterminator="\n")
    path = tmp_path / ("table.txt.gz" if how == "packed" else "table.txt")
    path.write_bytes(NEIGHBOURS[how](text))
    try:
        data = load(path)
    except (InputError, ArtifactError):  # by name
        harmless = how in ("packed", "byte order mark, Windows lines", "all quoted", "rows turned round")
        assert not harmless or expected.get("refused")
        return
    assert not expected.get("refused")
    if how == "last line cut" and any("may be cut off" in note for note in data.notes):
        return  # said
    names, ids = expected.get("names", RUNS), list(expected.get("ids", []))
    assert sorted(data.samples.index) == sorted(names)
    if not ids:
        return
    if how == "columns turned round" and set(data.features.index) == set(GENES):
        ids = GENES  # of two columns of names the first identifies
    assert sorted(data.features.index) == sorted(ids)
    right = expected.get("values", np.log2(TRUTH))
    found = data.values[data.features.index.get_indexer(ids)][:, data.samples.index.get_indexer(names)]
    if how == "last line cut":  # inside its last cell, which nothing tells
        found, right = found[:-1], right[:-1]
    np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-4)
