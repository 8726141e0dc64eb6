"""A command of several pages runs once on the same files, and again on others; a block is cut at such commands."""

from __future__ import annotations

import pytest

from .readme import Block, blocks, once


@pytest.fixture
def counted(tmp_path):
    """A function that runs a command in a folder with files; returns what it printed, the files, whether it ran."""
    folders = iter(range(100))

    def call(command, given, write):
        folder, ran = tmp_path / str(next(folders)), []
        folder.mkdir()
        for name, text in given.items():
            (folder / name).write_text(text)

        def run():
            ran.append(command)
            write(folder)
            return f"{command}: {len(given)} files\n"

        printed = once(command, folder, tmp_path / "kept", run)
        files = {str(file.relative_to(folder)): file.read_text() for file in folder.rglob("*") if file.is_file()}
        return printed, files, bool(ran)

    return call


def make(folder):
    """Write a new file in a new folder, and more into one that is there."""
    (folder / "out").mkdir()
    (folder / "out" / "model").write_text("m" + (folder / "a").read_text())
    (folder / "a").write_text("changed")


def test_second_time_gives_what_the_first_printed_and_wrote(counted):
    first = counted("fit a -o out", {"a": "1", "b": "2"}, make)
    assert first == ("fit a -o out: 2 files\n", {"a": "changed", "b": "2", "out/model": "m1"}, True)
    again = counted("fit a -o out", {"a": "1", "b": "2"}, lambda folder: pytest.fail("it ran again"))
    assert again == (*first[:2], False)


@pytest.mark.parametrize(
    ("command", "given"),
    [("fit a -o out", {"a": "other"}), ("fit a -o out", {"a": "1", "b": ""}), ("fit a --seed 1 -o out", {"a": "1"})],
)
def test_other_files_or_words_are_run(counted, command, given):
    counted("fit a -o out", {"a": "1"}, make)
    assert counted(command, given, make)[2]


def test_a_command_that_failed_is_not_kept(counted):
    def fail(folder):
        raise AssertionError("status 2")

    with pytest.raises(AssertionError, match="status 2"):
        counted("fit a -o out", {"a": "1"}, fail)
    assert counted("fit a -o out", {"a": "1"}, make)[2]


def test_a_command_that_takes_files_away_is_refused(counted):
    with pytest.raises(AssertionError, match="clean takes files away"):
        counted("clean", {"a": "1"}, lambda folder: (folder / "a").unlink())


def test_blocks_are_cut_at_commands_of_several_pages(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run -->\n```console\n$ one\n$ for x in 1 2; do\n>   two $x\n> done\nprinted\n$ shared\n$ three\n```\n"
        "<!-- run -->\n```bash\nshared\nfour\n```\n"
    )
    console, bash = blocks(page)
    assert console.commands == ("one", "for x in 1 2; do\n  two $x\ndone", "shared", "three")
    assert [piece.text for piece in console.pieces({"shared"})] == [
        "one\nfor x in 1 2; do\n  two $x\ndone", "shared", "three",
    ]  # fmt: skip
    assert console.pieces({"other"}) == [console]
    assert bash.pieces({"shared"}) == [bash] == [Block("bash", ("shared\nfour\n",))]
