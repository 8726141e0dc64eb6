"""Which rows of a table of vectors are alike, by cosine."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from recsys.data._untyped import Csr


def cosines(vectors: Any, codes: np.ndarray) -> np.ndarray:
    """Cosines of some rows with all rows.

    Args:
        vectors: (n, d), an array or a CSR matrix.
        codes: rows, int (m,).
    Returns: float32 (m, n); 0 for a zero vector.
    """
    if sp.issparse(vectors):
        norms = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
        products = (vectors[codes] @ vectors.T).toarray().astype(np.float32)
    else:
        norms = np.linalg.norm(vectors, axis=1)
        products = np.asarray(vectors[codes] @ vectors.T, np.float32)
    scale = np.outer(norms[codes], norms).astype(np.float32)
    return np.divide(products, scale, out=np.zeros_like(products), where=scale > 0)


def unit_rows(X: Csr) -> Csr:
    """Rows of length 1; zero rows stay."""
    norms = np.sqrt(np.asarray(X.multiply(X).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(np.divide(1, norms, out=np.zeros_like(norms), where=norms > 0)) @ X)
