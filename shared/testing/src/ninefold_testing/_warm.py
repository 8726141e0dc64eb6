"""A process that has imported what takes long, and forks for each program: what tests start often starts at once.

A program has its own words, folder, environment, streams and exit status (a signal included), `__main__`, random
numbers and exit handlers, as in a process of its own. What differs: modules imported before are there, what libraries
read from the environment on import is the warm process's, the order of sets is the same in all, and at the end modules
are not taken apart. A test of one of these starts a real process. With NINEFOLD_FLOCK in its environment a program has
the locks of another file system (`_flocks`). This file is run by its path, and imports the standard library alone.
"""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import gc
import importlib
import importlib.abc
import json
import os
import selectors
import signal
import socket
import sys
import types
from pathlib import Path
from typing import Any

_HEADER = 8  # bytes that say how many follow
flock_of: Any = None  # set below, where this file runs


def ask(to: socket.socket, words: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    """Ask a warm process to run what `python *words` would; it answers two lines: process id, and exit status."""
    body = json.dumps({"words": words, "cwd": cwd, "env": env}).encode()
    socket.send_fds(to, [len(body).to_bytes(_HEADER, "big")], streams)
    to.sendall(body)


def serve(listener: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Fork for each connection until standard input ends; returns in a fork alone: what to run, and its streams."""
    running: dict[int, socket.socket] = {}
    ended, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    select = selectors.PollSelector()
    for source in (0, ended, listener):
        select.register(source, selectors.EVENT_READ)
    while True:
        for source in [key.fileobj for key, _ in select.select()]:
            if source is listener:
                connection = listener.accept()[0]
                header, streams, _, _ = socket.recv_fds(connection, _HEADER, 3)
                with connection.makefile("rb") as file:
                    asked = json.loads(file.read(int.from_bytes(header, "big")))
                process = os.fork()
                if process == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    signal.signal(signal.SIGINT, signal.default_int_handler)  # who ignores it does not pass it on
                    for one in (listener, connection, *running.values()):
                        one.close()
                    os.closerange(ended, wake + 1)
                    return asked, streams
                for stream in streams:
                    os.close(stream)
                running[process] = connection
                select.register(connection, selectors.EVENT_READ)
                _tell(connection, process)
            elif source == ended:
                os.read(ended, 4096)
            else:  # who waited for a program is gone, or who started this process
                select.unregister(source)
                for process, connection in running.items():
                    if source in (0, connection):
                        os.kill(process, signal.SIGKILL)
                if source == 0:
                    for process in running:
                        os.waitpid(process, 0)
                    sys.exit()
        for process, connection in list(running.items()):
            gone, status = os.waitpid(process, os.WNOHANG)
            if gone:
                with contextlib.suppress(KeyError):
                    select.unregister(connection)
                _tell(connection, os.waitstatus_to_exitcode(status))
                running.pop(process).close()


def _tell(connection: socket.socket, number: int) -> None:
    with contextlib.suppress(OSError):  # who asked is gone
        connection.sendall(f"{number}\n".encode())


class _Text(importlib.abc.InspectLoader):
    """The program itself, whose text is a file's, an argument's or what comes on standard input."""

    def __init__(self, name: str, text: str) -> None:
        self.name, self.text = name, text

    def get_source(self, fullname: str) -> str:
        return self.text

    def get_code(self, fullname: str) -> types.CodeType:
        return self.source_to_code(self.text, self.name)


def become(words: list[str], cwd: str, env: dict[str, str], streams: list[int]) -> None:
    """Run what `python *words` runs in this process, which does nothing after it."""
    for place, (stream, name) in enumerate(zip(streams, ("stdin", "stdout", "stderr"), strict=True)):
        os.dup2(stream, place)
        os.close(stream)
        was, lines = getattr(sys, name), 1 if place == 2 or os.isatty(place) else -1
        new = open(place, "w" if place else "r", lines, was.encoding, was.errors, closefd=False)  # noqa: SIM115
        setattr(sys, name, new)
        setattr(sys, f"__{name}__", new)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    if system := env.get("NINEFOLD_FLOCK"):
        fcntl.flock = flock_of(system)
    for name, part in (("numpy", "random"), ("torch", "default_generator")):  # Python's `random` does so itself
        if name in sys.modules:
            getattr(sys.modules[name], part).seed()
    if tempfile := sys.modules.get("tempfile"):
        tempfile.__dict__["tempdir"] = None
    main = types.ModuleType("__main__")
    first, sys.argv = words[0], list(words)
    if first == "-c":
        loader, folder = _Text("<string>", sys.argv.pop(1)), ""
    elif first == "-":
        loader, folder = _Text("<stdin>", sys.stdin.read()), ""
    else:
        loader, folder = _Text(first, Path(first).read_text(encoding="utf-8")), str(Path(first).resolve().parent)
        main.__file__ = first
    own = [part for part in env.get("PYTHONPATH", "").split(os.pathsep) if part and part not in sys.path]
    sys.path[:0] = [folder, *own]
    sys.modules["__main__"] = main
    loader.exec_module(main)


_ended: list[Any] = []  # with what status


def _leave() -> None:
    """End as Python does, but leave modules as they are; to take them apart takes 0.5 s."""
    for status in _ended:
        with contextlib.suppress(OSError):  # a closed pipe: Python has words for it
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit((0 if status is None else status if isinstance(status, int) else 1) & 255)


if __name__ == "__main__":
    atexit.register(_leave)  # the first registered is the last called
    flock_of = importlib.import_module("_flocks").flock_of  # beside this file
    sys.path.pop(0)
    for module in sys.argv[2:]:
        with contextlib.suppress(ImportError):  # what is not installed is left out
            importlib.import_module(module)
    if "numba" in sys.modules:
        sys.modules["numba"].njit(lambda: 0)()  # the first call loads what numba can compile: 0.2 s
    gc.collect()
    gc.freeze()
    asked, streams = serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        become(asked["words"], asked["cwd"], asked["env"], streams)
        _ended.append(0)
    except (SystemExit, Exception) as error:
        _ended.append(error.code if isinstance(error, SystemExit) else 1)
        raise
