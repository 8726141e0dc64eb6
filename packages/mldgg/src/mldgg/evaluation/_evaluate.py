"""Scores of methods over tasks, shots and seeds, with the selection rule stated in every one."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, product
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from ninefold.errors import InputError
from ninefold.files import atomic_file
from ninefold.report import Table, save_figure
from ninefold.run import Run

from mldgg.domains import GraphDomains, LeakWarning, Method, Task, leave_one_graph_out, metric_of
from mldgg.evaluation._figures import accuracy_bars
from mldgg.evaluation._tune import Choice, entries, score, tune


@dataclass(frozen=True)
class Score:
    """One number: a method on a task at some shots and a seed, in per cent; options as tuning chose them."""

    method: str
    task: str
    setting: str
    shots: int
    seed: int
    value: float
    metric: str
    selection: str
    options: dict[str, str]


@dataclass
class Evaluation:
    """All scores of an evaluation.

    Attributes:
        scores: in the order in which they came.
        spaces: printed search space by method.
    """

    scores: list[Score] = field(default_factory=list)
    spaces: dict[str, str] = field(default_factory=dict)

    def mean(self, method: str, shots: int, task: str | None = None) -> float:
        """Mean over tasks and seeds."""
        found = [
            one.value for one in self.scores if one.method == method and one.shots == shots and task in (None, one.task)
        ]
        return float(np.mean(found))

    def table(self) -> Table:
        """Methods by shots, means over tasks and seeds; the notes say rule and search spaces."""
        shots = sorted({one.shots for one in self.scores})
        methods = list(dict.fromkeys(one.method for one in self.scores))
        metric = {one.metric for one in self.scores}
        table = Table(["method", *(f"{one} labels" for one in shots)], title=f"Mean {'/'.join(metric)}, %")
        for method in methods:
            table.rows.append([method, *(round(self.mean(method, one), 1) for one in shots)])
        rules = sorted({one.selection for one in self.scores})
        table.notes.append(f"options chosen by: {', '.join(rules)}")
        table.notes += [f"search space of {name}: {space}" for name, space in self.spaces.items()]
        return table

    def keep(self, run: Run) -> None:
        """Leave scores.parquet and, with matplotlib, a picture for each number of labels in a run folder."""
        names = ("task", "method", "shots", "seed", "value")
        with atomic_file(run.path / "scores.parquet") as temporary:
            pq.write_table(pa.table({name: [getattr(one, name) for one in self.scores] for name in names}), temporary)
        for shots in {one.shots for one in self.scores} if importlib.util.find_spec("matplotlib") else ():
            save_figure(accuracy_bars(self, shots), run.figures / f"{shots}-labels.png")


def evaluate(
    methods: Sequence[str] | Sequence[type[Method]], domains: GraphDomains | Sequence[Task], *,
    shots: Sequence[int] = (0, 1, 5, 20), seeds: int = 3, trials: int = 1, selection: str = "leave-one-domain-out",
    metric: str | None = None, run: Run | None = None, advance: Callable[[], object] = lambda: None,
) -> Evaluation:  # fmt: skip
    """Fit each method on each task's sources and score it on the target's query nodes.

    Support nodes are drawn once per task, shots and seed: all methods see the same ones. No method is given a query
    label: the target it gets has -1 there.

    Args:
        methods: names (see `METHODS`) or classes of methods.
        domains: a collection, for leave-one-graph-out, or tasks.
        shots: labels a class; 0 is zero-shot.
        seeds: how many, from 0.
        trials: combinations of options that each method may try, by `selection`, once per task with seed 0.
        selection: rule of the choice; see `tune`.
        metric: accuracy or auc; by default auc for two classes.
        run: an open run folder: each fit is one unit of work there, and a killed run goes on after the last one.
        advance: called after every fit.

    Examples:
        >>> from mldgg import GraphDomains, Simulated, evaluate
        >>> domains = GraphDomains(Simulated(graphs=3, nodes=100).draw(seed=0))
        >>> result = evaluate(["centred-ridge", "target-only"], domains, shots=(5,), seeds=1)
        >>> result.mean("centred-ridge", 5) > result.mean("target-only", 5)
        True
    """
    chosen = [entries([one])[0] if isinstance(one, str) else one for one in methods]
    tasks = leave_one_graph_out(domains) if isinstance(domains, GraphDomains) else list(domains)
    if seeds < 1 or not chosen or not tasks:
        raise InputError("methods, tasks and seeds", got="none", expected="at least one of each")
    metric = metric or metric_of(task.target for task in tasks)
    done = _whole_fits(run, len(shots)) if run is not None else {}
    result = Evaluation(spaces={entry.name: entry.printed_space() for entry in chosen})
    for task, entry in product(tasks, chosen):
        choice: Choice | None = None
        for seed in range(seeds):
            found = done.get((task.name, entry.name, seed))
            if found is None:
                choice = choice or _choose(entry, task, trials, selection, metric, shots)
                found = _scores(entry, task, choice, shots, seed, metric)
                for one in found if run is not None else ():
                    run.log(**asdict(one))  # type: ignore[union-attr]
            result.scores += found
            advance()
    if run is not None:
        result.keep(run)
    return result


def _whole_fits(run: Run, size: int) -> dict[tuple[str, str, int], list[Score]]:
    """Scores of finished fits; those of a fit that was cut short are forgotten."""
    lines = run.metrics()
    whole = len(lines) - len(lines) % size
    run.rewind(whole)
    found = [Score(**line) for line in lines[:whole]]
    return {key: list(some) for key, some in groupby(found, lambda one: (one.task, one.method, one.seed))}


def _choose(entry: type[Method], task: Task, trials: int, selection: str, metric: str, shots: Sequence[int]) -> Choice:
    target = task.target if selection == "oracle" else None
    some = [one for one in shots if one in (0, 5)] or list(shots[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)  # one source only, while another one is left out
        options: dict[str, Any] = {"trials": trials, "rule": selection, "metric": metric, "target": target}
        return tune(entry, task.sources, shots=some, **options)


def _scores(
    entry: type[Method], task: Task, choice: Choice, shots: Sequence[int], seed: int, metric: str
) -> list[Score]:
    """Scores of one fit at all shots."""
    method, options = entry(seed=seed, **choice.options).fit(task.sources), choice.printed()
    values = {one: score(method, task.target, one, seed, metric) for one in shots}
    said = (metric, choice.rule, options)
    return [Score(entry.name, task.name, task.setting, one, seed, value, *said) for one, value in values.items()]
