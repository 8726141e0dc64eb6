"""Programs by which a warm process runs what a shell calls: `python`, and the packages' console scripts."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path


def make_shims(address: str, folder: Path, scripts: dict[str, Path]) -> None:
    """Write programs by the names of `scripts`, and `python`, that the warm process at `address` runs."""
    import ninefold_testing

    paths = [str(Path(__file__).parent), str(Path(ninefold_testing.__file__).parent)]
    for name, script in {"python": None, **scripts}.items():
        words = [str(script)] if script else []
        shim = folder / name
        shim.write_text(
            f"#!{sys.executable} -IS\nimport os, sys\nsys.path[:0] = {paths}\n"
            f"words = {words} + sys.argv[1:]\n"
            "if not words or (words[0][0] == '-' and words[0] not in ('-', '-c')):\n"
            f"    os.execv({sys.executable!r}, [{sys.executable!r}, *words])\n"
            f"from shims import follow\nfollow({address!r}, words)\n",
            encoding="utf-8",
        )
        shim.chmod(0o755)


def follow(address: str, words: list[str]) -> None:
    """Be the program that a warm process runs: pass signals on, and end as it ends."""
    from _warm import ask  # of ninefold_testing, without the rest of it: a shim starts in no time

    with socket.socket(socket.AF_UNIX) as to:
        to.connect(address)
        passed_on = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)  # until it is known to which process
        ask(to, words, str(Path.cwd()), dict(os.environ), [0, 1, 2])
        answers = to.makefile("r")
        process = int(answers.readline())
        for number in passed_on:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: os.kill(process, number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        status = int(answers.readline())
    if status < 0:
        with contextlib.suppress(OSError):  # SIGKILL needs none
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)
