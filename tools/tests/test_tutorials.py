"""What a tutorial's blocks print is written below them, and written anew the next time."""

from __future__ import annotations

import re

import pytest
import tutorials
from workspace import packages

PAGE = """# Head

<!-- run -->
```python
from pathlib import Path
Path("x").write_text("1.5 s")
print(2 + 2)
```

Then:

<!-- run -->
```console
$ cat x
$ ls $PWD/x
```

<!-- run -->
```python
y = 1
```
"""


def test_outputs_stand_below_their_blocks_without_the_folder(tmp_path):
    made = tutorials.with_outputs(PAGE, tmp_path)
    assert tutorials.outputs(made) == ["4\n", "1.5 sx\n", ""]
    assert str(tmp_path) not in made
    (tmp_path / "other").mkdir()
    assert tutorials.with_outputs(made, tmp_path / "other") == made
    assert tutorials.with_outputs(made.replace("\n4\n", "\n5\n"), tmp_path) == made


def test_runs_are_alike_but_for_numbers():
    assert tutorials.alike("took 1.5 s, 20 rows") == tutorials.alike("took 0.3  s,  21 rows")
    assert tutorials.alike("rows") != tutorials.alike("columns")


def test_pictures_are_what_the_commands_wrote_made_small(tmp_path):
    from PIL import Image

    page = "<!-- picture: run/map.png -->\n![A map of what was found](shop-map.png)\n"
    assert tutorials.pictures(page) == [("run/map.png", "A map of what was found", "shop-map.png")]
    assert tutorials.pictures("![no mark](shop-map.png)") == []
    Image.new("RGBA", (2400, 600), (200, 30, 30, 0)).save(tmp_path / "map.png")
    tutorials.small(tmp_path / "map.png", tmp_path / "small.png")
    with Image.open(tmp_path / "small.png") as made:
        assert made.size == (1200, 300)
        assert made.convert("RGB").getpixel((0, 0)) == (255, 255, 255)  # no colour shows where nothing is drawn


def test_data_of_a_tutorial_is_found_or_its_absence_is_said(tmp_path, monkeypatch):
    page = "```console\n$ ninefold data get shop sales --checkout ninefold -o data\n```\n"
    monkeypatch.delenv("NINEFOLD_DATA", raising=False)
    assert tutorials.no_data(page) == "no data of shop: set NINEFOLD_DATA"
    assert tutorials.no_data("no data needed") == ""
    (tmp_path / "kept" / "shop").mkdir(parents=True)
    (tmp_path / "kept" / "shop" / "sales.csv").write_text("user,item")
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path / "kept"))
    assert tutorials.no_data(page) == ""
    (tmp_path / "folder").mkdir()
    tutorials.prepare(page, tmp_path / "folder")
    assert (tmp_path / "folder" / "data" / "shop" / "sales.csv").read_text() == "user,item"
    assert (tmp_path / "folder" / "ninefold" / "tools" / "docs" / "tutorials.py").is_file()


def test_what_is_shown_is_like_what_is_printed_but_for_numbers():
    page = "<!-- run -->\n```console\n$ x\n```\n\n<!-- output -->\n```text\nusers 20, 0.31 s\n```\n"
    assert tutorials.likeness(page, "users 21, 0.29 s\n") == 1
    assert tutorials.likeness(page, "Traceback (most recent call last)") == 0


PAGES = {path.stem: path.read_text(encoding="utf-8") for path in sorted(tutorials.FOLDER.glob("*.md"))}


def test_each_package_has_a_tutorial_of_its_own():
    assert list(PAGES) == list(packages())


@pytest.mark.parametrize("name", PAGES)
def test_each_tutorial_shows_its_outputs_and_pictures(name):
    page = PAGES[name]
    assert sum(map(bool, tutorials.outputs(page))) >= 2
    shown = tutorials.pictures(page)
    assert 1 <= len(shown) <= 4
    assert len(shown) == len(re.findall(r"!\[", page)), "a picture that no command wrote"
    for _, alt, file in shown:
        assert len(alt) > 30
        assert (tutorials.FOLDER / file).stat().st_size <= 150_000


def test_pictures_of_tutorials_are_few_and_light():
    named = {file for page in PAGES.values() for *_, file in tutorials.pictures(page)}
    there = {path.name: path.stat().st_size for path in tutorials.FOLDER.glob("*.*") if path.suffix != ".md"}
    assert set(there) == named
    assert sum(there.values()) <= 1_500_000
