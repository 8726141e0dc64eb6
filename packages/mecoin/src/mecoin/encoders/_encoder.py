"""What an encoder is, fitted on the base classes once and then frozen; how those with weights are trained; your own."""

from __future__ import annotations

import copy
import inspect
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import Graph, under
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
    def nbytes(self) -> int:
        """Bytes of what it learnt."""
        return sum(array.nbytes for array in self.arrays().values())


class TrainedEncoder(Encoder):
    """An encoder with weights: a module and a linear classifier, Adam, early stop on base validation; then frozen.

    Args:
        hidden: dimension of the output.
        epochs: at most; lr, weight_decay: of Adam.
    """

    kernel: ClassVar[Callable[[int, int], nn.Module]]  # makes a module from `width` to `dim` columns
    width_axis: ClassVar[tuple[str, int]]  # an array of weights, and its axis that is as long as there are features
    module: Any
    classifier: nn.Linear

    def __init__(self, hidden: int = 128, epochs: int = 2000, lr: float = 5e-3, weight_decay: float = 5e-4) -> None:
        super().__init__()
        self.dim, self.epochs, self.lr, self.weight_decay = hidden, epochs, lr, weight_decay
        self.classes = np.zeros(0, np.int64)

    @abstractmethod
    def _encoding(self, graph: Graph) -> Callable[[], Tensor]:
        """Runs the module on a graph, as often as called: -> (n, dim)."""

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> TrainedEncoder:
        """Cross-entropy on the training nodes, and the weights that were best on validation nodes.

        Checks every 10 epochs and after the last, and stops after 10 checks without a gain (published); all epochs
        without validation nodes.
        """
        torch.manual_seed(seed)
        self._embeddings.clear()
        self.width, self.classes = graph.width, np.unique(graph.y[train])
        self.module, self.classifier = self.kernel(self.width, self.dim), nn.Linear(self.dim, self.classes.size)
        parts, encode = nn.ModuleList([self.module, self.classifier]), self._encoding(graph)
        optimiser = torch.optim.Adam(parts.parameters(), self.lr, weight_decay=self.weight_decay, fused=True)
        target, held = (torch.from_numpy(np.searchsorted(self.classes, graph.y[one])) for one in (train, validation))
        best, waited, kept = -1.0, 0, copy.deepcopy(parts.state_dict())
        for epoch in range(self.epochs):
            parts.train()
            optimiser.zero_grad()
            F.cross_entropy(self.classifier(encode()[train]), target).backward()
            optimiser.step()
            if (epoch + 1) % 10 and epoch + 1 < self.epochs:
                continue
            parts.eval()
            with torch.no_grad():
                guess = self.classifier(encode()[validation]).argmax(1)
            right = float((guess == held).float().mean()) if validation.size else float(epoch)
            waited += 1
            if right > best:
                best, waited, kept = right, 0, copy.deepcopy(parts.state_dict())
            if waited == 10:
                break
        parts.load_state_dict(kept)
        optimiser.zero_grad()
        parts.eval().requires_grad_(False)
        return self

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            return self._encoding(graph)().numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights of the module and of the base classifier, and the classes it knows."""
        parts = {self.kind: self.module, "classifier": self.classifier}
        named = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
        return {key: value.numpy() for key, value in named.items()} | {"classes": self.classes}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        weights, axis = self.width_axis
        self.classes, self.width = arrays["classes"], arrays[weights].shape[axis]
        self.dim = arrays["classifier.weight"].shape[1]
        self.module, self.classifier = self.kernel(self.width, self.dim), nn.Linear(self.dim, self.classes.size)
        for prefix, part in ((f"{self.kind}.", self.module), ("classifier.", self.classifier)):
            part.load_state_dict({key: torch.from_numpy(array) for key, array in under(arrays, prefix).items()})
            part.eval().requires_grad_(False)


def dense(graph: Graph) -> Tensor:
    """(n, d) features as a dense tensor."""
    return torch.from_numpy(graph.x.toarray() if sp.issparse(graph.x) else graph.x)


class ModuleEncoder(Encoder):
    """A module that was trained elsewhere: it is called as `module(x, edge_index)`, and never trained here.

    For a graph with edge weights it is called with `edge_weight=` as well, as PyG's modules take it; a module that has
    no such argument is refused there.

    Args:
        module: x (n, d) float32 and edge_index (2, E) int64, optionally edge_weight (E,) float32 -> (n, h).
    """

    kind = "own"

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> ModuleEncoder:  # noqa: ARG002  (nothing is trained)
        """Freeze it, and learn its width."""
        self.module.eval().requires_grad_(False)
        self._embeddings.clear()
        self.width = graph.width
        self.dim = self.embed(graph).shape[1]
        return self

    def _weights(self, graph: Graph) -> dict[str, Tensor]:
        """The argument `edge_weight` of a weighted graph; InputError if the module has none."""
        weight = graph.edge_weights()
        if weight is None:
            return {}
        if "edge_weight" not in inspect.signature(self.module.forward).parameters:
            got, expected = "a module without the argument edge_weight", "one that uses the graph's edge weights"
            raise InputError("encoder", got=got, expected=expected, hint="or drop the weights of the graph")
        return {"edge_weight": torch.from_numpy(weight)}

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            z = self.module(dense(graph), torch.from_numpy(graph.edge_index), **self._weights(graph))
        if not isinstance(z, torch.Tensor) or z.ndim != 2 or len(z) != len(graph):
            got = f"shape {tuple(z.shape)}" if isinstance(z, torch.Tensor) else type(z).__name__
            raise InputError("encoder's output", got=got, expected=f"a tensor of {len(graph)} rows, one a node")
        if not bool(torch.isfinite(z).all()):
            row = int((~torch.isfinite(z)).any(dim=1).nonzero()[0])
            raise InputError("encoder's output", got="NaN or infinity", expected="finite values", where=f"row {row}")
        return np.ascontiguousarray(z.detach().cpu().numpy(), np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The module's state, and the width and dimension it has."""
        state = {f"module.{key}": value.detach().cpu().numpy() for key, value in self.module.state_dict().items()}
        return state | {"shape": np.array([self.width, self.dim])}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave, into a module of the same structure."""
        state = {key[7:]: torch.from_numpy(array) for key, array in arrays.items() if key.startswith("module.")}
        try:
            self.module.load_state_dict(state)
        except RuntimeError as error:
            raise ArtifactError("encoder", f"does not fit the module that was given: {error}") from None
        self.module.eval().requires_grad_(False)
        self.width, self.dim = map(int, arrays["shape"])
