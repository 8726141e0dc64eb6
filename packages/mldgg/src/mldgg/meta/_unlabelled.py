"""What a target's unlabelled nodes tell: its class mix, how its features are shifted, words it shares with the sources.

A graph's features are shifted against the sources', which its mean shows, but its mean also shows which classes it has.
So the mix is estimated first, without a label; near the sources' mix the target is taken around its own mean, and else
around its mean less what the mix explains: mean - sum over classes of (mix - prior) * class mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ninefold_graphs import Graph, HopRows, InputEncoder, estimated_mix, hop_features, softmax, walked

from mldgg.domains import Rehearsal, measure, rehearsals, thinned
from mldgg.meta._search import gram, solve
from mldgg.meta._whole import check_shapes

NEAR = 0.25  # total variation between class mixes up to which a graph's own mean is its shift
WALKS = (0.0, 0.5, 0.1)  # restart of the walk over class probabilities; 0 for none
THIN = (0.1, 0.05)  # share of the nodes of thinned classes in rehearsals
LOSES = 1.0  # points that a choice may lose on a rehearsal as it is
JUDGED = 3  # sources that play the target for these choices, at most


@dataclass(frozen=True)
class Reading:
    """What was read off a target without its labels.

    Attributes:
        mix: (C,) estimated class shares. distance: total variation to the sources' class shares.
        around: what its features are taken around: "nothing", "own mean" or "mixture".
        words: whose word space: "sources" or "joint". walk: restart of the walk over probabilities, 0 for none.
    """

    mix: np.ndarray
    distance: float
    around: str
    words: str = "sources"
    walk: float = 0.0


@dataclass(frozen=True)
class WordHead:
    """Ridges on hops in one word space, with what a target is centred by.

    Attributes:
        encoder: from words to directions. hops: of the features.
        plain: (d + 1, C) weights on features as they are; around: (d + 1, C) on features around graph means.
        means: (C, d) class means around graph means. prior: (C,) class shares of the sources.
        sharpness: of the softmax over scores.
    """

    encoder: InputEncoder
    hops: tuple[int, ...]
    plain: np.ndarray
    around: np.ndarray
    means: np.ndarray
    prior: np.ndarray
    sharpness: float

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
            rows[:, :-1] -= rows[:, :-1].mean(axis=0)
            centred.append(gram(rows, graph.y, classes))
            sums.append(centred[-1][1][:-1].T)
            counts += np.bincount(graph.y[graph.y >= 0], minlength=classes)
        means = (np.sum(sums, axis=0) / np.maximum(counts, 1)[:, None]).astype(np.float32)
        prior = np.maximum(counts / counts.sum(), 1e-4)
        plain, around = solve(as_is, strength), solve(centred, strength)
        return cls(encoder, hops, plain, around, means, prior / prior.sum(), sharpness)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `load` needs beside the encoder."""
        return {name: getattr(self, name) for name in ("plain", "around", "means", "prior")}

    @classmethod
    def load(cls, encoder: InputEncoder, arrays: dict[str, Any], hops: tuple[int, ...], sharpness: float) -> WordHead:
        """The head that gave `arrays`; ValueError if they do not fit."""
        head = cls(encoder, hops, arrays["plain"], arrays["around"], arrays["means"], arrays["prior"], sharpness)
        columns = (encoder.basis.shape[1] + int((~encoder.words).sum())) * len(hops)
        classes = head.prior.size
        shapes = {"plain": (columns + 1, classes), "around": (columns + 1, classes), "means": (classes, columns)}
        check_shapes({f"head/{name}": (getattr(head, name).shape, one) for name, one in shapes.items()})
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


def joint_encoder(sources: Sequence[Graph], target: Graph) -> InputEncoder:
    """Directions of the words of sources and target together, no label seen."""
    return InputEncoder.fit([*sources, target])


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
        words, walk: as in `Reading`. scores: mean score of each choice that was not rejected.
        gaps: by how much accuracy was above the mean largest probability, for each source that played the target.
    """

    words: str = "sources"
    walk: float = 0.0
    scores: dict[tuple[str, float], float] = field(default_factory=dict)
    gaps: tuple[float, ...] = ()


def chosen(
    sources: Sequence[Graph], weights: Sequence[np.ndarray | None], encoder: InputEncoder, setting: Setting
) -> Choice:
    """Word space and walk that serve best, without labels, when sources play the target, as they are and thinned.

    A choice that loses more than a point on any source as it is, against sources' words without a walk, is rejected.

    Returns: what was chosen, with the mean score of each choice.
    """
    many = encoder.basis.shape[1] < int(encoder.words.sum())  # else the directions are the words themselves
    spaces = ("sources", "joint") if setting.joint and many else ("sources",)
    table: dict[tuple[str, float], list[tuple[float, float]]] = {(one, walk): [] for one in spaces for walk in WALKS}
    made = rehearsals(sources, most=JUDGED, seed=setting.seed) if len(sources) > 1 else []
    for rehearsal in made:
        heads = _heads(rehearsal, weights, encoder, setting, spaces)
        for target in (rehearsal.target, *(thinned(rehearsal.target, share, setting.seed) for share in THIN)):
            weight = weights[rehearsal.place] if target is rehearsal.target else None  # none of a thinned graph's edges
            for key, score in _scores(heads, target, weight, setting).items():
                table[key].append(score)
    if not made:
        return Choice()
    both = {key: np.array(one).reshape(len(made), -1, 2) for key, one in table.items()}
    scores = {key: one[..., 0] for key, one in both.items()}
    usual = scores["sources", 0.0][:, 0]
    means = {key: float(one.mean()) for key, one in scores.items() if (usual - one[:, 0]).max() <= LOSES}
    words, walk = max(means, key=lambda key: means[key])
    return Choice(words, walk, means, tuple(both[words, walk][:, 0, 1].tolist()))


def _heads(
    rehearsal: Rehearsal, weights: Sequence[np.ndarray | None], encoder: InputEncoder, setting: Setting,
    spaces: Sequence[str],
) -> dict[str, WordHead]:  # fmt: skip
    """The head of each word space; joint words are those of the whole target, for its thinned forms too."""
    learners = [graph for _, graph in rehearsal.learners]
    edges = [weights[place] for place, _ in rehearsal.learners]
    fit = (learners, edges, setting.hops, setting.strength, setting.sharpness)
    words = {"sources": encoder, "joint": joint_encoder(learners, rehearsal.target) if "joint" in spaces else encoder}
    return {space: WordHead.fit(words[space], *fit) for space in spaces}


def _scores(
    heads: dict[str, WordHead], target: Graph, weight: np.ndarray | None, setting: Setting
) -> dict[tuple[str, float], tuple[float, float]]:
    """Score of each word space and walk on one target, and by how much its accuracy is above the mean largest
    probability."""
    reading = heads["sources"].reading(heads["sources"].blocks(target, weight), setting.centred)
    found: dict[tuple[str, float], tuple[float, float]] = {}
    known, step = target.y >= 0, target.step(weight)
    for space, head in heads.items():
        rows, source_weights = head.rows(head.blocks(target, weight), reading)
        chances = softmax(setting.sharpness * (rows @ source_weights))
        for walk in WALKS:
            moved = walked(chances, step, walk) if walk else chances
            moved = moved[known] / moved[known].sum(axis=1, keepdims=True)
            gap = float((moved.argmax(axis=1) == target.y[known]).mean() - moved.max(axis=1).mean())
            found[space, walk] = measure(moved, target.y[known], setting.metric), gap
    return found
