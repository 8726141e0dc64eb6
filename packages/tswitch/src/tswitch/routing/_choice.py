"""Votes or the closed form: whichever assigns more queries to their own task when each is left out."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from tswitch.routing._closed_form import FEW, MOST, ClosedForm, Queries, share, shared
from tswitch.routing._query_set import QuerySet
from tswitch.routing._votes import Metric, left_out
from tswitch.routing._words import Words


class Forms:
    """The closed form of query sets, with words and without, each fitted when it is first asked for.

    Args:
        held: of each task; features of a layer, and words, count where all tasks have them.
        seed: of the order in which queries are taken where there are too many.
        words: whether words may count.

    Attributes:
        layers: whose features are used, ascending.
        sizes: features of each of them.
        has_words: whether words may count and all tasks have them.
    """

    def __init__(self, held: Mapping[str, QuerySet], seed: int, *, words: bool) -> None:
        own = next(iter(held.values())).settings.layer
        common = set.intersection(*(set(each.layers) for each in held.values()))
        self.layers: list[int | str] = [own] if isinstance(own, str) else sorted({own, *common})
        self._own = self.layers.index(own)
        self.has_words = words and all(each.words is not None for each in held.values())
        self._queries = {}
        for task, each in held.items():
            found = [each.features if layer == own else each.layers[int(layer)] for layer in self.layers]
            queries = Queries(stacked(found), each.words if self.has_words else None)
            self._queries[task] = queries.take(np.random.default_rng(seed).permutation(len(each.features)))
        first = next(iter(held.values()))
        self.sizes = [(first.features if layer == own else first.layers[int(layer)]).shape[1] for layer in self.layers]
        self._fitted: dict[bool, ClosedForm] = {}

    def form(self, *, words: bool) -> ClosedForm:
        """The closed form, fitted now if it was not before."""
        words = words and self.has_words
        if words not in self._fitted:
            total = sum(len(each.features) for each in self._queries.values())
            if total > MOST:
                most = share(self._queries, MOST)
                warnings.warn(
                    f"{total:,} queries: the closed form uses at most {most:,} of each task, {MOST:,} of all, so that "
                    "its kernel takes at most 184 MB; give fewer `n_queries`, or take method='votes', which uses all",
                    stacklevel=4,
                )
            given = {
                task: Queries(each.features, each.words if words else None) for task, each in self._queries.items()
            }
            self._fitted[words] = ClosedForm(given)
        return self._fitted[words]

    def votes_left_out(self, k: int, metric: Metric) -> float:
        """Per cent by votes of the same queries as `ClosedForm.left_out`."""
        few = shared(self._queries, FEW)
        features = np.concatenate([one.features[:, self._own, : self.sizes[self._own]] for one in few])
        owners = torch.arange(len(few)).repeat_interleave(torch.tensor([len(one.features) for one in few]))
        return left_out(torch.from_numpy(features), owners, k, metric)

    def scores(self, features: list[Tensor], texts: list[str] | None) -> np.ndarray:
        """(B, tasks) scores of inputs by features after each of `layers`, and by words if there are texts."""
        words = None if texts is None or not self.has_words else Words.of(texts)
        return self.form(words=words is not None).scores(Queries(stacked(features), words))


def stacked(features: list[Tensor]) -> np.ndarray:
    """(B, layers, F) float32; a layer of fewer features is filled up with zeros, which no product sees."""
    most = max(each.shape[1] for each in features)
    made = np.zeros((len(features[0]), len(features), most), np.float32)
    for place, each in enumerate(features):
        made[:, place, : each.shape[1]] = each.to("cpu", torch.float32).numpy()
    return made
