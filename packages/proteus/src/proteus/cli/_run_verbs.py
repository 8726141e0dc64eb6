"""The verbs on finished runs: `verify`, `replay`, `compare`, `merge`, `review`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.progress import progress

from proteus.cli._app import Server, app, option
from proteus.study._out import keep

if TYPE_CHECKING:
    from ninefold.report import Table

    from proteus.record._planner import Planner
    from proteus.study._study import Study

Run = Annotated[Path, typer.Argument(help="Folder of a finished run.")]


@verb(app, uses=("out",), out="file")
def verify(run: Run, *, opts: Shared) -> dict[str, Any]:
    """Check a run: journal, every file and row, and every printed number against its cell; names what was changed."""
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
    """Compute a run again from its input, with a model's recorded answers, and compare every byte."""
    from proteus.verification._replay import replay as again

    with progress(None, "objectives") as bar:
        done = again(run, advance=lambda name: bar.advance(1, note=name))
    done.check(run)
    return keep({"files": done.files, "verdict": "every byte is the same"}, opts)


@verb(app, uses=("out",), out="file")
def compare(first: Run, second: Run, *, opts: Shared) -> list[Table]:
    """Set two runs side by side: settings, hypotheses, findings."""
    from proteus.study._compare import compare as beside

    return keep(beside(first, second), opts)


@verb(app, uses=("out",), out="folder")
def merge(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `run --objective` wrote, one for each objective.")],
    *,
    server: Server,
    opts: Shared,
) -> dict[str, Any]:
    """Put runs of single objectives together in -o DIR: error control, grades and ranks over all of them."""
    from proteus.study._compare import merge as together
    from proteus.verification._report import write_report

    out = opts.need_out()

    def planner(study: Study) -> Planner:
        from proteus.llm._planner import LLMPlanner

        return LLMPlanner(server.client(out, "merge"), study.data)

    report = together(runs, out, planner if server.base_url or server.model else None)
    write_report(opts.need_out())
    grades = {f"grade {one}": len(report.graded(one)) for one in "ABC"}
    return {"objectives": len(report.answers), "hypotheses": len(report.hypotheses), **grades}


@verb(app, uses=("seed", "out"), ours="proteus.review")
def review(
    action: Annotated[str, typer.Argument(help="`export` a blinded sheet of RUNS, or `import` filled-in SHEETS.")],
    paths: Annotated[list[Path], typer.Argument(help="export: folders of runs. import: the export, then the sheets.")],
    *,
    force: Annotated[bool, option("--force", "Replace what is at --out.")] = False,
    opts: Shared,
) -> Any:
    """Experts' review: export RUN... -o DIR writes a blinded sheet; import DIR SHEET... says how far raters agree."""
    from ninefold.errors import InputError

    from proteus.review._review import export_sheet, import_sheets

    if action == "export":
        count = export_sheet(paths, opts.need_out(), seed=opts.seed, force=force)
        return {"hypotheses": count, "for experts": "sheet.csv and rubric.txt", "for nobody else": "key.json"}
    if action == "import":
        return keep(import_sheets(paths[0], paths[1:]).table, opts)
    raise InputError("review", got=repr(action), expected="export or import")
