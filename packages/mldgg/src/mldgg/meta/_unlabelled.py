"""What a target's unlabelled nodes tell: whether its features are shifted, and words that it shares with the sources.

A target's mean differs from the sources' because its features are shifted, or because it has other class shares;
features alone cannot tell which. Its edges can: where neighbours share their class, the better answers agree more often
along edges. So two ridges answer all nodes before any label is seen, one on features as they are, one around the
target's own mean, and the one whose answers have the larger assortativity over the target's edges is taken. Where the
two are too close to call, its own mean is taken if that cost the sources nothing when they played the target.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import numpy as np
from ninefold_graphs import (
    Assortativity,
    Graph,
    HopRows,
    InputEncoder,
    assortativity,
    check_shapes,
    hop_features,
    softmax,
    walked,
)  # fmt: skip

from mldgg.domains import Rehearsal, measure, rehearsals, thinned
from mldgg.meta._search import LOSES, Gram, discriminant, gram, moved, solve

HOMOPHILOUS = 0.1  # assortativity of the sources' labels above which a target's edges decide
SURE = 2.0  # standard errors by which the assortativity of two heads must differ
ONE_CLASS = 0.99  # share of edges within a class by chance above which answers are of one class, and say nothing
WALKS = (0.0, 0.5, 0.1)  # restart of the walk over class probabilities; 0 for none
SHARPER = (0.67, 1.0, 1.5, 2.0, 3.0, 4.5)  # factors of the scores, so that probabilities mean what they say
FORMS = ("nothing", "own mean")  # what a target may be taken around
THIN = (0.1, 0.05)  # share of the nodes of thinned classes in rehearsals
AGAIN = ("ridge", "discriminant")  # to whose answers on the target a head may be fitted again
SHRUNK = 100.0  # nodes of identity in the discriminant's covariance
MOST_TAUGHT = 50_000  # nodes whose answers a head is fitted to again
JUDGED = 5  # sources that play the target for these choices, at most


@dataclass(frozen=True)
class Reading:
    """What was read off a target without its labels.

    Attributes:
        mix: (C,) share of each class among the answers of the chosen head. distance: total variation to the sources'
            class shares.
        around: what its features are taken around: "nothing" or "own mean".
        agreement: assortativity over the target's edges of the answers on features as they are, and around its mean.
        decided: whether the edges decided between them, and not the rehearsals on the sources.
        other: total variation between the class shares of the two heads' answers.
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
    agreement: tuple[float, ...] = ()
    decided: bool = False
    other: float = 0.0


