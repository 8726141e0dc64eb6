"""What users may bring or ask for: learners of their own, models in comparisons, figures that a mean alone hides."""

from __future__ import annotations

import numpy as np
import pytest
from mecoin import Learner, Mecoin, audit_learner, compare, result_table, shared_encoder
from mecoin.evaluation._audit import calibration_error, known_and_unknown
from mecoin.memory._plus import MecoinPlus
from mecoin.protocol._run import SessionResult, StreamResult
from ninefold.errors import InputError

from . import small
from .small import BASE, FOUR, SUPPORT, fitted, masks


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))


class NearestMean(Learner):
    """A learner of one's own: class means of the encoder's output."""

    name = "nearest mean"
    source = "this test"
    encoder_kind = "sgc"

    def _fit(self, graph, support, validation):
        self.means = np.zeros((0, self.encoder.dim))
        self._add(graph, support)

    def _add(self, graph, support):
        z = self.encoder.embed(graph)
        self.means = np.concatenate([self.means, *(z[places].mean(0, keepdims=True) for places in support.values())])

    def _scores(self, graph, places):
        z = self.encoder.embed(graph)[places]
        return -((z[:, None] - self.means) ** 2).sum(2)

    def memory_bytes(self):
        return self.means.nbytes


def made_by_function(_, session):
    return MecoinPlus(shared_encoder(session, "sgc", keep=False), rounds=0)


@pytest.mark.filterwarnings("ignore:support node")  # of an inductive graph this small
def test_learner_of_ones_own_and_one_of_a_function_run_in_compare_and_audit(tmp_path, monkeypatch):
    monkeypatch.setattr("mecoin.evaluation._compare.PLOTS", False)
    sessions = small.stream()
    entries = {"mine": NearestMean, "made": made_by_function, "SGC-NCM": "SGC-NCM"}
    results = compare(sessions, entries, out=tmp_path / "run")
    assert list(results) == ["mine", "made", "SGC-NCM"]
    assert all(one.mean > 50 for one in results.values())
    again = compare(sessions, entries, out=tmp_path / "run")
    assert [one.mean for one in again.values()] == [one.mean for one in results.values()]
    for entry in (NearestMean, made_by_function):
        table = audit_learner(entry, sessions.data, sessions.split)
        assert all(row[1] for row in table.rows)


def test_learner_of_an_unknown_name_is_refused():
    with pytest.raises(InputError, match="learner: got 'magic', expected one of mecoin"):
        compare(small.stream(), ["magic"])


def session(index, truth, predicted, base=100.0, novel=100.0):
    return SessionResult(index, 2, 0.0, base, novel, 0.0, 0, 0.0, np.array(truth), np.array(predicted))


def test_forgetting_is_the_change_on_classes_since_they_were_learnt():
    first = session(0, [0, 0, 1, 1], [0, 0, 1, 1])
    second = session(1, [0, 0, 1, 1, 2, 2], [0, 0, 1, 2, 2, 2])
    last = session(2, [0, 0, 1, 1, 2, 2, 3, 3], [0, 0, 1, 3, 2, 0, 3, 3])
    result = StreamResult("one", [first, second, last])
    assert result.forgetting == pytest.approx(((75 - 100) + (50 - 100)) / 2)


def test_learner_that_ignores_new_classes_is_marked_as_collapsed():
    good = StreamResult("good", [session(0, [0], [0]), session(1, [0, 1], [0, 1])])
    lost = StreamResult("lost", [session(0, [0], [0]), session(1, [0, 1], [0, 0], novel=0.0)])
    assert (good.collapsed, lost.collapsed) == (False, True)
    table = result_table({"good": good, "lost": lost})
    assert {row[0] for row in table.rows} == {"good", "lost (collapsed)"}
    assert len(table.columns) == 7


def test_calibration_error_is_the_gap_of_each_bin():
    confidence = np.array([0.95, 0.95, 0.95, 0.95, 0.55, 0.55])
    right = np.array([1, 1, 1, 0, 1, 1], bool)
    assert calibration_error(confidence, right, 10) == pytest.approx((4 * abs(0.75 - 0.95) + 2 * abs(1 - 0.55)) / 6)
    assert calibration_error(np.ones(4), np.ones(4, bool)) == 0


def test_novelty_is_measured_before_classes_are_learnt():
    sessions = small.stream()
    found = known_and_unknown(sessions, MecoinPlus(small.encoder(sessions)))
    assert {name: len(values) for name, values in found.items()} == {
        "area": 2, "known nodes called unknown": 2, "unknown nodes called unknown": 2, "calibration error": 3,
    }  # fmt: skip
    assert found["area"][0] > 0.8
    assert found["unknown nodes called unknown"][0] > found["known nodes called unknown"][0]


def test_unknown_nodes_are_answered_with_none():
    made = fitted()
    plain, careful = made.predict(FOUR), made.predict(FOUR, unknown=True)
    novelty = made.novelty(FOUR)
    assert [one is None for one in careful] == (novelty > 1).tolist()
    assert (careful[novelty <= 1] == plain[novelty <= 1]).all()
    strange = FOUR.y == 3
    assert np.mean([one is None for one in careful[strange]]) > np.mean([one is None for one in careful[~strange]])


def test_without_unlabelled_nodes_new_prototypes_are_means_of_the_labelled():
    made = fitted(transductive=False, encoder="sgc").add_classes(FOUR, {3: SUPPORT[3]})
    learner = made._state.learner
    keys = learner.keys(learner.encoder.embed(FOUR)[FOUR.positions(SUPPORT[3])])
    np.testing.assert_allclose(learner.content.smu.prototypes[3], keys.mean(0), rtol=1e-5)


def test_encoder_is_chosen_on_base_classes_alone(monkeypatch):
    seen = []
    chosen = MecoinPlus.chosen
    monkeypatch.setattr(
        MecoinPlus, "chosen", lambda session, *given, **named: seen.append(session) or chosen(session, *given, **named)
    )
    made = Mecoin(hidden=16).fit_base(BASE, *masks(BASE, (0, 1, 2)))
    assert made._encoder.kind in ("sgc", "gcn")
    (session,) = seen
    assert session.test.size == 0
    assert set(session.graph.y) == {0, 1, 2}


def test_two_base_classes_leave_nothing_to_choose():
    sessions = small.stream(base=2, way=2)
    assert MecoinPlus.chosen(sessions[0]) == MecoinPlus.grid[0]
