"""What we say of cells: a planted change of state, told apart from a change of share; speed."""

import time

import numpy as np
from ninefold_lab import Budget, Claim, Scores, all_of, at_least, at_most
from proteus import Budget as StudyBudget
from proteus import Study, benjamini_hochberg
from proteus.outcomes._cells import diff_abundance
from proteus.outcomes._pseudobulk import diff_expression
from proteus_experiments.simulators._cells import CellTable, draw_cells
from scipy import stats

_Q = 0.05
_DESIGN, _CONTRAST = "~ donor + condition", "case-control"


def _state(table: CellTable) -> set[tuple[str, str]]:
    label = table.data.samples["cell_type"].to_numpy()
    found = diff_expression(table.data, label, _DESIGN, _CONTRAST).hits(_Q).index
    return {(a, b) for a, b in (str(one).split("|") for one in found)}


def _share(table: CellTable) -> set[str]:
    label = table.data.samples["cell_type"].to_numpy()
    return set(diff_abundance(table.data, label, _DESIGN, _CONTRAST).hits(_Q).index)


def _cells_as_n(table: CellTable) -> np.ndarray:
    """Calls of the unchanged features of T1 where each cell counts as one: Welch's t on log counts."""
    data = table.data.take(samples=(table.data.samples["cell_type"] == "T1").to_numpy())
    case = (data.samples["condition"] == "case").to_numpy()
    values = np.log1p(data.values / data.values.sum(0) * 1e4)
    p = stats.ttest_ind(values[:, case], values[:, ~case], axis=1, equal_var=False).pvalue
    return (benjamini_hochberg(np.asarray(p)) <= _Q).astype(float)


def _planted(budget: Budget, seed: int) -> Scores:
    """A table whose state alone changes, and one whose share alone does."""
    del budget
    table = draw_cells(seed=seed)
    found = _state(table)
    true = {("T0", one) for one in table.changed}
    shifted = draw_cells(fold=1.0, share=3.0, seed=1000 + seed)
    return {
        "changed features found": len(found & true) / len(true),
        "calls of state that are false": len(found - true) / max(len(found), 1),
        "types whose share is called where state alone changes": len(_share(table)) / 6,
        "calls of state where share alone changes": float(len(_state(shifted))),
        "threefold share found": float("T0" in _share(shifted)),
        "unchanged features called with cells as n": _cells_as_n(table),
    }


def _speed(budget: Budget, seed: int) -> Scores:
    cells, features = (100_000, 2_000) if budget.form == "full" else (10_000, 500)
    table = draw_cells(cells=cells, features=features, seed=seed)
    seconds = {}
    jobs = {
        "the test": lambda: _state(table),
        "the whole study": lambda: Study(table.data).run(StudyBudget(objectives=3)),
    }
    for name, job in jobs.items():
        started = time.process_time()
        job()
        seconds[f"processor seconds, {name}"] = time.process_time() - started
    return seconds


CELL_CLAIMS = [
    Claim(
        id="proteus/cells-state-is-told-from-share",
        says="of features that change threefold in one of six cell types at least 0.8 are called there, at most 0.06 "
        "of calls are false (Benjamini and Hochberg's method at 0.05 expects 0.049: no number of tables ends a bar at "
        "0.05), and the share of at most 0.05 of types is called, of which none changes",
        source="ours; 8,000 simulated cells, 200 features, six donors in two conditions",
        run=_planted,
        verdict=all_of(
            at_least("changed features found", 0.8),
            at_most("calls of state that are false", 0.06),
            at_most("types whose share is called where state alone changes", 0.05),
        ),
        quick=Budget(seeds=2, minutes=1),
        full=Budget(seeds=100, minutes=1),
    ),
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
