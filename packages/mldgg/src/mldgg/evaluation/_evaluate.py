"""Scores over tasks, numbers of labels and seeds; and their pictures."""

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
from ninefold.report import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, Table, figure, save_figure
from ninefold.run import Run

from mldgg.domains import GraphDomains, LeakWarning, Method, Task, leave_one_graph_out, metric_of
from mldgg.evaluation._tune import Choice, entries, score, tune

_COLORS = (BLUE, ORANGE, GREEN, RED, PURPLE, GREY)
_HATCHES = ("", "//", "..", "xx", "--", "oo")


def accuracy_bars(result: Evaluation, shots: int) -> Any:
    """Bars by graph, one colour and hatch a method; whiskers are the range over seeds."""
    some = [one for one in result.scores if one.shots == shots]
    tasks = list(dict.fromkeys(one.task for one in some))
    methods = list(dict.fromkeys(one.method for one in some))
    made, axes = figure(max(6.4, 1.1 * len(tasks) * max(len(methods) / 4, 1)), 3.8)
    width = 0.8 / len(methods)
    for place, method in enumerate(methods):
        values = [[one.value for one in some if (one.method, one.task) == (method, task)] for task in tasks]
        means = np.array([np.mean(one) for one in values])
        spread = np.array([[mean - min(one), max(one) - mean] for mean, one in zip(means, values, strict=True)]).T
        at = np.arange(len(tasks)) + (place - (len(methods) - 1) / 2) * width
        style = {"color": _COLORS[place % 6], "hatch": _HATCHES[(place + place // 6) % 6], "edgecolor": "white"}
        axes.bar(at, means, width, yerr=spread, label=method, error_kw={"lw": 0.8}, **style)
    axes.set_xticks(range(len(tasks)), tasks)
    axes.set_ylabel(f"{some[0].metric}, %")
    axes.set_ylim(0, 100)
    axes.legend(fontsize=8, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    return made


def edge_histogram(weights: np.ndarray, injected: np.ndarray | None = None) -> Any:
    """Histogram of learned edge weights; real and injected edges apart if it is known which is which."""
    made, axes = figure()
    bins = np.linspace(0, max(float(weights.max(initial=0)), 1e-6), 31)
    if injected is None:
        axes.hist(weights, bins, color=BLUE)
    else:
        axes.hist(weights[~injected], bins, color=BLUE, alpha=0.8, label="edges of the graph")
        axes.hist(weights[injected], bins, color=ORANGE, histtype="step", lw=1.8, label="injected edges")
        axes.legend()
    axes.set_xlabel("learned weight")
    axes.set_ylabel("edges")
    return made


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
        run: an open run folder: each fit is one unit of work there, and a killed run resumes after the last one.
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
