"""Console scripts for tests: in a process of their own, in a copy of a warm one, or here."""

from __future__ import annotations

import contextlib
import importlib
import io
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

from ninefold.files import digest_file

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it each program started here compiles all it imports anew

FORKS = multiprocessing.get_context("forkserver")  # for tests that start one script many times
FORKS.set_forkserver_preload(["torch._dynamo", "transformers.modeling_utils"])  # what is not installed is left out


def command(module: str, *words: str, ready: Path | None = None) -> list[str]:
    """An argument list that runs the console script `module` ("tswitch.cli") in this interpreter, Ctrl-C included.

    It makes the file `ready` once the module is loaded and a Ctrl-C is the module's to handle.
    """
    start = (
        "import pathlib, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.argv[0] = {module.split('.')[0]!r}; from {module} import main; "
        + (f"pathlib.Path({str(ready)!r}).touch(); " if ready else "")
        + "main()"
    )
    return [sys.executable, "-c", start, *words]


def run(module: str, *words: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end; outputs are captured."""
    return subprocess.run(
        command(module, *words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **env}, check=False
    )


def digests(folder: Path) -> dict[str, str]:
    """Digest of each file below a folder, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in files}


def run_here(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """As `run`, without a process of its own: for many short calls. Libraries stay as the test has them."""
    main, before, out, err, status = importlib.import_module(module).main, sys.argv, io.StringIO(), io.StringIO(), 0
    sys.argv = [module.split(".", maxsplit=1)[0], *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(words, status, out.getvalue(), err.getvalue())


def forked(module: str, words: list[str], environment: dict[str, str], ready: Path, said: Path) -> None:
    """Run a console script in this process, a copy of one that has imported what takes long."""
    os.environ.update(environment)
    sys.argv = [module.split(".", maxsplit=1)[0], *words]
    with said.open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        main = importlib.import_module(module).main
        ready.touch()
        main()


def start(words: list[str], ready: Path) -> subprocess.Popen[str]:
    """Start a program; returns once it has made the file `ready`, or has ended."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not ready.exists() and process.poll() is None:
        time.sleep(0.01)
    return process
