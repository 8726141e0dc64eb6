"""Side tables as vectors: text by TF-IDF or an encoder, numbers standardised, tags, vectors; kept with a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.content._texts import encode_texts, encoder_digest, encoder_folder, encoder_width
from recsys.data._frame import need, rows_text
from recsys.data._untyped import Csr, is_text, value_kind
from recsys.recommender._similar import unit_rows

_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True)
class Features:
    """How each column becomes numbers.

    Attributes:
        columns: one dict each: name, kind ("text", "sentence", "tags", "number", "vector") and what was learned of it.
        grams: longest run of words that counts as a term.
    """

    columns: tuple[dict[str, Any], ...]
    grams: int

    @classmethod
    def learn(
        cls,
        table: pa.Table | None,
        names: str | None,
        grams: int = 1,
        *,
        what: str = "items",
        encoder: str | None = None,
    ) -> Features:
        """Learn words, their document frequencies, means and widths.

        Text columns give words and runs of words, lists of text give their entries, both weighted by
        ln((1 + rows) / (1 + rows with it)) + 1; numbers are standardised; lists of numbers are vectors as they are.

        Args:
            table: side table by code.
            names: columns, comma-separated; all that can be used if None.
            grams: longest run of words in texts.
            what: whose table, for messages.
            encoder: makes vectors of texts instead of their words, see `recsys.encode_texts`.
        Raises:
            InputError: without a table or column to use; for an all-null column, ragged or non-finite vectors.
        """
        if table is None or table.num_columns == 0:
            raise InputError(f"the table of {what}", got="none", expected="features", hint=f"from_frame({what}=...)")
        chosen = names.split(",") if names else [one for one in table.column_names if _kind(table[one]) is not None]
        need(table.column_names, chosen, where=f"the table of {what}")
        if not chosen:
            raise InputError(f"the table of {what}", got=f"{table.column_names}, none of which is text or numbers")
        return cls(tuple(_learn(table[name], name, grams, encoder) for name in chosen), grams)

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return sum(len(one["words"]) if "words" in one else one.get("width", 1) for one in self.columns)

    def matrix(self, table: pa.Table) -> Csr:
        """Vectors of a table's rows, float32 CSR (rows, width); those of all but numbers have length 1."""
        need(table.column_names, [one["name"] for one in self.columns], where="the table")
        return sp.hstack(
            [_block(table[one["name"]], one, self.grams) for one in self.columns], format="csr", dtype=np.float32
        )

    def packed(self) -> list[Any]:
        """As a model's file holds it."""
        return [self.grams, *self.columns]

    @classmethod
    def unpacked(cls, packed: list[Any]) -> Features:
        """What `packed` made."""
        if not packed:
            raise InputError("encoder", got="an empty list", expected="grams, and what is known of each column")
        return cls(tuple(packed[1:]), packed[0])


def _kind(column: pa.ChunkedArray) -> str | None:
    kind = value_kind(column)
    if is_text(kind):
        return "text"
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        return "number"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return "tags" if is_text(kind.value_type) else "vector" if pa.types.is_floating(kind.value_type) else None
    return None


def _learn(column: pa.ChunkedArray, name: str, grams: int, encoder: str | None) -> dict[str, Any]:
    kind = _kind(column)
    if kind is None:
        raise InputError(f"column {name!r}", got=str(column.type), expected="text, numbers, or lists of either")
    if column.null_count == len(column):
        raise InputError(f"column {name!r}", got=f"null in all {len(column)} rows", expected="features")
    if kind == "text" and encoder is not None:
        folder = encoder_folder(encoder)
        known = {"encoder": encoder, "digest": encoder_digest(folder), "width": encoder_width(folder)}
        return {"name": name, "kind": "sentence", **known}
    about: dict[str, Any] = {"name": name, "kind": kind}
    if kind in ("text", "tags"):
        documents = Counter(term for terms in _terms(column, kind, grams) for term in set(terms))
        words = sorted(documents)
        idf = [float(np.log((1 + len(column)) / (1 + documents[word])) + 1) for word in words]
        return {**about, "words": words, "idf": idf}
    if kind == "number":
        values = _numbers(column, name)
        spread = float(np.nanstd(values))
        return {**about, "mean": float(np.nanmean(values)), "spread": spread or 1.0}
    return {**about, "width": _vectors(column, name, None).shape[1]}


def _block(column: pa.ChunkedArray, about: dict[str, Any], grams: int) -> Csr:
    kind = about["kind"]
    if _kind(column) != {"sentence": "text"}.get(kind, kind) and column.null_count < len(column):
        raise InputError(f"column {about['name']!r}", got=str(column.type), expected=f"{kind}, as in the fit")
    if kind in ("text", "tags"):
        place = {word: code for code, word in enumerate(about["words"])}
        found = [[place[term] for term in terms if term in place] for terms in _terms(column, kind, grams)]
        counts = np.array([len(one) for one in found], np.int64)
        indices = np.fromiter((code for one in found for code in one), np.int64, int(counts.sum()))
        indptr = np.concatenate([[0], np.cumsum(counts)])
        matrix = sp.csr_matrix((np.ones(len(indices)), indices, indptr), shape=(len(found), len(place)))
        matrix.sum_duplicates()
        return unit_rows(matrix @ sp.diags(np.array(about["idf"])))
    if kind == "number":
        values = (_numbers(column, about["name"]) - about["mean"]) / about["spread"]
        return sp.csr_matrix(np.nan_to_num(values)[:, None])
    if kind == "sentence":
        if encoder_digest(encoder_folder(about["encoder"])) != about["digest"]:
            raise InputError(f"encoder {about['encoder']}", got="another than in the fit", expected="the same files")
        return sp.csr_matrix(encode_texts(column.to_pylist(), about["encoder"]))
    return unit_rows(sp.csr_matrix(_vectors(column, about["name"], about["width"])))


def _terms(column: pa.ChunkedArray, kind: str, grams: int) -> Iterable[Sequence[str]]:
    for value in column.to_pylist():
        if value is None:
            yield []
        elif kind == "tags":
            yield [one for one in value if one is not None]
        else:
            words = _WORD.findall(value.lower())
            yield [" ".join(words[i : i + n]) for n in range(1, grams + 1) for i in range(len(words) - n + 1)]


def _numbers(column: pa.ChunkedArray, name: str) -> np.ndarray:
    """Values float64 (n,), NaN where null."""
    values = np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
    if np.isinf(values).any():
        raise InputError(
            f"column {name!r}", got=f"infinite in {rows_text(np.isinf(values))}", expected="finite numbers"
        )
    return values


def _vectors(column: pa.ChunkedArray, name: str, width: int | None) -> np.ndarray:
    """Vectors float64 (n, width), zeros where null; `width` is the first vector's if None."""
    rows = column.to_pylist()
    width = width or next(len(one) for one in rows if one is not None)
    ragged = np.array([one is not None and len(one) != width for one in rows])
    if ragged.any():
        raise InputError(f"column {name!r}", got=f"another length in {rows_text(ragged)}", expected=f"{width} numbers")
    vectors = np.array([[0.0] * width if one is None else one for one in rows], np.float64).reshape(len(rows), width)
    bad = np.asarray(~np.isfinite(vectors).all(axis=1))
    if bad.any():
        raise InputError(f"column {name!r}", got=f"not finite in {rows_text(bad)}", expected="finite numbers")
    return vectors
