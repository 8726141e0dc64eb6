"""No house words in what people read; each phrase of the list is found in a sentence that has it."""

from __future__ import annotations

import pytest
import words
from workspace import ROOT

FILES = [*words.pages(), *words.sources()]


def test_nothing_that_people_read_has_a_house_word():
    places = [
        f"{file.relative_to(ROOT)}:{line}: {phrase!r}: {instead}"
        for file in FILES
        for line, text in words.texts(file)
        for phrase, instead in words.found(text)
    ]
    assert places == []


@pytest.mark.parametrize(
    "text",
    [
        "As `train` comes 98 % are right", "as it comes", "What became of jobs", "by their place", "| who serves it |",
        "what the receiver is told", "rows are held in memory", "what a file says of itself", "not acme's to replace",
        "the sum comes to 3", "an arm that ours beats", "the two ends of the link", "keep the one that fits",
    ],
)  # fmt: skip
def test_house_words_are_found(text):
    assert list(words.found(text))


@pytest.mark.parametrize(
    "text",
    [
        "rows that are held out",
        "those who serve",
        "pictures are told apart",
        "it has come",
        "the researchers who want it",
    ],
)
def test_plain_words_are_not(text):
    assert list(words.found(text)) == []


def test_docstrings_help_and_pages_are_looked_at_and_blocks_are_not(tmp_path):
    source = tmp_path / "one.py"
    source.write_text(
        '"""Head."""\nx = 1  # as it comes\n\ndef f(y=Option(help="as it comes")):\n    """As it is."""\n'
    )
    assert [text for _, text in words.texts(source)] == ["Head.", "As it is.", "as it comes"]
    page = tmp_path / "one.md"
    page.write_text("# Head\n\n```\nas it comes\n```\n\n<!-- a:begin -->\nas it comes\n<!-- a:end -->\n\nend\n")
    assert "".join(text.strip() for _, text in words.texts(page)) == "# Headend"
