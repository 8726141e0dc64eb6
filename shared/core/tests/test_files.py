from __future__ import annotations

import os
import stat
import sys
import threading

import pytest
from ninefold.errors import ArtifactError, InputError
from ninefold.files import (
    _atomic,
    _owner,
    atomic_file,
    atomic_folder,
    digest,
    digest_file,
    lock,
    recover,
    refuse_existing,
    write_text,
)  # fmt: skip

from .beside import kill, start

EMPTY_SHA256 = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def anything(path):
    return True


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
    with atomic_folder(sys.argv[1], force=True, ours=lambda _: True) as path:
        (path / "y").write_text("half")
        print("ready", flush=True)
        time.sleep(60)
"""


def test_kill_leaves_the_old_file_and_the_next_write_sweeps_the_rest(tmp_path):
    write_text(tmp_path / "x", "old")
    kill(start(HALF_FILE, tmp_path / "x"))
    assert (tmp_path / "x").read_text() == "old"
    assert len(names(tmp_path)) == 3  # the file, and of the other writer the lock and the new content
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "new"
    assert names(tmp_path) == ["x"]


def test_kill_leaves_the_old_folder_and_the_next_write_sweeps_the_rest(tmp_path):
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "y").write_text("old")
    kill(start(HALF_FOLDER, tmp_path / "d"))
    assert (tmp_path / "d" / "y").read_text() == "old"
    with atomic_folder(tmp_path / "d", force=True, ours=anything) as folder:
        (folder / "y").write_text("new")
    assert (tmp_path / "d" / "y").read_text() == "new"
    assert names(tmp_path) == ["d"]


def test_living_writers_of_one_file_leave_each_other_alone(tmp_path):
    other = start(HALF_FILE, tmp_path / "x")
    write_text(tmp_path / "x", "mine")
    try:
        assert len(names(tmp_path)) == 3
    finally:
        kill(other)
    assert (tmp_path / "x").read_text() == "mine"


def test_sweep_takes_no_file_of_the_user(tmp_path):
    for name in (".x.old.tmp", ".x.tmp", ".xy.0123456789abcdef.tmp", "x.0123456789abcdef.tmp"):
        (tmp_path / name).write_text("mine")
    before = names(tmp_path)
    write_text(tmp_path / "x", "new")
    assert names(tmp_path) == sorted([*before, "x"])


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
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "d", force=True, ours=anything) as folder:
        (folder / "new").write_text("")
        raise KeyboardInterrupt
    assert names(tmp_path) == ["d"]
    assert names(tmp_path / "d") == ["old"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(5, "no luck")])
def test_failure_between_the_renames_brings_the_old_folder_back(tmp_path, monkeypatch, error):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    rename, calls = os.rename, []

    def interrupted(source, target):
        calls.append(source)
        if len(calls) == 3:  # to the name, which is occupied; of the old folder; to the name
            raise error
        return rename(source, target)

    monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(error if isinstance(error, type) else OSError):  # noqa: SIM117
        with atomic_folder(tmp_path / "d", force=True, ours=anything) as folder:
            (folder / "new").write_text("")
    assert len(calls) > 3
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
    first.close()
    again = lock(tmp_path / "x", wait=True)
    assert again is not None
    again.close()


def test_lock_says_what_is_needed_where_files_cannot_be_locked(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with pytest.raises(InputError, match=r"writing .*: got a system without POSIX file locks, expected Linux, macOS"):
        write_text(tmp_path / "x", "new")


def test_a_folder_is_not_replaced_by_a_file_nor_a_file_by_a_folder(tmp_path):
    (tmp_path / "d").mkdir()
    with pytest.raises(ArtifactError, match="d: is a folder, not a file"):
        write_text(tmp_path / "d", "new")
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ArtifactError, match="x: exists already, and is a file"), atomic_folder(tmp_path / "x"):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["d", "x"]


@pytest.mark.parametrize("exchange", [True, False])
def test_what_came_while_the_work_was_done_is_kept(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    with pytest.raises(ArtifactError, match="x: exists already"), atomic_file(tmp_path / "x", force=False) as temporary:
        temporary.write_text("new")
        (tmp_path / "x").write_text("mine")
    with pytest.raises(ArtifactError, match="d: exists already"), atomic_folder(tmp_path / "d") as folder:
        (folder / "new").write_text("")
        (tmp_path / "d").mkdir()
        (tmp_path / "d" / "mine").write_text("")
    assert (tmp_path / "x").read_text() == "mine"
    assert names(tmp_path / "d") == ["mine"]
    assert names(tmp_path) == ["d", "x"]


@pytest.mark.parametrize("exchange", [True, False])
def test_threads_that_write_one_path_leave_one_whole_copy(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(_atomic, "_exchange", lambda *_: False)
    problems = []

    def work(letter):
        try:
            for _ in range(12):
                write_text(tmp_path / "x", letter * 100)
                with atomic_folder(tmp_path / "d", force=True, ours=anything) as folder:
                    for name in "abc":
                        (folder / name).write_text(letter * 100)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(letter,)) for letter in "12"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert (tmp_path / "x").read_text() in ("1" * 100, "2" * 100)
    assert len({(tmp_path / "d" / name).read_text() for name in "abc"}) == 1
    assert names(tmp_path) == ["d", "x"]


@pytest.fixture
def moved_aside(tmp_path, monkeypatch):
    """A folder `d` as a writer leaves it that is killed between its two renames."""
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "old").write_text("")
    (tmp_path / "d").rename(tmp_path / ".d.0123456789abcdef.old")
    (tmp_path / ".d.0123456789abcdef.tmp").mkdir()
    return tmp_path / "d"


def test_reader_of_a_file_below_gets_the_folder_back(moved_aside):
    recover(moved_aside / "old")
    assert names(moved_aside) == ["old"]


def test_what_the_user_put_in_place_is_kept_and_so_is_the_old(moved_aside):
    moved_aside.mkdir()
    (moved_aside / "mine").write_text("")
    recover(moved_aside)
    with pytest.raises(ArtifactError, match="d: exists already"), atomic_folder(moved_aside):
        pytest.fail("the block must not run")
    assert names(moved_aside) == ["mine"]
    assert ".d.0123456789abcdef.old" in names(moved_aside.parent)


def test_old_folder_whose_successor_stands_is_rubbish_and_never_comes_back(moved_aside):
    (moved_aside.parent / ".d.0123456789abcdef.tmp").rename(moved_aside)
    moved_aside.rmdir()  # the user wants neither
    recover(moved_aside)
    assert names(moved_aside.parent) == []


def test_what_another_writer_moves_away_while_it_is_judged_is_no_strangers(tmp_path, monkeypatch):
    folder = tmp_path / "d"
    folder.mkdir()
    (folder / "a").write_text("by another writer")

    def gone(path):
        folder.rename(tmp_path / "aside")
        return

    monkeypatch.setattr(_owner, "identity", gone)
    refuse_existing(folder, force=True, ours=anything)
