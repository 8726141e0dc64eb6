"""The verbs that need no table of the user's: `simulate`, `demo`, `claims`, `bench`."""

from __future__ import annotations

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


demo_verb(app, "proteus")


@verb(app, uses=("seed", "threads", "out"), out="file")
def bench(
    *,
    proteins: Annotated[int, typer.Option("--proteins", min=100, help="Rows.")] = 10_000,
    samples: Annotated[int, typer.Option("--n", min=10, help="Columns.")] = 200,
    opts: Shared,
) -> Table:
    """Time the moderated test and Cox regression on a random table; the benchmarks of a checkout time their peers."""
    import time

    import numpy as np
    from ninefold.report import Table

    from proteus.outcomes._cox import cox
    from proteus.statistics._linear_model import fit_linear_model
    from proteus.statistics._moderated_t import fit_prior, moderated_t
    from proteus.study._out import keep

    rng = np.random.default_rng(opts.seed)
    values, design = rng.standard_normal((proteins, samples)), np.stack([np.ones(samples), np.arange(samples) % 2], 1)
    start = time.perf_counter()
    fit = fit_linear_model(values, design)
    moderated_t(fit, np.array([0.0, 1.0]), fit_prior(fit))
    middle = time.perf_counter()
    cox(values, rng.exponential(100, samples) + 0.01, (rng.random(samples) < 0.5).astype(float))
    seconds = round(middle - start, 3), round(time.perf_counter() - middle, 3)
    table = Table(["job", "seconds"], title=f"{proteins} x {samples}")
    table.rows += [["moderated test", seconds[0]], ["Cox regression of each", seconds[1]]]
    return keep(table, opts)
