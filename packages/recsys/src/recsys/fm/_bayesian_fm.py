"""Bayesian factorisation machine: the strongest model of ratings when its columns are chosen well (Rendle 2019)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ninefold.errors import InputError
from scipy.special import ndtr

from recsys.data._dataset import Dataset
from recsys.data._history import shares
from recsys.data._untyped import Csr
from recsys.fm._attributes import Attribute
from recsys.fm._columns import Block, OneHot, SetColumns
from recsys.fm._fm import FactorizationMachine, as_part, of_sets
from recsys.fm._gibbs import Sampler
from recsys.recommender._learner import bounded
from recsys.recommender._query import Query

_STATE = ("base_", "kept_", "w_", "v_", "z_", "e_", "level_")


@dataclass(kw_only=True, eq=False, repr=False)
class BayesianFM(FactorizationMachine):
    """Predictions are means over samples of the posterior. user + item is Bayesian MF; with `implicit` it is SVD++.

    Each group of columns (users, items, a field, a column of a table) has its own prior.

    Args:
        head: "regression" for values, "probit" for labels 0 and 1.
        implicit: add the user's set of items, each at |I_u|^-1/2.
        flipped: add the item's set of users, each at |U_i|^-1/2.
        sweeps: of the Gibbs sampler.
        burn_in: first sweeps, of which no sample is kept.
        samples: kept, spread evenly over the sweeps after.

    Examples:
        >>> import recsys

        >>> stars = {
        ...     "user": ["ann", "ann", "ann", "bob", "bob", "bob", "cy", "cy", "dee", "dee"],
        ...     "item": ["Alien", "Dune", "Emma", "Alien", "Dune", "Emma", "Dune", "Solaris", "Emma", "Dune"],
        ...     "stars": [5.0, 5.0, 1.0, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 1.0],
        ... }
        >>> data = recsys.Dataset.from_frame(stars, user="user", item="item", value="stars")

        >>> model = recsys.BayesianFM(factors=2, sweeps=60, burn_in=20, samples=20).fit(data)
        >>> scores = model.predict({"user": ["bob", "bob"], "item": ["Alien", "Emma"]}).column("score")
        >>> alien, emma = scores.to_pylist()  # means of the posterior
        >>> alien < emma  # bob gave 1 and 5 stars
        True
    """

    source: ClassVar[str] = "arXiv 1905.01395"
    space: ClassVar[dict[str, Any]] = {"factors": (4, 32, "log")}
    head: str = bounded("regression", among=("regression", "probit"))
    implicit: bool = False
    flipped: bool = False
    sweeps: int = 256
    burn_in: int = bounded(32, least=0)
    samples: int = bounded(64, least=1)

    def _learn(self, data: Dataset, value: np.ndarray) -> None:
        self._check(value)
        fields, encoded = self._start(data)
        attributes = self._attributes(data)
        blocks: list[Block] = [OneHot(data.user, data.n_users), OneHot(data.item, data.n_items)]
        blocks += [OneHot(index, one.size, x) for one, (index, x) in zip(fields, encoded, strict=True)]
        sets: list[tuple[str, Csr]] = []  # whose part a set belongs to, and the set of each
        for side, codes, found in (("user", data.user, attributes[0]), ("item", data.item, attributes[1])):
            blocks += [block_of(one, codes) for one in found]
            sets += [(side, one.values) for one in found]
        if self.implicit:
            sets.append(("user", shares(data.user, data.item, data.n_users, data.n_items)))
            blocks.append(SetColumns(data.user, sets[-1][1]))
        if self.flipped:
            sets.append(("item", shares(data.item, data.user, data.n_items, data.n_users)))
            blocks.append(SetColumns(data.item, sets[-1][1]))
        sampler = Sampler(blocks, value, self.factors, probit=self.head == "probit", seed=self.seed)
        kept = self._sampled(sampler)
        sizes = np.cumsum([0, *(block.size for block in blocks)])
        by_block = [kept[:, low:high].transpose(1, 0, 2) for low, high in itertools.pairwise(sizes)]
        part = {
            "user": as_part(_unseen_as_seen(by_block[0], data.user), None),
            "item": as_part(_unseen_as_seen(by_block[1], data.item), None),
        }
        for (side, values), theta in zip(sets, by_block[2 + len(fields) :], strict=True):
            part[side] += of_sets(values, theta)
        self.user_part_, self.item_part_ = (part[side].astype(np.float32) for side in ("user", "item"))
        context = by_block[2 : 2 + len(fields)]
        empty = np.zeros((0, self.samples, 1 + self.factors))
        self.context_part_ = np.concatenate([empty, *context]).astype(np.float32)

    def _check(self, value: np.ndarray) -> None:
        if self.head == "probit" and not np.isin(value, (0, 1)).all():
            raise InputError("values", got="others than 0 and 1", expected="labels 0 and 1 for the probit head")
        if self.samples > self.sweeps - self.burn_in:
            raise InputError("sweeps, burn_in, samples", got=repr(self), expected="samples <= sweeps - burn_in")

    def _sampled(self, sampler: Sampler) -> np.ndarray:
        """The kept samples of w and v, (samples, columns, 1 + factors); `base_` keeps those of w0."""
        after = self.sweeps - self.burn_in
        keep = {self.burn_in + after * (one + 1) // self.samples - 1: one for one in range(self.samples)}
        state = sampler.state
        self.base_ = np.zeros(self.samples)
        self.kept_ = np.zeros((self.samples, len(state.w), 1 + self.factors), np.float32)
        self.w_, self.v_, self.z_, self.e_ = state.w, state.v, sampler.z, sampler.e
        self.level_ = np.array([state.w0, state.alpha])
        chunk = -(-self.sweeps // 32)  # sweeps between two checkpoints
        for step in self._epochs(-(-self.sweeps // chunk), _STATE):
            state.w, state.v, sampler.z, sampler.e = self.w_, self.v_, self.z_, self.e_  # perhaps of a checkpoint
            state.w0, state.alpha = map(float, self.level_)
            for sweep in range(step * chunk, min((step + 1) * chunk, self.sweeps)):
                sampler.sweep(sweep)
                if sweep in keep:
                    self.base_[keep[sweep]] = state.w0
                    self.kept_[keep[sweep], :, 0] = state.w
                    self.kept_[keep[sweep], :, 1:] = state.v.T
            self.level_ = np.array([state.w0, state.alpha])
        kept = self.kept_
        del self.kept_, self.w_, self.v_, self.z_, self.e_, self.level_
        return kept

    def _factors(self, query: Query) -> tuple[np.ndarray, np.ndarray] | None:
        """None for labels, whose mean over samples is no inner product: lists rank as `predict` does."""
        return super()._factors(query) if self.head == "regression" else None

    def _score(self, query: Query) -> np.ndarray:
        if self.head == "regression":
            return super()._score(query)
        part, items = self._parts(query.codes, query.context), self.item_part_
        own = self.base_ + part[..., 0] + 0.5 * np.einsum("nsf,nsf->ns", part[..., 1:], part[..., 1:])
        bias = items[..., 0] + 0.5 * np.einsum("nsf,nsf->ns", items[..., 1:], items[..., 1:])
        total = np.zeros((len(part), len(items)))
        for sample in range(len(self.base_)):
            score = own[:, sample, None] + bias[:, sample] + part[:, sample, 1:] @ items[:, sample, 1:].T
            total += ndtr(score)
        return (total / len(self.base_)).astype(np.float32)

    def _link(self, score: np.ndarray) -> np.ndarray:
        return ndtr(score) if self.head == "probit" else score


def block_of(one: Attribute, codes: np.ndarray) -> Block:
    """The columns of an attribute in the design of events whose user, or item, has these codes (n,)."""
    if one.is_set:
        return SetColumns(codes, one.values)
    has = np.diff(one.values.indptr) > 0
    index, x = np.full(len(has), -1), np.ones(len(has))
    index[has], x[has] = one.values.indices, one.values.data
    return OneHot(index[codes], one.values.shape[1], None if (x == 1).all() else x[codes])


def _unseen_as_seen(theta: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Own parameters of ids without events (columns, samples, 1 + factors): the mean of the others, not what was drawn
    of the prior alone."""
    seen = np.zeros(len(theta), bool)
    seen[codes] = True
    if seen.all():
        return theta
    theta = theta.copy()
    theta[~seen] = theta[seen].mean(axis=0)
    return theta
