from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from ninefold.report import (
    Table,
    cell_text,
    figure,
    figure_html,
    glossary,
    html_page,
    paragraph,
    plain,
    save_figure,
    to_json,
    to_terminal,
)


@dataclass
class Result:
    loss: float
    where: Path


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (True, "yes"),
        (np.False_, "no"),
        (0.123456, "0.1235"),
        (12345.6, "12,346"),
        (float("nan"), "nan"),
        (-float("inf"), "-inf"),
        (1234567, "1,234,567"),
        (np.float32(0.123456), "0.1235"),
        (np.int64(12345), "12,345"),
        (torch.tensor(0.5), "0.5"),
        (np.array([1, 2]), "[1 2]"),
        ("x", "x"),
    ],
)
def test_cells_read_as_people_write(value, text):
    assert cell_text(value) == text


def test_terminal_table_is_aligned_text():
    table = Table(["arm", "score"], [["a", 1.0], ["long name", 10.25]], title="Scores", notes=["all of them"])
    lines = table.to_terminal().splitlines()
    assert lines[0] == "Scores"
    assert lines[-1] == "all of them"
    assert lines[-4].endswith("    1")
    assert lines[-3].endswith("10.25")
    assert len(lines[-4]) == len(lines[-3])


def test_terminal_table_takes_no_text_as_markup(monkeypatch):
    table = Table(["time [s]", "[red]x[/]"], [["[bold]a[/bold]", "[/]"]], title="[link]", notes=["[i]n[/i]"])
    text = table.to_terminal()
    for part in ("time [s]", "[red]x[/]", "[bold]a[/bold]", "[/]", "[link]", "[i]n[/i]"):
        assert part in text


@pytest.mark.parametrize("columns", ["20", "200"])
def test_terminal_table_keeps_all_text_whatever_the_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    word = "w" * 150
    text = Table(["a", "b"], [[word, "x"]]).to_terminal()
    assert text.count("w") == 150
    assert max(map(len, text.splitlines())) <= max(int(columns), 60)


def test_markdown_cells_cannot_break_the_table():
    lines = Table(["a|b", "c"], [["x|y\nz", "back\\|slash"], ["<b>", None]], notes=["note"]).to_markdown().split("\n")
    assert lines == [
        r"| a\|b | c |", "| --- | --- |", r"| x\|y z | back\\\|slash |", r"| \<b> |  |", "", "note",
    ]  # fmt: skip


def test_html_is_escaped_everywhere():
    evil = '<script>"&</script>'
    table = Table([evil], [[evil]], title=evil, notes=[evil])
    page = html_page(evil, [(evil, [table.to_html(), paragraph(evil)])], intro=evil)
    seen = []

    class Parser(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append(tag)

    Parser().feed(page)
    assert "script" not in seen
    assert page.count("&lt;script&gt;") == 9  # title, heading, intro, section, caption, column, cell, note, paragraph


def test_html_numbers_are_marked_for_alignment():
    assert Table(["a"], [[1.5]]).to_html().count('class="n"') == 1
    assert Table(["a"], [["1.5"]]).to_html().count('class="t"') == 1


def test_json_is_plain_and_has_no_nan(tmp_path):
    result = [
        Table(["a", "b"], [[float("nan"), np.float32(0.5)]], title="t"),
        Result(float("inf"), tmp_path),
        {1: np.arange(2), "t": torch.tensor([0.5])},
        (True, None),
    ]
    assert json.loads(to_json(result), parse_constant=pytest.fail) == [
        {"title": "t", "rows": [{"a": None, "b": 0.5}], "notes": []},
        {"loss": None, "where": str(tmp_path)},
        {"1": [0, 1], "t": [0.5]},
        [True, None],
    ]
    assert plain(np.float64("nan")) is None


def test_rows_of_another_length_are_refused():
    with pytest.raises(ValueError, match="zip"):
        Table(["a", "b"], [[1]]).to_dict()


def test_terminal_shows_each_kind_of_result():
    assert to_terminal("text") == "text"
    assert to_terminal({"a": 1.0, "long": None}) == "a     1\nlong  "
    assert to_terminal({}) == ""
    assert to_terminal(Result(0.5, Path("x"))) == "loss   0.5\nwhere  x"
    assert to_terminal(["a", {"b": 1}]) == "a\n\nb  1"


def test_figure_has_house_style_and_leaves_nothing_open(tmp_path):
    import matplotlib.pyplot as plt

    made, axes = figure(columns=2)
    axes[0].plot([0, 1], [0, 1])
    path = save_figure(made, tmp_path / "figures" / "x.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(path.parent.iterdir()) == [path]
    assert not axes[1].spines["top"].get_visible()
    text = figure_html(made, 'a "caption" <b>')
    assert text.startswith(
        '<figure class="wide" tabindex="0"><img alt="a &quot;caption&quot; &lt;b&gt;" style="min-width:'
    )
    assert 'px" src="data:image/png;base64,' in text
    assert plt.get_fignums() == []


def test_figure_without_matplotlib_names_the_extra():
    code = (
        "import sys; sys.modules['matplotlib'] = None\n"
        "from ninefold.report import figure\n"
        "try: figure()\nexcept Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this needs matplotlib: pip install 'ninefold-core[plots]'\n"


def test_twelve_lines_in_one_picture_can_be_told_apart():
    _, axes = figure()
    for level in range(12):
        axes.plot([0, 1], [level, level])
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}) == 12


def test_page_has_contents_fits_a_telephone_and_explains_words():
    sections = [(name, [paragraph(name, "lead")]) for name in ("One", "Two")]
    page = html_page("Title", [*sections, ("Words", [glossary({"seed": "a <number>", "Arm": "a method"})])])
    assert '<a href="#s1">Two</a>' in page
    assert '<h2 id="s1">Two</h2><p class="lead">Two</p>' in page
    assert '<meta name="viewport" content="width=device-width,initial-scale=1">' in page
    assert "<dl><dt>Arm</dt><dd>a method</dd><dt>seed</dt><dd>a &lt;number&gt;</dd></dl>" in page
    assert "<nav>" not in html_page("Title", sections)
    table = Table(["a"], [[1]]).to_html()  # a wide table scrolls, by keyboard too, not the page
    assert table.startswith('<div class="scroll" tabindex="0"><table>')


def test_long_label_widens_the_picture_and_is_not_cut(tmp_path):
    made, axes = figure(width=3)
    axes.set_xlabel("a label that is longer than the picture is wide, with its unit (%)")
    header = save_figure(made, tmp_path / "x.png").read_bytes()[16:20]
    assert int.from_bytes(header, "big") > 3 * 110


def test_wide_picture_scrolls_on_a_telephone():
    assert figure_html(figure(width=12)[0], "x").startswith('<figure class="wide" tabindex="0"><img')
