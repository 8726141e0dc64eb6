"""Citation graphs (quick form: simulated ones), each the unseen one in turn."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import cache

import numpy as np
from mldgg.datasets import Simulated
from mldgg.domains import GraphDomains, Task, leave_one_graph_out
from mldgg.meta import Adapted
from ninefold_lab import Scores

SMALL = Simulated(graphs=3, nodes=250, classes=3, words=200, signal=0.2)


@cache
def tasks_of(form: str) -> tuple[Task, ...]:
    """The three tasks; in the quick form on small simulated graphs under the same names."""
    if form == "full":
        return tuple(leave_one_graph_out(GraphDomains.named("citation")))
    graphs = dict(zip(("acm", "citation", "dblp"), SMALL.draw(0).values(), strict=True))
    return tuple(leave_one_graph_out(GraphDomains({name: replace(one, name=name) for name, one in graphs.items()})))


def accuracy(chances: np.ndarray, y: np.ndarray, query: np.ndarray) -> float:
    """Per cent of query nodes."""
    return 100 * float((chances.argmax(axis=1) == y)[query].mean())


class Arms(defaultdict[str, list[float]]):
    """Scores by arm, an item for each graph, so that intervals are over graphs."""

    def __init__(self) -> None:
        super().__init__(list)

    def add(self, arm: str, value: float) -> None:
        """Keep one number."""
        self[arm].append(value)

    def scores(self) -> Scores:
        """As claims give them."""
        return {arm: np.array(items) for arm, items in self.items()}


def acting(adapted: Adapted) -> dict[str, float]:
    """Which parts take part in an adaptation, as 100 or 0, so that a mean is a share of graphs."""
    reading = adapted.reading
    assert reading is not None
    parts = {
        "edge gate": adapted.model.fitted.power > 0,
        "joint words": reading.words == "joint",
        "walk": reading.walk > 0,
        "second fit": reading.again != "",
        "discriminant": reading.again == "discriminant",
        "own mean": reading.around == "own mean",
        "mixture": reading.around == "mixture",
    }
    return {name: 100.0 * acts for name, acts in parts.items()}
