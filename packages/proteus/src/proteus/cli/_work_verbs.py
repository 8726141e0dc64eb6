"""The verbs that need no table of the user's: `simulate`, `demo`, `claims`, `bench`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from ninefold.cli import Shared, verb
from ninefold.demo import demo_verb
from ninefold.progress import progress

from proteus.cli._app import app, option

if TYPE_CHECKING:
    from ninefold.report import Table


@verb(app, uses=("seed", "quiet", "out"), out="run")
def simulate(
    *,
    template: Annotated[Path | None, option("--template", "Real table to learn from; default: embedded.")] = None,
    group: Annotated[str | None, option("--group", "Its column of groups, taken out first.")] = None,
    template_samples: Annotated[Path | None, option("--template-samples", "Its sample sheet.")] = None,
    tables: Annotated[int, option("--tables", "Tables to draw.", min=1)] = 1,
    features: Annotated[int, option("--features", "Features of each.", min=200)] = 1000,
    samples: Annotated[int, option("--n", "Samples of each.", min=12)] = 40,
    effect: Annotated[float, option("--effect", "Typical log2 change; 0 plants nothing.", min=0)] = 1.0,
    sets: Annotated[Path | None, option("--sets", "Real gene sets (GMT).")] = None,
    network: Annotated[Path | None, option("--network", "Real interactions.")] = None,
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
    proteins: Annotated[int, option("--proteins", "Rows.", min=100)] = 10_000,
    samples: Annotated[int, option("--n", "Columns.", min=10)] = 200,
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
