"""The verbs on finished runs: `verify`, `replay`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.progress import progress

from proteus.cli._app import app
from proteus.study._out import keep

Run = Annotated[Path, typer.Argument(help="Folder of a finished run, as given to `run -o`.")]


@verb(app, uses=("out",), out="file")
def verify(run: Run, *, opts: Shared) -> dict[str, Any]:
    """Check a run's journal, files, rows and printed numbers, and name what was changed since it finished.

    Example: `proteus verify run`
    """
    from proteus.verification._verify import verify as check

    done = check(run)
    done.check(run)
    shown = {
        "events": done.events, "files": done.files, "findings": done.findings, "printed numbers": done.numbers,
        "sentences": done.sentences, "verdict": "whole: nothing was changed",
    }  # fmt: skip
    return keep(shown, opts)


@verb(app, uses=("quiet", "out"), out="file")
def replay(run: Run, *, opts: Shared) -> dict[str, Any]:
    """Compute a run again from its input and a model's recorded answers, and compare every byte.

    Example: `proteus replay run`
    """
    from proteus.verification._replay import replay as again

    with progress(None, "objectives") as bar:
        done = again(run, advance=lambda name: bar.advance(1, note=name))
    done.check(run)
    return keep({"files": done.files, "verdict": "every byte is the same"}, opts)
