"""The method as published, made valid (`PaperModel`): SMU, MeCs, GraphInfo, MRaM and GKIM together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold_graphs import Graph, check_shapes, under

from mecoin.encoders._encoder import Encoder
from mecoin.memory._smu import Smu
from mecoin.paper._interaction import Head, Interaction, Mram
from mecoin.paper._keys import Constructed, Published
from mecoin.protocol._learner import MemoryLearner

ANSWERS = ("memory", "head", "mean")
REPLAYED = 5  # labelled nodes of each class that later sessions replay, as the released code does


@dataclass(frozen=True)
class Kept:
    """A few labelled nodes of each class, replayed in later sessions.

    Attributes:
        z: (n, m) float32, the encoder's output as it was in the session of the class.
        target: (n,) columns of their classes.
        session: (n,) in which they came, 0 for the base session.
    """

    z: np.ndarray
    target: np.ndarray
    session: np.ndarray

    def extended(self, other: Kept) -> Kept:
        """With more nodes behind."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Kept(*(np.concatenate(pair) for pair in pairs))

    def among(self, here: np.ndarray) -> Kept:
        """Those where an (n,) mask is true."""
        return Kept(self.z[here], self.target[here], self.session[here])


@dataclass(frozen=True)
class Content:
    """All that grows with classes; replaced as a whole, so that an interrupted session leaves the one before."""

    smu: Smu
    mram: Mram
    head: Head | None
    kept: Kept
    radius: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))  # see `novelty`

    def without(self, codes: np.ndarray, stays: np.ndarray) -> Content:
        """Without the prototypes of some classes, their rows, and the columns where the (C,) mask `stays` is false."""
        head = self.head
        if head is not None:
            smaller = Head(head.first.in_features, int(stays.sum()), head.first.out_features)
            state = head.state_dict()
            state |= {key: state[key][torch.from_numpy(stays)] for key in ("last.weight", "last.bias")}
            smaller.load_state_dict(state)
            head = smaller.eval().requires_grad_(False)
        rows = Mram(self.mram.rows[~np.isin(self.smu.owner, codes)][:, stays])
        kept = self.kept.among(stays[self.kept.target])
        kept = replace(kept, target=(np.cumsum(stays) - 1)[kept.target])
        return Content(self.smu.without(codes), rows, head, kept, self.radius)


