"""Sessions of a growing graph: base classes first, then a few labelled nodes of new classes, without leaks.

Differences from the published code, each of which was a leak or a mistake there: every node stands once; the base
classes are the largest by their true size (ties by class code); the base test set stays what it was in session 0; no
label beyond the support is ever handed out; support, validation and test are disjoint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import UNKNOWN, Graph

from mecoin.sessions._split import MODES, SessionSplit, Split


@dataclass(frozen=True, eq=False)
class Session:
    """What a learner sees in one session, and what it is tested on.

    Attributes:
        index: 0 for the base session.
        graph: the visible graph. Its `y` tells only what may be used: labels of the base session's training and
            validation nodes in session 0, of the support in later ones; -1 elsewhere.
        new: (N,) codes of the classes that this session brings.
        seen: codes of all classes so far, in the order in which they came.
        support: by class code the ids of its labelled nodes (session 0: its training nodes).
        validation: ids of held-out nodes of the new classes; for choices of hyper-parameters, never for a learner
            (except in session 0, where it may stop early on them).
        test: ids of the test nodes of all classes seen.
        truth: their codes.

    Examples:
        >>> from mecoin import SessionStream, Simulated
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> session = stream[1]
        >>> session.new.tolist(), session.seen.tolist(), [len(nodes) for nodes in session.support.values()]
        ([4], [0, 1, 2, 3, 4], [3])
    """

    index: int
    graph: Graph
    new: np.ndarray
    seen: np.ndarray
    support: Mapping[int, np.ndarray]
    validation: np.ndarray
    validation_truth: np.ndarray
    test: np.ndarray
    truth: np.ndarray

    @property
    def train(self) -> np.ndarray:
        """Ids of all labelled nodes of this session, by class in the order of `new`."""
        return np.concatenate([self.support[int(code)] for code in self.new])


class SessionStream:
    """A graph cut into sessions; iterate over it, as often as you like.

    Args:
        data: a Graph whose labels are all known (nodes without a label stay out of every session).
        base: number of base classes: the largest ones.
        way: new classes a session.
        shot: labelled nodes of each new class.
        mode: "inductive": a session's graph has the nodes of the classes seen so far, and the edges among them;
            "transductive": all nodes from the start.
        seed: random seed; it orders the new classes and deals out the nodes.
        sessions: number of sessions after the base one; as many as there are classes for, if left out.

    Examples:
        >>> from mecoin import SessionStream, Simulated
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> [len(session.seen) for session in stream]
        [4, 5, 6]
    """

    def __init__(
        self, data: Graph, base: int, way: int = 1, shot: int = 5, mode: str = "inductive", seed: int = 0,
        sessions: int | None = None,
    ) -> None:  # fmt: skip
        self.data = data
        self.split = Split.draw(data, base=base, way=way, shot=shot, mode=mode, seed=seed, sessions=sessions)

    @classmethod
    def from_split(cls, data: Graph, split: Split | str | Path) -> SessionStream:
        """Sessions as a split (or a split.json) says, on a graph that has its nodes and classes."""
        made = cls.__new__(cls)
        made.data, made.split = data, split if isinstance(split, Split) else Split.load(split)
        for session in made.split.sessions:
            for name in session.classes:
                data.code(name)
            data.positions(session.nodes, "nodes of the split")
        return made

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write split.json."""
        self.split.save(path, force=force)

    def __len__(self) -> int:
        return len(self.split.sessions)

    def __iter__(self) -> Iterator[Session]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Session:
        if not 0 <= index < len(self):
            raise IndexError(index)
        if self._made[index] is None:
            self._made[index] = self._session(index)
        return self._made[index]

    @cached_property
    def _made(self) -> list[Any]:
        return [None] * len(self)

    def _session(self, index: int) -> Session:
        data, parts = self.data, self.split.sessions
        so_far, now = parts[: index + 1], parts[index]
        y = np.full(len(data), UNKNOWN)
        given = [now.support, now.validation] if index == 0 else [now.support]
        for nodes_of in given:
            for name, nodes in nodes_of.items():
                y[data.positions(nodes)] = data.code(name)
        known = data.with_labels(y)
        if self.split.mode == "inductive":
            known = known.induced(data.positions(np.concatenate([part.nodes for part in so_far])))
        test = np.concatenate([nodes for part in so_far for nodes in part.test.values()])
        validation = np.concatenate(list(now.validation.values()))
        new, seen = (
            np.array([data.code(name) for part in parts for name in part.classes]) for parts in ([now], so_far)
        )
        support = {data.code(name): nodes for name, nodes in now.support.items()}
        truths = (data.y[data.positions(nodes)] for nodes in (validation, test))
        return Session(index, known, new, seen, support, validation, next(truths), test, next(truths))


def refuse_future(graph: Graph, seen: set[Any]) -> None:
    """InputError with their number if the graph has labelled nodes of classes outside `seen` (names)."""
    known = graph.y[graph.y != UNKNOWN]
    future = [code for code in np.unique(known) if graph.classes[code] not in seen]
    if future:
        got = f"{int(np.isin(known, future).sum())} nodes of {len(future)} classes that have not come yet"
        hint = "cut it with SessionStream, or say mode='transductive'"
        raise InputError("graph", got=got, expected="an inductive graph without them", hint=hint)


__all__ = ["MODES", "Session", "SessionSplit", "SessionStream", "Split", "refuse_future"]
