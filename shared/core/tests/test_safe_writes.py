"""What safe writes once let through: places without locks, folders that look like runs, edited files, long names."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ninefold import artifacts
from ninefold.artifacts import FolderArtifact, settled, write_folder
from ninefold.errors import ArtifactError
from ninefold.files import (
    MANIFEST,
    atomic_file,
    atomic_folder,
    digest,
    foreign,
    mark,
    recover,
    refuse_existing,
    signed,
    write_text,
)
from ninefold.files._recover import sweep
from ninefold.run import Run


@pytest.mark.parametrize("lock", ["", "mine"])
def test_lone_lock_file_makes_no_run(tmp_path, lock):
    (tmp_path / ".lock").write_text(lock)
    (tmp_path / "environment.json").write_text('{"mine": 1}')
    (tmp_path / "metrics.jsonl").write_text("half a line")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ArtifactError, match="is no run"):
        Run(tmp_path, {"a": 1})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_settings_and_environment_of_another_program_make_no_run(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "environment.json").write_text('{"PATH": "x"}')
    with pytest.raises(ArtifactError, match="is no run"):
        Run(tmp_path, {})


def test_run_that_was_killed_at_its_first_step_goes_on(tmp_path):
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / ".lock").touch()
    with Run(tmp_path / "r", {"a": 1}) as run:
        assert not run.resumed


def test_run_of_an_earlier_version_is_a_run(tmp_path):
    Run(tmp_path / "r", {"a": 1}).close()
    (tmp_path / "r" / ".lock").write_text("")
    with Run(tmp_path / "r", {"a": 1}) as run:
        assert run.resumed


def thing(path, force=False, number=0):
    with write_folder(path, kind="our.thing", format_version=1, package="ninefold", force=force) as folder:
        (folder / "README.md").write_text("for people")
        (folder / "words.txt").write_text(f"words {number}")
        artifacts.save(folder / "x.safetensors", {"a": np.full(999, number)}, kind="x", format_version=1, package="our")


@pytest.mark.parametrize("name", ["README.md", "words.txt"])
def test_listed_file_that_the_user_edited_is_not_replaced(tmp_path, name):
    thing(tmp_path / "t")
    thing(tmp_path / "t", force=True)
    (tmp_path / "t" / name).write_text("my own notes")
    assert list(foreign(tmp_path / "t", "our.thing")) == [name]
    with pytest.raises(ArtifactError, match=rf"{name} in it was not written"):
        thing(tmp_path / "t", force=True)
    assert (tmp_path / "t" / name).read_text() == "my own notes"


@pytest.mark.parametrize("text", ["notes on {}", "# head\n\n<!-- {} -->\n", 'x <meta name="generator" content="{}">'])
def test_text_that_quotes_the_mark_is_the_users(tmp_path, text):
    (tmp_path / "notes.txt").write_text(text.format(mark("recsys")))
    assert list(foreign(tmp_path / "notes.txt", "recsys")) == ["notes.txt"]


def test_signed_text_is_recognised_until_somebody_edits_it(tmp_path):
    text = signed("# A card\n\nwords\n", "our-s.card")
    (tmp_path / "card.md").write_text(text)
    assert list(foreign(tmp_path / "card.md", "our-s.card")) == list(foreign(tmp_path / "card.md", "our_s")) == []
    assert list(foreign(tmp_path / "card.md", "other")) == ["card.md"]
    for edited in (text.replace("words", "my words"), text + "and mine\n", text.rsplit(" sha256", 1)[0] + " -->\n"):
        (tmp_path / "card.md").write_text(edited)
        assert list(foreign(tmp_path / "card.md", "our-s.card")) == ["card.md"]


@pytest.mark.parametrize("name", ["../outside.txt", "/etc/hostname", "a/../../b"])
def test_manifest_may_name_no_file_outside_its_folder(tmp_path, name):
    thing(tmp_path / "t")
    (tmp_path / "outside.txt").write_text("x")
    about = json.loads((tmp_path / "t" / MANIFEST).read_text())
    about["files"][name] = {"size": 1, "digest": digest(b"x")}
    about.pop("digest")
    about["digest"] = digest(json.dumps(about, sort_keys=True).encode())
    (tmp_path / "t" / MANIFEST).write_text(json.dumps(about, sort_keys=True, indent=1) + "\n")
    with pytest.raises(ArtifactError, match="outside the folder"):
        FolderArtifact(tmp_path / "t", kind="our.thing", format_version=1)


@pytest.mark.parametrize("length", [231, 240, 255])
def test_name_as_long_as_a_name_may_be_is_written_and_swept(tmp_path, length):
    path = tmp_path / ("n" * length)
    with pytest.raises(ZeroDivisionError), atomic_file(path):
        1 / 0  # noqa: B018
    write_text(path, "x")
    with atomic_folder(tmp_path / ("d" * length)) as folder:
        (folder / "y").write_text("y")
    recover(path)
    assert {len(entry.name) for entry in tmp_path.iterdir()} == {length}


@pytest.mark.parametrize("mode", [0o664, 0o600])
def test_replaced_file_and_folder_keep_their_rights(tmp_path, mode):
    write_text(tmp_path / "x", "old")
    (tmp_path / "x").chmod(mode)
    write_text(tmp_path / "x", "new")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == mode
    thing(tmp_path / "t")
    (tmp_path / "t").chmod(0o750)
    thing(tmp_path / "t", force=True)
    assert stat.S_IMODE((tmp_path / "t").stat().st_mode) == 0o750


def test_files_in_a_replaced_folder_keep_their_rights(tmp_path):
    thing(tmp_path / "t")
    rights = {"words.txt": 0o660, "x.safetensors": 0o600, "README.md": 0o444}
    for name, mode in rights.items():
        (tmp_path / "t" / name).chmod(mode)
    thing(tmp_path / "t", force=True, number=1)
    assert (tmp_path / "t" / "words.txt").read_text() == "words 1"
    assert {name: stat.S_IMODE((tmp_path / "t" / name).stat().st_mode) for name in rights} == rights


WRITER = """
import sys
from ninefold.artifacts import write_folder
from ninefold.files import _atomic
path, first = sys.argv[1], int(sys.argv[2])
if sys.argv[3] == "renames":
    _atomic._exchange = lambda *_: False
