"""The verbs that run studies: `run`, `tools`, `mcp`, `score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.progress import progress

from proteus.cli._app import Data, Known, Reading, Server, app, option
from proteus.study._out import keep

if TYPE_CHECKING:
    from ninefold.report import Table

    from proteus.record._planner import Planner
    from proteus.study._study import Study


_QUESTION = "Your own, in words that the table has; answered first."
_FOLD = "Fold bar of each contrast, e.g. 1.2; else by a stated rule."
_COHORT = "Column of cohorts or sites: A is what replicates in each."


def _planner(kind: str, study: Study, out: Path | None, server: Server) -> Planner:
    from ninefold.errors import InputError

    from proteus.planning._expert import ExpertPlanner

    if kind not in ("expert", "llm"):
        raise InputError("--planner", got=repr(kind), expected="expert or llm")
    if kind == "expert":
        if server.base_url or server.model:
            raise InputError("--base-url, --model", got="with the expert planner", expected="--planner llm")
        return ExpertPlanner()
    if out is None and server.base_url and server.model:
        raise InputError("--planner llm", expected="-o DIR: paid calls are recorded there")
    from proteus.llm._planner import LLMPlanner

    return LLMPlanner(server.client(out or Path(), "--planner llm"), study.data)


@dataclass(frozen=True)
class Wanted:
    """What is asked, in which part of the run."""

    question: Annotated[str | None, option("--question", _QUESTION)] = None
    contrast: Annotated[str | None, option("--contrast", "A-B: this difference is asked first.")] = None
    design: Annotated[str | None, option("--design", "Formula for --contrast, e.g. '~ site + group'.")] = None
    only: Annotated[bool, option("--only", "Ask nothing beside --question or --contrast.")] = False
    fold: Annotated[float | None, option("--fold", _FOLD, min=1)] = None
    cohort: Annotated[str | None, option("--cohort", _COHORT)] = None


@verb(app, uses=("seed", "quiet", "out"), out="run")
def run(
    data: Annotated[list[Path], typer.Argument(help="Table; several are cohorts.", show_default=False)],
    *,
    reading: Reading,
    known: Known,
    planner: Annotated[str, option("--planner", "`expert` (offline), or `llm`.")] = "expert",
    server: Server,
    objectives: Annotated[int, option("--objectives", "Objectives at most.", min=1, max=12)] = 8,
    budget_seconds: Annotated[float | None, option("--budget-seconds", "Time for the run.", min=0)] = None,
    wanted: Wanted,
    resume: Annotated[bool, option("--resume", "Go on with the interrupted run at --out.")] = False,
    opts: Shared,
) -> list[Any]:
    """Objectives, workflows, refinements, graded hypotheses; -o DIR keeps everything, with a report, and resumes."""
    from ninefold.errors import InputError

    from proteus import Asked, Budget, Settings
    from proteus.study._tables import report_tables
    from proteus.verification._export import SCRIPT, write_results
    from proteus.verification._report import write_report

    cohort = wanted.cohort or ("cohort" if len(data) > 1 else None)
    study = known.study(reading.read(*data, cohort=cohort or ""))
    if opts.out is None and not opts.quiet:
        typer.echo("nothing of this run is kept: -o DIR keeps it, with its report", err=True)
    if reading.samples is None and not opts.quiet and not len(study.data.samples.columns):
        typer.echo("nothing says what the samples are: -s SHEET names their groups, batches, outcomes", err=True)
    study.planner = _planner(planner, study, opts.out, server)
    if wanted.only and not (wanted.question or wanted.contrast):
        raise InputError("--only", expected="--question or --contrast beside it")
    asked = Asked.model_validate({name: getattr(wanted, name) for name in Asked.model_fields})
    budget = Budget(objectives=objectives, seconds=budget_seconds, tokens=server.budget_tokens, usd=server.budget_usd)
    with progress(objectives, "objectives") as bar:
        report = study.run(
            budget, opts.seed, out=opts.out, resume=resume, settings=Settings(cohort=cohort, asked=asked),
            advance=lambda name: bar.advance(1, note=name),
        )  # fmt: skip
    shown = report_tables(report, cohorts=cohort is not None)
    if report.path is not None:
        page, tables = write_report(report.path), write_results(report.path)
        names = ", ".join(one.name for one in tables if one.suffix != ".py")
        shown[-1].notes.append(
            f"written: {page.name} and all it rests on; all contrasts in {names}; the steps as a script in {SCRIPT}"
        )
    return shown


@verb(app, uses=("out",), out="file")
def tools(*, opts: Shared) -> Table:
    """List the tools that planners can call, with their parameters and result tables."""
    from proteus.tools._cards import tool_table

    return keep(tool_table(), opts)


@verb(app, uses=("seed",))
def mcp(
    data: Data,
    *,
    reading: Reading,
    known: Known,
    data_policy: Annotated[str, option("--data-policy", "aggregate, or full.")] = "aggregate",
    opts: Shared,
) -> None:
    """Serve the tools on one table to an MCP client, over standard input and output; needs the extra `mcp`."""
    from ninefold.errors import require

    from proteus.study._mcp import Desk, serve

    require("mcp", "proteus", "mcp")  # before a table is read
    serve(Desk(known.study(reading.read(data)), data_policy, opts.seed))  # pyright: ignore[reportArgumentType]


@verb(app, uses=("seed", "out"), out="file")
def score(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    *,
    judge: Annotated[bool, option("--judge", "Have a model judge too, blind, three times each.")] = False,
    server: Server,
    opts: Shared,
) -> Table | list[Table]:
    """Score a run's hypotheses by the offline rubric; --judge asks a model too, and puts its marks into the report."""
    from proteus.verification._score_tables import judge_table, rubric_table

    table = rubric_table(run)
    return keep([table, judge_table(run, server.client(run, "--judge"), opts.seed)] if judge else table, opts)
