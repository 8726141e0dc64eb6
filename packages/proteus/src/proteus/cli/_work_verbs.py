"""The verbs that need no table of the user's: `demo`, `claims`, `bench`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from ninefold.cli import Shared, verb
from ninefold.demo import demo_verb

from proteus.cli._app import app, option

if TYPE_CHECKING:
    from ninefold.report import Table


demo_verb(app, "proteus")


@verb(app, uses=("seed", "threads", "out"), out="file")
def bench(
    *,
    proteins: Annotated[int, option("--proteins", "Rows.", min=100)] = 10_000,
    samples: Annotated[int, option("--n", "Columns.", min=10)] = 200,
    opts: Shared,
) -> Table:
    """Time the moderated test on a random table; the benchmarks of a checkout time its peers, and all else."""
    import time

    import numpy as np
    from ninefold.report import Table

    from proteus.statistics._linear_model import fit_linear_model
    from proteus.statistics._moderated_t import fit_prior, moderated_t
    from proteus.study._out import keep

    rng = np.random.default_rng(opts.seed)
    values, design = rng.standard_normal((proteins, samples)), np.stack([np.ones(samples), np.arange(samples) % 2], 1)
    start = time.perf_counter()
    fit = fit_linear_model(values, design)
    moderated_t(fit, np.array([0.0, 1.0]), fit_prior(fit))
    rows = [["moderated test", round(time.perf_counter() - start, 3)]]
    return keep(Table(["job", "seconds"], rows, f"{proteins} x {samples}"), opts)
