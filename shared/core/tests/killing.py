"""Kills writers of files and folders, and says what the next use finds; run as a program, since it forks.

python killing.py file|folder|placed exchange|renames absent|present counted|random FOLDER
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from ninefold.files import _atomic, atomic_file, atomic_folder, recover

COUNTED = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "open", "close")
PARTS = ("a", "b", "c")


def write(path: Path, letter: str, kind: str) -> None:
    if kind == "file":
        with atomic_file(path, force=True, ours=lambda _: True) as temporary:
            temporary.write_text(letter * 1000)
    else:
        with atomic_folder(path, force=True, ours=lambda _: True) as folder:
            for name in PARTS:
                (folder / name).write_text(letter * 1000)


def content(path: Path) -> str:
    """The letter of which all is made; "absent"; or what is wrong."""
    if not path.exists():
        return "absent"
    files = [path] if path.is_file() else sorted(path.iterdir())
    texts = {file.read_text() for file in files}
    whole = len(texts) == 1 and (path.is_file() or [file.name for file in files] == list(PARTS))
    text = texts.pop() if whole else ""
    return text[0] if text and text == text[0] * 1000 else f"torn: {[file.name for file in files]}"


def count_and_die(at: int) -> None:
    """From now on, the process ends by SIGKILL after its `at`-th system call of those counted."""
    calls = itertools.count(1)

    def counted(function):
        def call(*words, **more):
            try:
                return function(*words, **more)
            finally:
                if next(calls) == at:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in COUNTED:
        setattr(os, name, counted(getattr(os, name)))
    _atomic._exchange = counted(_atomic._exchange)


def child(work) -> int:
    """Process id of a fork that does `work` and ends."""
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            work()
            os._exit(0)
        os._exit(1)
    return pid


def found_by(path: Path, kind: str, use: str) -> str:
    """What the next use finds after a kill: a reader, or a writer of "z"; with what is left beside the path."""
    if use == "reader":
        recover(path)
        return content(path)
    write(path, "z", kind)
    return content(path) + "".join(f" and {left.name}" for left in sorted(path.parent.iterdir()) if left != path)


def counted(path: Path, kind: str, before: str) -> None:
    for use in ("reader", "writer"):
        for at in itertools.count(1):
            shutil.rmtree(path.parent, ignore_errors=True)
            path.parent.mkdir()
            if before == "present":
                write(path, "o", kind)

            def work(at: int = at) -> None:
                count_and_die(at)
                write(path, "n", kind)

            status = os.waitpid(child(work), 0)[1]
            print(json.dumps({"at": at, "status": status, "use": use, "raw": content(path)}), end="\t")
            print(found_by(path, kind, use))
            if not os.WIFSIGNALED(status):
                break


def at_random(path: Path, kind: str) -> None:
    draw = random.Random(0)
    path.parent.mkdir()
    os.fsync = lambda _: (
        None
    )  # a killed process leaves the page cache as it is, and a busy disk would take all the time
    begin = time.perf_counter()
    for letter in "nono":
        write(path, letter, kind)
    taken = (time.perf_counter() - begin) / 4  # of one write on this machine, as busy as it is

    def work(letters: str) -> None:
        for letter in itertools.cycle(letters):
            write(path, letter, kind)

    for number in range(200):
        pid = child(lambda letters="no" if number % 2 else "on": work(letters))
        time.sleep(draw.uniform(0.1, 3) * taken)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        print("kill\t" + found_by(path, kind, "reader"))
    print("end\t" + found_by(path, kind, "writer"))


if __name__ == "__main__":
    kind, way, before, when, folder = sys.argv[1:]
    if way == "renames":
        _atomic._exchange = lambda *_: False
    place = Path(folder) / "parent" / "x"
    counted(place, kind, before) if when == "counted" else at_random(place, kind)
