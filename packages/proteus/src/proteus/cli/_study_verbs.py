"""The verbs that run studies: `run`, `tools`, `mcp`, `score`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, verb
from ninefold.progress import progress

from proteus.cli._app import (
    Data,
    Format,
    Links,
    Panel,
    Plex,
    Reference,
    Samples,
    Sets,
    Symbols,
    app,
    read_cohorts,
    read_data,
)
from proteus.study._out import keep

if TYPE_CHECKING:
    from ninefold.report import Table

    from proteus.data._data import ProteomicsData
    from proteus.llm._client import Client
    from proteus.record._planner import Planner
    from proteus.study._study import Report, Study

BaseUrl = Annotated[str | None, typer.Option("--base-url", help="OpenAI-compatible server; no default.")]
Model = Annotated[str | None, typer.Option("--model", help="Its model.")]
DataPolicy = Annotated[
    str | None, typer.Option("--data-policy", help="schema-only, aggregate or full; must be said for another machine.")
]
_KINDS = ("expert", "llm")


def _study(
    table: ProteomicsData, sets: Path | None, network: Path | None, symbols: Path | None, panel: Path | None,
    literature: Path | None = None,
) -> Study:  # fmt: skip
    from proteus import Study, add_symbols, load_gmt, load_literature, load_network
    from proteus.loaders import read_panel

    return Study(
        add_symbols(table, symbols) if symbols else table, sets=load_gmt(sets) if sets else None,
        network=load_network(network) if network else None,
        literature=load_literature(literature) if literature else None, markers=read_panel(panel) if panel else None,
    )  # fmt: skip


def client_of(
    out: Path, base_url: str, model: str, policy: str | None, *, usd: float | None = None, tokens: int | None = None,
    prices: tuple[float | None, float | None] = (None, None), timeout: float = 120.0,
) -> Client:  # fmt: skip
    """A model on a server, its calls recorded in the run at `out`."""
    import os

    from proteus.llm._calls import Calls
    from proteus.llm._client import Client
    from proteus.llm._endpoint import Endpoint
    from proteus.record._run_folder import Folder

    endpoint = Endpoint(
        base_url, model, policy, os.environ.get("PROTEUS_API_KEY"),  # pyright: ignore[reportArgumentType]
        usd_in=prices[0], usd_out=prices[1], timeout=timeout,
    )  # fmt: skip
    return Client(endpoint, Calls(Folder(out).llm), tokens=tokens, usd=usd)


def need_server(what: str, base_url: str | None, model: str | None) -> tuple[str, str]:
    """Both, or an InputError: there is no default server."""
    from ninefold.errors import InputError

    if not base_url or not model:
        raise InputError(what, expected="--base-url and --model: there is no default server")
    return base_url, model


def _planner(
    kind: str, study: Study, out: Path | None, base_url: str | None, model: str | None, policy: str | None,
    usd: float | None, tokens: int | None, prices: tuple[float | None, float | None], timeout: float,
) -> Planner:  # fmt: skip
    from ninefold.errors import InputError

    from proteus.planning._expert import ExpertPlanner

    if kind not in _KINDS:
        raise InputError("--planner", got=repr(kind), expected=" or ".join(_KINDS))
    if kind == "expert":
        if base_url or model:
            raise InputError("--base-url, --model", got="with the expert planner", expected="--planner llm")
        return ExpertPlanner()
    base_url, model = need_server("--planner llm", base_url, model)
    if out is None:
        raise InputError("--planner llm", expected="-o DIR: paid calls are recorded there")
    from proteus.llm._planner import LLMPlanner

    return LLMPlanner(
        client_of(out, base_url, model, policy, usd=usd, tokens=tokens, prices=prices, timeout=timeout), study.data
    )


def hypothesis_table(report: Report, title: str, most: int = 40) -> Table:
    """Hypotheses as printed: number, grade, statement, evidence, scores."""
    from ninefold.report import Table

    from proteus.review._rubric import total

    kept_apart = any(one.held is not None for one in report.hypotheses)
    columns = ["hypothesis", "grade", "firm", "statement", "evidence", "score", *["held out"] * kept_apart]
    table = Table(columns, title=title)
    for one, text in list(zip(report.hypotheses, report.statements, strict=True))[:most]:
        again = {True: "again", False: "not again", None: "not tested"}[one.held]
        cells = [one.id, one.grade, "yes" if one.firm else "no", text, len(one.evidence), round(total(one.scores), 2)]
        table.rows.append([*cells, *[again] * kept_apart])
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


@verb(app, uses=("seed", "quiet", "out"), out="run")
def run(
    data: Annotated[list[Path], typer.Argument(help="Table; several are cohorts.", show_default=False)],
    *,
    samples: Samples = None,
    sets: Sets = None,
    network: Links = None,
    literature: Annotated[Path | None, typer.Option("--literature", help="Folder of abstracts (.txt).")] = None,
    symbols: Symbols = None,
    panel: Panel = None,
    plex: Plex = None,
    reference: Reference = None,
    planner: Annotated[str, typer.Option("--planner", help="`expert` (offline), or `llm`.")] = "expert",
    base_url: BaseUrl = None,
    model: Model = None,
    data_policy: DataPolicy = None,
    objectives: Annotated[int, typer.Option("--objectives", min=1, max=12, help="Objectives at most.")] = 8,
    budget_usd: Annotated[float | None, typer.Option("--budget-usd", min=0, help="Money for the model.")] = None,
    budget_tokens: Annotated[int | None, typer.Option("--budget-tokens", min=0, help="Tokens for the model.")] = None,
    budget_seconds: Annotated[float | None, typer.Option("--budget-seconds", min=0, help="Time for the run.")] = None,
    usd_in: Annotated[float | None, typer.Option("--usd-in", min=0, help="Price of a million prompt tokens.")] = None,
    usd_out: Annotated[float | None, typer.Option("--usd-out", min=0, help="Price of a million answer tokens.")] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, help="Seconds without a byte after which a model's call has hung.")
    ] = 120.0,
    objective: Annotated[
        str | None, typer.Option("--objective", help="Pursue this one alone, e.g. O2; `merge` puts runs together.")
    ] = None,
    question: Annotated[
        str | None, typer.Option("--question", help="Your own, in words that the table has; answered first.")
    ] = None,
    contrast: Annotated[str | None, typer.Option("--contrast", help="A-B: this difference is asked first.")] = None,
    design: Annotated[
        str | None, typer.Option("--design", help="Formula for --contrast, e.g. '~ site + group'.")
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Ask nothing beside --question or --contrast.")] = False,
    fold: Annotated[
        float | None, typer.Option("--fold", min=1, help="Fold bar of each contrast, e.g. 1.2; else by a stated rule.")
    ] = None,
    cohort: Annotated[
        str | None, typer.Option("--cohort", help="Column of cohorts or sites: A is what replicates in each.")
    ] = None,
    hold_out: Annotated[
        float | None, typer.Option("--hold-out", help="Share of 60 or more samples to test hypotheses on, once.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Processes; the result is the same.")] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the interrupted run at --out.")] = False,
    form: Format = "auto",
    opts: Shared,
) -> list[Any]:
    """Objectives, workflows, refinements, graded hypotheses; -o DIR keeps everything, with a report, and resumes."""
    from ninefold.errors import InputError

    from proteus import Asked, Budget, Settings
    from proteus.verification._export import SCRIPT, write_results
    from proteus.verification._report import write_report

    if len(data) > 1:
        cohort = cohort or "cohort"
        table = read_cohorts(data, samples, form, cohort, plex)
    else:
        table = read_data(data[0], samples, form, plex, reference)
    study = _study(table, sets, network, symbols, panel, literature)
    if opts.out is None and not opts.quiet:
        typer.echo("nothing of this run is kept: -o DIR keeps it, with its report", err=True)
    if samples is None and not opts.quiet and not len(study.data.samples.columns):
        typer.echo("nothing says what the samples are: -s SHEET names their groups, batches, outcomes", err=True)
    prices = usd_in, usd_out
    study.planner = _planner(
        planner, study, opts.out, base_url, model, data_policy, budget_usd, budget_tokens, prices, timeout
    )  # fmt: skip
    if only and not (question or contrast):
        raise InputError("--only", expected="--question or --contrast beside it")
    asked = Asked(question=question, contrast=contrast, design=design, only=only, fold=fold)
    budget = Budget(objectives=objectives, seconds=budget_seconds, tokens=budget_tokens, usd=budget_usd)
    with progress(objectives, "objectives") as bar:
        report = study.run(
            budget, opts.seed, out=opts.out, resume=resume, workers=workers,
            settings=Settings(objective=objective, cohort=cohort, hold_out=hold_out, asked=asked),
            advance=lambda name: bar.advance(1, note=name),
        )  # fmt: skip
    title = f"{len(report.hypotheses)} hypotheses: " + ", ".join(f"{len(report.graded(one))} {one}" for one in "ABC")
    shown = [*reply_tables(report), objective_table(report), refinement_table(report), hypothesis_table(report, title)]
    shown[-1].notes += [f"partial: {report.stopped} used up"] if report.stopped else []
    if cohort is None:
        shown[-1].notes.append("one cohort: nothing was asked again in another, so the highest grade is B")
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
    samples: Samples = None,
    sets: Sets = None,
    network: Links = None,
    symbols: Symbols = None,
    panel: Panel = None,
    data_policy: Annotated[str, typer.Option("--data-policy", help="aggregate, or full.")] = "aggregate",
    form: Format = "auto",
    opts: Shared,
) -> None:
    """Serve the tools on one table to an MCP client, over standard input and output; needs the extra `mcp`."""
    from ninefold.errors import require

    from proteus.study._mcp import Desk, serve

    require("mcp", "proteus", "mcp")  # before a table is read
    study = _study(read_data(data, samples, form), sets, network, symbols, panel)
    serve(Desk(study, data_policy, opts.seed))  # pyright: ignore[reportArgumentType]


@verb(app, uses=("seed", "out"), out="file")
def score(
    run: Annotated[Path, typer.Argument(help="Folder of a finished run.")],
    *,
    judge: Annotated[bool, typer.Option("--judge", help="Have a model judge too, blind, three times each.")] = False,
    base_url: BaseUrl = None,
    model: Model = None,
    data_policy: DataPolicy = None,
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
    return keep([table, _judged(run, base_url, model, data_policy, opts.seed)] if judge else table, opts)


def _judged(run: Path, base_url: str | None, model: str | None, policy: str | None, seed: int) -> Table:
    from ninefold.report import Table

    from proteus.llm._judge import judge_run
    from proteus.record._run_folder import Folder
    from proteus.review._rubric_text import METRICS
    from proteus.study._study import open_study
    from proteus.verification._report import write_report

    folder, study = Folder(run), open_study(run)
    base_url, model = need_server("--judge", base_url, model)
    found = judge_run(folder, client_of(folder.root, base_url, model, policy), study.data, seed=seed)
    write_report(folder.root)
    table = Table(["hypothesis", *METRICS, "mean"], title=f"{model} as judge, mean of three rounds")
    for name, one in found.items():
        marks = one.mean()
        table.rows.append(
            [name, *(round(marks[key], 2) for key in METRICS), round(sum(marks.values()) / len(marks), 2)]
        )
    table.notes.append("written: judge.json and report.html")
    return table
