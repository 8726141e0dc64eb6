"""Query set Q_i of a task: features of some of its training inputs, without labels (paper, Auto-Switch).

On disk: "features" (N, F), float16 where they fit; from format version 2 "layers/<index>" (N, F'), features after other
layers, and of texts "words/ids", "words/counts" and "words/ends", see `Words`; the texts themselves are not stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from torch import Tensor, nn

from tswitch.routing._features import Pooling, beside, extract_layers
from tswitch.routing._inputs import Preprocess, length, ready, take, texts_of
from tswitch.routing._words import Words
from tswitch.switch._format import QUERIES

FILE = QUERIES
_KIND, _VERSION = "tswitch.query_set", 2  # written as version 1 where 0.1.0 can read it
_LAYERS, _WORDS = "layers/", "words/"


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
        features: (N, F) float16, or float32 where they do not fit into it, on the CPU.
        settings: how they were made.
        merged: the tasks whose average model made them, sorted; empty for the base model.
        layers: features (N, F') after other layers by index, for the router in closed form.
        words: of the inputs where these were texts, as hashed counts; for the router in closed form.

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
        (torch.Size([10, 32]), 640)
        >>> queries.save("banking.safetensors")
        >>> torch.equal(QuerySet.load("banking.safetensors").features, queries.features)
        True
    """

    features: Tensor
    settings: FeatureSettings
    merged: tuple[str, ...] = ()
    layers: Mapping[int, Tensor] = field(default_factory=dict)
    words: Words | None = None

    def __post_init__(self) -> None:
        if self.features.dim() != 2 or not len(self.features):
            raise InputError("query set", got=f"features of shape {tuple(self.features.shape)}", expected="(N > 0, F)")
        count = len(self.features)
        for name, held in {"features": self.features, **{f"{_LAYERS}{i}": x for i, x in self.layers.items()}}.items():
            if held.dim() != 2 or len(held) != count or not held.shape[1]:
                got = f"{name} of shape {tuple(held.shape)}"
                raise InputError("query set", got=got, expected=f"({count}, F > 0)")
            if not held.is_floating_point():
                raise InputError("query set", got=f"{name} of {held.dtype}", expected="floating-point numbers")
            bad = int((~torch.isfinite(held)).sum())
            if bad:
                raise InputError("query set", got=f"{bad} NaN or infinite {name}", expected="finite values")
        if self.words is not None and len(self.words) != count:
            got = f"{_WORDS}ends of {len(self.words)} texts"
            raise InputError("query set", got=got, expected=f"{count}, one for each row of features")

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Any,
        settings: FeatureSettings,
        *,
        n_queries: int | None = None,
        preprocess: Preprocess | None = None,
        batch_size: int = 32,
        seed: int = 0,
        merged: tuple[str, ...] = (),
        wide: bool = True,
        words: bool = True,
    ) -> QuerySet:
        """Features of the inputs by the model as it is, or of `n_queries` of them, drawn without repetition.

        Args:
            model, inputs, settings, preprocess, batch_size, seed, merged: as for `AutoSwitch`.
            n_queries: most inputs that are used; None for all.
            wide: also after the layers next to the one of `settings`, where it is one of the last two hidden states.
            words: also the inputs' words, where these are texts.
        Raises:
            InputError: no inputs, or raw inputs without `preprocess`.
        """
        if not length(inputs):
            raise InputError("inputs of a query set", got="none", expected="at least one")
        rows = np.sort(np.random.default_rng(seed).permutation(length(inputs))[:n_queries]).tolist()
        layers = beside(model, settings.layer) if wide else (settings.layer,)
        parts: dict[int | str, list[Tensor]] = {layer: [] for layer in layers}
        for start in range(0, len(rows), batch_size):
            batch = ready(model, take(inputs, rows[start : start + batch_size]), preprocess)
            for layer, part in zip(layers, extract_layers(model, batch, layers, settings.pooling), strict=True):
                parts[layer].append(part.cpu())
        held = {layer: _halved(torch.cat(part)) for layer, part in parts.items()}
        texts = texts_of(inputs) if words else None
        return cls(
            held.pop(settings.layer),
            settings,
            merged,
            {layer: value for layer, value in held.items() if isinstance(layer, int)},
            None if texts is None else Words.of([texts[row] for row in rows]),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays; a file adds a header of less than 2 KB."""
        words = 0 if self.words is None else self.words.nbytes
        return self.features.nbytes + sum(held.nbytes for held in self.layers.values()) + words

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a safetensors file, such as `query_set.safetensors` in the task's switch folder.

        Raises:
            ArtifactError: if it exists and `force` is off.
        """
        settings = {"layer": self.settings.layer, "pooling": self.settings.pooling, "model": self.settings.model}
        arrays: dict[str, Any] = {"features": self.features}
        arrays |= {f"{_LAYERS}{layer}": self.layers[layer] for layer in sorted(self.layers)}
        if self.words is not None:
            arrays |= {_WORDS + name: getattr(self.words, name) for name in ("ids", "counts", "ends")}
        old = len(arrays) == 1 and self.features.dtype == torch.float32
        artifacts.save(
            path,
            arrays,
            kind=_KIND,
            format_version=1 if old else _VERSION,
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
            layers = {
                int(name.removeprefix(_LAYERS)): artifact.torch(name)
                for name in artifact.names
                if name.startswith(_LAYERS)
            }
            words = None
            if any(name.startswith(_WORDS) for name in artifact.names):
                words = Words(*(artifact.numpy(_WORDS + name) for name in ("ids", "counts", "ends")))
            return cls(artifact.torch("features"), settings, tuple(meta["merged"]), layers, words)
        except (KeyError, TypeError, ValueError, InputError) as error:
            raise ArtifactError(path, f"is damaged: {error}") from None


def _halved(features: Tensor) -> Tensor:
    """In float16, unless that has no room for the largest."""
    half = features.to(torch.float16)
    return half if bool(torch.isfinite(half).all()) else features