class PaperMecoin(MemoryLearner):
    """Prototypes for matching, rows for what they predict, a head that distils into new rows.

    Each session trains the head on its support and on `replay` kept nodes of each earlier class: the memory loss is
    about samples of old classes, and with new support alone it pulls new nodes to the wrong class.

    Args:
        encoder: fitted, frozen.
        published: settings of MeCs and GraphInfo; interaction: how rows and head are trained.
        per_class: prototypes a class.
        replay: labelled nodes kept of each class.
        answer: "memory" (the retrieved row), "head", or the "mean" of both.
    """

    name = "mecoin (paper)"
    source = "NeurIPS 2024, arXiv 2411.06659"

    def __init__(
        self, encoder: Encoder, *, published: Published = Published(), interaction: Interaction = Interaction(),
        per_class: int = 1, replay: int = REPLAYED, answer: str = "mean", seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(encoder, seed=seed)
        if answer not in ANSWERS:
            raise InputError("answer", got=repr(answer), expected=f"one of {', '.join(ANSWERS)}")
        self.construction, self.interaction = Constructed(published), interaction
        self.per_class, self.replay, self.answer = per_class, replay, answer

    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, k): those of MeCs and GraphInfo."""
        return self.construction.keys(z)

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        z = self.encoder.embed(graph)
        self.construction.fit(z, support, self.seed)
        none = np.zeros(0, np.int64)
        kept = Kept(np.zeros((0, z.shape[1]), np.float32), none, none)
        empty = Content(Smu.empty(self.keys(z[:1]).shape[1]), Mram(np.zeros((0, 0), np.float32)), None, kept)
        learnt = self._learn(z, support, empty)
        held = validation if validation.size else np.concatenate(list(support.values()))
        far = learnt.smu.nearest(self.keys(z[held]))[1]
        radius = np.quantile(far, 0.95, keepdims=True).astype(np.float32)
        self.content = self.first = replace(learnt, radius=radius)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        self.content = self._learn(self.encoder.embed(graph), support, self.content)

    def _learn(self, z: np.ndarray, support: Mapping[int, np.ndarray], before: Content) -> Content:
        """What the memory holds after these classes; nothing of it is kept before all is done."""
        keys = self.keys
        made = [class_prototypes(keys(z[at]), self.per_class, self.seed) for at in support.values()]
        owner = np.repeat(np.array(list(support), np.int64), [len(one) for one in made])
        smu = before.smu.extended(Smu(np.concatenate(made).astype(np.float32), owner))
        first = before.mram.rows.shape[1]
        columns = np.arange(first, first + len(support))
        session = int(before.kept.session.max(initial=-1)) + 1
        target = np.repeat(columns, [len(at) for at in support.values()])
        samples = Kept(z[np.concatenate(list(support.values()))], target, np.full(len(target), session))
        target = np.repeat(columns, [min(self.replay, len(at)) for at in support.values()])
        chosen = np.concatenate([self._chosen(z[at]) for at in support.values()])
        fresh = Kept(chosen, target, np.full(len(target), session))
        every = samples.extended(before.kept)
        head, rows = self.interaction.learn(
            before.head, before.mram, self.construction.features(every.z), every.target,
            smu.nearest(keys(every.z))[0], len(owner), self.seed,
        )  # fmt: skip
        return Content(smu, before.mram.extended(rows), head, before.kept.extended(fresh), before.radius)

    def _chosen(self, z: np.ndarray) -> np.ndarray:
        """The nodes of a class that are kept: all of a small one, else some by chance."""
        if len(z) <= self.replay:
            return z
        return z[np.random.default_rng(self.seed).choice(len(z), self.replay, replace=False)]

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C) probabilities."""
        content, parts = self.content, []
        if self.answer != "head":
            parts.append(content.mram.probabilities()[content.smu.nearest(self.keys(z))[0]])
        if self.answer != "memory" and content.head is not None:
            with torch.no_grad():
                parts.append(content.head(torch.from_numpy(self.construction.features(z))).softmax(1).numpy())
        return np.mean(parts, axis=0)

    def novelty(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(n,) distance to the nearest prototype over the distance within which 95 % of base validation nodes are.

        Above 1: farther from all that is known than nearly every base node is.
        """
        keys = self.keys(self.encoder.embed(graph)[places])
        return self.content.smu.nearest(keys)[1] / np.maximum(self.content.radius, 1e-12)

    def forget(self, codes: np.ndarray) -> None:
        """Drop classes as if they had never come: later sessions are learnt anew from the kept nodes.

        A head that only lost their columns would remember them in its other weights, and a class that is added again
        would not be what it was. Of base classes columns, rows and prototypes are dropped.
        """
        stays, classes = ~np.isin(self.classes, codes), self.classes
        self.classes = classes[stays]
        base = self.first.mram.rows.shape[1]
        if not stays[:base].all():
            self.content, self.first = self.content.without(codes, stays), self.first.without(codes, stays[:base])
            return
        kept, content = self.content.kept, self.first
        for session in range(1, int(kept.session.max(initial=0)) + 1):
            here = np.flatnonzero((kept.session == session) & stays[kept.target])
            if here.size:
                columns = list(dict.fromkeys(kept.target[here].tolist()))
                support = {int(classes[one]): here[kept.target[here] == one] for one in columns}
                content = self._learn(kept.z, support, content)
        self.content = content

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, by name."""
        content = self.content
        arrays = {f"construction.{key}": array for key, array in self.construction.arrays().items()}
        arrays |= {"smu.prototypes": content.smu.prototypes, "smu.owner": content.smu.owner}
        arrays |= {"mram.rows": content.mram.rows, "radius": content.radius}
        arrays |= {f"kept.{key}": value for key, value in vars(content.kept).items()}
        for name, head in (("head", content.head), ("first", self.first.head)):
            arrays |= {f"{name}.{key}": value.numpy() for key, value in (head.state_dict() if head else {}).items()}
        return arrays | {"first.rows": self.first.mram.rows}  # its prototypes and nodes are the first of all

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave."""
        self.construction.load(under(arrays, "construction."))
        smu, radius = Smu(arrays["smu.prototypes"], arrays["smu.owner"]), arrays["radius"]
        check_shapes({"radius": (radius, (1,))})
        kept = Kept(**under(arrays, "kept."))
        self.content = Content(smu, Mram(arrays["mram.rows"]), _head(under(arrays, "head.")), kept, radius)
        parts = under(arrays, "first.")
        rows = parts.pop("rows")
        base = Smu(smu.prototypes[: len(rows)], smu.owner[: len(rows)])
        self.first = Content(base, Mram(rows), _head(parts), kept.among(kept.session == 0), radius)
        self._check()

    def _check(self) -> None:
        """ValueError unless rows, kept nodes and heads belong together."""
        for name, content in (("", self.content), ("first.", self.first)):
            assert content.head is not None
            rows, kept, classes = content.mram.rows, content.kept, content.head.last.out_features
            kept_z = kept.z, (len(kept.target), content.head.first.in_features)
            found = {"rows": (rows, (len(content.smu.owner), classes)), "kept.z": kept_z}
            found["kept.session"] = kept.session, kept.target.shape
            check_shapes({name + key: one for key, one in found.items()})
            if kept.target.size and not 0 <= kept.target.min() <= kept.target.max() < classes:
                raise ValueError(f"{name}kept.target is outside of {classes} classes")
            if np.unique(content.smu.owner).size != classes:
                raise ValueError(f"{name}rows are of other classes than the head")

    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""
        content = self.content
        made = sum(array.nbytes for array in self.construction.arrays().values())
        return {
            "prototypes (grow)": content.smu.prototypes.nbytes, "rows (grow)": content.mram.rows.nbytes,
            "kept nodes (grow)": sum(one.nbytes for one in vars(content.kept).values()), "head": _bytes(content.head),
            "base session (constant)": self.first.mram.rows.nbytes + _bytes(self.first.head),
            "construction (constant)": made,
        }  # fmt: skip


def class_prototypes(keys: np.ndarray, per_class: int = 1, seed: int = 0) -> np.ndarray:
    """k-means centres of one class's keys (K, k), `per_class` of them or as many as there are distinct keys."""
    if per_class == 1:
        return keys.mean(axis=0, keepdims=True)
    from sklearn.cluster import KMeans

    count = min(per_class, len(np.unique(keys, axis=0)))
    means = KMeans(count, n_init=4, random_state=seed)  # pyright: ignore[reportArgumentType]
    return means.fit(keys).cluster_centers_.astype(np.float32)


def _head(arrays: Mapping[str, np.ndarray]) -> Head:
    """The head of these weights."""
    weights = {key: torch.from_numpy(array) for key, array in arrays.items()}
    head = Head(weights["first.weight"].shape[1], len(weights["last.bias"]), len(weights["first.bias"]))
    head.load_state_dict(weights)
    return head.eval().requires_grad_(False)


def _bytes(head: Head | None) -> int:
    return sum(4 * one.numel() for one in head.parameters()) if head else 0
