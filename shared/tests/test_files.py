from __future__ import annotations

import os
import stat

import pytest
from ninefold.errors import ArtifactError
from ninefold.files import atomic_file, atomic_folder, digest, digest_file, lock, refuse_existing, write_text

from .helpers import kill, start

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def test_digest_of_file_equals_digest_of_its_bytes(tmp_path):
    (tmp_path / "x").write_bytes(b"abc" * 1000)
    assert digest_file(tmp_path / "x") == digest(b"abc" * 1000) == digest(memoryview(b"abc" * 1000))
    assert digest(b"") == EMPTY_SHA256


def test_text_is_written_with_its_folders_and_nothing_else(tmp_path):
    write_text(tmp_path / "a" / "b" / "x.txt", "naïve\n")
    assert (tmp_path / "a" / "b" / "x.txt").read_bytes() == "naïve\n".encode()
    assert names(tmp_path / "a" / "b") == ["x.txt"]


def test_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    write_text(tmp_path / "x", "old")
    with pytest.raises(RuntimeError), atomic_file(tmp_path / "x") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (tmp_path / "x").read_text() == "old"
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("umask", [0o022, 0o077], indirect=True)
def test_modes_follow_the_umask(tmp_path, umask):
    write_text(tmp_path / "x", "new")
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "y").write_text("y")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o666 & ~umask
    assert stat.S_IMODE((tmp_path / "d").stat().st_mode) == 0o777 & ~umask


HALF_FILE = """
    import sys, time
    from ninefold.files import atomic_file
    with atomic_file(sys.argv[1]) as path:
        path.write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""
HALF_FOLDER = """
    import sys, time
    from ninefold.files import atomic_folder
    with atomic_folder(sys.argv[1], force=True) as path:
        (path / "y").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


def test_kill_leaves_the_old_file_and_the_next_write_sweeps_the_rest(tmp_path):
    write_text(tmp_path / "x", "old")
    kill(start(HALF_FILE, tmp_path / "x"))
    assert (tmp_path / "x").read_text() == "old"
    assert len(names(tmp_path)) == 2
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "new"
    assert names(tmp_path) == ["x"]


def test_kill_leaves_the_old_folder_and_the_next_write_sweeps_the_rest(tmp_path):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "y").write_text("old")
    kill(start(HALF_FOLDER, tmp_path / "d"))
    assert (tmp_path / "d" / "y").read_text() == "old"
    with atomic_folder(tmp_path / "d", force=True) as folder:
        (folder / "y").write_text("new")
    assert (tmp_path / "d" / "y").read_text() == "new"
    assert names(tmp_path) == ["d"]


def test_living_writers_of_one_file_leave_each_other_alone(tmp_path):
    other = start(HALF_FILE, tmp_path / "x")
    write_text(tmp_path / "x", "mine")
    try:
        assert len(names(tmp_path)) == 2
    finally:
        kill(other)
    assert (tmp_path / "x").read_text() == "mine"


def test_sweep_takes_no_file_of_the_user(tmp_path):
    for name in (".x.old.tmp", ".x.tmp", ".xy.0123456789abcdef.tmp", "x.0123456789abcdef.tmp"):
        (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    write_text(tmp_path / "x", "new")
    assert names(tmp_path) == sorted([*before, "x"])


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("mine"), lambda path: (path / "sub").mkdir(parents=True)]
)
def test_existing_is_refused_and_kept_without_force(tmp_path, make):
    make(tmp_path / "d")
    with pytest.raises(ArtifactError, match=r"d: exists already.*--force"), atomic_folder(tmp_path / "d"):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["d"]
    refuse_existing(tmp_path / "d", force=True)
    with atomic_folder(tmp_path / "d", force=True) as folder:
        (folder / "new").write_text("")
    assert names(tmp_path / "d") == ["new"]
    assert names(tmp_path) == ["d"]


def test_empty_folder_is_not_in_the_way(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    monkeypatch.chdir(tmp_path / "d")
    with atomic_folder(".") as folder:  # a relative path without a name of its own
        (folder / "new").write_text("")
    assert names(tmp_path / "d") == ["new"]
    assert names(tmp_path) == ["d"]


def test_folder_failure_leaves_the_old_folder(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "d", force=True) as folder:
        (folder / "new").write_text("")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]


def test_interrupt_between_the_renames_brings_the_old_folder_back(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    rename, calls = os.replace, []

    def interrupted(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(source, target)

    monkeypatch.setattr("pathlib.Path.replace", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "d", force=True) as folder:
        (folder / "new").write_text("")
    assert len(calls) == 3
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]


def test_writing_through_a_link_keeps_the_link(tmp_path):
    (tmp_path / "target").write_text("old")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "new"


def test_lock_is_held_until_given_back(tmp_path):
    (tmp_path / "x").touch()
    first = lock(tmp_path / "x")
    assert first is not None
    assert lock(tmp_path / "x") is None
    os.close(first)
    again = lock(tmp_path / "x", wait=True)
    assert again is not None
    os.close(again)
