"""A fitted model as it is kept: its options, its parts and its file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
from ninefold import artifacts
from ninefold.errors import InputError
from ninefold_graphs import under

from mldgg.meta._solver import GatedSolver
from mldgg.meta._whole import check_arrays, whole


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Options of `MLDGG`; which of the parts that may take part do so is chosen on the sources.

    Attributes:
        share: one head for all graphs; `auto`: if features and classes are the same. Without it a target needs labels.
        gate: edges may be reweighted; `features`: by the cosine of their ends' own features alone, a control.
        centre: features may be taken around each graph's mean.
        joint: the words of sources and target may span one space; the model then holds the sources' features, edges
            and labels. False for those who may not ship them.

    Examples:
        >>> from mldgg import Settings
        >>> Settings(gate=False).centre
        True
    """

    share: bool | str = "auto"
    gate: bool | str = True
    centre: bool = True
    joint: bool = True


_ALLOWED: dict[str, tuple[Any, ...]] = {
    "share": (True, False, "auto"), "gate": (True, False, "features"), "centre": (True, False), "joint": (True, False),
}  # fmt: skip


def settings_of(**options: Any) -> Settings:
    """Settings with `options`; all that is wrong is said at once."""
    known = [field.name for field in fields(Settings)]
    wrong = [f"{name} is no option" for name in options if name not in known]
    for name, values in _ALLOWED.items():
        value = options.get(name, values[0])
        if not any(value is one or (isinstance(one, str) and value == one) for one in values):
            wrong.append(f"{name} is {value!r}, not {', '.join(map(str, values))}")
    if wrong:
        raise InputError("options", got="; ".join(wrong), expected=f"some of {', '.join(known)}: see mldgg.Settings")
    return Settings(**options)


KIND, FORMAT = "mldgg.model", 4
_KEPT = {"settings": dict, "seed": int, "names": list, "classes": list, "shared": bool, "solver": dict}  # by type


class Model:
    """Settings and solver.

    Attributes:
        settings: all options.
        names, classes: of the sources, of the class ids that they share (empty if they differ).
        shared: whether one head serves all graphs.
        solver: gate, hops and ridge; None before `fit`.
        rows: 64-bit digests of each source's rows of features, for a look at overlaps with a target.
    """

    def __init__(self, seed: int, options: Mapping[str, Any]) -> None:
        self.settings = settings_of(**options)
        self.seed, self.options = seed, dict(options)
        self.rows: list[np.ndarray] = []
        self.names: tuple[str, ...] = ()
        self.classes: tuple[str, ...] = ()
        self.shared = False
        self.solver: GatedSolver | None = None

    @property
    def fitted(self) -> GatedSolver:
        """The solver of a fitted model."""
        assert self.solver is not None
        return self.solver

    def arrays(self) -> dict[str, Any]:
        """All arrays of the fitted model by path."""
        held: dict[str, Any] = {f"rows/{number}": one for number, one in enumerate(self.rows)}
        return held | {f"solver/{name}": one for name, one in self.fitted.arrays().items()}

    def about(self) -> dict[str, Any]:
        """What a file needs in addition to the arrays, as JSON values."""
        return {
            "settings": asdict(self.settings), "seed": self.seed, "names": list(self.names),
            "classes": list(self.classes), "shared": self.shared, "solver": self.fitted.about(),
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
        Model.__init__(model, about["seed"], about["settings"])
        model.names, model.classes, model.shared = tuple(about["names"]), tuple(about["classes"]), about["shared"]
        model.rows = [arrays[f"rows/{number}"] for number in range(len(model.names))]
        model.solver = GatedSolver.load(under(arrays, "solver/"), about["solver"], len(model.classes))
        return model
