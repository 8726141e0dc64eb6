"""What we say of cells: how long a table of them takes."""

import time

from ninefold_lab import Budget, Claim, Scores, all_of, at_most
from proteus import Budget as StudyBudget
from proteus import Study
from proteus.outcomes._pseudobulk import diff_expression
from proteus_experiments.simulators._cells import draw_cells


def _speed(budget: Budget, seed: int) -> Scores:
    cells, features = (100_000, 2_000) if budget.form == "full" else (10_000, 500)
    data = draw_cells(cells=cells, features=features, seed=seed).data
    label = data.samples["cell_type"].to_numpy()
    seconds = {}
    jobs = {
        "the test": lambda: diff_expression(data, label, "~ donor + condition", "case-control").hits(0.05),
        "the whole study": lambda: Study(data).run(StudyBudget(objectives=3)),
    }
    for name, job in jobs.items():
        started = time.process_time()
        job()
        seconds[f"processor seconds, {name}"] = time.process_time() - started
    return seconds


CELL_CLAIMS = [
    Claim(
        id="proteus/cells-hundred-thousand-in-a-minute",
        says="100,000 cells by 2,000 features are tested by type within 60 processor seconds, and so is the whole "
        "study: state, share, and both without each donor",
        source="ours",
        run=_speed,
        verdict=all_of(
            at_most("processor seconds, the test", 60.0), at_most("processor seconds, the whole study", 60.0)
        ),
        quick=Budget(seeds=1, minutes=1),
        full=Budget(seeds=1, minutes=3),
    ),
]
