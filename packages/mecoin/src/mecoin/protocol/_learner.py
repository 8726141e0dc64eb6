"""What a learner is: one interface for the method and all its rivals."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mecoin.encoders._encoder import Encoder

CHUNK = 65_536  # nodes whose scores are held at once
Options = Mapping[str, Any]  # keyword arguments of a learner


class Learner(ABC):
    """Learns base classes once, then new ones from a few labelled nodes each, and predicts over all of them.

    It is given a fitted encoder that others share: one that trains its weights further copies it first. Nodes are
    named by id; classes by code, the same in all sessions.

    Attributes:
        name: as it is called in tables.
        source: publication, with its number.
        grid: the settings that tuning tries, as keyword arguments of the class.
        classes: (C,) codes learnt so far, in the order of the columns of scores.

    Examples:
        >>> import numpy as np
        >>> from mecoin import Learner, SessionStream, Simulated, compare
        >>> class Majority(Learner):
        ...     name, source, encoder_kind = "first class", "this page", "sgc"
        ...
        ...     def _fit(self, graph, support, validation):
        ...         self.count = len(support)
        ...
        ...     def _add(self, graph, support):
        ...         self.count += len(support)
        ...
        ...     def _scores(self, graph, places):
        ...         return np.tile(np.arange(self.count, 0, -1.0), (len(places), 1))
        ...
        ...     def memory_bytes(self):
        ...         return 8
        >>> data = Simulated(classes=6, topics=2, largest=40, smallest=30, vocabulary=60, sharpness=0.4).draw(0)
        >>> stream = SessionStream(data, base=4, way=1, shot=3)
        >>> result = compare(stream, {"first class": Majority})["first class"]
        >>> result.collapsed, [session.novel for session in result.sessions[1:]]
        (True, [0.0, 0.0])
    """

    name: ClassVar[str]
    source: ClassVar[str]
    grid: ClassVar[Sequence[Options]] = ({},)
    encoder_kind: ClassVar[str] = "gcn"  # which shared encoder it wants

    def __init__(self, encoder: Encoder, *, seed: int = 0, **options: float) -> None:
        """Options are the class attributes that are numbers: `SgcLda(encoder, shrinkage=0.3)`."""
        self.encoder, self.seed = encoder, seed
        self.classes = np.zeros(0, np.int64)
        for name, value in options.items():
            if not isinstance(getattr(type(self), name, None), int | float):
                raise InputError(f"option of {self.name}", got=name, expected="a class attribute that is a number")
            setattr(self, name, value)

    def fit_base(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        """Learn the base classes.

        Args:
            graph: the base session's; its y has the labels of support and validation nodes, nothing else.
            support: by class code the ids of its training nodes.
            validation: ids of labelled nodes held out for early stopping.
        """
        self.classes = np.array(sorted(support))
        places = {code: graph.positions(support[code], "support") for code in sorted(support)}
        self._fit(graph, places, graph.positions(validation))

    def add_classes(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Learn new classes from the ids of their labelled nodes in a later session's graph."""
        known = [code for code in support if code in self.classes]
        if known:
            raise InputError("support", got=f"class {known[0]}", expected="classes that are not known yet")
        places = {code: graph.positions(nodes, "support") for code, nodes in support.items()}
        self._add(graph, places)
        self.classes = np.concatenate([self.classes, np.array(list(support), np.int64)])

    def predict(self, graph: Graph, nodes: np.ndarray) -> np.ndarray:
        """(m,) class codes of the nodes with these ids."""
        return self.classes[self.columns(graph, graph.positions(nodes))]

    def columns(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) column of the largest score of each node, given by its index in the graph; some at a time."""
        parts = (self._scores(graph, part).argmax(axis=1) for part in chunks(places))
        return np.concatenate([np.zeros(0, np.int64), *parts])

    @abstractmethod
    def _fit(self, graph: Graph, support: Mapping[int, np.ndarray], validation: np.ndarray) -> None:
        """Learn the base classes; support and validation as places in the graph."""

    @abstractmethod
    def _add(self, graph: Graph, support: Mapping[int, np.ndarray]) -> None:
        """Learn new classes, in the order of `support`, whose columns of scores follow the old ones."""

    @abstractmethod
    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m, C) scores of nodes by index, larger is likelier."""

    @abstractmethod
    def memory_bytes(self) -> int:
        """Bytes that it keeps in addition to the encoder as it was trained on the base classes."""


class MemoryLearner(Learner):
    """A learner that answers from its encoder's output alone, can drop classes, and comes back from a file.

    Attributes:
        content: all that grows with classes, prototypes in `smu`.
    """

    content: Any

    @abstractmethod
    def keys(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, k) keys, which prototypes are compared with."""

    @abstractmethod
    def probabilities(self, z: np.ndarray) -> np.ndarray:
        """(n, m) encoder output -> (n, C) probabilities."""

    @abstractmethod
    def novelty(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        """(m,) how far each node is from all known classes; above 1, farther than about 95 % of its nearest class."""

    @abstractmethod
    def forget(self, codes: np.ndarray) -> None:
        """Drop classes."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """All that `restore` needs, by name."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `state` gave."""

    @abstractmethod
    def memory_report(self) -> dict[str, int]:
        """Bytes by part."""

    def memory_bytes(self) -> int:
        """Bytes of all parts."""
        return sum(self.memory_report().values())

    def _scores(self, graph: Graph, places: np.ndarray) -> np.ndarray:
        return self.probabilities(self.encoder.embed(graph)[places])


def chunks(places: np.ndarray) -> Iterator[np.ndarray]:
    """The places, at most `CHUNK` at a time."""
    return (places[at : at + CHUNK] for at in range(0, len(places), CHUNK))
