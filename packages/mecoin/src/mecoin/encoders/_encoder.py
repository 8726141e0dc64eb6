"""What an encoder is: fitted on the base classes once, then frozen for ever; and how those with weights are trained."""

from __future__ import annotations

import copy
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold_graphs import Graph
from torch import Tensor, nn
from torch.nn import functional as F


class Encoder(ABC):
    """Node features in a graph -> (n, dim) float32. Frozen once fitted.

    Examples:
        >>> import numpy as np
        >>> from mecoin import Encoder, Graph
        >>> class Columns(Encoder):
        ...     kind, dim, width = "columns", 2, 3
        ...
        ...     def fit(self, graph, train, validation, seed=0):
        ...         return self
        ...
        ...     def _embed(self, graph):
        ...         return graph.x[:, :2]
        ...
        ...     def arrays(self):
        ...         return {}
        ...
        ...     def load(self, arrays):
        ...         pass
        >>> Columns().embed(Graph.of(np.eye(3), [[0], [1]])).shape
        (3, 2)
    """

    kind: ClassVar[str]
    version: ClassVar[int] = 1  # of what it computes: part of the key under which a fitted one is kept
    dim: int
    width: int  # of the features it was fitted on

    def __init__(self) -> None:
        self._embeddings: weakref.WeakKeyDictionary[Graph, np.ndarray] = weakref.WeakKeyDictionary()

    @abstractmethod
    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> Encoder:
        """Fit on the base session's graph, and forget what was embedded before; train, validation: places of labelled
        nodes. Returns itself."""

    @abstractmethod
    def _embed(self, graph: Graph) -> np.ndarray: ...

    @abstractmethod
    def arrays(self) -> dict[str, np.ndarray]:
        """What it learnt, by name."""

    @abstractmethod
    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""

    def embed(self, graph: Graph) -> np.ndarray:
        """(n, dim) float32 of all nodes; kept as long as the graph lives. Do not write into it.

        Raises: InputError if the graph has another number of features than the base graph had.
        """
        if graph.width != self.width:
            raise InputError("x", got=f"{graph.width} features", expected=f"{self.width}, as when it was fitted")
        if graph not in self._embeddings:
            self._embeddings[graph] = self._embed(graph)
        return self._embeddings[graph]

    @property
    def parts(self) -> tuple[int, ...]:
        """Numbers of columns that belong together, such as those of two encoders side by side."""
        return (self.dim,)

    @property
    def nbytes(self) -> int:
        """Bytes of what it learnt."""
        return sum(array.nbytes for array in self.arrays().values())


def train_encoder(
    module: nn.Module,
    classifier: nn.Module,
    encode: Callable[[np.ndarray], Tensor],
    y: np.ndarray,
    train: np.ndarray,
    validation: np.ndarray,
    *,
    epochs: int,
    lr: float,
    weight_decay: float,
    batch: int | None = None,
) -> None:
    """Train encoder and classifier together, keep the weights that were best on validation, freeze both.

    Args:
        encode: runs the encoder for some places, (m,) -> (m, h).
        y: (n,) label codes; train, validation: places.
        batch: training nodes an epoch, drawn from all; None takes all of them.
    Checks every 10 epochs and after the last, and stops after 10 checks without a gain (published); all epochs
    without validation nodes.
    """
    classes, parts = np.unique(y[train]), (module, classifier)
    weights = [one for part in parts for one in part.parameters()]
    optimiser = torch.optim.Adam(weights, lr, weight_decay=weight_decay, fused=True)
    target = torch.from_numpy(np.searchsorted(classes, y[train]))
    held = torch.from_numpy(np.searchsorted(classes, y[validation]))
    best, waited, kept = -1.0, 0, [copy.deepcopy(part.state_dict()) for part in parts]
    for epoch in range(epochs):
        for part in parts:
            part.train()
        optimiser.zero_grad()
        chosen = torch.randint(len(train), (batch,)) if batch else slice(None)
        F.cross_entropy(classifier(encode(train[chosen])), target[chosen]).backward()
        optimiser.step()
        if (epoch + 1) % 10 and epoch + 1 < epochs:
            continue
        for part in parts:
            part.eval()
        with torch.no_grad():
            guess = classifier(encode(validation)).argmax(1)
        right = float((guess == held).float().mean()) if validation.size else float(epoch)
        if right > best:
            best, waited, kept = right, 0, [copy.deepcopy(part.state_dict()) for part in parts]
        else:
            waited += 1
            if waited == 10:
                break
    for part, state in zip(parts, kept, strict=True):
        part.load_state_dict(state)
        part.zero_grad()
        part.eval().requires_grad_(False)
