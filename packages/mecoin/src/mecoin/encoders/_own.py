"""Your own torch module as the frozen encoder."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import Graph
from torch import nn

from mecoin.encoders._encoder import Encoder, dense


class ModuleEncoder(Encoder):
    """A module that was trained elsewhere: it is called as `module(x, edge_index)`, and never trained here.

    Args:
        module: x (n, d) float32 and edge_index (2, E) int64 -> (n, h).
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

    def _embed(self, graph: Graph) -> np.ndarray:
        with torch.no_grad():
            z = self.module(dense(graph), torch.from_numpy(graph.edge_index))
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
