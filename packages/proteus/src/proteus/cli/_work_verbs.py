"""The verbs that need no table of the user's: `demo`, `bench`."""

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
    proteins: Annotated[int, option("--proteins", "Number of proteins in the random table.", min=100)] = 10_000,
    samples: Annotated[int, option("--n", "Number of samples in the random table.", min=10)] = 200,
    opts: Shared,
) -> Table:
    """Time the moderated test on a random table."""
    from ninefold.report import Table

    from proteus.statistics._speed import time_moderated_test
    from proteus.study._out import keep

    table = Table(["job", "seconds"], title=f"{proteins} x {samples}")
    table.rows.append(["moderated test", round(time_moderated_test(proteins, samples, opts.seed), 3)])
    return keep(table, opts)
