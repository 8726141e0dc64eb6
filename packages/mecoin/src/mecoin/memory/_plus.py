"""`mecoin+` (ours): class prototypes in the whitened output of two encoders, refined with unlabelled nodes.

That is linear discriminant analysis whose new means are moved by expectation-maximisation. The published method's rows
and head added nothing to it and are not here; models of version 0.1.0 have rows, and answer by them as they did.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from ninefold_graphs import Graph, softmax

from mecoin.encoders._encoder import Encoder
from mecoin.memory._construction import Construction, Scaled, Whitened
from mecoin.memory._refine import refine
from mecoin.memory._smu import Smu, class_prototypes
from mecoin.memory._whole import check_shapes
from mecoin.protocol._doors import below
from mecoin.protocol._learner import MemoryLearner, chunks
from mecoin.protocol._tune import tuned
from mecoin.sessions._stream import Session

ROUNDS = 3  # of refinement
SHRINKAGE = 0.1  # of the covariance that whitens keys
EPOCHS = 60  # of encoders among which is chosen, at most
FEWEST = 20  # labelled nodes of a base class, to choose settings
HARDER = 1.5  # temperature of answers that are a later class: five labels tell it less well; from tuning streams
MISSED = 1.0  # logarithm of odds that later classes gain where a base class is the answer; from tuning streams
FARTHEST, CENTRES = 0.2, 10  # share of a graph's nodes that may be of no known class, groups of them; tuning streams
TEMPERATURES = np.geomspace(0.5, 200, 60)


@dataclass(frozen=True)
class Content:
    """All that grows with classes; replaced as a whole, so that an interrupted session leaves the one before.

    Attributes:
        smu: prototypes.
        radius: (1,) distance within which 95 % of base validation nodes are; see `novelty`.
        margin: (1,) of base validation nodes, 95 % are nearer to known classes than to far groups by that or more;
            None of models before 0.3, or without unlabelled nodes.
        rows: of models of version 0.1.0, (P, C) logits of what retrieving a prototype predicts; None: its own class.
    """

    smu: Smu
    radius: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    rows: np.ndarray | None = None
    margin: np.ndarray | None = None


@dataclass(frozen=True)
class Reach:
    """How long the encoder's output is for base nodes: what lies outside is far, though keys have unit length.

    Attributes:
        limits: (parts, 3) least and largest logarithm of the length, and its standard deviation.
        parts: numbers of columns that have unit length each.
    """

    limits: np.ndarray
    parts: tuple[int, ...]

    @classmethod
    def of(cls, z: np.ndarray, parts: tuple[int, ...]) -> Reach:
        """Of (n, m) base nodes."""
        lengths = _lengths(z, parts)
        spread = np.maximum(lengths.std(axis=0), 0.05)
        return cls(np.stack([lengths.min(axis=0), lengths.max(axis=0), spread], axis=1).astype(np.float32), parts)

    def beyond(self, z: np.ndarray) -> np.ndarray:
        """(n,) standard deviations by which lengths leave what base nodes have, over all parts; 0 inside."""
        low, high, spread = self.limits.T
        lengths = _lengths(z, self.parts)
        outside = np.maximum(np.maximum(lengths - high, low - lengths), 0) / spread
        return np.linalg.norm(outside, axis=1).astype(np.float32)


def _lengths(z: np.ndarray, parts: tuple[int, ...]) -> np.ndarray:
    """(n, parts) logarithms of the lengths; those of zeros are taken for very small ones."""
    blocks = np.split(z, np.cumsum(parts)[:-1], axis=1)
    return np.log(np.maximum(np.stack([np.linalg.norm(one, axis=1) for one in blocks], axis=1), 1e-6))


def _averaged(graph: Graph, values: np.ndarray) -> np.ndarray:
    """(n,) means over two hops: the normalised adjacency, made to average."""
    root = np.sqrt(graph.degree + 1).astype(np.float32)
    for _ in range(2):
        values = (graph.normalized @ (root * values)) / root
    return values


class MecoinPlus(MemoryLearner):
    """Prototypes in whitened keys, refined with the unlabelled nodes of each session's graph.

    Args:
        encoder: fitted, frozen.
        metric: "whitened"; "cosine" of whitened keys; "euclidean" between the encoder's outputs as they are.
        per_class: prototypes a class.
        rounds: of refinement with unlabelled nodes; 0 for none.
        shrinkage: of the covariance that whitens.
    """

    name = "mecoin+"
    source = "ours"
    encoder_kind = "sgc"
    grid = (
        {"encoder": "sgc", "shrinkage": 0.1},
        {"encoder": "sgc", "shrinkage": 0.3},
        {"encoder": "gcn", "shrinkage": 0.1},
        {"encoder": "both", "shrinkage": 0.3},
    )

    def __init__(
        self,
        encoder: Encoder,
        *,
        metric: str = "whitened",
        per_class: int = 1,
        rounds: int = ROUNDS,
        shrinkage: float = SHRINKAGE,
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        self.metric, self.per_class, self.rounds = metric, per_class, int(rounds)
        whitened = metric != "euclidean"
        self.construction: Construction = Whitened(shrinkage, encoder.parts) if whitened else Scaled()
        self.temperature = 1.0
        self.base: np.ndarray | None = None  # codes of base classes; None of models before 0.3
        self.reach: Reach | None = None

    @classmethod
    def chosen(cls, session: Session, seed: int = 0, *, epochs: int | None = None, keep: bool = True) -> dict[str, Any]:
        """The setting of `grid` that is best on the base classes of a base session, of which some act as new.

        Where they are fewer than three, or one has fewer than `FEWEST` nodes, that cannot be told: the first.
        """
        if len(session.new) < 3 or min(len(nodes) for nodes in session.support.values()) < FEWEST:
            return dict(cls.grid[0])
        return tuned(cls, session, 1, 5, seed, epochs=epochs or EPOCHS, keep=keep)

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        z = self.encoder.embed(graph)
        self.construction.fit(z, support, self.seed)
        width = self.construction.keys(z[:1]).shape[1]
        empty = Smu(np.zeros((0, width), np.float32), np.zeros(0, np.int64), self.metric)
        content = self._learn(z, support, Content(empty), 0)
        held = validation if validation.size else np.concatenate(list(support.values()))
        keys = self.construction.keys(z[held])
        close = content.smu.closeness(keys)
        close[content.smu.owner != graph.y[held][:, None]] = -np.inf  # of several, the nearest of the class
        self.temperature = float(np.float32(calibrated(content.smu, keys, close.argmax(axis=1))))  # as a file keeps it
        self.base = np.array(list(support), np.int64)
        self.reach = Reach.of(z[np.concatenate(list(support.values()))], self.encoder.parts)
        far, margin = self._distances(graph, content.smu), None
        radius = np.quantile(far[held], 0.95, keepdims=True).astype(np.float32)
        if self.rounds:
            ahead = far[held] - self._to_far_groups(graph, far)[held]
            margin = np.quantile(ahead, 0.95, keepdims=True).astype(np.float32)
        self.content = replace(content, radius=radius, margin=margin)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        self.content = self._learn(self.encoder.embed(graph), support, self.content, self.rounds)

    def _learn(self, z: np.ndarray, support: Mapping[int, np.ndarray], before: Content, rounds: int) -> Content:
        """What the memory holds after these classes; nothing of it is kept before all is done."""
        keys = self.construction.keys(z)
        made = [class_prototypes(keys[at], self.per_class, self.seed) for at in support.values()]
        owner = np.repeat(np.array(list(support), np.int64), [len(one) for one in made])
        new = Smu(np.concatenate(made).astype(np.float32), owner, self.metric)
        if rounds:
            parts = [self._part(new, place, keys, support) for place in range(len(owner))]
            new = refine(before.smu, new, keys, parts, rounds)
        rows = before.rows
        if rows is not None:
            count, first = rows.shape
            grown = np.full((count + len(owner), first + len(support)), -30, np.float32)  # probability 1e-13
            grown[:count, :first] = rows
            columns = first + np.array([list(support).index(int(code)) for code in owner])
            grown[np.arange(count, len(grown)), columns] = 0
            rows = grown
        return Content(before.smu.extended(new), before.radius, rows, before.margin)

    def _part(self, new: Smu, place: int, keys: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """The labelled nodes that a new prototype was made of: those of its class that are nearest to it."""
        at = support[int(new.owner[place])]
        own = np.flatnonzero(new.owner == new.owner[place])
        nearest = Smu(new.prototypes[own], new.owner[own], self.metric).nearest(keys[at])[0]
        return at[own[nearest] == place]

    def columns(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) column of the likeliest class of each node: of the nearest prototype, if each class has one."""
        if self.content.rows is not None or len(self.content.smu.owner) != len(self.classes):
            return super().columns(graph, places)
        z = self.encoder.embed(graph)
        parts = [self.content.smu.nearest(self.construction.keys(z[at]))[0] for at in chunks(places)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C) probabilities."""
        smu, keys = self.content.smu, self.construction.keys(z)
        if self.content.rows is None:
            retrieved = (smu.owner[:, None] == self.classes).astype(np.float32)
        else:
            retrieved = softmax(self.content.rows)
        made = np.empty((len(keys), len(self.classes)), np.float32)
        later = np.zeros(len(smu.owner), bool) if self.base is None else ~np.isin(smu.owner, self.base)
        for block in smu.blocks(len(keys)):
            close = smu.closeness(keys[block])
            late = later[close.argmax(axis=1)]
            sharpness = smu.sharpness / (self.temperature * np.where(late, HARDER, 1.0))
            logits = (close - close.max(axis=1, keepdims=True)) * sharpness[:, None].astype(np.float32)
            if later.any() and not late.all():  # errors are mostly nodes of later classes; the answer stays
                logits[:, later] += np.where(late, 0, np.minimum(MISSED, -logits[:, later].max(axis=1)))[:, None]
            made[block] = softmax(logits) @ retrieved
        return made

    def novelty(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) how far each node is from all that is known, distances being means over two hops.

        With unlabelled nodes: by how much the nearest known class is farther than the nearest of the groups that the
        farthest fifth of the graph's nodes form, 1 where 95 % of base validation nodes are below. Without: the distance
        to the nearest known class over that within which 95 % of base validation nodes are.
        """
        margin = self.content.margin
        if self.rounds and margin is not None and len(graph) > CENTRES / FARTHEST:
            far = self._distances(graph, self.content.smu)
            ahead = far - self._to_far_groups(graph, far)
            return (1 + (ahead - margin) / np.maximum(self.content.radius, 1e-12))[places]
        if self.content.rows is None:
            far = self._distances(graph, self.content.smu)[places]
        else:  # of version 0.1.0, whose radius is of nodes alone
            far = self.content.smu.nearest(self.construction.keys(self.encoder.embed(graph)[places]))[1]
        return far / np.maximum(self.content.radius, 1e-12)

    def _distances(self, graph: Graph, smu: Smu) -> np.ndarray:
        """(n,) of all nodes to their nearest prototypes, mean over two hops."""
        z = self.encoder.embed(graph)
        parts = [smu.nearest(self.construction.keys(z[at]))[1] for at in chunks(np.arange(len(graph)))]
        far = np.concatenate([np.zeros(0, np.float32), *parts])
        if self.reach is not None and self.metric != "euclidean":  # keys of unit length do not tell a magnitude
            far = np.hypot(far, self.reach.beyond(z))
        return _averaged(graph, far)

    def _to_far_groups(self, graph: Graph, far: np.ndarray) -> np.ndarray:
        """(n,) distance of all nodes to the nearest k-means centre of the farthest ones, mean over two hops."""
        from sklearn.cluster import KMeans

        z = self.encoder.embed(graph)
        count = max(min(CENTRES, len(graph)), int(FARTHEST * len(graph)))
        keys = self.construction.keys(z[np.argsort(-far, kind="stable")[:count]])
        groups = min(CENTRES, len(np.unique(keys, axis=0)))
        means = KMeans(groups, n_init=2, random_state=self.seed)  # pyright: ignore[reportArgumentType]
        centres = Smu(means.fit(keys).cluster_centers_.astype(np.float32), np.arange(groups))
        parts = [centres.nearest(self.construction.keys(z[at]))[1] for at in chunks(np.arange(len(graph)))]
        return _averaged(graph, np.concatenate([np.zeros(0, np.float32), *parts]))

    def forget(self, codes: np.ndarray) -> None:
        """Drop classes: their prototypes."""
        content, stays = self.content, ~np.isin(self.classes, codes)
        rows = content.rows
        if rows is not None:
            rows = rows[~np.isin(content.smu.owner, codes)][:, stays]
        self.content = Content(content.smu.without(codes), content.radius, rows, content.margin)
        self.classes = self.classes[stays]

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, by name."""
        content = self.content
        arrays = {f"construction.{key}": array for key, array in self.construction.arrays().items()}
        arrays |= {"smu.prototypes": content.smu.prototypes, "smu.owner": content.smu.owner}
        arrays |= {"radius": content.radius, "temperature": np.array([self.temperature], np.float32)}
        arrays |= {} if self.base is None else {"base": self.base}
        arrays |= {} if self.reach is None else {"reach": self.reach.limits}
        arrays |= {} if content.margin is None else {"margin": content.margin}
        return arrays if content.rows is None else arrays | {"mram.rows": content.rows}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave, or what version 0.1.0 did."""
        self.construction.load(below("construction.", arrays))
        self.temperature = float(arrays.get("temperature", np.ones(1))[0])
        smu = Smu(arrays["smu.prototypes"], arrays["smu.owner"], self.metric)
        self.base = arrays.get("base")
        self.reach = Reach(arrays["reach"], self.encoder.parts) if "reach" in arrays else None
        rows = arrays.get("mram.rows")
        self.content = Content(smu, arrays["radius"], rows, arrays.get("margin"))
        one, needed = (1,), {} if rows is None else {"mram.rows": (rows, (len(smu.owner), rows.shape[-1]))}
        needed |= {name: (arrays[name], one) for name in ("temperature", "margin") if name in arrays}
        needed |= {"reach": (self.reach.limits, (len(self.encoder.parts), 3))} if self.reach is not None else {}
        check_shapes(needed)

    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""
        content = self.content
        rows = {} if content.rows is None else {"rows (grow)": content.rows.nbytes}
        return {
            "prototypes (grow)": content.smu.prototypes.nbytes + content.smu.owner.nbytes,
            **rows,
            "construction (constant)": sum(array.nbytes for array in self.construction.arrays().values()),
        }


def calibrated(smu: Smu, keys: np.ndarray, columns: np.ndarray) -> float:
    """The temperature at which the likelihood of the right prototypes (columns) of validation keys is largest."""
    close = smu.closeness(keys) * smu.sharpness
    rows = np.arange(len(keys))
    loss = [-np.log(softmax(close / one)[rows, columns] + 1e-12).mean() for one in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(loss))])
