"""Whether what a model file holds fits together: digests say that it was written so, not that it is a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import InputEncoder, check_finite, check_shapes


@contextmanager
def whole(path: str | Path, what: str) -> Iterator[None]:
    """Turn what wrong content ends in into an ArtifactError with the path."""
    try:
        yield
    except (AttributeError, IndexError, InputError, KeyError, RuntimeError, TypeError, ValueError) as error:
        reason = f"has no {error}" if isinstance(error, KeyError) else str(error)
        raise ArtifactError(path, f"is no whole {what}: {reason}") from None


def check_arrays(arrays: Mapping[str, np.ndarray], about: Any, wanted: Mapping[str, type | tuple[type, ...]]) -> None:
    """Refuse metadata that lack a value or have one of another type, and arrays that are not finite (ValueError)."""
    if not isinstance(about, Mapping):
        raise ValueError(f"its metadata are {type(about).__name__}, not a table")
    for name, kind in wanted.items():
        value = about[name]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ValueError(f"{name} is {type(value).__name__}")
    check_finite(arrays)


def check_encoder(encoder: InputEncoder, prefix: str) -> int:
    """Columns that the encoder makes, once its parts fit (ValueError)."""
    columns = encoder.words.size
    if encoder.words.dtype != bool or encoder.basis.ndim != 2:
        raise ValueError(f"{prefix}words or {prefix}basis has another form")
    check_shapes({f"{prefix}{name}": (getattr(encoder, name), (columns,)) for name in ("idf", "mean", "scale")})
    check_shapes({f"{prefix}basis": (encoder.basis, (columns, encoder.basis.shape[1]))})
    return encoder.basis.shape[1] + int((~encoder.words).sum())
