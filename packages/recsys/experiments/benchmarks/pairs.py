"""Pairs of users and items as benchmarks draw them."""

import numpy as np
import scipy.sparse as sp


def zipf_pairs(users, items, wanted, seed=0):
    """Zipf items with tastes: half of a user's events are in one of fifty clusters of items."""
    draw = np.random.default_rng(seed)
    user = np.sort(draw.choice(users, wanted, p=_shares(draw.lognormal(0, 1, users))))
    item = draw.choice(items, wanted, p=_shares(1 / (20 + np.arange(items))))
    taste = draw.integers(0, 50, users)
    item = np.where(draw.random(wanted) < 0.5, item // 50 * 50 + taste[user], item) % items
    X = sp.csr_matrix((np.ones(wanted, np.float32), (user, item)), shape=(users, items))
    X.data[:] = 1
    X = X[np.diff(X.indptr) > 0]
    return sp.csr_matrix(X[:, np.diff(X.tocsc().indptr) > 0])


def _shares(weight):
    return weight / weight.sum()
