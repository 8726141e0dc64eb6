"""Locks on any file system: NFS, and those without flock. One of a living owner is never taken, of a dead one soon."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ninefold import artifacts
from ninefold.artifacts import FolderArtifact, write_folder
from ninefold.files import lock, write_text
from ninefold.run import Run
from ninefold_testing import FLOCKS, flock_of

from .beside import start

HOLDER = """
import fcntl, sys, time
from pathlib import Path
from ninefold.files import lock
from ninefold_testing import flock_of
fcntl.flock = flock_of(sys.argv[2])
held = lock(Path(sys.argv[1]))
print("ready" if held else "taken", flush=True)
time.sleep(60)
"""


@pytest.fixture(params=["local", *FLOCKS])
def system(request, monkeypatch):
    if request.param != "local":
        monkeypatch.setattr(fcntl, "flock", flock_of(request.param))
    return request.param


def names(folder):
    return sorted(one.name for one in folder.iterdir())


def test_all_that_the_core_writes_is_written_and_nothing_left_beside_it(tmp_path, system):
    for number in range(2):
        write_text(tmp_path / "x", str(number))
        with write_folder(tmp_path / "d", kind="a.b", format_version=1, package="ninefold", force=True) as folder:
            (folder / "y").write_text(str(number))
        with Run(tmp_path / "run", {"a": 1}) as run:
            artifacts.save(run.checkpoints / "s", {}, kind="a.c", format_version=1, package="ninefold", force=True)
        assert run.resumed == bool(number)
    assert names(tmp_path) == ["d", "run", "x"]
    assert ".lock" in names(tmp_path / "run")
    assert not [name for name in names(tmp_path / "run") if "held" in name]
    assert (tmp_path / "x").read_text() == "1"
    assert FolderArtifact(tmp_path / "d", kind="a.b", format_version=1).read("y") == b"1"


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_lock_is_anothers_until_given_back(tmp_path, system, kind):
    place = tmp_path / "place"
    place.mkdir() if kind == "folder" else place.touch()
    first = lock(place)
    assert first is not None
    assert lock(place) is None
    words = [sys.executable, "-c", HOLDER.replace("60", "0"), place, "nfs" if system == "local" else system]
    second = subprocess.run(words, capture_output=True, text=True, check=True)
    assert second.stdout == "taken\n"
    first.close()
    first.close()
    again = lock(place, wait=True)
    assert again is not None
    again.close()
    assert names(tmp_path) == ["place"]


def test_lock_without_flock_is_taken_over_from_a_killed_owner_and_from_no_living_one(tmp_path, monkeypatch):
    monkeypatch.setattr(fcntl, "flock", flock_of("ENOSYS"))
    place = tmp_path / "place"
    place.touch()
    other = start(HOLDER, place, "ENOSYS")
    other.send_signal(signal.SIGSTOP)  # it computes, or waits for a disk, without end
    begin = time.monotonic()
    while time.monotonic() < begin + 4:
        assert lock(place) is None
        time.sleep(0.25)
    other.kill()
    other.communicate()
    begin = time.monotonic()
    while (held := lock(place)) is None:
        assert time.monotonic() < begin + 10
        time.sleep(0.05)
    held.close()
    assert names(tmp_path) == ["place"]


def test_only_one_of_many_takes_over_what_a_dead_owner_left(tmp_path):
    code = """
import fcntl, sys, time
from pathlib import Path
from ninefold.files import lock
from ninefold_testing import flock_of
fcntl.flock = flock_of("ENOLCK")
print("ready", flush=True)
held = lock(Path(sys.argv[1]), wait=True)
log = Path(sys.argv[1]).with_name("log")
with log.open("a") as file: file.write("in\\n")
time.sleep(0.05)
with log.open("a") as file: file.write("out\\n")
held.close()
"""
    place = tmp_path / "place"
    place.touch()
    gone = start(HOLDER, place, "ENOLCK")
    gone.kill()
    gone.communicate()
    assert names(tmp_path) == [".place.held", "place"]
    others = [start(code, place) for _ in range(4)]
    assert [other.wait(timeout=60) for other in others] == [0] * 4
    for other in others:
        other.communicate()
    assert (tmp_path / "log").read_text().split() == ["in", "out"] * 4
    assert names(tmp_path) == ["log", "place"]


def test_folder_whose_rights_forbid_it_is_no_lock_of_ours(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root has all rights")
    place = tmp_path / "place"
    place.mkdir()
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError):
        lock(place)
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("link", ["loop", "dangling", "loop/below/x", "dangling/x"])
@pytest.mark.parametrize("what", ["file", "folder", "new", "run", "into", "own"])
def test_link_that_leads_nowhere_is_one_line(tmp_path, link, what):
    from ninefold.errors import ArtifactError
    from ninefold.files import judge_out

    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("nothing/there")
    for force in (False, True):
        with pytest.raises(ArtifactError, match="leads nowhere, or in a circle"):
            judge_out(tmp_path / link, force=force, what=what)
    with pytest.raises(ArtifactError, match="leads nowhere, or in a circle"):
        write_text(Path(tmp_path / link), "x", force=True)
    assert names(tmp_path) == ["dangling", "loop"]
