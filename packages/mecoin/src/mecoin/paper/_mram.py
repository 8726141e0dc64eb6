"""MRaM: representation adaptation, one row of class logits a prototype, kept apart from the prototypes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ninefold_graphs import softmax

ABSENT = np.float32(-30.0)  # logit of a class that came after the row: probability 1e-13


@dataclass(frozen=True)
class Mram:
    """Rows of logits. Old rows are frozen: a session makes new rows, and columns in which old rows are `ABSENT`.

    Attributes:
        rows: (P, C) float32; row j is what retrieving prototype j predicts.
    """

    rows: np.ndarray

    def extended(self, rows: np.ndarray) -> Mram:
        """With new rows (P', C') below, C' >= C; the old rows keep every bit and are absent in the new columns."""
        grown = np.full((len(self.rows), rows.shape[1]), ABSENT, np.float32)
        grown[:, : self.rows.shape[1]] = self.rows
        return Mram(np.concatenate([grown, rows.astype(np.float32)]))

    def probabilities(self) -> np.ndarray:
        """(P, C), each row sums to 1."""
        return softmax(self.rows)
