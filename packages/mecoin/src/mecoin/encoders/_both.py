"""Two encoders side by side: what needs no training keeps classes apart that training on base classes merges."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ninefold_graphs import Graph

from mecoin.encoders._encoder import Encoder
from mecoin.encoders._gcn import GcnEncoder
from mecoin.encoders._sgc import SgcEncoder


class BothEncoder(Encoder):
    """SGC's output beside the GCN's: (n, 2 hidden)."""

    kind = "both"

    def __init__(self, hidden: int = 128, **options: float) -> None:
        super().__init__()
        self.free, self.trained = SgcEncoder(hidden), GcnEncoder(hidden, **options)  # pyright: ignore[reportArgumentType]

    @classmethod
    def of(cls, free: SgcEncoder, trained: GcnEncoder) -> BothEncoder:
        """Two fitted encoders as one."""
        made = cls()
        made.free, made.trained, made.width = free, trained, free.width
        return made

    @property
    def parts(self) -> tuple[int, ...]:
        """Columns of each."""
        return self.free.dim, self.trained.dim

    @property
    def dim(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Columns of both."""
        return sum(self.parts)

    def fit(self, graph: Graph, train: np.ndarray, validation: np.ndarray, seed: int = 0) -> BothEncoder:
        """Fit one after the other."""
        self._embeddings.clear()
        self.width = graph.width
        self.free.fit(graph, train, validation, seed)
        self.trained.fit(graph, train, validation, seed)
        return self

    def _embed(self, graph: Graph) -> np.ndarray:
        return np.concatenate([self.free.embed(graph), self.trained.embed(graph)], axis=1)

    def arrays(self) -> dict[str, np.ndarray]:
        """What each learnt."""
        named = {f"sgc.{key}": array for key, array in self.free.arrays().items()}
        return named | {f"gcn.{key}": array for key, array in self.trained.arrays().items()}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take what `arrays` gave."""
        for prefix, encoder in (("sgc.", self.free), ("gcn.", self.trained)):
            encoder.load({key.removeprefix(prefix): arrays[key] for key in arrays if key.startswith(prefix)})
        self.width = self.free.width