@dataclass(frozen=True)
class WordHead:
    """Ridges on hops in one word space, with what a target is centred by.

    Attributes:
        encoder: from words to directions. hops: of the features.
        plain: (d + 1, C) weights on features as they are; around: (d + 1, C) on features around graph means.
        prior: (C,) class shares of the sources. agreement: smallest assortativity of a source's labels over its edges.
        sharpness: of the softmax over scores.
        grams: Z'Z and Z'Y behind `around`; None in the file of an adaptation.
    """

    encoder: InputEncoder
    hops: tuple[int, ...]
    plain: np.ndarray
    around: np.ndarray
    prior: np.ndarray
    agreement: float
    sharpness: float
    grams: Gram | None = None

    @classmethod
    def fit(
        cls, encoder: InputEncoder, sources: Sequence[Graph], weights: Sequence[np.ndarray | None],
        hops: tuple[int, ...], strength: float, sharpness: float,
    ) -> WordHead:  # fmt: skip
        """Solve for both ridges over labelled source graphs with (E,) edge weights (None: ones)."""
        classes = len(sources[0].classes)
        as_is, centred, counts = [], [], np.zeros(classes)
        for graph, weight in zip(sources, weights, strict=True):
            rows = hop_features(encoder(graph), graph.step(weight), hops, unit=encoder.directions, constant=True)
            as_is.append(gram(rows, graph.y, classes))
            centred.append(moved(as_is[-1], rows[:, :-1].mean(axis=0)))
            counts += np.bincount(graph.y[graph.y >= 0], minlength=classes)
        prior = np.maximum(counts / counts.sum(), 1e-4)
        plain, around = solve(as_is, strength), solve(centred, strength)
        square, targets = (np.sum(parts, axis=0).astype(np.float32) for parts in zip(*centred, strict=True))
        agreement = min(assortativity(graph.edge_index, graph.y, graph.edge_weights()).value for graph in sources)
        return cls(encoder, hops, plain, around, prior / prior.sum(), agreement, sharpness, (square, targets))

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs in addition to the encoder."""
        held = {name: getattr(self, name) for name in ("plain", "around", "prior")}
        held["agreement"] = np.array([self.agreement], np.float32)
        return held if self.grams is None else {**held, "square": self.grams[0], "targets": self.grams[1]}

    @classmethod
    def load(cls, encoder: InputEncoder, arrays: dict[str, Any], hops: tuple[int, ...], sharpness: float) -> WordHead:
        """The head that gave `arrays`; ValueError if they do not fit."""
        grams = (arrays["square"], arrays["targets"]) if "square" in arrays else None
        check_shapes({"head/agreement": (arrays["agreement"], (1,))})
        agreement = float(arrays["agreement"][0])
        head = cls(encoder, hops, arrays["plain"], arrays["around"], arrays["prior"], agreement, sharpness, grams)
        columns = (encoder.basis.shape[1] + int((~encoder.words).sum())) * len(hops)
        classes = head.prior.size
        shapes = {"plain": (columns + 1, classes), "around": (columns + 1, classes)}
        check_shapes({f"head/{name}": (getattr(head, name), one) for name, one in shapes.items()})
        if grams is not None:
            needed = {"square": (columns + 1, columns + 1), "targets": (columns + 1, classes)}
            check_shapes({f"head/{name}": (arrays[name], one) for name, one in needed.items()})
        return head

    def blocks(self, graph: Graph, weight: np.ndarray | None) -> HopRows:
        """(N, d + 1) hops of the graph's words, and a constant."""
        return HopRows.of(self.encoder.by_columns(graph), graph.step(weight), self.hops, self.encoder.directions)

    def reading(
        self, blocks: HopRows, graph: Graph, weight: np.ndarray | None, *, rehearsed: bool, may_centre: bool = True
    ) -> Reading:  # fmt: skip
        """Whether a target is to be taken around its own mean, and the class shares of the answers then.

        Args:
            blocks: its rows. graph: the target, whose labels are not read.
            weight: (E,) learned weights of its edges, None for ones.
            rehearsed: whether its own mean is taken where the edges do not decide.
            may_centre: whether its own mean may be taken at all.
        """
        answers = [self._answers(blocks, one) for one in ((False, True) if may_centre else (False,))]
        found = [assortativity(graph.edge_index, one, graph.edge_weights(weight)) for one in answers]
        chosen, decided = may_centre and rehearsed, False
        if may_centre and self.agreement >= HOMOPHILOUS:
            chosen, decided = self._decision(found[0], found[1], rehearsed)
        mixes = [np.bincount(one, minlength=self.prior.size) / max(len(blocks), 1) for one in answers]
        rival = mixes[0 if chosen else -1]
        distance, other = (float(np.abs(mixes[chosen] - one).sum() / 2) for one in (self.prior, rival))
        agreement = tuple(one.value for one in found)
        return Reading(mixes[chosen], distance, FORMS[chosen], "sources", 0.0, "", agreement, decided, other)

    def _decision(self, plain: Assortativity, centred: Assortativity, rehearsed: bool) -> tuple[bool, bool]:
        """Whether to take the own mean, and whether the edges say so by at least one standard error.

        Answers of one class have no assortativity: the others are believed then if it is near that of the sources'
        labels, since a graph that has one class only, split by its own mean, has a smaller one.
        """
        single = [one.chance > ONE_CLASS for one in (plain, centred)]
        if any(single):
            other = plain if single[1] else centred
            near = not all(single) and other.value >= 0.75 * self.agreement
            return (single[0], True) if near else (rehearsed, False)
        gap, error = centred.value - plain.value, float(np.hypot(plain.error, centred.error))
        chosen = rehearsed if 0 < gap <= SURE * error else gap > 0
        return chosen, abs(gap) > error and chosen == (gap > 0)

    def _answers(self, blocks: HopRows, centred: bool) -> np.ndarray:
        """(N,) most likely class of each node, before any walk."""
        rows, weights = (blocks.around(blocks.mean()), self.around) if centred else (blocks, self.plain)
        return (rows @ weights).argmax(axis=1)

    def rows(self, blocks: HopRows, reading: Reading) -> tuple[HopRows, np.ndarray]:
        """(N, d + 1) rows around what the reading says, and the (d + 1, C) weights that go with them."""
        if reading.around == "nothing":
            return blocks, self.plain
        return blocks.around(blocks.mean()), self.around

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
    rehearsed: bool
    may_centre: bool
    sharpness: float
    metric: str
    joint: bool
    seed: int


