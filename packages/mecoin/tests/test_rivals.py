"""Every rival on the one interface, and each against its own formula."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin import Graph
from mecoin.baselines import BASELINES, SgcLda
from ninefold.errors import InputError


def made(kind, encoders):
    return kind(encoders[kind.encoder_kind])


def run(learner, stream, sessions=3):
    for session in list(stream)[:sessions]:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            learner.add_classes(session.graph, session.support)
    return learner


@pytest.mark.parametrize("name", list(BASELINES))
def test_learns_predicts_and_repeats(name, stream, encoders):
    kind, last = BASELINES[name], stream[2]
    learner = run(made(kind, encoders), stream)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()
    assert set(learner.classes) == set(range(8))
    assert learner.memory_bytes() > 0
    again = run(made(kind, encoders), stream)
    assert np.array_equal(scores, again._scores(last.graph, last.graph.positions(last.test)))


@pytest.mark.parametrize("name", list(BASELINES))
def test_fewer_labels_than_five_are_enough(name, stream, encoders):
    learner, last = made(BASELINES[name], encoders), stream[2]
    for session in stream:
        if session.index == 0:
            learner.fit_base(session.graph, session.support, session.validation)
        else:
            few = {code: nodes[: 1 + place] for place, (code, nodes) in enumerate(session.support.items())}
            learner.add_classes(session.graph, few)
    scores = learner._scores(last.graph, last.graph.positions(last.test))
    assert scores.shape == (len(last.test), 8)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", list(BASELINES))
def test_labels_outside_the_support_change_nothing(name, stream, encoders):
    last, learner = stream[2], made(BASELINES[name], encoders)
    draws = np.random.default_rng(0)
    for session in stream:
        told = np.isin(session.graph.ids, np.concatenate([session.train, session.validation]))
        y = np.where(told, session.graph.y, draws.integers(0, 8, len(session.graph)))
        graph = session.graph.with_labels(y)
        if session.index == 0:
            learner.fit_base(graph, session.support, session.validation)
        else:
            learner.add_classes(graph, session.support)
    clean = run(made(BASELINES[name], encoders), stream)
    assert np.array_equal(
        learner._scores(graph, graph.positions(last.test)), clean._scores(last.graph, last.graph.positions(last.test))
    )


@pytest.mark.parametrize("name", list(BASELINES))
def test_the_shared_encoder_is_never_changed(name, stream, encoders):
    encoder = encoders[BASELINES[name].encoder_kind]
    before = {key: value.copy() for key, value in encoder.arrays().items()}
    run(made(BASELINES[name], encoders), stream, 2)
    assert all(np.array_equal(before[key], value) for key, value in encoder.arrays().items())


@pytest.mark.parametrize("name", list(BASELINES))
def test_a_known_class_is_refused(name, stream, encoders):
    learner = run(made(BASELINES[name], encoders), stream, 1)
    with pytest.raises(InputError, match="not known yet"):
        learner.add_classes(stream[0].graph, {0: stream[0].support[0]})


def test_every_tuned_rival_tries_equally_many_settings():
    sizes = {name: len(kind.grid) for name, kind in BASELINES.items() if kind.grid[0]}
    assert len(set(sizes.values())) == 1, sizes
    for kind in BASELINES.values():
        assert all(hasattr(kind, name) for setting in kind.grid for name in setting)


def test_an_unknown_option_is_refused(encoders):
    with pytest.raises(InputError, match="option of SGC-LDA: got shrink, expected a class attribute that is a number"):
        SgcLda(encoders["sgc"], shrink=0.1)


@pytest.mark.parametrize("name", ["SGC-NCM", "SGC-LDA"])
def test_a_support_node_without_edges_and_features_gives_finite_scores(name, stream, encoders):
    learner, first, second = made(BASELINES[name], encoders), stream[0], stream[1]
    learner.fit_base(first.graph, first.support, first.validation)
    graph = Graph.of(second.graph.x.toarray() * 0, [], ids=second.graph.ids)
    learner.add_classes(graph, second.support)  # prototypes of zero norm
    assert np.isfinite(learner._scores(second.graph, second.graph.positions(second.test))).all()
