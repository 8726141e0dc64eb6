"""Console scripts for tests: in a process of their own, in a copy of a warm one, or here."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import importlib.metadata
import io
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from ninefold.errors import distribution_of
from ninefold.files import digest_file

from ninefold_testing import _warm

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # with it each program started here compiles all it imports anew

_SLOW = ["scipy.stats", "matplotlib.pyplot", "typer._adapters"]  # the last when a verb reads its words
_TABLES = ["pandas", "pyarrow.parquet", "numba", "sklearn.linear_model"]  # these, and models, where this process has
# the library already: seconds that others need not wait
_MODELS = ["torch_geometric.data", "transformers.models.llama.modeling_llama", "transformers.models.bert.modeling_bert"]


def command(module: str, *words: str, ready: Path | None = None) -> list[str]:
    """An argument list that runs the console script `module` ("tswitch.cli") in this interpreter, Ctrl-C included.

    It makes the file `ready` once the module is loaded and a Ctrl-C is the module's to handle.

    Examples:
        >>> from ninefold_testing import command

        >>> words = command("ninefold_lab.app", "--version")
        >>> words[1], words[-1]
        ('-c', '--version')
    """
    start = (
        "import pathlib, signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        f"sys.argv[0] = {module.split('.')[0]!r}; from {module} import main; "
        + (f"pathlib.Path({str(ready)!r}).touch(); " if ready else "")
        + "main()"
    )
    return [sys.executable, "-c", start, *words]


def run(module: str, *words: str, timeout: float = 120, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a console script to its end; outputs are captured.

    Examples:
        >>> from ninefold_testing import run

        >>> done = run("ninefold_lab.app", "nosuchverb")
        >>> done.returncode, len(done.stderr.splitlines())
        (2, 1)
    """
    return subprocess.run(
        command(module, *words), capture_output=True, text=True, timeout=timeout, env={**os.environ, **env}, check=False
    )


def digests(folder: Path) -> dict[str, str]:
    """Digest of each file below a folder, by relative path.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold_testing import digests

        >>> Path("model").mkdir()
        >>> size = Path("model", "items.txt").write_text("tea")
        >>> before = digests(Path("model"))
        >>> size = Path("model", "items.txt").write_text("coffee")
        >>> list(before), digests(Path("model")) == before
        (['items.txt'], False)
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): digest_file(path) for path in files}


def run_here(module: str, *words: str) -> subprocess.CompletedProcess[str]:
    """As `run`, without a process of its own: for many short calls. Libraries stay as the test has them.

    Examples:
        >>> from ninefold_testing import run_here

        >>> done = run_here("ninefold_lab.app", "nosuchverb")
        >>> done.returncode, len(done.stderr.splitlines())
        (2, 1)
    """
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


@dataclass
class Program:
    """A program that a warm process runs."""

    process: int
    _answers: socket.socket = field(repr=False)
    _status: int | None = None

    def wait(self, seconds: float | None = None) -> int | None:
        """Its exit status, minus the signal that ended it; None if it still runs after `seconds`."""
        if self._status is None and select.select([self._answers], [], [], seconds)[0]:
            with self._answers, self._answers.makefile("r") as file:
                self._status = int(file.readline())
        return self._status

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self.wait(0) is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process, signal.SIGKILL)


class Warm:
    """A warm process (see `_warm`) that has imported `modules`.

    Attributes:
        address: of the socket on which it waits for programs.

    Examples:
        >>> from ninefold_testing import Warm

        >>> process = Warm("json")  # imports once what many programs need
        >>> int(process.run(["-c", "print(6 * 7)"]).stdout)
        42
        >>> process.close()
    """

    def __init__(self, *modules: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-")
        self.address = str(Path(self._folder.name, "socket"))
        with socket.socket(socket.AF_UNIX) as listener, Path(self._folder.name, "log").open("wb") as log:
            listener.bind(self.address)
            listener.listen(64)
            self._process = subprocess.Popen(
                [sys.executable, _warm.__file__, str(listener.fileno()), *modules],
                stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[listener.fileno()], start_new_session=True,
            )  # fmt: skip

    def start(self, words: list[str], out: int, errors: int, **env: str) -> Program:
        """Start what `python *words` runs, with `env` added to the environment and nothing on its standard input."""
        answers = socket.socket(socket.AF_UNIX)
        answers.connect(self.address)
        with Path(os.devnull).open("rb") as nothing:
            _warm.ask(answers, words, str(Path.cwd()), {**os.environ, **env}, [nothing.fileno(), out, errors])
        return Program(int(answers.makefile("rb", buffering=0).readline()), answers)

    def run(self, words: list[str], timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run what `python *words` runs to its end; outputs are captured."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
            program = self.start(words, out.fileno(), errors.fileno())
            status = program.wait(timeout)
            if status is None:
                program.kill()
                raise subprocess.TimeoutExpired(words, timeout)
            out.seek(0)
            errors.seek(0)
            return subprocess.CompletedProcess(words, status, out.read(), errors.read())

    def close(self) -> None:
        """End it, and what it runs."""
        self._process.communicate()  # closes its standard input
        self._folder.cleanup()


def warm(package: str | None = None) -> Warm:
    """The warm process that tests of this process share; that of a `package` which does not require torch has none.

    Examples:
        >>> from ninefold_testing import warm

        >>> warm("ninefold").run(["-c", "print(6 * 7)"]).returncode
        0
    """
    lines = [] if package is None else importlib.metadata.requires(distribution_of(package)) or []
    return _warm_process(package is None or any(re.match(r"torch\b(?!.*extra ==)", line) for line in lines))


@functools.cache
def _warm_process(with_torch: bool) -> Warm:
    more = [name for name in [*_TABLES, *_MODELS * with_torch] if name.partition(".")[0] in sys.modules]
    made = Warm(*["torch._dynamo"] * with_torch, *_SLOW, *more)
    atexit.register(made.close)
    return made
