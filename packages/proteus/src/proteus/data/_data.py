"""The one table that everything here works on: a matrix of features by samples, with what is known of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from ninefold.errors import ArtifactError, InputError, require
from ninefold.files import atomic_folder, digest_file, write_text

from proteus.record._documents import own_digest, read_document

Level = Literal["protein", "peptide", "precursor", "site", "cell"]
Scale = Literal["log2", "log10", "counts", "score"]
_FORMAT = 1


@dataclass(frozen=True)
class Precision:
    """How well the values of a table that was rolled up from peptides are known.

    Attributes:
        errors: (features, samples) standard error of each level, log2.
        unseen: (features, samples) where no peptide is seen, how far the level lies from the mean of what is seen, by
            the run's curve of P(seen | level), log2; elsewhere NaN.
    """

    errors: np.ndarray
    unseen: np.ndarray

    def best(self) -> np.ndarray:
        """(features,) whether the mean error is at most that of half of all features."""
        size = self.errors.mean(1)
        return size <= np.median(size)


@dataclass(frozen=True)
class ProteomicsData:
    """Features by samples.

    Attributes:
        values: (features, samples) float64; missing is NaN, never zero. On `scale`.
        features: one row a feature, indexed by a unique id; may have `gene`, `protein`, `n_peptides`, `organism`.
        samples: one row a sample, indexed by a unique name; factors and covariates are its columns.
        level: what a feature (for `cell`: a sample) is. `cell` tables have markers as features and cells as samples.
        scale: `log2` after loading intensities; `counts` for cytometry before arcsinh; `score` for centred assays.
        source: the format it was read from.
        notes: what the loader changed or found suspicious, in words.
        precision: of a table that `roll_up` made by the peptide model; tests weigh values by it.

    Examples:
        >>> from proteus import ProteomicsData
        >>> import pandas as pd
        >>> data = ProteomicsData([[20.0, 21.5]], pd.DataFrame(index=["P1"]), pd.DataFrame(index=["run1", "run2"]))
        >>> data.shape
        (1, 2)
    """

    values: np.ndarray
    features: pd.DataFrame
    samples: pd.DataFrame
    level: Level = "protein"
    scale: Scale = "log2"
    source: str = "memory"
    notes: list[str] = field(default_factory=list)
    precision: Precision | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", np.asarray(self.values, dtype=np.float64))
        shape = (len(self.features), len(self.samples))
        if self.values.shape != shape:
            turned = "transpose it: features are rows" if self.values.shape == shape[::-1] else None
            expected = f"(features, samples) = {shape}"
            raise InputError("values", got=f"shape {self.values.shape}", expected=expected, hint=turned)
        _refuse_duplicates("feature id", self.features.index)
        _refuse_duplicates("sample name", self.samples.index)
        infinite = np.isinf(self.values)
        if infinite.any():
            row, column = np.argwhere(infinite)[0]
            raise InputError(
                "values",
                got="an infinite value",
                where=f"feature {self.features.index[row]!r}, sample {self.samples.index[column]!r}",
                hint="a logarithm of zero? zeros are missing values",
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(features, samples)."""
        return self.values.shape[0], self.values.shape[1]

    @property
    def genes(self) -> pd.Series:
        """Gene symbol of each feature, its id where none is known."""
        ids = self.features.index.to_series()
        if "gene" not in self.features:
            return ids
        gene = self.features["gene"].astype(object)
        return gene.where(gene.notna() & (gene != ""), ids)

    def with_values(self, values: np.ndarray, note: str = "", **changes: Any) -> ProteomicsData:
        """The same table with other values of the same shape, and a note on what was done."""
        return replace(self, values=values, notes=[*self.notes, *([note] if note else [])], **changes)

    def take(self, features: Any = None, samples: Any = None) -> ProteomicsData:
        """Rows and columns by boolean mask or integer positions (numpy indexing)."""
        rows = np.arange(self.shape[0])[slice(None) if features is None else np.asarray(features)]
        columns = np.arange(self.shape[1])[slice(None) if samples is None else np.asarray(samples)]
        known = self.precision

        def cut(values: np.ndarray) -> np.ndarray:
            part = values if features is None else values[rows]
            return part.copy() if samples is None and features is None else np.take(part, columns, axis=1)

        return replace(
            self,
            values=cut(self.values),
            precision=None if known is None else Precision(cut(known.errors), cut(known.unseen)),
            features=self.features.iloc[rows],
            samples=self.samples.iloc[columns],
        )

    def factor(self, name: str) -> pd.Series:
        """A column of the sample table; InputError that lists the columns if it is not there."""
        if name not in self.samples:
            known = ", ".join(map(str, self.samples.columns)) or "none"
            raise InputError("sample column", got=repr(name), expected=f"one of: {known}")
        return self.samples[name]

    def to_anndata(self) -> Any:
        """As `anndata.AnnData`, samples in rows as anndata has them. Needs the extra `cells`."""
        anndata = require("anndata", "proteus", "cells")
        obs, var = self.samples.copy(), self.features.copy()
        obs.index, var.index = obs.index.astype(str), var.index.astype(str)
        uns = {"level": self.level, "scale": self.scale, "source": self.source, "notes": list(self.notes)}
        return anndata.AnnData(X=self.values.T.copy(), obs=obs, var=var, uns=uns)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write a folder of three parquet tables and `proteus.json` with their digests, atomically."""
        import json

        with atomic_folder(path, force=force, ours="proteus.data") as folder:
            columns = [str(name) for name in self.samples.index]
            pd.DataFrame(self.values, index=self.features.index, columns=columns).to_parquet(folder / "values.parquet")
            self.features.to_parquet(folder / "features.parquet")
            self.samples.to_parquet(folder / "samples.parquet")
            names: list[str] = list(_TABLES)
            if self.precision is not None:
                for name, part in zip(_PRECISION, (self.precision.errors, self.precision.unseen), strict=True):
                    pd.DataFrame(part, index=self.features.index, columns=columns).to_parquet(folder / name)
                names += _PRECISION
            about = {
                "format": "proteus.data",
                "kind": "proteus.data",
                "format_version": _FORMAT,
                "level": self.level,
                "scale": self.scale,
                "source": self.source,
                "notes": list(self.notes),
                "digests": {name: digest_file(folder / name) for name in names},
            }
            about["digest"] = own_digest(about)
            write_text(folder / "proteus.json", json.dumps(about, indent=1) + "\n")

    @classmethod
    def open(cls, path: str | Path) -> ProteomicsData:
        """Read what `save` wrote.

        Raises:
            ArtifactError: naming the file, if one is missing, damaged, foreign or of a newer format.
        """
        folder = Path(path)
        about = read_document(folder / "proteus.json", "proteus.data", _FORMAT, sealed=True)
        precise = _PRECISION[0] in about["digests"]
        for name in (*_TABLES, *(_PRECISION if precise else ())):
            file = folder / name
            if not file.is_file():
                raise ArtifactError(file, "is missing")
            if digest_file(file) != about["digests"].get(name):
                raise ArtifactError(file, "is damaged: its digest is not the one in proteus.json")
        values, features, samples = (pd.read_parquet(folder / name) for name in _TABLES)
        precision = Precision(*(pd.read_parquet(folder / name).to_numpy() for name in _PRECISION)) if precise else None
        level, scale, source, notes = (about[name] for name in ("level", "scale", "source", "notes"))
        return cls(values.to_numpy(), features, samples, level, scale, source, notes, precision)


def same_table(one: ProteomicsData, other: ProteomicsData) -> bool:
    """Whether values, features, samples, level and scale are the same; types a file does not keep are not compared."""
    return (
        (one.level, one.scale) == (other.level, other.scale)
        and np.array_equal(one.values, other.values, equal_nan=True)
        and _same_frame(one.features, other.features)
        and _same_frame(one.samples, other.samples)
    )


def _same_frame(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    def text(frame: pd.DataFrame) -> list[list[str]]:
        columns = [frame.iloc[:, place] for place in range(frame.shape[1])]
        return [column.astype(object).where(column.notna(), None).map(str).tolist() for column in columns]

    names = [[list(map(str, part)) for part in (frame.index, frame.columns)] for frame in (one, other)]
    return names[0] == names[1] and text(one) == text(other)


_PRECISION = ("errors.parquet", "unseen.parquet")
_TABLES = ("values.parquet", "features.parquet", "samples.parquet")


def _refuse_duplicates(what: str, index: pd.Index) -> None:
    if index.is_unique:
        empty = [number for number, name in enumerate(index) if name is None or name != name or str(name).strip() == ""]
        if empty:
            raise InputError(what, got="an empty name", where=f"row {empty[0] + 1}")
        return
    doubled = index[index.duplicated()].unique()
    names = ", ".join(repr(str(name)) for name in doubled[:5])
    raise InputError(what, got=f"{len(doubled)} duplicated, e.g. {names}", expected="unique names")


def from_matrix(values: np.ndarray, features: Sequence[str], samples: pd.DataFrame, **fields: Any) -> ProteomicsData:
    """A `ProteomicsData` from a log2 matrix (features, samples), feature ids and the sample table.

    Examples:
        >>> import numpy as np
        >>> import pandas as pd
        >>> from proteus import from_matrix
        >>> from_matrix(np.array([[20.0]]), ["P1"], pd.DataFrame(index=["run"])).shape
        (1, 1)
    """
    return ProteomicsData(values, pd.DataFrame(index=pd.Index(features, name="id")), samples, **fields)
