"""Parts of the publication by themselves: GraphGLOW (structure alone) and CSG (causal representation alone)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from ninefold.errors import InputError
from ninefold_graphs import Graph

from mldgg.domains import Method
from mldgg.meta import MLDGG


class _Part(Method):
    """The repaired network without some of its parts, trained on pooled sources, without the meta loop."""

    taken_out: ClassVar[dict[str, Any]] = {}
    space: ClassVar[dict[str, tuple[Any, ...]]] = {"hops": (6, 0), "adapt_lr": (0.01, 0.1)}

    def fit(self, sources: Sequence[Graph]) -> Self:
        """Train for as many steps as the other trained rivals."""
        self.model = MLDGG("repaired", seed=self.seed, warm_epochs=100, epochs=0, **self.taken_out, **self.options)
        self.model.fit(sources)
        if not self.model.shared:
            raise InputError("sources", got="other features or classes", expected=f"one task: {self.name} shares all")
        return self

    def predict_proba(self, target: Graph) -> np.ndarray:
        """(N, C) chances after fine-tuning on the target's labels."""
        return self.model.predict_proba(target)


class GraphGlow(_Part):
    """Pivot structure learner, refinement and regulariser (steps 1 to 4)."""

    name = "graphglow"
    source = "KDD 2023, arXiv 2306.11264"
    taken_out: ClassVar[dict[str, Any]] = {"semantics": False}


class Csg(_Part):
    """Causal semantic generative model on the GNN's embedding, without a structure learner."""

    name = "csg"
    source = "NeurIPS 2021, arXiv 2011.01681"
    taken_out: ClassVar[dict[str, Any]] = {"structure": False, "elbo": "mldgg"}
