"""The genetic search for a schedule at a given mean sparsity (stages 1 and 3).

Genes are sparsities on a grid of 0.05 in [0, 0.95], projected to the exact mean and (our addition) sorted: a token that
skipped a block and runs in a later one comes back as it went in, which costs far more than leaving it out for good.
Seeds: uniform, proportional to the blocks' redundancy, middle-heavy, most in the last blocks or in those of least
influence, random. Elites stay; parents win tournaments; children mix their genes block by block and move
mass between two blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ninefold.errors import InputError

from tokenprune.routers._schedule import HIGHEST, checked_target, project, uniform

Schedule = tuple[float, ...]
Judge = Callable[[Sequence[Schedule]], list[float]]


@dataclass(frozen=True)
class SearchConfig:
    """Sizes of the search.

    Attributes:
        population, generations, elite, tournament: as their names say.
        moves: most moves of mass in one mutation.
        step: grid of the genes.
        rising: only schedules that never fall from block to block; False is the search as published.

    Examples:
        >>> from tokenprune import datasets, tiny_model, windows
        >>> from tokenprune.ftp import PublishedPruner, SearchConfig

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> pruner = PublishedPruner(model)
        >>> found = pruner.search(texts, SearchConfig(population=4, generations=1, elite=1))
        >>> round(sum(pruner.schedule) / 4, 2)  # the mean is the target
        0.3
    """

    population: int = 24
    generations: int = 20
    elite: int = 4
    tournament: int = 3
    moves: int = 3
    step: float = 0.05
    rising: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.elite < self.population:
            raise InputError("elite", got=self.elite, expected=f"from 1 to below the population of {self.population}")
        if self.generations < 1 or self.tournament < 1 or self.moves < 1:
            raise InputError("search", got="a size below 1", expected="generations, tournament and moves from 1")


class Search:
    """A search under way; its `state` is plain JSON, and a search given that state continues as if never stopped.

    Args:
        target: mean sparsity of every schedule.
        influence: (N,) block influence, 1 - cosine of in and out: high where a block matters.
        highest: most any block may have, given the protected tokens.
        seed: random seed.
        config: sizes.
        around: start from this schedule and its near neighbours (stage 3).
        state: of an earlier search.

    Attributes:
        generation: of the population; 0 is the seeds.
        population: schedules, once judged the best first.
        history: a line for each generation judged.

    Examples:
        >>> from tokenprune import Layout, StaticRouter, datasets, redundancy, tiny_model, windows
        >>> from tokenprune.ftp import Fitness, Search, SearchConfig

        >>> model = tiny_model()
        >>> ids = datasets.tokens(datasets.embedded_text(), None)  # no tokenizer: bytes
        >>> texts = windows(ids, length=48, scored=8, count=4)

        >>> layout = Layout.of(model)
        >>> judge = Fitness(layout, texts, StaticRouter)
        >>> influence = redundancy(layout, texts).influence.numpy()
        >>> search = Search(0.3, influence, config=SearchConfig(population=6, generations=2, elite=2))
        >>> while not search.done:
        ...     search.advance(judge)
        >>> len(search.best), round(sum(search.best) / 4, 2), [line["generation"] for line in search.history]
        (4, 0.3, [0, 1, 2])
    """

    def __init__(
        self, target: float, influence: np.ndarray, *, highest: float = HIGHEST, seed: int = 0,
        config: SearchConfig | None = None, around: Schedule | None = None,
        state: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.target, self.influence = checked_target(target), np.asarray(influence, dtype=float)
        self.highest, self.config = min(highest, HIGHEST), config or SearchConfig()
        self.random = np.random.default_rng(seed)
        self.generation = 0
        self.history: list[dict[str, Any]] = []
        if state is not None:
            self.random.bit_generator.state = state["random"]
            self.generation, self.history = state["generation"], list(state["history"])
            self.population = [tuple(one) for one in state["population"]]
        else:
            self.population = self._seeds() if around is None else self._near(around)

    @property
    def state(self) -> dict[str, Any]:
        """All that is needed to continue."""
        return {"generation": self.generation, "population": [list(one) for one in self.population],
                "history": self.history, "random": self.random.bit_generator.state}  # fmt: skip

    @property
    def best(self) -> Schedule:
        """The best schedule judged so far."""
        if not self.history:
            raise InputError("search", got="nothing judged yet", expected="a generation first")
        return tuple(self.history[-1]["schedule"])

    @property
    def done(self) -> bool:
        """Whether all generations were judged."""
        return self.generation > self.config.generations

    def advance(self, judge: Judge) -> None:
        """Judge the population, note the best, and breed the next."""
        verdicts = judge(self.population)
        for schedule, verdict in zip(self.population, verdicts, strict=True):
            if not np.isfinite(verdict):
                raise InputError("fitness", got=verdict, where=f"generation {self.generation}",
                                 expected="a finite number", hint=f"schedule {list(schedule)}")  # fmt: skip
        order = np.argsort(verdicts, kind="stable")
        ranked = [self.population[i] for i in order]
        self.history.append({"generation": self.generation, "fitness": float(verdicts[order[0]]),
                             "median": float(np.median(verdicts)), "schedule": list(ranked[0])})  # fmt: skip
        self.generation += 1
        children = ranked[: self.config.elite]
        while len(children) < self.config.population:
            mother, father = self._parent(ranked), self._parent(ranked)
            mixed = np.where(self.random.random(len(mother)) < 0.5, mother, father)
            children.append(self._mutated(mixed))
        self.population = children

    def _parent(self, ranked: list[Schedule]) -> np.ndarray:
        return np.array(ranked[int(self.random.integers(0, len(ranked), self.config.tournament).min())])

    def _mutated(self, genes: np.ndarray) -> Schedule:
        genes = genes.copy()
        for _ in range(int(self.random.integers(1, self.config.moves + 1))):
            giver, taker = self.random.choice(len(genes), 2, replace=False) if len(genes) > 1 else (0, 0)
            mass = self.config.step * int(self.random.integers(1, 5))
            mass = min(mass, genes[giver], self.highest - genes[taker])
            genes[giver] -= mass
            genes[taker] += mass
        return self._fit(genes)

    def _fit(self, genes: np.ndarray) -> Schedule:
        fitted = project(genes, self.target, step=self.config.step, highest=self.highest)
        fitted = np.sort(fitted) if self.config.rising else fitted
        return tuple(round(float(one), 6) for one in fitted)

    def _near(self, around: Schedule) -> list[Schedule]:
        start = tuple(float(one) for one in around)  # as it is: rounding it to the grid may cost more than is gained
        return [start, *(self._mutated(np.array(start)) for _ in range(self.config.population - 1))]

    def _seeds(self) -> list[Schedule]:
        count = len(self.influence)
        place = np.linspace(-1, 1, count)
        redundant = influence_proportional(self.influence, self.target)
        shapes = [redundant]
        shapes += [1 + more * (place > 2 / 3) for more in (1.0, 2.0)]
        shapes += [np.exp(-0.5 * ((place - centre) / width) ** 2) for centre in (0.0, 0.3) for width in (0.2, 0.4, 0.7)]
        lowest = np.argsort(self.influence)
        for share in (1.5, 2.0, 3.0):  # all of the sparsity in the blocks of least influence
            shape = np.zeros(count)
            shape[lowest[: max(1, round(min(1.0, self.target * share) * count))]] = 1
            shapes.append(shape)
        flat = uniform(self.target, count) if self.target <= self.highest else self._fit(np.full(count, self.target))
        seeds = [flat, *(self._scaled(shape) for shape in shapes)][: self.config.population]
        while len(seeds) < self.config.population:
            seeds.append(self._scaled(self.random.random(count) ** self.random.uniform(0.5, 4)))
        return seeds

    def _scaled(self, shape: np.ndarray) -> Schedule:
        """A shape scaled to the target mean before it is projected, so that rounding is all that projecting does."""
        if shape.sum() == 0 or self.target == 0:
            return self._fit(np.full(len(shape), self.target))
        low, high = 0.0, 1e4
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (
                (middle, high) if np.minimum(shape * middle, self.highest).mean() < self.target else (low, middle)
            )
        return self._fit(np.minimum(shape * high, self.highest))


def influence_proportional(influence: np.ndarray, target: float) -> np.ndarray:
    """(N,) block influence -> (N,) sparsities of mean `target`, proportional to redundancy 1/influence, clipped."""
    redundancy = 1 / np.maximum(influence, 1e-3)
    return np.clip(target * redundancy / redundancy.mean(), 0, HIGHEST)
