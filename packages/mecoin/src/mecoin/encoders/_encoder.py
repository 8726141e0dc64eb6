"""Encoders: trained on the base classes once, then frozen for ever.

`GcnEncoder` is the publication's (two graph convolutions, a linear classifier beside them); `SgcEncoder` needs no
training: inverse-document-frequency weights, rows at unit length, a truncated SVD fitted on the base session's nodes,
two hops.
"""

from __future__ import annotations

import copy
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
import torch
from ninefold import artifacts
from ninefold.datasets import cache_dir
from ninefold.errors import ArtifactError, InputError
from ninefold.files import digest
from torch import Tensor, nn
from torch.nn import functional as F

from mecoin.encoders._field import sampled_field
from mecoin.graphs._graph import Features, Graph, Sparse
from mecoin.sessions._stream import Session

WHOLE_GRAPH_NODES = 200_000  # nodes up to which a step of training encodes the whole graph
BATCH, FANOUT = 1024, 15  # beyond: labelled nodes a step, edges of a node that a step follows
VALIDATION_NODES = 10_000  # and validation nodes at most


class _Gather(torch.autograd.Function):
    """sparse (m, n) @ dense (n, h) with a gradient for the dense factor; scipy does it without copies of edges."""

    @staticmethod
    def forward(ctx: Any, matrix: Sparse, dense: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.matrix = matrix
        return torch.from_numpy(matrix @ dense.detach().numpy())

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return None, gather(ctx.matrix.T, grad.contiguous())  # itself differentiable: TWP descends a gradient's size


def gather(matrix: Sparse, dense: Tensor) -> Tensor:
    """Sparse (m, n) times dense (n, h) float32 -> (m, h), differentiable in `dense`."""
    return _Gather.apply(matrix, dense)  # pyright: ignore[reportReturnType]


def relu_drop_half(x: Tensor) -> Tensor:
    """ReLU, then dropout at rate .5: one product, and one random bit an entry, far cheaper than a random number."""
    bits = torch.randint(256, ((x.numel() + 7) // 8,), dtype=torch.uint8).numpy()
    kept = torch.from_numpy(np.unpackbits(bits, count=x.numel()).reshape(x.shape))
    kept &= x.detach() > 0
    return x * kept.float().mul_(2)


class Gcn(nn.Module):
    """Two graph convolutions, d -> 2h -> h, ReLU and dropout .5 between them."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.weight1 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(width, 2 * hidden)))
        self.bias1 = nn.Parameter(torch.zeros(2 * hidden))
        self.weight2 = nn.Parameter(nn.init.xavier_uniform_(torch.empty(2 * hidden, hidden)))
        self.bias2 = nn.Parameter(torch.zeros(hidden))

    def forward(self, x: Features, blocks: Sequence[Sparse]) -> Tensor:
        """x (n, d), blocks: [adjacency] * 2 for the whole graph, or those of `receptive_field` -> (m, h).

        The first block is None where x has been gathered over it already (`gathered`).
        """
        first = gather(x, self.weight1) if sp.issparse(x) else torch.from_numpy(x) @ self.weight1
        inner = (first if blocks[0] is None else gather(blocks[0], first)) + self.bias1
        inner = relu_drop_half(inner) if self.training else F.relu(inner)
        return gather(blocks[1], inner @ self.weight2) + self.bias2


def gathered(x: Features, blocks: Sequence[Sparse]) -> tuple[Features, list[Sparse]]:
    """The same input of `Gcn`, its first block applied once for all if x is (nearly) dense: steps are then cheap."""
    if sp.issparse(x) and x.nnz < 0.05 * x.shape[0] * x.shape[1]:
        return x, list(blocks)
    dense = x.toarray() if sp.issparse(x) else x
    return np.ascontiguousarray(blocks[0] @ dense, np.float32), [None, *blocks[1:]]


class Encoder(ABC):
    """Node features in a graph -> (n, dim) float32. Frozen once fitted."""

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


class GcnEncoder(Encoder):
    """The publication's encoder: GCN d -> 2h -> h and a linear classifier, Adam, early stop on base validation.

    A graph of more than `WHOLE_GRAPH_NODES` nodes is trained on by batches of labelled nodes, whose neighbourhoods are
    drawn for them.
    """

    kind = "gcn"
    version = 2

    def __init__(self, hidden: int = 128, epochs: int = 2000, lr: float = 5e-3, weight_decay: float = 5e-4) -> None:
        super().__init__()
        self.dim, self.epochs, self.lr, self.weight_decay = hidden, epochs, lr, weight_decay
        self.classes = np.zeros(0, np.int64)

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> GcnEncoder:
        """Cross-entropy on the training nodes; checks every 10 epochs, stops after 10 checks without a gain."""
        torch.manual_seed(seed)
        self._embeddings.clear()
        self.width, self.classes = graph.width, np.unique(graph.y[train])
        self.module, self.classifier = Gcn(graph.width, self.dim), nn.Linear(self.dim, self.classes.size)
        encode, batch = self._whole(graph), None
        if len(graph) > WHOLE_GRAPH_NODES:
            draws = np.random.default_rng(seed)
            encode, batch = self._drawn(graph, draws), BATCH
            if len(validation) > VALIDATION_NODES:
                validation = draws.choice(validation, VALIDATION_NODES, replace=False)
        train_encoder(
            self.module, self.classifier, encode, graph.y, train, validation,
            epochs=self.epochs, lr=self.lr, weight_decay=self.weight_decay, batch=batch,
        )  # fmt: skip
        return self

    def _whole(self, graph: Graph) -> Callable[[np.ndarray], Tensor]:
        x, blocks = gathered(graph.x, [graph.normalized] * 2)
        return lambda places: self.module(x, blocks)[places]

    def _drawn(self, graph: Graph, draws: np.random.Generator) -> Callable[[np.ndarray], Tensor]:
        def encode(places: np.ndarray) -> Tensor:
            rows, blocks = sampled_field(graph, places, FANOUT, draws)
            return self.module(graph.x[rows], blocks)

        return encode

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            return self.module(graph.x, [graph.normalized] * 2).numpy()

    def arrays(self) -> dict[str, np.ndarray]:
        """Weights of the convolutions and of the base classifier, and the classes it knows."""
        named = {f"gcn.{key}": value.numpy() for key, value in self.module.state_dict().items()}
        named |= {f"classifier.{key}": value.numpy() for key, value in self.classifier.state_dict().items()}
        return named | {"classes": self.classes}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.classes, weight = arrays["classes"], arrays["gcn.weight1"]
        self.width, self.dim = weight.shape[0], weight.shape[1] // 2
        self.module, self.classifier = Gcn(self.width, self.dim), nn.Linear(self.dim, self.classes.size)
        for prefix, part in (("gcn.", self.module), ("classifier.", self.classifier)):
            part.load_state_dict(
                {key.removeprefix(prefix): torch.from_numpy(arrays[key]) for key in arrays if key.startswith(prefix)}
            )
        for part in (self.module, self.classifier):
            part.eval().requires_grad_(False)


class SgcEncoder(Encoder):
    """Simplified graph convolution without training: SVD of the features, then `hops` hops.

    Bags of words (sparse features) are weighted by inverse document frequency, and each node's at unit length, so that
    nodes with many words do not decide for their neighbours.
    """

    kind = "sgc"
    version = 2

    def __init__(self, dim: int = 128, hops: int = 2) -> None:
        super().__init__()
        self.dim, self.hops = dim, hops

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> SgcEncoder:  # noqa: ARG002  (labels are not needed)
        """Document frequencies and right singular vectors of the base session's nodes, labelled or not."""
        from sklearn.decomposition import TruncatedSVD

        self._embeddings.clear()
        self.width = graph.width
        words = sp.issparse(graph.x) and bool((graph.x.data >= 0).all())
        frequency = np.bincount(graph.x.indices, minlength=self.width) if words else np.zeros(self.width)
        self.weights = np.log((1 + len(graph)) / (1 + frequency)) if words else np.ones(self.width)
        self.weights = self.weights.astype(np.float32)
        self.unit = sp.issparse(graph.x)
        self.dim = max(1, min(self.dim, self.width, len(graph) - 1))
        if self.width == 1:  # which scikit-learn refuses; there is nothing to choose
            self.components = np.ones((1, 1), np.float32)
            return self
        svd = TruncatedSVD(self.dim, random_state=seed, n_iter=4)
        components: Any = svd.fit(self._weighted(graph.x)).components_
        self.components = components.T.astype(np.float32)
        return self

    def _weighted(self, x: Features) -> Features:
        """Weighted features; as in `fit` each node's at unit length or not, however the matrix is kept now."""
        if not sp.issparse(x):
            made = x * self.weights
            return made / np.maximum(np.linalg.norm(made, axis=1, keepdims=True), 1e-12) if self.unit else made
        made = sp.csr_array((x.data * self.weights[x.indices], x.indices, x.indptr), shape=x.shape)
        if not self.unit:
            return made
        length = np.sqrt(np.asarray((made * made).sum(axis=1)).ravel())
        made.data /= np.repeat(np.maximum(length, 1e-12), np.diff(made.indptr))
        return made

    def _embed(self, graph: Graph) -> np.ndarray:
        z = np.asarray(self._weighted(graph.x) @ self.components, np.float32)
        for _ in range(self.hops):
            z = graph.normalized @ z
        return z

    def arrays(self) -> dict[str, np.ndarray]:
        """IDF weights (d,), singular vectors (d, dim), hops (1,), whether nodes get unit length (1,)."""
        held = {"weights": self.weights, "components": self.components, "hops": np.array([self.hops])}
        return held | {"unit": np.array([self.unit], np.uint8)}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        self.weights, self.components, self.hops = arrays["weights"], arrays["components"], int(arrays["hops"][0])
        self.width, self.dim = self.components.shape
        weighed = (self.weights != 1).any()  # bags of words: all that older files tell
        self.unit = bool(arrays["unit"][0]) if "unit" in arrays else bool(weighed)


_recent: dict[Path, Encoder] = {}  # the last few of `shared_encoder`, with what they embedded

ENCODERS: dict[str, type[Encoder]] = {"gcn": GcnEncoder, "sgc": SgcEncoder}


def shared_encoder(
    session: Session, kind: str = "gcn", *, epochs: int | None = None, seed: int = 0, **options: Any
) -> Encoder:
    """The encoder of a base session, trained once: kept in the cache by data, split, kind, options and seed.

    All learners of a comparison take the same one, and with it what it embedded; a learner that trains it on works on a
    copy (`copy.deepcopy`).
    """
    if session.index != 0:
        raise InputError("session", got=session.index, expected="the base session, 0")
    if epochs is not None and kind == "gcn":  # the other is not trained
        options["epochs"] = epochs
    graph = session.graph
    train, validation = graph.positions(session.train), graph.positions(session.validation)
    key = repr((ENCODERS[kind].version, graph.digest, kind, sorted(options.items()), seed)).encode()
    key += train.tobytes() + validation.tobytes() + graph.y.tobytes()
    path = cache_dir("mecoin") / "encoders" / f"{kind}-{digest(key)[7:31]}.safetensors"
    if path in _recent:
        return _recent[path]
    encoder = ENCODERS[kind](**options)
    try:
        held = artifacts.Artifact(path, kind="mecoin.encoder", format_version=1)
        encoder.load({name: held.numpy(name) for name in held.names})
    except ArtifactError:  # not there, or of no use
        encoder.fit(graph, train, validation, seed)
        artifacts.save(path, encoder.arrays(), kind="mecoin.encoder", format_version=1, package="mecoin", force=True)
    while len(_recent) > 3:
        _recent.pop(next(iter(_recent)))
    _recent[path] = encoder
    return encoder
