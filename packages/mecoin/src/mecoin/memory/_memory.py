"""The memory as a learner: SMU, MeCs, GraphInfo, MRaM and GKIM together; variants `paper` and `mecoin+`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from ninefold.errors import InputError

from mecoin.encoders._encoder import Encoder
from mecoin.encoders._learner import Learner
from mecoin.graphs._graph import Graph
from mecoin.memory._construction import Constructed, Construction, Published, Whitened
from mecoin.memory._gkim import Head
from mecoin.memory._interaction import Interaction
from mecoin.memory._mram import Mram
from mecoin.memory._refine import refine
from mecoin.memory._smu import Smu, class_prototypes

ANSWERS = ("memory", "head", "mean")


@dataclass(frozen=True)
class Content:
    """All that grows with classes; replaced as a whole, so that an interrupted session leaves the one before."""

    smu: Smu
    mram: Mram
    head: Head | None
    radius: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))  # see `novelty`


class Memory(Learner):
    """Prototypes for matching, rows for what they predict, a head that distils into new rows.

    Args:
        encoder: fitted, frozen.
        construction: how keys are made of the encoder's output.
        interaction: how rows and head are trained.
        metric: of matching; None takes the variant's.
        per_class: prototypes a class.
        soft: mix the rows of all prototypes by closeness, instead of taking the nearest one's.
        rounds: of refinement with unlabelled nodes; 0 for none.
        answer: "memory", "head", or the "mean" of both.
    """

    def __init__(
        self,
        encoder: Encoder,
        *,
        construction: Construction,
        interaction: Interaction,
        metric: str,
        per_class: int = 1,
        soft: bool = False,
        rounds: int = 0,
        answer: str = "memory",
        seed: int = 0,
    ) -> None:
        super().__init__(encoder, seed=seed)
        if answer not in ANSWERS:
            raise InputError("answer", got=repr(answer), expected=f"one of {', '.join(ANSWERS)}")
        self.construction, self.interaction, self.metric = construction, interaction, metric
        self.per_class, self.soft, self.rounds, self.answer = per_class, soft, rounds, answer

    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        self.construction.fit(self.encoder.embed(graph), support, self.seed)
        key = self.construction.keys(self.encoder.embed(graph)[:1]).shape[1]
        empty = Smu(np.zeros((0, key), np.float32), np.zeros(0, np.int64), self.metric)
        learnt = self._learn(graph, support, Content(empty, Mram(np.zeros((0, 0), np.float32)), None), 0)
        held = validation if validation.size else np.concatenate(list(support.values()))
        far = learnt.smu.nearest(self.construction.keys(self.encoder.embed(graph)[held]))[1]
        radius = np.quantile(far, 0.95, keepdims=True).astype(np.float32)
        self.content = Content(learnt.smu, learnt.mram, learnt.head, radius)

    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        self.content = self._learn(graph, support, self.content, self.rounds)

    def _learn(self, graph: Graph, support: Mapping[int, np.ndarray], before: Content, rounds: int) -> Content:
        """What the memory holds after these classes; nothing of it is kept before all is done."""
        z = self.encoder.embed(graph)
        places = np.concatenate(list(support.values()))
        made = [class_prototypes(self.construction.keys(z[at]), self.per_class, self.seed) for at in support.values()]
        owner = np.repeat(np.array(list(support), np.int64), [len(one) for one in made])
        new = Smu(np.concatenate(made).astype(np.float32), owner, self.metric)
        if rounds:
            keys = self.construction.keys(z)
            parts = [self._part(new, place, keys, support) for place in range(len(owner))]
            new = Smu(refine(before.smu, new, keys, parts, rounds), owner, self.metric)
        smu = before.smu.extended(new.prototypes, owner)
        first = before.mram.rows.shape[1]
        target = np.repeat(np.arange(first, first + len(support)), [len(at) for at in support.values()])
        matched = smu.nearest(self.construction.keys(z[places]))[0]
        head, rows = self.interaction.learn(
            before.head, before.mram, self.construction.features(z[places]), target, matched, len(owner), self.seed
        )
        return Content(smu, before.mram.extended(rows), head, before.radius)

    def _part(self, new: Smu, place: int, keys: np.ndarray, support: Mapping[int, np.ndarray]) -> np.ndarray:
        """The labelled nodes that a new prototype was made of: those of its class that are nearest to it."""
        at = support[int(new.owner[place])]
        own = np.flatnonzero(new.owner == new.owner[place])
        nearest = Smu(new.prototypes[own], new.owner[own], self.metric).nearest(keys[at])[0]
        return at[own[nearest] == place]

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return self.probabilities(self.encoder.embed(graph)[places])

    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C) probabilities."""
        content, construction = self.content, self.construction
        parts = []
        if self.answer != "head":
            parts.append(self._retrieved(construction.keys(z)))
        if self.answer != "memory" and content.head is not None:
            with torch.no_grad():
                parts.append(content.head(torch.from_numpy(construction.features(z))).softmax(1).numpy())
        return np.mean(parts, axis=0)

    def _retrieved(self, keys: np.ndarray) -> np.ndarray:
        smu, rows = self.content.smu, self.content.mram.probabilities()
        if not self.soft:
            return rows[smu.nearest(keys)[0]]
        made = np.empty((len(keys), rows.shape[1]), np.float32)
        for block in smu.blocks(len(keys)):
            close = smu.sharpness * smu.closeness(keys[block])
            powers = np.exp(close - close.max(axis=1, keepdims=True))
            made[block] = powers / powers.sum(axis=1, keepdims=True) @ rows
        return made

    def novelty(self, z: np.ndarray) -> np.ndarray:
        """(n,) distance to the nearest prototype over the distance within which 95 % of base validation nodes are.

        Above 1: farther from all that is known than nearly every base node is.
        """
        return self.content.smu.nearest(self.construction.keys(z))[1] / np.maximum(self.content.radius, 1e-12)

    def forget(self, codes: np.ndarray) -> None:
        """Drop classes: their prototypes, rows and columns."""
        content, kept = self.content, ~np.isin(self.classes, codes)
        rows = content.mram.rows[~np.isin(content.smu.owner, codes)][:, kept]
        head = content.head
        if head is not None:
            smaller = Head(head.first.in_features, int(kept.sum()), head.first.out_features)
            state = head.state_dict()
            state |= {key: state[key][torch.from_numpy(kept)] for key in ("last.weight", "last.bias")}
            smaller.load_state_dict(state)
            head = smaller.eval().requires_grad_(False)
        self.content = Content(content.smu.without(codes), Mram(rows), head, content.radius)
        self.classes = self.classes[kept]

    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, by name."""
        content = self.content
        arrays = {f"construction.{key}": array for key, array in self.construction.arrays().items()}
        arrays |= {"smu.prototypes": content.smu.prototypes, "smu.owner": content.smu.owner}
        arrays |= {"mram.rows": content.mram.rows, "radius": content.radius}
        if content.head is not None:
            arrays |= {f"head.{key}": value.numpy() for key, value in content.head.state_dict().items()}
        return arrays

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave."""
        self.construction.load(_below("construction.", arrays))
        weights = {key: torch.from_numpy(array) for key, array in _below("head.", arrays).items()}
        head = Head(weights["first.weight"].shape[1], len(weights["last.bias"]), len(weights["first.bias"]))
        head.load_state_dict(weights)
        smu = Smu(arrays["smu.prototypes"], arrays["smu.owner"], self.metric)
        self.content = Content(smu, Mram(arrays["mram.rows"]), head.eval().requires_grad_(False), arrays["radius"])

    def memory_bytes(self) -> int:
        """Prototypes, rows, head, and the constant part of the construction."""
        return sum(self.memory_report().values())

    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""
        content = self.content
        head = 0 if content.head is None else sum(4 * one.numel() for one in content.head.parameters())
        return {
            "prototypes (grow)": content.smu.prototypes.nbytes,
            "rows (grow)": content.mram.rows.nbytes,
            "head": head,
            "construction (constant)": sum(array.nbytes for array in self.construction.arrays().values()),
        }


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}