print("ready", flush=True)
number = first
while True:
    with write_folder(path, kind="our.thing", format_version=1, package="ninefold", force=True) as folder:
        for name in "abc":
            (folder / name).write_text(str(number))
    number += 3
"""


@pytest.mark.parametrize("way", ["exchange", "renames"])
def test_plain_read_of_a_folder_beside_its_writers_is_of_one_version_and_never_refused(tmp_path, way):
    path = tmp_path / "t"
    words = [sys.executable, "-c", WRITER, str(path)]
    writers = [subprocess.Popen([*words, str(first), way], stdout=subprocess.PIPE) for first in range(3)]

    def by_path(folder):
        return {folder.file(name).read_text() for name in folder.names}

    def by_bytes(folder):
        return {folder.read(name).decode() for name in folder.names}

    try:
        assert all(writer.stdout.readline() for writer in writers)
        while not path.exists():
            time.sleep(0.01)
        begin, seen, count = time.monotonic(), set(), 0
        while time.monotonic() < begin + 2 or (len(seen) <= 20 and time.monotonic() < begin + 30):
            for read in (by_path, by_bytes):
                folder = FolderArtifact(path, kind="our.thing", format_version=1)
                (number,) = read(folder)  # nothing around it: a plain read
                seen.add(number)
            assert settled(path, lambda: len(by_path(FolderArtifact(path, kind="our.thing", format_version=1)))) == 1
            count += 1
        assert len(seen) > 20
        assert [writer.poll() for writer in writers] == [None] * 3
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()


def test_folder_that_is_replaced_while_a_writer_judges_it_is_judged_again(tmp_path):
    path, judged = tmp_path / "t", []
    thing(path)

    def ours(file):
        judged.append(file.name)
        if len(judged) == 1:  # another writer is faster
            path.rename(tmp_path / "old")
            path.mkdir()
            (path / "b").write_text("b")
        return file.name == "b"

    refuse_existing(path, force=True, ours=ours)
    (path / "c").write_text("c")
    with pytest.raises(ArtifactError, match="replace: c in it was not written"):
        refuse_existing(path, force=True, ours=ours)


def test_folder_that_is_moved_aside_between_two_looks_at_it_is_free(tmp_path, monkeypatch):
    path, listed = tmp_path / "t", Path.iterdir
    thing(path)

    def beside(self):
        if self == path and path.exists():
            path.rename(tmp_path / "aside")  # another writer, between its two renames
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", beside)
    refuse_existing(path, force=True)
    assert not path.exists()


def test_sweep_keeps_no_descriptor_open(tmp_path):
    def open_files():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = open_files()
    for number in range(20):
        (tmp_path / f".x.{number:016x}.tmp").touch()
    sweep(tmp_path / "x")
    assert open_files() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "a longer name of an array"])
def test_data_of_an_array_file_begins_at_a_multiple_of_eight_bytes(tmp_path, name):
    artifacts.save(tmp_path / "x", {name: np.arange(3.0)}, kind="k", format_version=1, package="ninefold")
    assert int.from_bytes((tmp_path / "x").read_bytes()[:8], "little") % 8 == 0
