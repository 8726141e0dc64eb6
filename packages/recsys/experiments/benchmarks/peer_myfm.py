"""Our Gibbs sampler beside myFM's: held-out error and processor seconds on the same rows, one JSON line each.

Run in an environment of its own, for myFM is no dependency (NINEFOLD_DATA must point at the data):
    uv run --no-project --with myfm==0.4.0 --with "setuptools<81" --with ./shared/core --with ./packages/recsys \\
        python packages/recsys/experiments/benchmarks/peer_myfm.py
"""

import sys
import time
from pathlib import Path

import myfm
import numpy as np
import scipy.sparse as sp
from ninefold.measure import emit
from recsys import BayesianFM, evaluate_values
from recsys.data._metrics import row_auc
from recsys.fm._fields import encode_all, make_fields

sys.path.insert(0, str(Path(__file__).parents[1]))
import real_sets

SWEEPS, BURN_IN = 256, 32


def design(train, test):
    """One-hot rows of both parts in the training part's columns, CSR, and the sizes of the column groups."""
    fields = make_fields(train.context)
    sizes = [train.n_users, train.n_items, *(field.size for field in fields)]
    offset = np.cumsum([0, *sizes])
    parts = []
    for part in (train, test):
        columns = [*part.encoded(train.user_ids, train.item_ids)]
        columns += [index for index, _ in encode_all(fields, part.context, len(part))]
        index = np.stack(columns, axis=1)
        row, column = np.nonzero(index >= 0)
        place = index[row, column] + offset[column]
        parts.append(sp.csr_matrix((np.ones(len(row)), (row, place)), shape=(len(part), offset[-1])))
    return *parts, sizes


def compare(name, train, test, factors, seed):
    """Both samplers on one split."""
    X, Xt, sizes = design(train, test)
    probit = name == "coupon"
    kind = myfm.MyFMClassifier if probit else myfm.MyFMRegressor
    target = train.value > 0.5 if probit else train.value
    start = time.process_time()
    peer = kind(rank=factors, random_seed=seed).fit(
        X, target, n_iter=SWEEPS, n_kept_samples=SWEEPS - BURN_IN, group_shapes=sizes
    )
    theirs = time.process_time() - start
    found = peer.predict_proba(Xt) if probit else np.clip(peer.predict(Xt), train.value.min(), train.value.max())
    error = row_auc(test.value, found) if probit else float(np.sqrt(((found - test.value) ** 2).mean()))
    model = BayesianFM(
        factors=factors, seed=seed, sweeps=SWEEPS, burn_in=BURN_IN, head="probit" if probit else "regression"
    )
    start = time.process_time()
    model.fit(train)
    ours = time.process_time() - start
    own = evaluate_values(model, test, ["row_auc" if probit else "rmse"])["row_auc" if probit else "rmse"]
    emit(
        data=name,
        seed=seed,
        factors=factors,
        myfm=error,
        ours=own,
        myfm_seconds=theirs,
        seconds=ours,
        ratio=ours / theirs,
    )
    sys.stdout.flush()


if __name__ == "__main__":
    wanted = sys.argv[1:]  # e.g. coupon-0; all if none is named
    for fold, (train, test) in enumerate(real_sets.ml_latest_small().split.kfold(5)):
        if not wanted or f"ml_latest_small-{fold}" in wanted:
            compare("ml_latest_small", train, test, 10, fold)
    for seed in range(3):
        if not wanted or f"coupon-{seed}" in wanted:
            compare("coupon", *real_sets.coupon().split.rows(0.3, seed=seed), 8, seed)
