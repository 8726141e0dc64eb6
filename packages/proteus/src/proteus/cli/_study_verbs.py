"""The verbs that run studies: `run`, `tools`, `mcp`, `score`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.progress import progress

from proteus.cli._app import Data, Known, Reading, Server, advanced, app, option
from proteus.study._out import keep

if TYPE_CHECKING:
    from ninefold.report import Table

    from proteus.record._planner import Planner
    from proteus.study._study import Study


_QUESTION = "Question in plain words, with names from the table, to answer first; `profile` lists the forms."
_FOLD = "Fold change that each contrast is tested against, e.g. 1.2. By default a stated rule chooses it."
_COHORT = "Column of cohorts or sites. Grade A then means replicated in most of them."


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
    contrast: Annotated[
        str | None, option("--contrast", "Groups to compare first, e.g. 'AD-control' for AD minus control.")
    ] = None
    design: Annotated[str | None, option("--design", "Linear model for --contrast, e.g. '~ site + group'.")] = None
    only: Annotated[bool, option("--only", "Answer only --question or --contrast, nothing else.")] = False
    fold: Annotated[float | None, option("--fold", _FOLD, min=1)] = None
    cohort: Annotated[str | None, option("--cohort", _COHORT)] = None


@verb(app, uses=("seed", "quiet", "out"), out="run")
def run(
    data: Annotated[
        list[Path],
        typer.Argument(
            help="Proteomics table in any supported format. Several tables are compared as cohorts.", show_default=False
        ),
    ],
    *,
    reading: Reading,
    known: Known,
    planner: Annotated[
        str, advanced("--planner", "Who plans the study: `expert` (rules, offline) or `llm` (a language model).")
    ] = "expert",
    server: Server,
    objectives: Annotated[
        int, option("--objectives", "Largest number of objectives to pursue, 1 to 12.", min=1, max=12)
    ] = 8,
    budget_seconds: Annotated[
        float | None, advanced("--budget-seconds", "Time limit for the study, in seconds.", min=0)
    ] = None,
    wanted: Wanted,
    resume: Annotated[bool, option("--resume", "Resume the interrupted run in the folder of --out.")] = False,
    opts: Shared,
) -> list[Any]:
    """Plan and run a study, and print its graded hypotheses; -o DIR keeps all of it, with the page report.html.

    Example: `proteus run proteins.csv -s samples.csv --sets sets.gmt -o run`
    """
    from ninefold.errors import InputError

    from proteus import Asked, Budget, Settings
    from proteus.study._tables import report_tables
    from proteus.verification._export import SCRIPT, TABLES

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
        names = ", ".join(one for one in TABLES if (report.path / one).exists())
        shown[-1].notes.append(
            f"written: report.html and the files behind it; all contrasts: {names}; steps as a script: {SCRIPT}"
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
    data_policy: Annotated[str, option("--data-policy", "What clients may see: aggregate or full.")] = "aggregate",
    opts: Shared,
) -> None:
    """Serve the tools on one table to an MCP client, over standard input and output; requires the extra `mcp`.

    Example: `proteus mcp proteins.csv -s samples.csv`
    """
    from ninefold.errors import require

    from proteus.study._mcp import Desk, serve

    require("mcp", "proteus", "mcp")  # before a table is read
    serve(Desk(known.study(reading.read(data)), data_policy, opts.seed))  # pyright: ignore[reportArgumentType]


@verb(app, uses=("seed", "out"), out="file")
def score(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run, as given to `run -o`.")],
    *,
    judge: Annotated[
        bool, option("--judge", "Ask a language model to judge each hypothesis three times, blind, as well.")
    ] = False,
    server: Server,
    opts: Shared,
) -> Table | list[Table]:
    """Score a run's hypotheses by the offline rubric; --judge adds a model's marks to the report.

    Example: `proteus score run`
    """
    from proteus.verification._score_tables import judge_table, rubric_table

    table = rubric_table(run)
    return keep([table, judge_table(run, server.client(run, "--judge"), opts.seed)] if judge else table, opts)
