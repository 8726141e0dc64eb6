"""The command line that every package shares: options, errors as one line, exit statuses, progress, printing.

A package writes `app = house_app("tswitch", "...")`, marks functions with `@verb(app)`, and makes
`main = run_app(app)` its console script. A verb takes its own parameters and, last, `opts: Shared`; it calls the API
and returns what to print.
Statuses: 0 done, 1 our defect, 2 the user's mistake (one line, no traceback), 130 interrupted.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import inspect
import os
import signal
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import typer

from ninefold.errors import InputError, NinefoldError, distribution_of, version_of

_ClickError: type[Exception] = typer.BadParameter.__mro__[2]  # base of all errors in the words of a command line
_OF_THE_MACHINE = {  # what the user can mend: rights, space, and paths that cannot be
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.EBUSY,
    errno.EXDEV, errno.ENAMETOOLONG, errno.EEXIST,
}  # fmt: skip


@dataclass(frozen=True)
class Shared:
    """The options that every verb has, after its own."""

    seed: int = 0
    device: str = "cpu"
    threads: int | None = None
    json: bool = False
    quiet: bool = False
    out: Path | None = None

    def need_out(self) -> Path:
        """The --out path; InputError if it was not given."""
        if self.out is None:
            raise InputError("--out", expected="where to write the result, e.g. -o result")
        return self.out


def _option(kind: Any, help: str, *names: str, **more: Any) -> Any:  # noqa: A002  (Typer's own name)
    return Annotated[kind, typer.Option(*names, help=help, rich_help_panel="Shared", **more)]


_OPTIONS = {
    "seed": _option(int, "Seed of everything random.", "--seed", min=0, max=2**32 - 1),
    "device": _option(str, "Torch device.", "--device"),
    "threads": _option(int | None, "CPU threads.", "--threads", min=1),
    "json": _option(bool, "Print JSON.", "--json"),
    "quiet": _option(bool, "No progress.", "--quiet", "-q"),
    "out": _option(Path | None, "Where to write.", "--out", "-o"),
}


def house_app(package: str, help: str) -> typer.Typer:  # noqa: A002  (Typer's own name)
    """A Typer app for the import `package`, with --version and without the options nobody needs."""
    app = typer.Typer(name=package, help=help, no_args_is_help=True, add_completion=False, rich_markup_mode="markdown")

    def show_version(value: bool) -> None:
        if value:
            typer.echo(f"{distribution_of(package)} {version_of(package)}")
            raise typer.Exit

    version_option = typer.Option(False, "--version", callback=show_version, is_eager=True, help="Show the version.")

    @app.callback()
    def root(version: bool = version_option) -> None:
        pass

    root.__doc__ = help
    return app


def verb(app: typer.Typer, name: str | None = None) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a verb of `app`: adds the shared options, and prints what the function returns.

    The function's last parameter must be `opts: Shared`. It returns None, a string, a dict, a `report.Table`, or a
    list of these; with --json the same as one JSON document.
    """

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        own = [one for key, one in inspect.signature(function).parameters.items() if key != "opts"]
        written = {one.name: one.annotation for one in own}  # without the return type, which may be for checkers alone
        hints = typing.get_type_hints(
            types.SimpleNamespace(__annotations__=written), function.__globals__, include_extras=True
        )
        shared = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=getattr(Shared, key), annotation=annotation)
            for key, annotation in _OPTIONS.items()
        ]

        @functools.wraps(function)
        def call(**values: Any) -> None:
            opts = Shared(**{key: values.pop(key) for key in _OPTIONS})
            _set_threads(opts.threads)
            _check_device(opts.device)
            Progress.shown = not (opts.quiet or opts.json) and sys.stderr.isatty()
            show(function(**values, opts=opts), as_json=opts.json)

        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[one.name]) for one in own]
        parameters = own + shared
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name or function.__name__.replace("_", "-"))(call)
        return function

    return register


def show(result: Any, *, as_json: bool) -> None:
    """Print a verb's result to standard output, as text for people or as one JSON document."""
    if result is None:
        return
    from ninefold import report

    typer.echo(report.to_json(result) if as_json else report.to_terminal(result))


def run_app(app: typer.Typer) -> Callable[[], None]:
    """The console script of `app`: runs it, turns what escapes into one line and an exit status."""

    def main() -> None:
        Progress.interrupted = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where Ctrl-C is to be ignored
            signal.signal(signal.SIGINT, _interrupt)
        sys.exit(_status_of(app))

    return main


def _interrupt(*_: object) -> None:
    """Ctrl-C is remembered: the import of a large library may swallow it, or turn it into an error of its own."""
    Progress.interrupted = True
    raise KeyboardInterrupt


def _status_of(app: typer.Typer) -> int:
    name, words = Path(sys.argv[0]).name, sys.argv[1:]
    try:
        try:
            with typer.main.get_command(app).make_context(name, words) as context:  # `app()` has its own statuses
                context.command.invoke(context)
            sys.stdout.flush()
        finally:
            if Progress.interrupted:  # whatever came of it
                raise KeyboardInterrupt
    except (KeyboardInterrupt, typer.Abort):
        return _say("interrupted; what was finished is kept", 130)
    except typer.Exit as end:
        return end.exit_code
    except NinefoldError as error:
        return _say(f"error: {error}", 2)
    except _ClickError as error:
        context = getattr(error, "ctx", None)
        message = error.format_message()  # type: ignore[attr-defined]
        if not message:  # "no arguments is help" has printed its help already
            return 2
        return _say(f"error: {message} (see: {context.command_path if context else name} --help)", 2)
    except BrokenPipeError:  # `... | head` closed the pipe: nothing is wrong; keep python's exit from complaining
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
            return _say(f"error: {error.filename or 'writing'}: {error.strerror}", 2)
        traceback.print_exc()
        return _say("this is a defect of ours: please report it with the lines above", 1)
    return 0


def _say(line: str, status: int) -> int:
    print(" ".join(line.split()), file=sys.stderr)
    return status


def _set_threads(threads: int | None) -> None:
    if threads is None:
        return
    for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[key] = str(threads)  # heavy libraries are imported by the verb, so they see it
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _check_device(device: str) -> None:
    if device == "cpu":  # without torch, which not every package has
        return
    try:
        import torch

        torch.empty(0, device=device)
    except (ImportError, RuntimeError, AssertionError) as error:
        raise InputError("--device", got=device, expected="a device that torch can use here", hint=str(error)) from None


class Progress:
    """What `progress` yields: `advance(n)` counts finished units."""

    shown: ClassVar = False  # each verb decides it from its options
    interrupted: ClassVar = False  # there was a Ctrl-C

    def __init__(self, bar: Any = None, task: Any = None) -> None:
        self._bar, self._task = bar, task

    def advance(self, amount: float = 1, note: str | None = None) -> None:
        """Count `amount` more units as finished; `note` replaces the label. Ends work that missed a Ctrl-C."""
        if self.interrupted:
            raise KeyboardInterrupt
        if self._bar is not None:
            self._bar.update(self._task, advance=amount, **({"description": note} if note else {}))


@contextlib.contextmanager
def progress(total: float | None, label: str) -> Iterator[Progress]:
    """A progress bar with the time left, on a terminal and inside a verb only; elsewhere it does nothing."""
    if not Progress.shown:
        yield Progress()
        return
    from rich.console import Console
    from rich.progress import Progress as RichProgress

    with RichProgress(console=Console(stderr=True), transient=True) as bar:
        yield Progress(bar, bar.add_task(label, total=total))
