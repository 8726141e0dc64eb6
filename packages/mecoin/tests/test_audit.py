"""The audit passes what is honest, and finds each leak that is put in."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from mecoin import SessionStream, audit_learner, audit_split
from mecoin.baselines import Learner, SgcNcm
from mecoin.evaluation._audit import scrambled
from mecoin.memory._plus import MecoinPlus
from mecoin.protocol._run import accuracy_by_group, run_stream, score_session

from . import small


def passed(table):
    return {row[0]: row[1] for row in table.rows}


class Peeking(SgcNcm):
    """A learner that looks its answers up."""

    def __init__(self, encoder, data):
        super().__init__(encoder)
        self.data = data

    def predict(self, graph, nodes):
        return self.data.y[self.data.positions(nodes)]


def make(kind):
    def maker(data, session):
        encoder = small.encoder(small.stream())
        return Peeking(encoder, data) if kind is Peeking else kind(encoder)

    return maker


@pytest.mark.parametrize("kind", [SgcNcm, MecoinPlus])
def test_honest_learner_passes(kind):
    sessions = small.stream()
    assert all(passed(audit_learner(make(kind), sessions.data, sessions.split)).values())


def test_learner_that_sees_hidden_labels_fails_both_checks():
    sessions = small.stream()
    assert not any(passed(audit_learner(make(Peeking), sessions.data, sessions.split)).values())


def test_drawn_split_passes():
    sessions = small.stream()
    assert all(passed(audit_split(sessions.split, sessions.data)).values())


def test_split_of_other_labels_fails():
    sessions = small.stream()
    wrong = scrambled(sessions.data, sessions.data.ids)
    assert not passed(audit_split(sessions.split, wrong))["each node is of the class it is listed under"]


def test_split_with_small_base_classes_fails():
    sessions = small.stream()
    first, *others = sessions.split.sessions
    renamed = dataclasses.replace(sessions.split, sessions=(others[0], first, *others[1:]))
    assert not passed(audit_split(renamed, sessions.data))["base classes are the largest"]


def test_split_with_more_labels_than_it_says_fails():
    sessions = small.stream(shot=8)
    wrong = dataclasses.replace(sessions.split, shot=5)
    assert not passed(audit_split(wrong, sessions.data))["no new class has more than 5 labels"]


def test_future_nodes_listed_under_a_class_seen_are_found():
    sessions = small.stream()
    first, second, *others = sessions.split.sessions
    stolen = others[0].test[others[0].classes[0]]
    name = second.classes[0]
    test = {**second.test, name: np.concatenate([second.test[name], stolen[:3]])}
    changed = dataclasses.replace(second, test=test)
    rest = dataclasses.replace(others[0], test={**others[0].test, others[0].classes[0]: stolen[3:]})
    split = dataclasses.replace(sessions.split, sessions=(first, changed, rest))
    table = passed(audit_split(split, sessions.data))
    assert not table["no node of a future class is visible"]
    assert not table["each node is of the class it is listed under"]


def test_figures_of_a_session_are_those_counted_by_hand():
    session = small.stream()[1]
    predicted = session.truth.copy()
    base = small.stream()[0].new
    old = np.isin(session.truth, base)
    predicted[np.flatnonzero(~old)[: (~old).sum() // 2]] = -7
    one = score_session(session, base, predicted, memory=1, seconds=0)
    share = 1 - ((~old).sum() // 2) / (~old).sum()
    assert one.base == 100
    assert one.novel == pytest.approx(100 * share)
    assert one.harmonic == pytest.approx(2 * 100 * share / (1 + share))
    assert one.accuracy == pytest.approx(100 * np.mean(predicted == session.truth))


class BaseOnly(SgcNcm):
    """Never predicts a new class: small drop, no use."""

    def predict(self, graph, nodes):
        return self.classes[self._scores(graph, graph.positions(nodes))[:, :3].argmax(1)]


def test_model_without_new_classes_is_shown_up_by_novel_and_harmonic():
    sessions = small.stream()
    result = run_stream(sessions, BaseOnly(small.encoder(sessions)))
    assert all(one.novel == one.harmonic == 0 for one in result.sessions[1:])
    assert result.drop > 0
    assert result.mean == pytest.approx(np.mean([one.accuracy for one in result.sessions]))
    assert result.collapsed
    table = accuracy_by_group(result)
    assert np.isnan(table[0, 1])
    assert table[2, 1] == 0


def test_every_learner_of_the_interface_refuses_a_known_class():
    sessions = small.stream()
    learner: Learner = SgcNcm(small.encoder(sessions))
    run_stream(sessions, learner)
    from ninefold.errors import InputError

    with pytest.raises(InputError, match="not known yet"):
        learner.add_classes(sessions[1].graph, sessions[1].support)


def test_stream_can_be_gone_through_again_from_its_split(tmp_path):
    sessions = small.stream()
    sessions.save(tmp_path / "split.json")
    again = SessionStream.from_split(sessions.data, tmp_path / "split.json")
    results = [run_stream(one, MecoinPlus(small.encoder(one))) for one in (sessions, again)]
    assert [one.accuracy for one in results[0].sessions] == [one.accuracy for one in results[1].sessions]
