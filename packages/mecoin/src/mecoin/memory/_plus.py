"""`mecoin+` (ours): class prototypes in the whitened output of an encoder, refined with unlabelled nodes.

That is linear discriminant analysis whose new means are moved by expectation-maximisation. The published method's rows
and head added nothing to it and are not here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ninefold_graphs import Graph, check_shapes, softmax, whitening

from mecoin.memory._smu import Smu, refine, unit
from mecoin.protocol._learner import MemoryLearner, chunks
from mecoin.protocol._run import tuned
from mecoin.sessions._stream import Session

ROUNDS = 3  # of refinement
EPOCHS = 60  # of encoders among which is chosen, at most
FEWEST, LARGE = 20, 200_000  # labelled nodes of a base class and nodes of a graph, within which settings are chosen
HARDER = 1.5  # temperature of answers that are a later class: five labels tell it less well; from tuning streams
MISSED = 1.0  # logarithm of odds that later classes gain where a base class is the answer; from tuning streams
FARTHEST, CENTRES = 0.2, 10  # share of a graph's nodes that may be of no known class, groups of them; tuning streams
MOVES = 10  # of these groups away from known classes; from tuning streams
CAPTURED = 0.2  # share of a later class's labelled nodes with which a group is of that class; from tuning streams
TEMPERATURES = np.geomspace(0.5, 200, 60)


@dataclass(frozen=True)
class Content:
    """All that grows with classes; replaced as a whole, so that an interrupted session leaves the one before.

    Attributes:
        smu: prototypes, one a class.
        radius: (P,) distance to each prototype within which about 95 % of the nodes of its class are; see `novelty`.
        margin: (P,) by how much about 95 % of the nodes of each class are farther from it than from far groups at most;
            None without unlabelled nodes.
        labelled: keys of the labelled nodes of later classes; None in a base session.
    """

    smu: Smu
    radius: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    margin: np.ndarray | None = None
    labelled: Smu | None = None


def _log_lengths(z: np.ndarray) -> np.ndarray:
    """(n,) logarithms of the lengths of (n, m) rows; those of zeros are taken for very small ones."""
    return np.log(np.maximum(np.linalg.norm(z, axis=1), 1e-6))


def _averaged(graph: Graph, values: np.ndarray) -> np.ndarray:
    """(n,) means over two hops: the normalised adjacency, made to average."""
    linked = graph.degree if graph.weight is None else np.asarray(graph.adjacency.sum(axis=0)).ravel()
    root = np.sqrt(linked + 1).astype(np.float32)
    for _ in range(2):
        values = (graph.normalized @ (root * values)) / root
    return values


class MecoinPlus(MemoryLearner):
    """Prototypes in whitened keys, refined with the unlabelled nodes of each session's graph.

    Attributes:
        rounds: of refinement with unlabelled nodes; 0 for none.
        shrinkage: of the covariance that whitens.
    """

    name = "mecoin+"
    source = "ours"
    encoder_kind = "sgc"
    grid = tuple({"encoder": kind, "shrinkage": share} for kind in ("sgc", "gcn") for share in (0.1, 0.3))

    rounds: int = ROUNDS
    shrinkage: float = 0.1

    @classmethod
    def chosen(cls, session: Session, seed: int = 0, *, epochs: int | None = None, keep: bool = True) -> dict[str, Any]:
        """The setting of `grid` that is best on the base classes of a base session, of which some act as new.

        The first where that cannot be decided, with fewer than three classes or one of fewer than `FEWEST` nodes, and
        for graphs of more than `LARGE` nodes, on which training takes long.
        """
        fewest = min(len(nodes) for nodes in session.support.values())
        if len(session.new) < 3 or fewest < FEWEST or len(session.graph) > LARGE:
            return dict(cls.grid[0])
        return tuned(cls, session, 1, 5, seed, epochs=epochs or EPOCHS, keep=keep)

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) -> (n, m): z of unit length in the space where base classes are round."""
        return unit(z) @ self.transform

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        z = self.encoder.embed(graph)
        self.transform = whitening(unit(z), support, self.shrinkage)
        smu = Smu.means(self.keys(z), support)
        held = validation if validation.size else np.concatenate(list(support.values()))
        keys, columns = self.keys(z[held]), np.searchsorted(smu.owner, graph.y[held])
        self.temperature = float(np.float32(calibrated(smu, keys, columns)))  # as a file keeps it
        self.base = np.array(list(support), np.int64)
        lengths = _log_lengths(z[np.concatenate(list(support.values()))])
        self.reach = np.array([[lengths.min(), lengths.max(), max(lengths.std(), 0.05)]], np.float32)
        far, margin, groups = self._distances(graph, smu)[0], None, None
        radius, wide = _limits(far[held], len(smu.owner))
        self.spread = np.array([wide, 0], np.float32)
        if self.rounds:
            groups = self._to_far_groups(graph, far, smu, None)
        if groups is not None:
            ahead = far[held] - groups[held]
            margin, self.spread[1] = _limits(ahead, len(smu.owner))
        self.content = Content(smu, radius, margin)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        keys, smu = self.keys(self.encoder.embed(graph)), self.content.smu
        new, parts = Smu.means(keys, support), list(support.values())
        if self.rounds:
            new = refine(smu, new, keys, parts, self.rounds)
        labelled = Smu(keys[np.concatenate(parts)], np.repeat(new.owner, [len(rows) for rows in parts]))
        if self.content.labelled is not None:
            labelled = self.content.labelled.extended(labelled)
        self.content = self._with_limits(graph, smu.extended(new), labelled, parts)

    def _with_limits(self, graph: Graph, smu: Smu, labelled: Smu, support: Sequence[np.ndarray]) -> Content:
        """The content with new prototypes, and their limits of novelty from the labels of the new classes.

        A class's limit is the largest value of its labelled nodes, each left out of the prototype, plus by how much the
        95 % quantile of base classes is above their mean; it is never below that of base classes.
        """
        (far, place), content = self._distances(graph, smu), self.content
        groups = None if content.margin is None else self._to_far_groups(graph, far, smu, None)  # all groups
        known = len(content.smu.owner)
        radius = [*content.radius]
        margin = None if content.margin is None else [*content.margin]
        for column, rows in enumerate(support, known):
            weight = max(len(rows), int((place == column).sum()), 2)
            left_out = far[rows] * (weight / (weight - 1))
            radius.append(max(left_out.max() + self.spread[0], content.radius.min(initial=np.inf)))
            if margin is not None and content.margin is not None:
                own = 0.0 if groups is None else float((left_out - groups[rows]).max() + self.spread[1])
                margin.append(max(own, content.margin.min(initial=np.inf)))
        limits = None if margin is None else np.array(margin, np.float32)
        return Content(smu, np.array(radius, np.float32), limits, labelled)

    def columns(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) column of the likeliest class of each node: of the nearest prototype."""
        z = self.encoder.embed(graph)
        parts = [self.content.smu.nearest(self.keys(z[at]))[0] for at in chunks(places)]
        return np.concatenate([np.zeros(0, np.int64), *parts])

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C) probabilities."""
        smu, keys = self.content.smu, self.keys(z)
        made = np.empty((len(keys), len(smu.owner)), np.float32)
        later = ~np.isin(smu.owner, self.base)
        for block in smu.blocks(len(keys)):
            close = smu.closeness(keys[block])
            late = later[close.argmax(axis=1)]
            sharpness = 1 / (self.temperature * np.where(late, HARDER, 1.0))
            logits = (close - close.max(axis=1, keepdims=True)) * sharpness[:, None].astype(np.float32)
            if later.any() and not late.all():  # errors are mostly nodes of later classes; the answer stays
                logits[:, later] += np.where(late, 0, np.minimum(MISSED, -logits[:, later].max(axis=1)))[:, None]
            made[block] = softmax(logits)
        return made

    def novelty(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) how far each node is from all that is known, distances being means over two hops.

        With unlabelled nodes: by how much the nearest known class is farther than the nearest of the groups that the
        farthest fifth of the graph's nodes form, 1 where 95 % of the nodes of that class are below. Without: the
        distance to the nearest known class over that within which 95 % of its nodes are.
        """
        content = self.content
        far, place = self._distances(graph, content.smu)
        radius = np.maximum(content.radius, 1e-12)[place]
        groups = None if content.margin is None else self._to_far_groups(graph, far, content.smu, content.labelled)
        if content.margin is None or groups is None:
            return (far / radius)[places]
        return (1 + (far - groups - content.margin[place]) / radius)[places]

    def nearest(self, graph: Graph, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(m,) column of the nearest class of each node and (m,) its distance, the mean over two hops."""
        far, place = self._distances(graph, self.content.smu)
        return place[places], far[places]

    def _distances(self, graph: Graph, smu: Smu) -> tuple[np.ndarray, np.ndarray]:
        """(n,) distances of all nodes to their nearest prototypes, mean over two hops, and (n,) which these are.

        Keys have unit length: outputs that are longer or shorter than those of base nodes add, to the square, by how
        many standard deviations of the logarithm they leave what base nodes have.
        """
        z = self.encoder.embed(graph)
        lengths, (low, high, spread) = _log_lengths(z), self.reach[0]
        outside = np.maximum(np.maximum(lengths - high, low - lengths), 0) / spread
        parts = [smu.nearest(self.keys(z[at])) for at in chunks(np.arange(len(z)))]
        place = np.concatenate([np.zeros(0, np.int64), *(one for one, _ in parts)])
        near = np.concatenate([np.zeros(0, np.float32), *(one for _, one in parts)])
        return _averaged(graph, np.hypot(near, outside.astype(np.float32))), place

    def _to_far_groups(self, graph: Graph, far: np.ndarray, smu: Smu, labelled: Smu | None) -> np.ndarray | None:
        """(n,) distance of all nodes to the nearest of the groups that may be of no known class, mean over two hops.

        They begin as k-means centres of the farthest nodes. Known classes among these would keep theirs: in each of
        some moves a centre becomes the mean of the nodes that are nearer to it than to other centres and to classes.
        A group that captures labelled nodes of a later class is left out at the end. None if no group is left, and
        for graphs with too few nodes.
        """
        from sklearn.cluster import KMeans

        if len(graph) <= CENTRES / FARTHEST:
            return None
        keys = self.keys(self.encoder.embed(graph))
        farthest = keys[np.argsort(-far, kind="stable")[: int(FARTHEST * len(graph))]]
        groups = np.arange(min(CENTRES, len(np.unique(farthest, axis=0))))
        means = KMeans(groups.size, n_init=2, random_state=self.seed)  # pyright: ignore[reportArgumentType]
        found = Smu(means.fit(farthest).cluster_centers_.astype(np.float32), groups)
        place, near = found.nearest(keys)
        for _ in range(MOVES):
            own = np.where(far > _averaged(graph, near), place, -1)
            centres = found.prototypes
            moved = [keys[own == one].mean(0) if (own == one).any() else centres[one] for one in groups]
            found = Smu(np.stack(moved), groups)
            place, near = found.nearest(keys)
        unknown = found if labelled is None else found.without(captors(found, smu, labelled))
        if unknown is not found and unknown.owner.size:
            near = unknown.nearest(keys)[1]
        return _averaged(graph, near) if unknown.owner.size else None

    def forget(self, codes: np.ndarray) -> None:
        """Drop classes: their prototypes."""
        content = self.content
        kept = ~np.isin(content.smu.owner, codes)
        margin = None if content.margin is None else content.margin[kept]
        labelled = None if content.labelled is None else content.labelled.without(codes)
        self.content = Content(content.smu.without(codes), content.radius[kept], margin, labelled)
        self.classes = self.classes[~np.isin(self.classes, codes)]

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, by name."""
        content, smu = self.content, self.content.smu
        arrays = {"construction.transform": self.transform, "base": self.base, "reach": self.reach}
        arrays |= {"smu.prototypes": smu.prototypes, "smu.owner": smu.owner, "radius": content.radius}
        arrays |= {"temperature": np.array([self.temperature], np.float32), "spread": self.spread}
        if content.labelled is not None:
            arrays |= {"labelled.keys": content.labelled.prototypes, "labelled.owner": content.labelled.owner}
        return arrays if content.margin is None else arrays | {"margin": content.margin}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave."""
        self.transform, self.base, self.reach = (arrays[one] for one in ("construction.transform", "base", "reach"))
        smu = Smu(arrays["smu.prototypes"], arrays["smu.owner"])
        count = (len(smu.owner),)
        limits = {name: arrays[name] for name in ("radius", "margin") if name in arrays}
        if all(one.shape == (1,) for one in limits.values()):  # one limit for all classes, before version 0.3
            limits = {name: np.repeat(one, count) for name, one in limits.items()}
        labelled = None
        if "labelled.keys" in arrays:
            labelled = Smu(arrays["labelled.keys"], arrays["labelled.owner"])
            check_shapes({"labelled.keys": (labelled.prototypes, (len(labelled.owner), smu.prototypes.shape[1]))})
            if labelled.owner.ndim != 1 or not np.isin(labelled.owner, smu.owner).all():
                raise ValueError("labelled keys belong to other classes than the model has")
        self.content = Content(smu, limits["radius"], limits.get("margin"), labelled)
        self.spread = arrays.get("spread", np.zeros(2, np.float32))
        check_shapes({name: (one, count) for name, one in limits.items()})
        needed = {"temperature": (arrays["temperature"], (1,)), "spread": (self.spread, (2,))}
        check_shapes({**needed, "reach": (self.reach, (1, 3))})
        self.temperature = float(arrays["temperature"][0])

    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""
        smu = self.content.smu
        grown = smu.prototypes.nbytes + smu.owner.nbytes
        report = {"prototypes (grow)": grown, "construction (constant)": self.transform.nbytes}
        labelled = self.content.labelled
        if labelled is not None:
            report["labelled keys (grow)"] = labelled.prototypes.nbytes + labelled.owner.nbytes
        return report


