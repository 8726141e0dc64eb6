"""The verbs that need no table of the user's: `simulate`, `fake-llm`, `demo`, `claims`, `bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from ninefold.cli import Shared, progress, verb

from proteus.cli._app import app

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app)
def simulate(
    *,
    template: Annotated[
        Path | None, typer.Option("--template", help="Real table to learn from; default: embedded.")
    ] = None,
    group: Annotated[str | None, typer.Option("--group", help="Its column of groups, taken out first.")] = None,
    template_samples: Annotated[Path | None, typer.Option("--template-samples", help="Its sample sheet.")] = None,
    tables: Annotated[int, typer.Option("--tables", min=1, help="Tables to draw.")] = 1,
    features: Annotated[int, typer.Option("--features", min=200, help="Features of each.")] = 1000,
    samples: Annotated[int, typer.Option("--n", min=12, help="Samples of each.")] = 40,
    effect: Annotated[float, typer.Option("--effect", min=0, help="Typical log2 change; 0 plants nothing.")] = 1.0,
    sets: Annotated[Path | None, typer.Option("--sets", help="Real gene sets (GMT).")] = None,
    network: Annotated[Path | None, typer.Option("--network", help="Real interactions.")] = None,
    opts: Shared,
) -> Table:
    """Draw tables with planted truth and decoys; -o DIR writes each with its key, and resumes after a kill."""
    from ninefold.report import Table

    from proteus.simulation._simulate_runs import simulate_tables

    with progress(tables, "tables") as bar:
        keys = simulate_tables(
            opts.out, template=template, template_samples=template_samples, group=group, tables=tables,
            features=features, samples=samples, effect=effect, sets=sets, network=network, seed=opts.seed,
            advance=bar.advance,
        )  # fmt: skip
    table = Table(["table", "changed", "sets", "module", "survival marker"], title="Planted truth")
    for number, key in enumerate(keys):
        cells = [len(key["changed"]), "; ".join(key["sets"]), " ".join(key["module"]), key["survival"]]
        table.rows.append([number, *cells])
    return table


@verb(app)
def fake_llm(
    script: Annotated[str, typer.Argument(help="A script (YAML, JSON), or the name of a shipped one.")] = "good",
    *,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port on this machine; 0: any.")] = 0,
    opts: Shared,
) -> None:
    """Serve a scripted model, OpenAI-compatible, on this machine alone, until Ctrl-C; -o FILE keeps the requests."""
    import threading

    from proteus.llm._fake_server import FakeLLM
    from proteus.llm._script import load_script

    with FakeLLM(load_script(script), port=port, log=opts.out) as fake:
        typer.echo(f"{fake.script.model} at {fake.base_url}")
        sys.stdout.flush()
        threading.Event().wait()


@verb(app)
def demo(*, opts: Shared) -> list[Any]:
    """Run the main job on the embedded UPS1 set and say how it came out; -o FILE.png writes the volcano plot."""
    from ninefold.report import save_figure

    from proteus.demo import demo as run

    result = run(opts.seed)
    if opts.out is not None and result.figures:
        save_figure(result.figures[0][1], opts.out)
    result.table.notes = [result.verdict, *result.notes]
    return [{"data": result.data, "method": result.method, "best rival": result.rival}, result.table]


@verb(app)
def claims(
    *,
    full: Annotated[bool, typer.Option("--full", help="The forms that count.")] = False,
    only: Annotated[str, typer.Option("--only", help="Just claims whose id contains this.")] = "",
    opts: Shared,
) -> Table:
    """Run the claims and print each bar with its interval and verdict; --full -o DIR also writes outcomes."""
    from ninefold.errors import InputError
    from ninefold.proof import outcome_table, run_claim

    from proteus.claims import CLAIMS

    chosen = [claim for claim in CLAIMS if only in claim.id]
    if not chosen:
        raise InputError("claims", got=repr(only), expected=f"a part of: {', '.join(claim.id for claim in CLAIMS)}")
    outcomes = []
    with progress(sum((claim.full if full else claim.quick).seeds for claim in chosen), "claims") as bar:
        for claim in chosen:
            bar.advance(0, note=claim.id)
            outcomes.append(run_claim(claim, full=full, advance=bar.advance))
            if full and opts.out is not None:
                outcomes[-1].save(opts.out)
    return outcome_table(outcomes, title="Claims, full" if full else "Claims, quick (a look; only full forms count)")


@verb(app)
def bench(
    *,
    proteins: Annotated[int, typer.Option("--proteins", min=100, help="Rows.")] = 10_000,
    samples: Annotated[int, typer.Option("--n", min=10, help="Columns.")] = 200,
    opts: Shared,
) -> Table:
    """Time the statistics beside R limma, R coxph, lifelines and gseapy, as far as they are installed."""
    from proteus.bench._timing import timings
    from proteus.study._out import keep, need_free

    if opts.out is not None:
        need_free(opts.out)
    return keep(timings(proteins=proteins, samples=samples, seed=opts.seed), opts)
