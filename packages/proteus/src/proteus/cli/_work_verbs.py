"""The verbs that need no table of the user's: `simulate`, `fake-llm`, `demo`, `claims`, `bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from ninefold.cli import Shared, verb
from ninefold.demo import demo_verb
from ninefold.progress import progress

from proteus.cli._app import app

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("seed", "quiet", "out"), out="run")
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


@verb(app, uses=("out",), out="file")
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


demo_verb(app, "proteus")


@verb(app, uses=("seed", "threads", "out"), out="file")
def bench(
    *,
    proteins: Annotated[int, typer.Option("--proteins", min=100, help="Rows.")] = 10_000,
    samples: Annotated[int, typer.Option("--n", min=10, help="Columns.")] = 200,
    opts: Shared,
) -> Table:
    """Time the statistics beside R limma, R coxph, lifelines and gseapy, as far as they are installed."""
    from proteus.bench._timing import timings
    from proteus.study._out import keep

    return keep(timings(proteins=proteins, samples=samples, seed=opts.seed), opts)
