"""Scores of methods over tasks, shots and seeds, with the selection rule stated in every one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold.report import Table

from mldgg.domains import GraphDomains, LeakWarning, Task, leave_one_graph_out, measure, metric_of, split_support
from mldgg.evaluation._methods import Entry, entries
from mldgg.evaluation._tune import Choice, tune


@dataclass(frozen=True)
class Score:
    """One number: a method on a task at some shots and a seed, in per cent."""

    method: str
    task: str
    setting: str
    shots: int
    seed: int
    value: float
    metric: str
    selection: str
    seconds: float


@dataclass
class Evaluation:
    """All scores of an evaluation.

    Attributes:
        scores: in the order in which they came.
        choices: what tuning chose, by (method, task).
        spaces: printed search space by method.
    """

    scores: list[Score] = field(default_factory=list)
    choices: dict[tuple[str, str], Choice] = field(default_factory=dict)
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


def evaluate(
    methods: Sequence[str] | Sequence[Entry],
    domains: GraphDomains | Sequence[Task],
    *,
    shots: Sequence[int] = (0, 1, 5, 20),
    seeds: int = 3,
    trials: int = 1,
    selection: str = "leave-one-domain-out",
    metric: str | None = None,
    each: Callable[[Score], None] = lambda _: None,
) -> Evaluation:
    """Fit each method on each task's sources and score it on the target's query nodes.

    Support nodes are drawn once per task, shots and seed: all methods see the same ones. No method is given a query
    label: the target it gets has -1 there.

    Args:
        methods: names (see `METHODS`) or entries.
        domains: a collection, for leave-one-graph-out, or tasks.
        shots: labels a class; 0 is zero-shot.
        seeds: how many, from 0.
        trials: combinations of options that each method may try, by `selection`, once per task with seed 0.
        selection: rule of the choice; see `tune`.
        metric: accuracy or auc; by default auc for two classes.
        each: called with every score.

    Examples:
        >>> from mldgg import GraphDomains, Simulated, evaluate
        >>> domains = GraphDomains(Simulated(graphs=3, nodes=100).draw(seed=0))
        >>> result = evaluate(["centred-ridge", "target-only"], domains, shots=(5,), seeds=1)
        >>> result.mean("centred-ridge", 5) > result.mean("target-only", 5)
        True
    """
    chosen = [one if isinstance(one, Entry) else entries([one])[0] for one in methods]
    tasks = leave_one_graph_out(domains) if isinstance(domains, GraphDomains) else list(domains)
    if seeds < 1 or not chosen or not tasks:
        raise InputError("methods, tasks and seeds", got="none", expected="at least one of each")
    metric = metric or metric_of(task.target for task in tasks)
    result = Evaluation(spaces={entry.name: entry.printed_space() for entry in chosen})
    for task in tasks:
        for entry in chosen:
            choice = choose(entry, task, trials, selection, metric, shots)
            result.choices[entry.name, task.name] = choice
            for seed in range(seeds):
                for one in scores_of(entry, task, choice, shots, seed, metric):
                    result.scores.append(one)
                    each(one)
    return result


def choose(entry: Entry, task: Task, trials: int, selection: str, metric: str, shots: Sequence[int]) -> Choice:
    """Options of a method for a task."""
    target = task.target if selection == "oracle" else None
    some = [one for one in shots if one in (0, 5)] or list(shots[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeakWarning)  # one source only, while another one is left out
        options: dict[str, Any] = {"trials": trials, "rule": selection, "metric": metric, "target": target}
        return tune(entry, task.sources, shots=some, **options)


def scores_of(entry: Entry, task: Task, choice: Choice, shots: Sequence[int], seed: int, metric: str) -> list[Score]:
    """Scores of one fit at all shots."""
    start = time.perf_counter()
    method = entry.make(seed=seed, **choice.options).fit(task.sources)
    fitted, found = time.perf_counter() - start, []
    for one in shots:
        start = time.perf_counter()
        split = split_support(task.target.y, shots=one, seed=seed)
        chances = method.predict_proba(task.target.hidden(split.support))
        value = measure(chances[split.query], task.target.y[split.query], metric)
        seconds = fitted + time.perf_counter() - start
        found.append(
            Score(entry.name, task.name, task.setting, one, seed, value, metric, choice.rule, round(seconds, 3))
        )
    return found
