"""A fitted model as it is kept: its parts, how it sees a graph, and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from ninefold import artifacts
from ninefold_graphs import Graph, InputEncoder
from torch import Tensor

from mldgg.encoders import GraphTensors
from mldgg.meta._network import Network
from mldgg.meta._settings import Settings, settings_of
from mldgg.meta._solver import GatedSolver
from mldgg.meta._train import new_network
from mldgg.meta._whole import check_arrays, check_encoder, check_params, whole

KIND, FORMAT = "mldgg.model", 1
_KEPT = {
    "settings": dict, "seed": int, "names": list, "classes": list, "shared": bool, "width": int, "share": (int, float),
    "steps": int, "solver": (dict, type(None)),
}  # fmt: skip  # of the metadata, with their types


@dataclass(frozen=True)
class View:
    """A graph as the model sees it.

    Attributes:
        z: (N, d) input of gate and ridge; None without a solver.
        weight: (E,) weights of its edges; None: ones.
        tensors: what the network sees; None without a network.
    """

    z: np.ndarray | None
    weight: np.ndarray | None
    tensors: GraphTensors | None


class Model:
    """Settings, network parameters and solver.

    Attributes:
        settings: all options.
        names, classes: of the sources, of the class ids that they share (empty if they differ).
        shared: whether one theta_g, head and W_src serve all graphs.
        encoder: input columns, if they are shared.
        solver: gate, hops and ridge; None but in variant `gated`.
        params: parameters of the network that all graphs share; empty without a network.
        share: of the network in the mean with the ridge. steps: of gradient descent of the network on a target.
        shares: score of each share when sources play the target (variant gated), not in the file.
        rows: 64-bit digests of each source's rows of features, for a look at overlaps with a target.
    """

    def __init__(self, variant: str, seed: int, options: Mapping[str, Any]) -> None:
        self.settings = settings_of(variant, **options)
        self.seed, self.options = seed, dict(options)
        self.rows: list[np.ndarray] = []
        self.names: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self.shared = False
        self.width = 0
        self.encoder: InputEncoder | None = None
        self.solver: GatedSolver | None = None
        self.params: dict[str, Tensor] = {}
        self.share, self.steps = 1.0, self.settings.adapt_steps
        self.shares: dict[float, float] = {}

    def network_input(self, graph: Graph) -> Any:
        """Input of the network: all words, their directions, or the features as they are."""
        if not self.settings.words:
            return graph.x
        encoder = self.encoder if self.encoder is not None else InputEncoder.fit([graph])
        return encoder.wide(graph) if self.settings.words == "all" else encoder(graph)

    def view(self, graph: Graph) -> View:
        """The graph as the model sees it."""
        z, weight = None, None
        if self.solver is not None:
            z = self.solver.inputs(graph)
            weight = self.solver.weights(graph, z)
        tensors = GraphTensors.of(graph, self.network_input(graph), weight) if self.params else None
        return View(z, weight, tensors)

    def template(self, width: int, classes: int) -> Network:
        """A network of the right shape, whose parameters are always given from outside."""
        return new_network(width, classes, self.settings, self.seed)

    def arrays(self) -> dict[str, Any]:
        """All arrays of the fitted model by path."""
        held: dict[str, Any] = {f"params/{name}": one.detach().numpy() for name, one in self.params.items()}
        held |= {f"rows/{number}": one for number, one in enumerate(self.rows)}
        if self.solver is not None:
            held |= {f"solver/{name}": one for name, one in self.solver.arrays().items()}
        elif self.encoder is not None:
            held |= {f"input/{name}": one for name, one in self.encoder.arrays().items()}
        return held

    def about(self) -> dict[str, Any]:
        """What a file needs beside the arrays, as JSON values."""
        solver = self.solver.about() if self.solver is not None else None
        return {
            "settings": asdict(self.settings), "seed": self.seed, "names": list(self.names),
            "classes": list(self.classes), "shared": self.shared, "width": self.width, "solver": solver,
            "share": self.share, "steps": self.steps,
        }  # fmt: skip

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write one safetensors file; ArtifactError if it exists and `force` is off."""
        about = {"kind": KIND, "format_version": FORMAT, "package": "mldgg"}
        artifacts.save(path, self.arrays(), **about, meta=self.about(), force=force)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote; ArtifactError with path and reason if it is not whole."""
        held = artifacts.Artifact(path, kind=KIND, format_version=FORMAT)
        with whole(path, "model"):
            return cls.restored({name: held.numpy(name) for name in held.names}, held.meta)

    @classmethod
    def restored(cls, arrays: Mapping[str, np.ndarray], about: Mapping[str, Any]) -> Self:
        """The model that gave both; ValueError, KeyError or TypeError if parts do not fit."""
        check_arrays(arrays, about, _KEPT)
        model = cls.__new__(cls)
        Model.__init__(model, about["settings"]["variant"], about["seed"], {})
        model.settings = Settings(**about["settings"])
        model.names, model.classes = tuple(about["names"]), tuple(about["classes"])
        model.shared, model.width = about["shared"], about["width"]
        model.share, model.steps = about["share"], about["steps"]

        def part(name: str) -> dict[str, np.ndarray]:
            return {key.removeprefix(name): one for key, one in arrays.items() if key.startswith(name)}

        model.rows = [arrays[f"rows/{number}"] for number in range(len(model.names))]
        model.params = {name: torch.from_numpy(one) for name, one in part("params/").items()}
        if about["solver"] is not None:
            model.solver = GatedSolver.load(part("solver/"), about["solver"])
            model.encoder = model.solver.encoder
            model.solver.check(len(model.classes))
        elif part("input/"):
            model.encoder = InputEncoder.load(part("input/"))
            check_encoder(model.encoder, "input/")
        if model.params:
            check_params(model.params, lambda: model.template(model.width, max(len(model.classes), 1)))
        return model
