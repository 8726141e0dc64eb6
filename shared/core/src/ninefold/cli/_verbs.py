"""Verbs of an app and the options that they share; an output path is judged before a verb runs."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from ninefold.cli._program import show
from ninefold.errors import InputError, distribution_of, version_of
from ninefold.files import Ours, judge_out
from ninefold.progress import Progress


def _option(help: str, *names: str, **more: Any) -> Any:  # noqa: A002  (Typer's own name)
    return typer.Option(*names, help=help, rich_help_panel="Shared", **more)


@dataclass(frozen=True)
class Shared:
    """The options that verbs share; one that a verb does not use has its default.

    Examples:
        >>> from pathlib import Path
        >>> from ninefold import InputError
        >>> from ninefold.cli import Shared

        >>> Shared(seed=3, out=Path("model")).need_out().name
        'model'
        >>> try:
        ...     Shared().need_out()
        ... except InputError as error:
        ...     print(error)
        --out: expected where to write the result, e.g. -o result
    """

    seed: Annotated[int, _option("Seed of the random number generators.", "--seed", min=0, max=2**32 - 1)] = 0
    device: Annotated[str, _option("PyTorch device, for example cpu or cuda.", "--device")] = "cpu"
    threads: Annotated[int | None, _option("Number of CPU threads.", "--threads", min=1)] = None
    json: Annotated[bool, _option("Print the result as JSON.", "--json")] = False
    quiet: Annotated[bool, _option("Hide the progress bar.", "--quiet", "-q")] = False
    force: Annotated[bool, _option("Replace an earlier result at --out.", "--force")] = False
    out: Annotated[Path | None, _option("File or folder to write.", "--out", "-o")] = None

    def need_out(self) -> Path:
        """The --out path; InputError if it was not given."""
        if self.out is None:
            raise InputError("--out", expected="where to write the result, e.g. -o result")
        return self.out


def house_app(package: str, help: str) -> typer.Typer:  # noqa: A002  (Typer's own name)
    """A Typer app for the import `package`, with --version and without the options nobody needs.

    Examples:
        >>> import typer
        >>> from ninefold.cli import house_app
        >>> from typer.testing import CliRunner

        >>> app = house_app("ninefold", "Count words.")
        >>> @app.command()
        ... def count(text: str) -> None:
        ...     typer.echo(f"{len(text.split())} words")
        >>> print(CliRunner().invoke(app, ["count", "tea and coffee"]).output.strip())
        3 words
    """
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


def verb(
    app: typer.Typer, name: str | None = None, *, uses: Iterable[str], out: str = "new", ours: Ours = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function as a verb of `app`: adds the shared options it uses, and prints what the function returns.

    The function's last parameter is `opts: Shared`, or is left out. A parameter whose type is a dataclass becomes one
    option for each of its fields, of type `Annotated[..., typer.Option(...)]`. The function returns None, a string, a
    dict, a `report.Table`, or a list of these; with --json, which each verb has, the same as one JSON document.

    Args:
        app: made by `house_app`.
        name: of the verb, if not the function's.
        uses: shared options, of "seed", "device", "threads", "quiet", "force" and "out"; the verb accepts no other.
        out: what the verb writes to --out: "file", "folder", "new" (either), "run" (a folder of `ninefold.run.Run`),
            "into" (files that are added to a folder), "own" (the verb itself judges what is there). The path is judged
            before the function runs, with --force if the verb has it.
        ours: what --force may replace, if not all that the package wrote; see `ninefold.files.refuse_existing`.

    Examples:
        >>> from ninefold.cli import Shared, house_app, verb
        >>> from typer.testing import CliRunner

        >>> app = house_app("ninefold", "Draw numbers.")
        >>> @verb(app, uses=("seed",))
        ... def draw(most: int, *, opts: Shared) -> dict[str, int]:
        ...     "Draw a number below MOST."
        ...     return {"most": most, "seed": opts.seed}
        >>> print(CliRunner().invoke(app, ["draw", "10", "--seed", "3", "--json"]).output.strip())
        {
          "most": 10,
          "seed": 3
        }
    """
    used = {"json", *uses}
    house = {one.name: one for one in _parameters(Shared)}
    if used - house.keys():
        raise TypeError(f"uses: {sorted(used - house.keys())}, expected some of {', '.join(house)}")

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        takes_opts = "opts" in inspect.signature(inspect.unwrap(function)).parameters  # decorators may hide it
        own = [one for key, one in inspect.signature(function).parameters.items() if key != "opts"]
        written = {one.name: one.annotation for one in own}  # without the return type, which may be for checkers alone
        hints = typing.get_type_hints(
            types.SimpleNamespace(__annotations__=written), function.__globals__, include_extras=True
        )
        groups: dict[str, Any] = {key: kind for key, kind in hints.items() if dataclasses.is_dataclass(kind)}

        @functools.wraps(function)
        def call(**values: Any) -> None:
            opts = Shared(**{key: values.pop(key) for key in house if key in used})
            if opts.out is not None:
                judge_out(opts.out, force=opts.force, ours=ours or app.info.name, what=out)
            _set_threads(opts.threads)
            _check_device(opts.device)
            Progress.shown = not (opts.quiet or opts.json) and sys.stderr.isatty()
            for key, kind in groups.items():
                values[key] = kind(**{one.name: values.pop(one.name) for one in dataclasses.fields(kind)})
            show(function(**values, **({"opts": opts} if takes_opts else {})), as_json=opts.json)

        parameters: list[inspect.Parameter] = []
        for one in own:
            alone = one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[one.name])
            parameters += _parameters(groups[one.name]) if one.name in groups else [alone]
        parameters += [one for key, one in house.items() if key in used]
        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        call.output = out  # type: ignore[attr-defined]  (for the contract)
        app.command(name or function.__name__.replace("_", "-"))(call)
        return function

    return register


def _parameters(settings: Any) -> list[inspect.Parameter]:
    """One keyword for each field of a dataclass, in their order."""
    hints = typing.get_type_hints(settings, include_extras=True)
    return [
        one.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[key])
        for key, one in inspect.signature(settings).parameters.items()
    ]


def _set_threads(threads: int | None) -> None:
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that spin take ten times as long where a core is busy
    if threads is not None:
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
