"""The console script of an app: what escapes from a verb becomes one line and an exit status."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from ninefold.distributed import first
from ninefold.errors import NinefoldError
from ninefold.progress import Progress

_ClickError: type[Exception] = typer.BadParameter.__mro__[2]  # base of all errors in the words of a command line
_OF_THE_MACHINE = {  # what the user can mend: rights, space, and paths that cannot be
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOTDIR, errno.EISDIR, errno.EBUSY,
    errno.EXDEV, errno.ENAMETOOLONG, errno.EEXIST, errno.ELOOP, errno.ESTALE,
}  # fmt: skip


def show(result: Any, *, as_json: bool) -> None:
    """Print a verb's result to standard output, as text for people or as one JSON document; under torchrun once.

    Examples:
        >>> from ninefold.cli import show

        >>> show({"users": 1234, "items": 56}, as_json=False)
        users  1,234
        items  56
    """
    if result is not None and first():
        from ninefold import report

        typer.echo(report.to_json(result) if as_json else report.to_terminal(result))


def run_app(app: typer.Typer) -> Callable[[], None]:
    """The console script of `app`: runs it, turns what escapes into one line and an exit status.

    Examples:
        >>> import sys
        >>> from ninefold import InputError
        >>> from ninefold.cli import house_app, run_app, verb

        >>> app = house_app("ninefold", "Fail.")
        >>> @verb(app, uses=())
        ... def fail() -> None:
        ...     "Refuse the input."
        ...     raise InputError("alpha", got=2)
        >>> main = run_app(app)  # the console script
        >>> sys.argv = ["shop", "fail"]
        >>> try:
        ...     main()
        ... except SystemExit as end:
        ...     print(end.code)  # the user's mistake
        2
    """

    def main() -> None:
        Progress.interrupted = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where Ctrl-C is to be ignored
            signal.signal(signal.SIGINT, _interrupt)
        sys.exit(status_of(app))

    return main


def _interrupt(*_: object) -> None:
    """Ctrl-C is remembered: the import of a large library may swallow it, or turn it into an error of its own."""
    Progress.interrupted = True
    raise KeyboardInterrupt


def status_of(app: typer.Typer) -> int:
    """Run the words of `sys.argv` as `app`'s; the exit status.

    Examples:
        >>> import sys
        >>> from ninefold.cli import house_app, status_of, verb

        >>> app = house_app("ninefold", "Greet.")
        >>> @verb(app, uses=())
        ... def greet() -> str:
        ...     "Say hello."
        ...     return "hello"
        >>> sys.argv = ["shop", "greet"]
        >>> status_of(app)
        hello
        0
    """
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
        message, context = error.format_message(), getattr(error, "ctx", None)  # type: ignore[attr-defined]
        path = context.command_path if context else name
        if context and "extra argument" in message:  # perhaps the value of an option whose name was left out
            takes = [one.opts[0] for one in context.command.params if one.rich_help_panel is None]
            message += f": {path} takes {', '.join(takes) or 'no argument'}"
        return _say(f"error: {message} (see: {path} --help)", 2) if message else 2  # help was printed already
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
