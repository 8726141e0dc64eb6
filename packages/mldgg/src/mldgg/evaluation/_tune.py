"""Methods by name, and the choice of their options on sources alone, unless the rule is named `oracle`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.baselines import BASELINES
from mldgg.domains import Method, measure, split_support
from mldgg.meta import MLDGG

METHODS: dict[str, type[Method]] = {MLDGG.name: MLDGG, **BASELINES}


def entries(names: Iterable[str], others: Mapping[str, type[Method]] = METHODS) -> list[type[Method]]:
    """Methods by name, also from `others`; InputError that lists all names if one is unknown."""
    known, chosen = {**METHODS, **others}, []
    for name in names:
        if name not in known:
            raise InputError("method", got=repr(name), expected=f"one of {', '.join(known)}")
        chosen.append(known[name])
    return chosen


RULES = ("leave-one-domain-out", "source-val", "oracle")


@dataclass(frozen=True)
class Choice:
    """What tuning chose.

    Attributes:
        options: of the best trial.
        rule: the rule in force; with one source `leave-one-domain-out` becomes `source-val`.
        trials: (options, score) of all trials.
    """

    options: dict[str, Any]
    rule: str
    trials: tuple[tuple[dict[str, Any], float], ...]

    def printed(self) -> dict[str, str]:
        """The options as text."""
        return {name: str(value) for name, value in self.options.items()}


def score(method: Method, graph: Graph, shots: int, seed: int, metric: str) -> float:
    """Score of a fitted method on a graph of whose labels it sees `shots` a class."""
    split = split_support(graph.y, shots=shots, seed=seed)
    chances = method.predict_proba(graph.hidden(split.support))
    return measure(chances[split.query], graph.y[split.query], metric)


def candidates(space: Mapping[str, tuple[Any, ...]], trials: int, seed: int) -> list[dict[str, Any]]:
    """At most `trials` combinations of the space: the default first, then others in an order drawn from the seed."""
    every = [dict(zip(space, values, strict=True)) for values in product(*space.values())]
    order = np.random.default_rng(seed).permutation(len(every) - 1) + 1
    return [every[0], *(every[place] for place in order)][: max(trials, 1)]


def tune(
    entry: type[Method], sources: Sequence[Graph], *, space: Mapping[str, tuple[Any, ...]] | None = None,
    shots: Sequence[int] = (0, 5), trials: int = 4, seed: int = 0, rule: str = "leave-one-domain-out",
    metric: str = "accuracy", target: Graph | None = None,
) -> Choice:  # fmt: skip
    """Choose options.

    Args:
        entry: method. space: of its options; its own by default.
        sources: labelled graphs.
        shots: labels a class at which a trial is scored; the mean counts.
        trials: combinations to try, the same number for every method.
        seed: of trials, fits and splits.
        rule: `leave-one-domain-out`: each source in turn plays the target. `source-val`: fit on 70 % of each source's
            labels, score on the others. `oracle`: score on the target's query labels; an upper bound, never a result.
        metric: accuracy or auc.
        target: for the rule `oracle` alone.
    """
    if rule not in RULES:
        raise InputError("selection", got=repr(rule), expected=f"one of {', '.join(RULES)}")
    if (rule == "oracle") != (target is not None):
        raise InputError("target", got=f"rule {rule}", expected="a target for the rule oracle, and for no other")
    if rule == "leave-one-domain-out" and len(sources) < 2:
        rule = "source-val"
    options = candidates(entry.space if space is None else space, trials, seed)
    if len(options) == 1:
        return Choice(options[0], rule, ((options[0], float("nan")),))

    def trial(values: dict[str, Any]) -> float:
        def fitted(graphs: Sequence[Graph]) -> Method:
            return entry(seed=seed, **values).fit(graphs)

        if target is not None:
            method = fitted(sources)
            return float(np.mean([score(method, target, one, seed, metric) for one in shots]))
        if rule == "source-val":
            splits = [split_support(graph.y, ratio=0.7, seed=seed) for graph in sources]
            pairs = list(zip(sources, splits, strict=True))
            method = fitted([graph.hidden(split.support) for graph, split in pairs])
            found = [
                measure(method.predict_proba(graph.hidden(graph.y < -1))[split.query], graph.y[split.query], metric)
                for graph, split in pairs
            ]
            return float(np.mean(found))
        found = []
        for graph in sources:
            method = fitted([one for one in sources if one is not graph])
            found += [score(method, graph, one, seed, metric) for one in shots]
        return float(np.mean(found))

    done = [(one, trial(one)) for one in options]
    return Choice(max(done, key=lambda pair: pair[1])[0], rule, tuple(done))
