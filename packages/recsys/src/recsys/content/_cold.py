"""Models that know items by their features: such items can be listed before anybody had them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
import pyarrow as pa
import scipy.sparse as sp
from ninefold.errors import InputError

from recsys.content._features import Features
from recsys.data._dataset import Dataset
from recsys.data._side import side_table
from recsys.data._untyped import Csr
from recsys.recommender._base import Recommender
from recsys.recommender._learner import bounded


@dataclass(kw_only=True, eq=False, repr=False)
class KnowsItems(Recommender):
    """Base of models of item features: `features_` (items, width) and `encoder_`, which makes it from a table.

    Args:
        columns: of the item table, comma-separated; all that can be used if None.
        grams: longest run of words of a text that counts as a term.
        encoder: "minilm" or an encoder's folder: texts become its vectors instead of words (extra `text`).
    """

    knows_cold_items: ClassVar[bool] = True
    vocabularies: ClassVar[tuple[str, ...]] = ("encoder_",)
    columns: str | None = None
    grams: int = bounded(1, least=1)
    encoder: str | None = None

    def __post_init__(self) -> None:
        self.encoder_: list[Any]

    def _learn_features(self, data: Dataset) -> Csr:
        encoder = Features.learn(data.items, self.columns, self.grams, encoder=self.encoder)
        self.encoder_ = encoder.packed()
        assert data.items is not None  # else learn had refused
        return encoder.matrix(data.items)

    def _extend(self, features: Csr) -> None:
        """Make room for new items, the last of `item_ids_`, with these features (new, width)."""
        raise NotImplementedError

    def add_items(self, items: Any) -> Self:
        """Let new items be listed at once, by their features; nothing is trained. Known items stay as they are.

        Args:
            items: a frame with the item column and those of the fit's item table.
        """
        self._need_fit()
        side = side_table(items, self.names_.item, "items")
        if side is None:
            raise InputError("items", got="none", expected="a frame of new items")
        ids, table = side
        both = self.item_ids_.extended(ids)
        new = np.flatnonzero(self.item_ids_.codes(ids) < 0)
        if len(new) == 0:
            return self
        features = Features.unpacked(self.encoder_).matrix(table.take(pa.array(new)))
        self.item_ids_ = both
        none = np.zeros(len(new), np.float32)
        self.popular_, self.fallback_ = np.append(self.popular_, none), np.append(self.fallback_, none)
        if hasattr(self, "bm25_"):  # nobody had them: as rare as the rarest
            self.bm25_ = np.concatenate([self.bm25_[:-1], none + self.bm25_[:-1].max(), self.bm25_[-1:]])
        self.history_ = dataclasses.replace(self.history_, n_items=len(both))
        self._extend(features)
        return self


def stacked(old: Csr, new: Csr) -> Csr:
    """Rows of both, CSR."""
    return sp.csr_matrix(sp.vstack([old, new], format="csr"))
