"""A model adapted to one graph, and whether that graph's own labels speak against the sources.

Each label is left out in turn, in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import Graph, InputEncoder, Ridge, centred_update, check_shapes, left_out, one_hot, under

from mldgg.datasets import open_graph
from mldgg.meta._model import Model
from mldgg.meta._search import CHANGES
from mldgg.meta._solver import Seen
from mldgg.meta._unlabelled import WordHead, spread_over
from mldgg.meta._whole import check_arrays, whole

DOUBT = 0.01  # chance, were both heads alike, below which the sources are not believed
DISAGREE = 0.2  # total variation between estimates of the class shares above which they are called unknown
ALONE = (0.01, 0.03, 0.1, 0.3, *CHANGES)  # strength of the ridge on the labels alone, once it is believed


@dataclass(frozen=True)
class Trust:
    """How well the sources' weights predict the target's labels, compared with a ridge on these labels.

    Attributes:
        weights: (d, C) of the head that is believed.
        believed: whether that is the ridge around the sources' weights.
        against, for_: left-out labels that only the labels alone get right, that only the sources' head gets right.
        chance: of so many against or more, were both heads alike (sign test).
        right, labels: how many of the target's labels the sources' head answers right before it has seen any.
    """

    weights: np.ndarray
    believed: bool
    against: int = 0
    for_: int = 0
    chance: float = 1.0
    right: int = 0
    labels: int = 0

    def contradicts(self, accuracy: float) -> bool:
        """Whether so few right answers are improbable (p < .01) if this share of all answers were right."""
        n, some = self.labels, range(self.right + 1)
        return n > 0 and sum(comb(n, k) * accuracy**k * (1 - accuracy) ** (n - k) for k in some) < DOUBT


def judged(rows: np.ndarray, y: np.ndarray, ridge: Ridge) -> Trust:
    """The head for a target, given the support's (n, d) rows and (n,) labels.

    The sources are believed unless a sign test over left-out labels says, at p < .01, that the labels alone do better:
    where a column means the opposite of what it meant in the sources, no small change of their weights helps.
    """
    weights = ridge.update(rows, y)
    classes = weights.shape[1]
    if not len(y) or not ridge.weights.any():
        return Trust(weights, True)
    before = {"right": int(((rows @ ridge.weights).argmax(axis=1) == y).sum()), "labels": len(y)}
    if len(y) <= classes:
        return Trust(weights, True, **before)
    truth = one_hot(y, classes)
    residual = truth - rows @ ridge.weights
    with_sources = (truth - left_out(rows, residual, ridge.strength_at(len(y) / classes))).argmax(axis=1) == y
    share = truth.mean(axis=0)
    misses = {strength: left_out(rows, truth - share, strength) for strength in ALONE}
    errors = {strength: float((one**2).sum()) for strength, one in misses.items()}
    alone = (truth - misses[min(CHANGES, key=errors.__getitem__)]).argmax(axis=1) == y
    against, for_ = int((alone & ~with_sources).sum()), int((with_sources & ~alone).sum())
    chance = sum(comb(against + for_, k) for k in range(against, against + for_ + 1)) / 2 ** (against + for_)
    if chance >= DOUBT:
        return Trust(weights, True, against, for_, chance, **before)
    own = centred_update(rows, truth - share, min(ALONE, key=errors.__getitem__))
    own[-1] += share  # the last column is a constant
    return Trust(own.astype(np.float32), False, against, for_, chance, **before)


KIND, FORMAT = "mldgg.adapted", 4


class Adapted:
    """What `MLDGG.adapt` returns.

    Attributes:
        model: the fitted model it came from.
        graph: name of the target; classes: names of its class ids.
        reading: what was read off its unlabelled nodes: class mix, shift, words, walk; None where nothing was.
        trust: what its labels say of the sources.

    Examples:
        >>> from mldgg import MLDGG, GraphDomains, Simulated, split_support
        >>> domains = GraphDomains(Simulated(graphs=3, nodes=100).draw(seed=0))
        >>> target = domains["south"]
        >>> support = split_support(target.y, shots=2, seed=0).support
        >>> adapted = MLDGG(gate=False).fit(domains.without("south")).adapt(target.hidden(support))
        >>> adapted.predict().shape, adapted.trust.believed
        ((100,), True)
    """

    def __init__(self, model: Model, data: Graph, seen: Seen, trust: Trust) -> None:
        self.model, self.graph, self.classes = model, data.name, data.classes
        self.reading, self.trust, self._data, self._seen = seen.reading, trust, data, seen

    def predict(self) -> np.ndarray:
        """(N,) class ids of all nodes of the target."""
        return self.predict_proba().argmax(axis=1)

    def predict_proba(self) -> np.ndarray:
        """(N, C) class probabilities.

        Where rehearsal has chosen a walk, they are spread over the graph's edges (personalised PageRank).
        """
        walk = 0.0 if self.reading is None else self.reading.walk
        step = self._data.step(self.model.fitted.weights(self._data)) if walk else None
        return spread_over(self.scores(), step, walk)

    def scores(self) -> np.ndarray:
        """(N, C) class probabilities of the ridge, before any walk."""
        return self.model.fitted.probabilities(self._seen.rows, self.trust.weights)

    def report(self, among: Any = None) -> dict[str, Any]:
        """What to know before the answers are used, as JSON values.

        `expected accuracy` is the mean largest probability, moved by half of the median gap of rehearsals on the
        sources (a few graphs say little of the next one), with the range of their gaps; None without rehearsals, and
        where the target has no edge, since rehearsals had theirs.
        `class mix` has for each class its share of the answers and an interval, or is "unknown" where estimates
        disagree; `off` has the parts that rehearsal or the target's labels left out.

        Args:
            among: (N,) bool, the nodes whose answers will be used, where that is not all of them: those that have one
                of the classes at all, say. `nodes` and accuracy are of these.
        """
        chances, solver = self.predict_proba(), self.model.fitted
        asked = np.ones(len(chances), bool) if among is None else np.asarray(among)
        if asked.dtype != bool or asked.shape != (len(chances),) or not asked.any():
            got = f"dtype {asked.dtype}, shape {asked.shape}"
            raise InputError("among", got=got, expected=f"({len(chances)},) bool with at least one node")
        gaps = np.array(solver.choice.gaps)
        sure = float(chances[asked].max(axis=1).mean())
        report: dict[str, Any] = {"nodes": int(asked.sum()), "mean largest probability": round(sure, 4)}
        expected = [float(np.clip(sure + one, 0, 1)) for one in (
            np.median(gaps) / 2, min(gaps.min(), 0), max(gaps.max(), 0))
        ] if gaps.size and self._data.edge_index.size else None  # fmt: skip
        report["expected accuracy"] = None if expected is None else [round(one, 4) for one in expected]
        off = ["edge gate"] * (solver.gate is None or solver.power == 0)
        if self.reading is not None:
            every = float(chances.max(axis=1).mean()) + (float(np.median(gaps)) / 2 if gaps.size else 0.0)
            report["class mix"] = self._mix(chances, float(np.clip(every, 0, 1)))
            report |= {"features around": self.reading.around, "words": self.reading.words, "walk": self.reading.walk}
            off += ["walk"] * (self.reading.walk == 0) + ["joint words"] * (self.reading.words != "joint")
            off += ["second fit to answers on the target"] * (not self.reading.again)
        return report | {"sources believed": self.trust.believed, "off": off}

    def _mix(self, chances: np.ndarray, accuracy: float) -> dict[str, list[float]] | str:
        """By class its share of the answers with an interval, or "unknown" where what is known of them disagrees.

        The interval spans the share of answers before and after the walk and the mean probability, and half of the
        share of nodes that are expected to be wrong. The shares are unknown if the answers and the mean probabilities
        are far apart, if the edges did not decide between two heads whose answers are, or if the labels contradict the
        expected accuracy.

        Args:
            chances: (N, C) probabilities. accuracy: expected share of right answers.
        """
        reading, count = self.reading, chances.shape[1]
        assert reading is not None
        estimates = np.stack([
            np.bincount(chances.argmax(axis=1), minlength=count) / len(chances), chances.mean(axis=0), reading.mix,
        ])  # fmt: skip
        apart = np.abs(estimates[1:] - estimates[0]).sum(axis=1).max() / 2
        doubtful = not reading.decided and reading.other > DISAGREE
        if apart > DISAGREE or doubtful or self.trust.contradicts(accuracy):
            return "unknown"
        low, high = estimates.min(axis=0) - (1 - accuracy) / 2, estimates.max(axis=0) + (1 - accuracy) / 2
        table = np.stack([estimates[0], np.maximum(low, 0), np.minimum(high, 1)], axis=1)
        rows = np.round(table.astype(float), 4).tolist()
        return {str(name): row for name, row in zip(self.classes, rows, strict=True)}

    def sure(self, risk: float) -> np.ndarray:
        """(N,) bool: the most nodes, surest first, among which at most a share `risk` is expected to be wrong.

        Expected is one minus each node's largest probability, moved by what rehearsals say of it.
        """
        if not 0 <= risk <= 1:
            raise InputError("risk", got=risk, expected="a share in [0, 1]")
        largest = self.predict_proba().max(axis=1)
        gaps = np.array(self.model.fitted.choice.gaps or (0.0,))
        wrong = np.clip(1 - largest - (gaps.min() + np.median(gaps)) / 2, 0, 1)  # on the safe side of the middle
        order = np.argsort(wrong, kind="stable")
        within = np.cumsum(wrong[order]) / np.arange(1, len(order) + 1) <= risk
        answered = np.zeros(len(order), bool)
        answered[order[: int(np.flatnonzero(within).max(initial=-1)) + 1]] = True
        return answered

    def edge_weight(self, edge_index: Any = None) -> np.ndarray:
        """(E,) learned weights of edges of the target, all of its own by default.

        The gate's probability that both ends have one label, for edges that the graph has; ones without a gate.

        Args:
            edge_index: (2, E) node indices.
        Raises: InputError that names a pair without an edge.
        """
        graph = self._data
        asked = graph.edge_index if edge_index is None else np.asarray(edge_index, np.int64)
        if asked.ndim != 2 or asked.shape[0] != 2 or asked.min(initial=0) < 0 or asked.max(initial=0) >= len(graph):
            raise InputError("edge_index", got=f"shape {asked.shape}", expected=f"(2, E) of nodes below {len(graph)}")
        chances = self.model.fitted.chances(graph)
        keys, wanted = (one[0] * len(graph) + one[1] for one in (graph.edge_index, asked))
        at = np.minimum(np.searchsorted(keys, wanted), max(keys.size - 1, 0))
        missing = np.flatnonzero(keys[at] != wanted) if keys.size else np.arange(wanted.size)
        if missing.size:
            pair = tuple(int(one) for one in asked[:, missing[0]])
            raise InputError("edge_index", got=f"{pair}, which is no edge", expected="edges of the adapted graph")
        return chances[at]

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write model and adaptation to one safetensors file; the target's data is not in it."""
        arrays = {**self.model.arrays(), "weights": self.trust.weights}
        names = [one.item() if isinstance(one, np.generic) else one for one in self.classes]
        meta = {"model": self.model.about(), "graph": self.graph, "classes": names}
        meta["trust"] = {key: one for key, one in vars(self.trust).items() if key != "weights"}
        one = self.reading
        meta["transductive"] = one is None or one.around != "nothing" or one.walk > 0 or one.words == "joint"
        head = self._seen.head
        if head is not None and head is not self.model.fitted.head:  # joint words of this target
            head = replace(head, grams=None)  # the weights that they lead to are in the file
            arrays |= {f"joint/{name}": one for name, one in head.arrays().items()}
            arrays |= {f"joint/encoder/{name}": one for name, one in head.encoder.arrays().items()}
        about = {"kind": KIND, "format_version": FORMAT, "package": "mldgg"}
        artifacts.save(path, arrays, **about, meta=meta, force=force)

    @staticmethod
    def about_file(path: str | Path) -> dict[str, Any] | None:
        """Graph, classes, seed and model of a file that `save` wrote; None for a file of another kind."""
        try:
            meta = artifacts.Artifact(path, kind=KIND, format_version=FORMAT).meta
        except ArtifactError as error:
            if "not a mldgg.adapted" in str(error):
                return None
            raise
        with whole(path, "adapted model"):
            check_arrays({}, meta, {"model": dict, "graph": str, "classes": list})
            return {**meta, "seed": meta["model"]["seed"]}

    @classmethod
    def load(cls, path: str | Path, data: Any) -> Adapted:
        """Read what `save` wrote, for the graph it was adapted to (or another one with its features and classes)."""
        held = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        with whole(path, "adapted model"):
            arrays = {name: held.numpy(name) for name in held.names}
            check_arrays(
                arrays, held.meta, {"model": dict, "graph": str, "classes": list, "trust": dict, "transductive": bool}
            )
            model, joint = Model.restored(arrays, held.meta["model"]), under(arrays, "joint/")
            solver, trust = model.fitted, Trust(arrays["weights"], **held.meta["trust"])
            head = solver.head
            if joint:
                made = InputEncoder.load(under(joint, "encoder/"))
                head = WordHead.load(made, joint, solver.hops, solver.ridge.sharpness)
            rows = len(trust.weights) if head is None else len(head.plain)
            check_shapes({"weights": (trust.weights, (rows, len(held.meta["classes"])))})
        graph = open_graph(data, held.meta["graph"], classes=held.meta["classes"])
        seen = solver.see(graph, transductive=held.meta["transductive"], head=head if joint else None)
        return cls(model, graph, seen, trust)
