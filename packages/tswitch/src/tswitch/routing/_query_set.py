"""Query set Q_i of a task: features of some of its training inputs, without labels (paper, Auto-Switch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from tswitch.routing._features import Pooling, extract
from tswitch.routing._inputs import Preprocess, length, ready, take
from tswitch.switch._format import QUERIES

FILE = QUERIES
_KIND, _VERSION = "tswitch.query_set", 1


@dataclass(frozen=True)
class FeatureSettings:
    """How features are made; query sets and inputs must agree in it.

    Attributes:
        layer: hidden state by index, or module by name, see `extract`.
        pooling: "mean" over tokens, or the "first" token.
        model: the "base", or the average of the base with all of the bank's switches ("merged").
    """

    layer: int | str = -2
    pooling: Pooling = "mean"
    model: Literal["base", "merged"] = "base"

    def __post_init__(self) -> None:
        if self.pooling not in ("mean", "first"):
            raise InputError("pooling", got=repr(self.pooling), expected="'mean' or 'first'")
        if self.model not in ("base", "merged"):
            raise InputError("feature_model", got=repr(self.model), expected="'base' or 'merged'")


@dataclass(frozen=True)
class QuerySet:
    """Features of one task's sample of training inputs.

    Attributes:
        features: (N, F) float32, on the CPU.
        settings: how they were made.
        merged: the tasks whose average model made them, sorted; empty for the base model.

    Examples:
        >>> import torch
        >>> from tswitch import AutoSwitch, QuerySet, Switch, SwitchBank

        >>> draw = torch.manual_seed(0)
        >>> model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 4)).eval()
        >>> base = {name: one.clone() for name, one in model.state_dict().items()}
        >>> bank = SwitchBank(model)
        >>> for task in ("banking", "travel"):
        ...     tuned = {name: one + 0.1 * torch.randn(one.shape, generator=draw) for name, one in base.items()}
        ...     bank.add(task, Switch.from_checkpoints(base, tuned, alpha=0.6))

        >>> inputs = {task: torch.randn(20, 16, generator=draw) for task in bank.tasks}
        >>> router = AutoSwitch(bank, n_neighbors=5, feature_layer="1", n_queries=10).fit(inputs)
        >>> queries = router.query_sets["banking"]
        >>> queries.features.shape, queries.nbytes
        (torch.Size([10, 32]), 1280)
        >>> queries.save("banking.safetensors")
        >>> torch.equal(QuerySet.load("banking.safetensors").features, queries.features)
        True
    """

    features: Tensor
    settings: FeatureSettings
    merged: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.features.dim() != 2 or not len(self.features):
            raise InputError("query set", got=f"features of shape {tuple(self.features.shape)}", expected="(N > 0, F)")
        bad = int((~torch.isfinite(self.features)).sum())
        if bad:
            raise InputError("query set", got=f"{bad} NaN or infinite features", expected="finite values")

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Any,
        settings: FeatureSettings,
        *,
        n_queries: int = 100,
        preprocess: Preprocess | None = None,
        batch_size: int = 32,
        seed: int = 0,
        merged: tuple[str, ...] = (),
    ) -> QuerySet:
        """Features of at most `n_queries` of the inputs, drawn without repetition, by the model as it is.

        Raises:
            InputError: no inputs, or raw inputs without `preprocess`.
        """
        if not length(inputs):
            raise InputError("inputs of a query set", got="none", expected="at least one")
        rows = np.sort(np.random.default_rng(seed).permutation(length(inputs))[:n_queries]).tolist()
        parts = []
        for start in range(0, len(rows), batch_size):
            batch = ready(model, take(inputs, rows[start : start + batch_size]), preprocess)
            parts.append(extract(model, batch, settings.layer, settings.pooling).cpu())
        return cls(torch.cat(parts), settings, merged)

    @property
    def nbytes(self) -> int:
        """Bytes of the features; a file adds a header of less than 1 KB."""
        return self.features.nbytes

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a safetensors file, such as `query_set.safetensors` in the task's switch folder.

        Raises:
            ArtifactError: if it exists and `force` is off.
        """
        settings = {"layer": self.settings.layer, "pooling": self.settings.pooling, "model": self.settings.model}
        artifacts.save(
            path,
            {"features": self.features},
            kind=_KIND,
            format_version=_VERSION,
            package="tswitch",
            meta={**settings, "merged": list(self.merged)},
            force=force,
        )

    @classmethod
    def load(cls, path: str | Path) -> QuerySet:
        """Read a file that `save` wrote, or the one in a switch folder.

        Raises:
            ArtifactError: naming the file, if it is missing, damaged, foreign or of a newer format.
        """
        path = Path(path)
        path = path / FILE if path.is_dir() else path
        artifact = artifacts.Artifact(path, kind=_KIND, format_version=_VERSION)
        meta: Mapping[str, Any] = artifact.meta
        try:
            settings = FeatureSettings(meta["layer"], meta["pooling"], meta["model"])
            return cls(artifact.torch("features"), settings, tuple(meta["merged"]))
        except (KeyError, TypeError, InputError) as error:
            raise ArtifactError(path, f"is damaged: {error}") from None
