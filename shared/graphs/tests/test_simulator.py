from __future__ import annotations

import numpy as np
import pytest
from ninefold.errors import InputError
from ninefold_graphs import Simulated


@pytest.fixture(scope="module")
def large():
    return Simulated().draw(0)


def test_figures_are_those_of_the_brief_graph(large):
    sizes = np.bincount(large.y)
    assert len(sizes) == 70
    assert (sizes.max(), sizes.min()) == (600, 505)
    assert large.edge_index.shape[1] / len(large) == pytest.approx(6.4, rel=0.05)
    same = large.y[large.edge_index[0]] == large.y[large.edge_index[1]]
    assert same.mean() == pytest.approx(0.57, abs=0.02)
    assert large.x.nnz / len(large) == pytest.approx(57, rel=0.05)
    assert large.width == 8710


def test_confusions_stay_mostly_within_a_topic(large):
    source, target = large.y[large.edge_index]
    counts = np.zeros((70, 70))
    np.add.at(counts, (source, target), 1)
    np.fill_diagonal(counts, 0)
    top = np.sort(counts, axis=1)[:, -6:].sum() / counts.sum()
    assert top > 0.6  # a topic has 7 classes, so 6 others


def test_same_seed_same_graph_and_other_seed_another():
    small = Simulated(classes=5, topics=2, largest=40, smallest=10, vocabulary=100)
    assert small.draw(1).digest == small.draw(1).digest != small.draw(2).digest


def test_impossible_settings_are_refused():
    with pytest.raises(InputError, match="topics <= classes"):
        Simulated(classes=3, topics=4).draw()
