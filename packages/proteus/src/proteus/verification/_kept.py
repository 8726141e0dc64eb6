"""`Study` as users have it: a run that is kept gets its page, its result tables and its steps as a script."""

from collections.abc import Callable
from pathlib import Path

from proteus.record._objects import Asked, Budget, Settings
from proteus.study._study import Report
from proteus.study._study import Study as Bare
from proteus.verification._export import write_results
from proteus.verification._report import write_report


class Study(Bare):
    """A table, and the knowledge that goes with it.

    Args:
        data: as `load` returns it; normalisation is the workflows' part.
        planner: `expert`, or a Planner.
        sets, network: for pathway and network objectives.
        markers: cytometry, marker to `type` or `state`; rules: cell type to its marker rules.

    Examples:
        >>> import numpy as np, pandas as pd, proteus
        >>> values = np.random.default_rng(0).normal(25, 0.2, (60, 8))
        >>> values[0, ::2] += 3
        >>> sheet = pd.DataFrame({"group": ["AD", "control"] * 4}, index=[f"s{k}" for k in range(8)])
        >>> data = proteus.from_matrix(values, [f"P{k}" for k in range(60)], sheet)
        >>> report = proteus.Study(data).run(proteus.Budget(objectives=1))
        >>> report.statements[0][:34]
        'P0 is higher in AD than in control'
    """

    def run(
        self, budget: Budget | None = None, seed: int = 0, *, out: str | Path | None = None, resume: bool = False,
        asked: Asked | None = None, settings: Settings | None = None,
        advance: Callable[[str], object] = lambda _: None,
    ) -> Report:  # fmt: skip
        """Run the study: objectives, workflows, steps, refinements, hypotheses.

        Args:
            budget: limits; None: the defaults of `Budget`.
            seed: random seed of every draw.
            out: folder for the run, its page `report.html` and its result tables; None keeps nothing.
            resume: continue an interrupted run in `out`; finished steps and answers are reused.
            asked: your own question, contrast, design and fold bar, answered first.
            settings: column of cohorts, switches; None: the defaults of `Settings`.
            advance: called with the id of each finished objective.
        Raises:
            InputError, ArtifactError: on settings that differ from the interrupted run's, or a folder in the way.
        """
        report = super().run(budget, seed, out=out, resume=resume, asked=asked, settings=settings, advance=advance)
        if report.path is not None:
            write_report(report.path)
            write_results(report.path)
        return report
