"""The released code's memory."""

from __future__ import annotations

import numpy as np
from mecoin.memory._codebook import Codebook
from mecoin.protocol._run import run_stream

from . import small


def made(**options):
    sessions = small.stream()
    learner = Codebook(small.encoder(sessions), **{"books": 8, "pairs": 40, "steps": 80, "lr": 0.05, **options})
    return sessions, learner


def test_keys_stay_and_values_grow_by_a_column_a_class():
    sessions, learner = made()
    first, second = sessions[0], sessions[1]
    learner.fit_base(first.graph, first.support, first.validation)
    keys = learner.keys.copy()
    learner.add_classes(second.graph, second.support)
    np.testing.assert_array_equal(learner.keys, keys)
    assert learner.values.shape == (8, 40, 5)
    assert len(learner.kept_z) == 25  # five of each class, replayed in every session


def test_prediction_is_the_mean_of_one_row_a_book():
    sessions, learner = made()
    first = sessions[0]
    learner.fit_base(first.graph, first.support, first.validation)
    z = learner.encoder.embed(first.graph)[:3]
    queries = learner._queries(z)
    assert queries.shape == (8, 3, 14)
    for node in range(3):
        rows = [
            learner.values[book, np.linalg.norm(learner.keys[book] - queries[book, node], axis=1).argmin()]
            for book in range(8)
        ]
        logits = np.mean(rows, axis=0)
        np.testing.assert_allclose(learner.probabilities(z)[node], np.exp(logits) / np.exp(logits).sum(), rtol=1e-4)


def test_memory_is_what_the_brief_says_it_costs():
    _, learner = made(books=100, pairs=800, steps=1)
    sessions = small.stream()
    run_stream([sessions[0]], learner)
    assert learner.memory_report()["values (grow)"] == 100 * 800 * 3 * 4


def test_it_learns_base_classes():
    sessions, learner = made()
    (only,) = run_stream([sessions[0]], learner).sessions
    assert only.accuracy > 60
