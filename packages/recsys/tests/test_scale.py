"""What large data cost, counted: work of ALS in proportion to events, memory of an evaluation whatever the users."""

import tracemalloc

import numpy as np
import pytest
from recsys import EASE, IALS, Dataset, ItemKNN, evaluate
from recsys.evaluation import _evaluate as evaluation
from recsys.recommender import _rows as rows
from scipy import sparse


def crowd(users, items=40, each=6, seed=0):
    """Users with about `each` events, a few with many; the second half of the events are the test set's."""
    draw = np.random.default_rng(seed)
    counts = np.minimum(1 + draw.geometric(1 / each, users) + (draw.random(users) < 0.01) * 20, items)
    user = np.repeat(np.arange(users), counts)
    item = np.concatenate([draw.permutation(items)[:count] for count in counts])
    return Dataset.from_frame({"u": user, "i": item}, user="u", item="i")


@pytest.fixture
def counted(monkeypatch):
    """Padded cells and rows of all systems that are solved, and the largest batch."""
    seen = {"cells": 0, "rows": 0, "largest": 0}
    padded = rows._padded

    def spy(X, some):
        places, columns = padded(X, some)
        seen["cells"] += columns.size
        seen["rows"] += len(some)
        seen["largest"] = max(seen["largest"], columns.size)
        return places, columns

    monkeypatch.setattr(rows, "_padded", spy)
    return seen


def test_work_of_als_is_linear_in_the_events(counted):
    for users in (200, 400, 800, 1600):
        counted.update(cells=0, rows=0)
        data = crowd(users)
        IALS(factors=8, epochs=1).fit(data)
        assert counted["rows"] == data.n_users + data.n_items  # each is solved once an epoch
        # rows of like length share a batch: a tenth of padding, and one cell a row, whatever the lengths
        assert 2 * len(data) <= counted["cells"] <= 1.1 * 2 * len(data) + 2 * counted["rows"]


def test_a_batch_of_als_is_bounded_whatever_the_users(counted):
    model = IALS(factors=32, epochs=1).fit(crowd(6000))
    assert counted["largest"] * model.factors <= rows._CELLS


def test_a_batch_of_als_touches_its_own_rows_alone():
    """No copy of anything as long as all rows: at millions of users that was more than half of an epoch."""
    X = sparse.csr_array(np.ones((200_000, 1), np.float32))
    batches = rows._batches(X, 32)
    next(batches)  # the first one counts and sorts
    tracemalloc.start()
    some = next(batches)
    chosen = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    rows._padded(X, some)
    padded = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert chosen < X.shape[0] / 10
    assert padded < 100 * len(some) < X.shape[0]


@pytest.mark.parametrize(
    ("model", "seed"), [(EASE(l2=10.0), 0), (EASE(l2=10.0), 1), (ItemKNN(), 0)], ids=["lists", "all", "sparse"]
)
def test_memory_of_an_evaluation_is_that_of_a_block_and_of_the_events(monkeypatch, model, seed):
    """Scores are never held of more users than fit in a block: memory beyond the block grows by the events alone.

    With seed 0 ranks come from lists, else from all scores; a product of sparse matrices has no table of scores.
    """
    monkeypatch.setattr(evaluation, "_CELLS", 1 << 14)
    items, largest, peak, size = 1000, [], {}, {}
    scores = evaluation.Recommender._finite_scores

    def spy(self, query):
        found = scores(self, query)
        largest.append(found.size)
        return found

    monkeypatch.setattr(evaluation.Recommender, "_finite_scores", spy)
    for users in (500, 3000):
        train, test = crowd(users, items).split.leave_last_out()
        fitted = model.fit(train)
        tracemalloc.start()
        found = evaluate(fitted, test, ["ndcg@10"], seed=seed)
        peak[users] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        size[users] = len(train) + len(test)
        assert found.targets == len(test)
    assert max(largest, default=0) <= 1 << 14
    grown, table = (peak[3000] - peak[500]) / (size[3000] - size[500]), items * 4
    assert grown < 120  # bytes an event: codes, places and their sorted copies
    assert peak[3000] < 3000 * table / 4  # a table of all scores would take four times as much and more
