"""What a target's unlabelled nodes tell: its class mix, how its features are shifted, words it shares with the sources.

A graph's features are shifted against the sources', which its mean shows, but its mean also shows which classes it has.
So the mix is estimated first, without a label; near the sources' mix the target is taken around its own mean, and else
around its mean less what the mix explains: mean - sum over classes of (mix - prior) * class mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from ninefold_graphs import Graph, HopRows, InputEncoder, check_shapes, estimated_mix, hop_features, softmax, walked

from mldgg.domains import Rehearsal, measure, rehearsals, thinned
from mldgg.meta._search import Gram, discriminant, gram, moved, solve

NEAR = 0.25  # total variation between class mixes up to which a graph's own mean is its shift
WALKS = (0.0, 0.5, 0.1)  # restart of the walk over class probabilities; 0 for none
SHARPER = (0.67, 1.0, 1.5, 2.0, 3.0, 4.5)  # factors of the scores, so that probabilities mean what they say
THIN = (0.1, 0.05)  # share of the nodes of thinned classes in rehearsals
LOSES = 1.0  # points that a choice may lose on a rehearsal as it is
AGAIN = ("ridge", "discriminant")  # to whose answers on the target a head may be fitted again
SHRUNK = 100.0  # nodes of identity in the discriminant's covariance
MOST_TAUGHT = 50_000  # nodes whose answers a head is fitted to again
JUDGED = 5  # sources that play the target for these choices, at most


@dataclass(frozen=True)
class Reading:
    """What was read off a target without its labels.

    Attributes:
        mix: (C,) estimated class shares. distance: total variation to the sources' class shares.
        around: what its features are taken around: "nothing", "own mean" or "mixture".
        words: whose word space: "sources" or "joint". walk: restart of the walk over probabilities, 0 for none.
        again: to whose answers on the target (and to the sources) the head was fitted again: "ridge", "discriminant" or
            "" for none.
    """

    mix: np.ndarray
    distance: float
    around: str
    words: str = "sources"
    walk: float = 0.0
    again: str = ""


@dataclass(frozen=True)
class WordHead:
    """Ridges on hops in one word space, with what a target is centred by.

    Attributes:
        encoder: from words to directions. hops: of the features.
        plain: (d + 1, C) weights on features as they are; around: (d + 1, C) on features around graph means.
        means: (C, d) class means around graph means. prior: (C,) class shares of the sources.
        sharpness: of the softmax over scores.
        grams: Z'Z and Z'Y behind `around`; None in the file of an adaptation.
    """

    encoder: InputEncoder
    hops: tuple[int, ...]
    plain: np.ndarray
    around: np.ndarray
    means: np.ndarray
    prior: np.ndarray
    sharpness: float
    grams: Gram | None = None

    @classmethod
    def fit(
        cls, encoder: InputEncoder, sources: Sequence[Graph], weights: Sequence[np.ndarray | None],
        hops: tuple[int, ...], strength: float, sharpness: float,
    ) -> WordHead:  # fmt: skip
        """Solve for both ridges over labelled source graphs with (E,) edge weights (None: ones)."""
        classes = len(sources[0].classes)
        as_is, centred, sums, counts = [], [], [], np.zeros(classes)
        for graph, weight in zip(sources, weights, strict=True):
            rows = hop_features(encoder(graph), graph.step(weight), hops, constant=True)
            as_is.append(gram(rows, graph.y, classes))
            centred.append(moved(as_is[-1], rows[:, :-1].mean(axis=0)))
            sums.append(centred[-1][1][:-1].T)
            counts += np.bincount(graph.y[graph.y >= 0], minlength=classes)
        means = (np.sum(sums, axis=0) / np.maximum(counts, 1)[:, None]).astype(np.float32)
        prior = np.maximum(counts / counts.sum(), 1e-4)
        plain, around = solve(as_is, strength), solve(centred, strength)
        square, targets = (np.sum(parts, axis=0).astype(np.float32) for parts in zip(*centred, strict=True))
        return cls(encoder, hops, plain, around, means, prior / prior.sum(), sharpness, (square, targets))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs beside the encoder."""
        held = {name: getattr(self, name) for name in ("plain", "around", "means", "prior")}
        return held if self.grams is None else {**held, "square": self.grams[0], "targets": self.grams[1]}

    @classmethod
    def load(cls, encoder: InputEncoder, arrays: dict[str, Any], hops: tuple[int, ...], sharpness: float) -> WordHead:
        """The head that gave `arrays`; ValueError if they do not fit."""
        grams = (arrays["square"], arrays["targets"]) if "square" in arrays else None
        head = cls(encoder, hops, arrays["plain"], arrays["around"], arrays["means"], arrays["prior"], sharpness, grams)
        columns = (encoder.basis.shape[1] + int((~encoder.words).sum())) * len(hops)
        classes = head.prior.size
        shapes = {"plain": (columns + 1, classes), "around": (columns + 1, classes), "means": (classes, columns)}
        check_shapes({f"head/{name}": (getattr(head, name), one) for name, one in shapes.items()})
        if grams is not None:
            needed = {"square": (columns + 1, columns + 1), "targets": (columns + 1, classes)}
            check_shapes({f"head/{name}": (arrays[name], one) for name, one in needed.items()})
        return head

    def blocks(self, graph: Graph, weight: np.ndarray | None) -> HopRows:
        """(N, d + 1) hops of the graph's words, and a constant."""
        return HopRows.of(self.encoder.by_columns(graph), graph.step(weight), self.hops)

    def mix(self, blocks: HopRows) -> np.ndarray:
        """(C,) estimated class shares."""
        return estimated_mix(softmax(self.sharpness * (blocks @ self.plain)), self.prior)

    def reading(self, blocks: HopRows, centred: bool) -> Reading:
        """Mix of a target, and what it is to be taken around."""
        mix = self.mix(blocks)
        distance = float(np.abs(mix - self.prior).sum() / 2)
        around = "nothing" if not centred else "own mean" if distance <= NEAR else "mixture"
        return Reading(mix, distance, around)

    def rows(self, blocks: HopRows, reading: Reading) -> tuple[HopRows, np.ndarray]:
        """(N, d + 1) rows around what the reading says, and the (d + 1, C) weights that go with them."""
        if reading.around == "nothing":
            return blocks, self.plain
        shift = blocks.mean()
        if reading.around == "mixture":
            shift = shift - ((reading.mix - self.prior) @ self.means).astype(np.float32)
        return blocks.around(shift), self.around

    def again(self, rows: HopRows, own: np.ndarray, step: Any, reading: Reading, strength: float) -> np.ndarray:
        """(d + 1, C) weights fitted to the sources and to answers on a target (self-training), after their walk.

        rows: (N, d + 1) around the target's shift; of many nodes 50,000 count, spread evenly. own: weights on them.
        """
        assert self.grams is not None
        theirs = self.sharpness * own if reading.again == "ridge" else discriminant(self.grams, SHRUNK, self.prior)
        chances = spread_over(softmax(rows @ theirs), step, reading.walk)
        some = slice(None, None, -(-len(rows) // MOST_TAUGHT))
        shown = rows[some]
        return solve([self.grams, (shown.T @ shown, shown.T @ chances[some])], strength)


Key = tuple[str, float, str]  # words, walk, again
Answers = Callable[[Key, float], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """What the search has chosen before, and how choices are judged."""

    hops: tuple[int, ...]
    strength: float
    centred: bool
    sharpness: float
    metric: str
    joint: bool
    seed: int


@dataclass(frozen=True)
class Choice:
    """What rehearsals without labels have chosen.

    Attributes:
        words, walk, again: as in `Reading`. scores: mean score of each choice that was not rejected.
        sharper: factor of the sharpness under which the mean largest probability is nearest to accuracy.
        gaps: by how much accuracy is above it then, for each source that played the target.
    """

    words: str = "sources"
    walk: float = 0.0
    again: str = ""
    scores: dict[Key, float] = field(default_factory=dict)
    sharper: float = 1.0
    gaps: tuple[float, ...] = ()


def chosen(
    sources: Sequence[Graph], weights: Sequence[np.ndarray | None], encoder: InputEncoder, setting: Setting
) -> Choice:
    """Word space, walk and second fit that serve best, without labels, when sources play the target, also thinned.

    A choice that loses more than a point on any source as it is, against sources' words without a walk, is rejected.
    """
    many = encoder.basis.shape[1] < int(encoder.words.sum())  # else the directions are the words themselves
    spaces = ("sources", "joint") if setting.joint and many else ("sources",)
    made = rehearsals(sources, most=JUDGED, seed=setting.seed) if len(sources) > 1 else []
    if not made:
        return Choice()
    tried: list[tuple[Answers, np.ndarray]] = []  # for each rehearsal the target as it is, then thinned
    for rehearsal in made:
        heads = _heads(rehearsal, weights, setting, spaces)
        for share in (1.0, *THIN):
            whole = share == 1
            target = rehearsal.target if whole else thinned(rehearsal.target, share, setting.seed)
            weight = weights[rehearsal.place] if whole else None  # none of a thinned graph's edges
            tried.append((_answers(heads, target, weight, setting), target.y))

    def scores(key: Key) -> np.ndarray:
        found = [measure(answers(key, 1.0)[y >= 0], y[y >= 0], setting.metric) for answers, y in tried]
        return np.array(found).reshape(len(made), -1)

    before = scores(("sources", 0.0, ""))
    means: dict[Key, float] = {}

    def best_of(keys: Iterable[Key]) -> Key:
        for key in keys:
            one = scores(key)
            if (before - one)[:, 0].max() <= LOSES:
                means[key] = float(one.mean())
        return max(means, key=lambda key: means[key])

    words, walk, _ = best_of(product(spaces, WALKS, ("",)))
    best = best_of(product((words,), (walk,), AGAIN))
    usual = tried[:: 1 + len(THIN)]
    gaps = {one: tuple(_gap(answers(best, one), y) for answers, y in usual) for one in SHARPER}
    sharper = min(SHARPER, key=lambda one: float(np.median(np.abs(gaps[one]))))
    return Choice(*best, means, sharper, gaps[sharper])


def _heads(
    rehearsal: Rehearsal, weights: Sequence[np.ndarray | None], setting: Setting, spaces: Sequence[str]
) -> dict[str, WordHead]:  # fmt: skip
    """The head of each word space: the learners' own words, without those of the one that plays the target, and joint.

    Joint words are those of the whole target, for its thinned forms too.
    """
    learners = [graph for _, graph in rehearsal.learners]
    edges = [weights[place] for place, _ in rehearsal.learners]
    fit = (learners, edges, setting.hops, setting.strength, setting.sharpness)
    made = {"sources": learners, "joint": [*learners, rehearsal.target]}
    return {space: WordHead.fit(InputEncoder.fit(made[space]), *fit) for space in spaces}


def _answers(heads: dict[str, WordHead], target: Graph, weight: np.ndarray | None, setting: Setting) -> Answers:
    """A function that gives (N, C) probabilities on one target under a choice, the scores times a factor."""
    reading = heads["sources"].reading(heads["sources"].blocks(target, weight), setting.centred)
    seen = {space: head.rows(head.blocks(target, weight), reading) for space, head in heads.items()}
    step = target.step(weight)

    def answers(key: Key, sharper: float) -> np.ndarray:
        space, walk, again = key
        rows, own = seen[space]
        if again and reading.around != "nothing":
            own = heads[space].again(rows, own, step, replace(reading, walk=walk, again=again), setting.strength)
        return spread_over(softmax(sharper * setting.sharpness * (rows @ own)), step, walk)

    return answers


def _gap(chances: np.ndarray, y: np.ndarray) -> float:
    """Accuracy over the labelled nodes less their mean largest probability."""
    shown = chances[y >= 0]
    return float((shown.argmax(axis=1) == y[y >= 0]).mean() - shown.max(axis=1).mean())


def spread_over(chances: np.ndarray, step: Any, walk: float) -> np.ndarray:
    """(N, C) probabilities after the walk; as they are where its restart is 0."""
    if not walk:
        return chances
    moved = walked(chances, step, walk)
    return moved / moved.sum(axis=1, keepdims=True)