class PaperMecoin(Memory):
    """The method as published, made valid (`variant="paper"`)."""

    name = "mecoin (paper)"
    source = "NeurIPS 2024, arXiv 2411.06659"

    def __init__(
        self,
        encoder: Encoder,
        *,
        published: Published = Published(),
        interaction: Interaction = Interaction(),
        metric: str = "euclidean",
        per_class: int = 1,
        answer: str = "memory",
        seed: int = 0,
    ) -> None:
        super().__init__(
            encoder,
            construction=Constructed(published),
            interaction=interaction,
            metric=metric,
            per_class=per_class,
            answer=answer,
            seed=seed,
        )


class MecoinPlus(Memory):
    """Ours: training-free encoder, whitened keys, soft retrieval, prototypes refined with unlabelled nodes."""

    name = "mecoin+"
    source = "ours"
    encoder_kind = "sgc"

    def __init__(
        self,
        encoder: Encoder,
        *,
        interaction: Interaction = Interaction(solve=True),
        metric: str = "whitened",
        per_class: int = 1,
        soft: bool = True,
        rounds: int = 3,
        answer: str = "memory",
        seed: int = 0,
    ) -> None:
        super().__init__(
            encoder,
            construction=Whitened(),
            interaction=interaction,
            metric=metric,
            per_class=per_class,
            soft=soft,
            rounds=rounds,
            answer=answer,
            seed=seed,
        )
