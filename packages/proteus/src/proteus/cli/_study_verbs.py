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
    from proteus.study._study import Report, Study


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


def hypothesis_table(report: Report, title: str, most: int = 40) -> Table:
    """Hypotheses as printed: number, grade, statement, evidence, scores."""
    from ninefold.report import Table

    from proteus.review._rubric import total

    table = Table(["hypothesis", "grade", "firm", "statement", "evidence", "score"], title=title)
    for one, text in list(zip(report.hypotheses, report.statements, strict=True))[:most]:
        cells = [one.id, one.grade, "yes" if one.firm else "no", text, len(one.evidence), round(total(one.scores), 2)]
        table.rows.append(cells)
    if len(report.hypotheses) > most:
        table.notes.append(f"{len(report.hypotheses) - most} more in hypotheses.json")
    return table


def reply_tables(report: Report) -> list[Table]:
    """The answer to what the user asked, in the user's words."""
    from ninefold.report import Table

    return [Table(["answer"], [[one] for one in lines], title=question) for question, lines in report.replies]


def objective_table(report: Report) -> Table:
    """Objectives with their steps, refinements, and what the run-wide control says of their families."""
    from ninefold.report import Table

    passed = {one.objective: one for one in report.verdicts}
    table = Table(["objective", "question", "steps", "refinements", "findings", "family"], title="Objectives")
    for one in report.answers:
        verdict = passed.get(one.objective.id)
        family = (
            "-" if verdict is None else f"Simes p {verdict.simes:.2g}, {'passed' if verdict.passed else 'not passed'}"
        )
        if one.refused:
            family = f"refused: {one.refused}"
        cells = [len(one.results), len(one.refinements), len(one.findings()), family]
        table.rows.append([one.objective.id, one.objective.question, *cells])
    table.notes += [f"not asked: {', '.join(report.not_asked)}"] if report.not_asked else []
    return table


def refinement_table(report: Report) -> Table:
    """What changed a workflow, by which measured trigger, and how the hit list changed."""
    from ninefold.report import Table

    table = Table(
        ["objective", "step", "change", "trigger", "hits before", "after", "gained", "lost"], title="Refinements"
    )
    for one in report.refinements:
        changed = one.get("changed", {})
        change = one["action"] + (f" {one['params']}" if one["params"] else "")
        trigger = ", ".join(f"{key} {value}" for key, value in one["trigger"].items())
        counts = [changed.get("before", "-"), changed.get("after", "-")]
        counts += [changed.get("gains", "-"), changed.get("losses", "-")]
        table.rows.append([one["objective"], one["step"], change, trigger, *counts])
    return table


@dataclass(frozen=True)
class Wanted:
    """What is asked, in which part of the run."""

    question: Annotated[str | None, option("--question", "Your own, in words that the table has; answered first.")] = (
        None
    )
    contrast: Annotated[str | None, option("--contrast", "A-B: this difference is asked first.")] = None
    design: Annotated[str | None, option("--design", "Formula for --contrast, e.g. '~ site + group'.")] = None
    only: Annotated[bool, option("--only", "Ask nothing beside --question or --contrast.")] = False
    fold: Annotated[
        float | None, option("--fold", "Fold bar of each contrast, e.g. 1.2; else by a stated rule.", min=1)
    ] = None
    cohort: Annotated[str | None, option("--cohort", "Column of cohorts or sites: A is what replicates in each.")] = (
        None
    )


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
    from proteus.verification._export import SCRIPT, write_results
    from proteus.verification._report import write_report

    cohort = wanted.cohort or ("cohort" if len(data) > 1 else None)
    table = reading.read_all(data, cohort or "") if len(data) > 1 else reading.read(data[0])
    study = known.study(table)
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
    title = f"{len(report.hypotheses)} hypotheses: " + ", ".join(f"{len(report.graded(one))} {one}" for one in "ABC")
    shown = [*reply_tables(report), objective_table(report), refinement_table(report), hypothesis_table(report, title)]
    shown[-1].notes += [f"partial: {report.stopped} used up"] if report.stopped else []
    if cohort is None:
        shown[-1].notes.append("one cohort: nothing was asked again in another, so the highest grade is B")
        if report.predicted is not None:
            name, rate = report.predicted
            shown[-1].notes.append(f"halves of it show {rate:.2f} of what the other half calls in {name}")
    if report.fallbacks:
        shown[-1].notes.append(f"the expert answered for the {report.planner} planner: {', '.join(report.fallbacks)}")
    if report.refused:
        shown[-1].notes.append(f"{report.refused} proposals refused: they say what no cell holds")
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
    from ninefold.report import Table

    from proteus.tools._registry import tools as registered

    table = Table(["tool", "does", "parameters", "reads", "tables", "needs", "may carry A/B"], title="Tools")
    for one in registered().values():
        card = one.card()
        columns = [", ".join(card.params.get("properties", {})), ", ".join(card.reads), ", ".join(card.tables)]
        table.rows.append([one.name, one.summary, *columns, ", ".join(card.requires), "yes" if one.confirms else "no"])
    return keep(table, opts)


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
    from ninefold.report import Table

    from proteus import score as rubric

    found = rubric(run)
    table = Table(list(found.columns), title="Offline rubric, 1 to 5")
    for row in found.itertuples(index=False):
        *about, mean = row
        table.rows.append([*("unknown" if one != one else one for one in about), round(mean, 2)])
    return keep([table, _judged(run, server, opts.seed)] if judge else table, opts)


def _judged(run: Path, server: Server, seed: int) -> Table:
    from ninefold.report import Table

    from proteus.llm._judge import judge_run
    from proteus.record._run_folder import Folder
    from proteus.review._rubric_text import METRICS
    from proteus.study._study import open_study
    from proteus.verification._report import write_report

    folder, study = Folder(run), open_study(run)
    found = judge_run(folder, server.client(folder.root, "--judge"), study.data, seed=seed)
    write_report(folder.root)
    table = Table(["hypothesis", *METRICS, "mean"], title=f"{server.model} as judge, mean of three rounds")
    for name, one in found.items():
        marks = one.mean()
        table.rows.append(
            [name, *(round(marks[key], 2) for key in METRICS), round(sum(marks.values()) / len(marks), 2)]
        )
    table.notes.append("written: judge.json and report.html")
    return table
