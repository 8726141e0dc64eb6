"""A simulated citation graph with many classes, in the likeness of CoraFull, which is too large to ship.

Degree-corrected block model: class sizes fall by a power law, edges leave a class mostly for others of its super-topic.
Words: Dirichlet-multinomial around a mixture of a common, a super-topic's and a class's distribution.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from ninefold.errors import InputError

from ninefold_graphs._doors import whole_number
from ninefold_graphs._graph import Graph


@dataclass(frozen=True)
class Simulated:
    """What to simulate; the defaults are CoraFull's figures, but for class sizes.

    CoraFull's classes have 15 to 930 nodes, so that the smallest has 3 test nodes. Here each has at least 500, of which
    100 or more are test nodes when a fifth is.

    Attributes:
        classes: number of classes.
        topics: super-topics, within which classes are confused.
        largest, smallest: nodes of the largest and the smallest class.
        degree: mean number of neighbours.
        homophily: share of edges within a class.
        vocabulary, words: size of the vocabulary, and about how many words a node has.
        sharpness: weight of a class's own words in its distribution.

    Examples:
        >>> from ninefold_graphs import Simulated
        >>> graph = Simulated(classes=4, topics=2, largest=30, smallest=20, vocabulary=50).draw(seed=0)
        >>> len(graph.classes), graph.width, int(graph.y.max())
        (4, 50, 3)
    """

    classes: int = 70
    topics: int = 10
    largest: int = 600
    smallest: int = 505
    degree: float = 6.4
    homophily: float = 0.57
    vocabulary: int = 8710
    words: int = 57
    sharpness: float = 0.1

    def draw(self, seed: int = 0) -> Graph:
        """Simulate a graph; class names are 0..classes-1, the largest first."""
        for name in ("classes", "topics", "largest", "smallest", "vocabulary", "words"):
            whole_number(name, getattr(self, name), 1)
        seed = whole_number("seed", seed, 0)
        if not 1 <= self.topics <= self.classes or not 1 <= self.smallest <= self.largest:
            raise InputError("simulator", got=self, expected="topics <= classes and smallest <= largest")
        draws = np.random.default_rng(seed)
        rank = np.linspace(1, 0, self.classes)
        sizes = np.round(self.smallest + (self.largest - self.smallest) * rank**2.4).astype(int)
        y = np.repeat(np.arange(self.classes), sizes)
        topic = draws.permutation(np.arange(self.classes) % self.topics)
        return Graph.of(self._words(draws, y, topic), self._edges(draws, y, topic), y)

    def _edges(self, draws: np.random.Generator, y: np.ndarray, topic: np.ndarray) -> np.ndarray:
        """(2, E): a source by its propensity; a target by its own, in the class, topic or graph drawn for the edge."""
        n = y.size
        count = round(n * self.degree / 2 * 1.04)  # some fall together
        propensity = draws.pareto(2.5, n) + 0.3
        mass = np.bincount(y, propensity) / propensity.sum()
        own = float(mass @ (0.75 * mass / np.bincount(topic, mass)[topic] + 0.25 * mass))  # of edges that may leave
        within = max(0.0, (self.homophily - own) / (1 - own)) if own < 1 else 1.0
        kind = draws.choice(3, count, p=[within, 0.75 * (1 - within), 0.25 * (1 - within)])
        source = draws.choice(n, count, p=propensity / propensity.sum())
        target = np.empty(count, np.int64)
        for which, group in ((0, y), (1, topic[y]), (2, np.zeros(n, int))):
            for value in np.unique(group[source[kind == which]]):
                members = np.flatnonzero(group == value)
                edges = np.flatnonzero((kind == which) & (group[source] == value))
                target[edges] = draws.choice(members, edges.size, p=propensity[members] / propensity[members].sum())
        return np.stack([source, target])

    def _words(self, draws: np.random.Generator, y: np.ndarray, topic: np.ndarray) -> sp.csr_array:
        """(n, vocabulary) of zeros and ones.

        Which words a Dirichlet-multinomial text has depends on the distinct draws of its urn alone: their number is
        that of tables of a Chinese restaurant, and each is a draw from the class's distribution.
        """
        common = 1 / np.arange(1, self.vocabulary + 1) ** 0.7
        common = draws.permutation(common / common.sum())
        of_topic = draws.dirichlet(np.full(self.vocabulary, 0.02), self.topics)
        of_class = draws.dirichlet(np.full(self.vocabulary, 0.02), topic.size)
        concentration, tokens = 2.0 * self.words, round(1.35 * self.words)
        tables = (draws.random((y.size, tokens)) < concentration / (concentration + np.arange(tokens))).sum(axis=1)
        columns = []
        for code in range(topic.size):
            shares = (1 - 2 * self.sharpness) * common + self.sharpness * (of_topic[topic[code]] + of_class[code])
            sums = np.cumsum(shares)
            columns.append(np.searchsorted(sums, draws.random(tables[y == code].sum()) * sums[-1]))
        rows = np.repeat(np.arange(y.size), tables)
        x = sp.csr_array((np.ones(rows.size, np.float32), (rows, np.concatenate(columns))), (y.size, self.vocabulary))
        x.sum_duplicates()
        x.data[:] = 1
        return x


DEMO = Simulated(classes=20, topics=4, largest=300, smallest=60, vocabulary=2000, words=30, sharpness=0.1)
