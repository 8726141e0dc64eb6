"""No listed phrase in what people read; each phrase is found; READMEs and help have their shape."""

from typing import Annotated

import pytest
import typer
import words
from typer.main import get_command


def test_nothing_that_people_read_has_a_fault():
    assert list(words.faults()) == []


@pytest.mark.parametrize(
    "text",
    [
        "As `train` comes 98 % are right", "as it comes", "What became of jobs", "by their place", "| who serves it |",
        "what the receiver is told", "rows are held in memory", "what a file says of itself", "not acme's to replace",
        "the sum comes to 3", "an arm that ours beats", "the two ends of the link", "keep the one that fits",
        "They stand beside a model", "not told apart", "of these alone", "may be given again", "the form of before",
        "a killed run goes on", "a killed run goes\n    on", "by hand", "perhaps a time", "what FSG is worth",
        "is behind item kNN", "1.3 points ahead", "it leads by 2 points", "the verb asks for a folder",
        "Every bar holds", "in a room of its own", "whoever serves", "in place of a folder", "beside the rival",
    ],
)  # fmt: skip
def test_listed_phrases_are_found(text):
    assert list(words.phrases(text))


@pytest.mark.parametrize(
    "text",
    [
        "rows that are held out", "those who serve", "it has come", "the researchers who want it",
        "this leads to errors", "there is room for more", "the folder holds three files", "it takes two seconds",
        "ahead of time", "`beside`",
    ],
)  # fmt: skip
def test_plain_words_are_not(text, tmp_path):
    page = tmp_path / "one.md"
    page.write_text(text)
    assert [one for _, line in words.texts(page) for one in words.phrases(line)] == []


def test_docstrings_help_and_pages_are_looked_at_and_code_is_not(tmp_path):
    source = tmp_path / "one.py"
    source.write_text(
        '"""Head."""\nx = 1  # as it comes\n\ndef f(y=Option(help="as it comes")):\n'
        '    """As it is.\n\n    Examples:\n        as it comes\n    """\n'
    )
    assert [text.strip() for _, text in words.texts(source)] == ["Head.", "As it is.", "as it comes"]
    page = tmp_path / "one.md"
    page.write_text(
        "# Head\n\n```\nas it comes\n```\n\n<!-- a:begin -->\nas it comes\n<!-- a:end -->\n\nend `perhaps`\n"
    )
    assert "".join(text.strip() for _, text in words.texts(page)) == "# Headend"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("# a\n\nfine\n\n## Results\n\n81 [80, 82]\n", ""),
        ("# a\n\n```python\nx[1, 2]\n```\n\n## Results\n", ""),
        ("# a\n\n81 % [-.3, +1.2]\n\n## Results\n", "above the heading Results: [-.3, +1.2]"),
        ("# a\n\n" + "word " * 901, "902 words, at most 900"),
    ],
)
def test_readme_is_short_and_its_intervals_are_results(text, fault):
    found = words.readme_faults(text.replace("# a", "#a"))
    assert (fault in found[0]) if fault else found == []


def verb(help_text, option):
    """Faults of a verb that reads a file, with this docstring and one option of that help."""
    app = typer.Typer()

    def read(
        events: Annotated[str, typer.Argument(help="CSV file of events.")],
        k: Annotated[int, typer.Option(help=option)] = 3,
    ) -> None: ...

    read.__doc__ = help_text
    app.command()(read)
    return list(words._verb_faults("read", get_command(app), "acme read a.csv and more"))


GOOD = "Read events.\n\nExample: `acme read a.csv`"


@pytest.mark.parametrize(
    "option", ["", "Items.", "Of lists, to maximise.", "For all of it.", "If given, more of it.", "As said above it."]
)
def test_help_that_is_not_understood_alone_is_found(option):
    assert len(verb(GOOD, option)) == 1


def test_help_of_a_verb_that_reads_files_has_an_example_that_runs():
    fine = "Number of items in each list."
    assert verb(GOOD, fine) == []
    assert "shows no example" in verb("Read events.", fine)[0]
    assert "no page that tests run" in verb("Read events.\n\nExample: `acme read b.csv`", fine)[0]