def captors(groups: Smu, smu: Smu, labelled: Smu) -> np.ndarray:
    """Numbers of the groups that hold at least `CAPTURED` of the labelled nodes of one class.

    A group holds a node that is nearer to it than to other groups and to the prototype of the node's class.

    Args:
        groups: centres. smu: prototypes. labelled: keys of labelled nodes, owners being their classes.
    """
    place, near = groups.nearest(labelled.prototypes)
    found = []
    for code in np.unique(labelled.owner):
        keys, here = labelled.prototypes[labelled.owner == code], labelled.owner == code
        held = near[here] < np.linalg.norm(keys - smu.prototypes[smu.owner == code][0], axis=1)
        counts = np.bincount(place[here][held], minlength=len(groups.owner))
        found.append(groups.owner[counts >= max(CAPTURED * here.sum(), 1)])
    return np.unique(np.concatenate([np.zeros(0, np.int64), *found]))


def _limits(values: np.ndarray, classes: int) -> tuple[np.ndarray, float]:
    """(classes,) 95 % quantile of base validation nodes, the same for all base classes, and its excess over the mean.

    A quantile for each base class ranks nodes worse: its area under the ROC curve on Photo is .81, and .88 with one.
    """
    every = float(np.quantile(values, 0.95))
    return np.full(classes, every, np.float32), every - float(values.mean())


def calibrated(smu: Smu, keys: np.ndarray, columns: np.ndarray) -> float:
    """The temperature at which the likelihood of the right prototypes (columns) of validation keys is largest."""
    close = smu.closeness(keys)
    rows = np.arange(len(keys))
    loss = [-np.log(softmax(close / one)[rows, columns] + 1e-12).mean() for one in TEMPERATURES]
    return float(TEMPERATURES[int(np.argmin(loss))])