@dataclass(frozen=True)
class Part:
    """What rehearsals without labels have chosen for targets that are taken around the same thing.

    Attributes:
        words, walk, again: as in `Reading`. scores: mean score of each choice that was not rejected.
    """

    words: str = "sources"
    walk: float = 0.0
    again: str = ""
    scores: dict[Key, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """What rehearsals without labels have chosen.

    Attributes:
        parts: by what a target is taken around ("nothing", "own mean"), since joint words and a second fit serve a
            shifted graph, and not one with other class shares.
        sharper: factor of the sharpness under which the mean largest probability is nearest to accuracy.
        gaps: by how much accuracy is above it then, for each source that played the target.
    """

    parts: dict[str, Part] = field(default_factory=lambda: {form: Part() for form in FORMS})
    sharper: float = 1.0
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True)
class _Trial:
    """A rehearsal, and what is judged in it.

    Attributes:
        answers: from a choice and a factor of the sharpness to (N, C) probabilities. y: (N,) labels.
        around: what the target is taken around. natural: whether it is a source as it is, not thinned.
    """

    answers: Answers
    y: np.ndarray
    around: str
    natural: bool

    def score(self, key: Key, metric: str) -> float:
        known = self.y >= 0
        return measure(self.answers(key, 1.0)[known], self.y[known], metric)


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
    trials: list[_Trial] = []
    for rehearsal in made:
        heads = _heads(rehearsal, weights, setting, spaces)
        for share in (1.0, *THIN):
            whole = share == 1
            target = rehearsal.target if whole else thinned(rehearsal.target, share, setting.seed)
            weight = weights[rehearsal.place] if whole else None  # none of a thinned graph's edges
            answers, around = _answers(heads, target, weight, setting)
            trials.append(_Trial(answers, target.y, around, whole))
    parts = {form: _best([one for one in trials if one.around == form], spaces, setting.metric) for form in FORMS}
    natural = [one for one in trials if one.natural]
    gaps = {factor: tuple(_gap(one, parts[one.around], factor) for one in natural) for factor in SHARPER}
    sharper = min(SHARPER, key=lambda one: float(np.median(np.abs(gaps[one]))))
    return Choice(parts, sharper, gaps[sharper])


def _best(trials: Sequence[_Trial], spaces: Sequence[str], metric: str) -> Part:
    """The best of the choices that lose at most a point on each source as it is; nothing where none was rehearsed."""
    if not trials:
        return Part()
    natural = np.array([one.natural for one in trials])
    before = np.array([one.score(("sources", 0.0, ""), metric) for one in trials])
    means: dict[Key, float] = {}

    def best_of(keys: Iterable[Key]) -> Key:
        for key in keys:
            scores = np.array([one.score(key, metric) for one in trials])
            if (before - scores)[natural].max(initial=0) <= LOSES:
                means[key] = float(scores.mean())
        return max(means, key=lambda key: means[key])

    words, walk, _ = best_of(product(spaces, WALKS, ("",)))
    centred = trials[0].around == "own mean"  # a second fit needs the sources around their means
    best = best_of(product((words,), (walk,), AGAIN)) if centred else (words, walk, "")
    return Part(*best, means)


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


def _answers(
    heads: dict[str, WordHead], target: Graph, weight: np.ndarray | None, setting: Setting
) -> tuple[Answers, str]:
    """A function that gives (N, C) probabilities on one target under a choice, and what the target is taken around."""
    head, may = heads["sources"], setting.may_centre
    reading = head.reading(
        head.blocks(target, weight), target, weight, rehearsed=setting.rehearsed, may_centre=may
    )  # fmt: skip
    seen = {space: head.rows(head.blocks(target, weight), reading) for space, head in heads.items()}
    step = target.step(weight)

    def answers(key: Key, sharper: float) -> np.ndarray:
        space, walk, again = key
        rows, own = seen[space]
        if again:
            own = heads[space].again(rows, own, step, replace(reading, walk=walk, again=again), setting.strength)
        return spread_over(softmax(sharper * setting.sharpness * (rows @ own)), step, walk)

    return answers, reading.around


def _gap(trial: _Trial, part: Part, sharper: float) -> float:
    """Accuracy over the labelled nodes less their mean largest probability."""
    known = trial.y >= 0
    shown = trial.answers((part.words, part.walk, part.again), sharper)[known]
    return float((shown.argmax(axis=1) == trial.y[known]).mean() - shown.max(axis=1).mean())


def spread_over(chances: np.ndarray, step: Any, walk: float) -> np.ndarray:
    """(N, C) probabilities after the walk; as they are where its restart is 0."""
    if not walk:
        return chances
    moved = walked(chances, step, walk)
    return moved / moved.sum(axis=1, keepdims=True)
