"""The model by its public face: what it promises, and every mistake that a user can make."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import scipy.sparse as sp
from mecoin import Graph, Mecoin, to_pyg
from mecoin import _interaction as interaction
from mecoin._codebook import Codebook
from mecoin._encoder import GcnEncoder
from mecoin._memory import Memory
from ninefold.errors import ArtifactError, InputError

from .small import graph, masks

DATA = graph()
BASE = DATA.induced(np.flatnonzero(np.isin(DATA.y, (0, 1, 2))))
NEXT = DATA.induced(np.flatnonzero(np.isin(DATA.y, (0, 1, 2, 3, 4))))
FOUR = DATA.induced(np.flatnonzero(DATA.y < 4))
SUPPORT = {code: NEXT.ids[NEXT.y == code][:5] for code in (3, 4)}
TEST = NEXT.ids[(NEXT.y >= 0) & ~np.isin(NEXT.ids, np.concatenate(list(SUPPORT.values())))][::3]


def fitted(variant: str = "mecoin+", **options) -> Mecoin:
    if variant != "mecoin+":
        options = {"encoder": GcnEncoder(16, epochs=30), **options}
    return Mecoin(variant, hidden=16, **options).fit_base(BASE, *masks(BASE, (0, 1, 2)))


@pytest.fixture(scope="module")
def plus() -> Mecoin:
    return fitted()


@pytest.fixture
def model(plus, tmp_path) -> Mecoin:
    plus.save(tmp_path / "fixture.safetensors")
    return Mecoin.load(tmp_path / "fixture.safetensors")


@pytest.fixture
def quick_codebook(monkeypatch):
    monkeypatch.setattr(
        Codebook.__init__, "__kwdefaults__", {**Codebook.__init__.__kwdefaults__, "steps": 60, "lr": 0.05}
    )


@pytest.mark.parametrize("variant", ["mecoin+", "paper", "codebook"])
def test_new_classes_are_predicted_and_old_ones_still_are(variant, quick_codebook):
    made = fitted(variant).add_classes(NEXT, SUPPORT)
    assert made.labels == (0, 1, 2, 3, 4)
    predicted = made.predict(NEXT, TEST)
    truth = NEXT.y[NEXT.positions(TEST)]
    novel = truth >= 3
    assert (predicted == truth)[~novel].mean() > 0.5
    assert (predicted == truth)[novel].mean() > 0.4
    np.testing.assert_allclose(made.predict_proba(NEXT, TEST).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("variant", ["mecoin+", "paper"])
def test_adding_leaves_every_old_bit(variant):
    made = fitted(variant)
    before = made._state.learner.content
    made.add_classes(NEXT, SUPPORT)
    after = made._state.learner.content
    np.testing.assert_array_equal(after.smu.prototypes[:3], before.smu.prototypes)
    np.testing.assert_array_equal(after.mram.rows[:3, :3], before.mram.rows)


def test_interrupted_addition_leaves_the_model_as_it_was(model, monkeypatch):
    before, kept = model._state, {key: one.copy() for key, one in model._state.learner.state().items()}

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(interaction, "update_loss", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.add_classes(NEXT, SUPPORT)
    assert model._state is before
    assert all(np.array_equal(one, kept[key]) for key, one in model._state.learner.state().items())
    assert model.labels == (0, 1, 2)
    monkeypatch.undo()
    assert model.add_classes(NEXT, SUPPORT).labels == (0, 1, 2, 3, 4)


def test_interrupted_update_keeps_the_class(model, monkeypatch):
    monkeypatch.setattr(interaction, "update_loss", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.add_classes(BASE, {1: BASE.ids[BASE.y == 1][:5]}, update=True)
    assert model.labels == (0, 1, 2)
    assert len(model._state.learner.content.smu.prototypes) == 3


@pytest.mark.parametrize("variant", ["mecoin+", "paper", "codebook"])
def test_model_comes_back_from_disk_with_the_same_answers(variant, tmp_path, quick_codebook):
    made = fitted(variant).add_classes(NEXT, SUPPORT)
    path = tmp_path / "model.safetensors"
    made.save(path)
    with pytest.raises(ArtifactError, match="exists"):
        made.save(path)
    again = Mecoin.load(path)
    np.testing.assert_array_equal(again.predict_proba(NEXT, TEST), made.predict_proba(NEXT, TEST))
    assert again.memory_report() == made.memory_report()
    more = DATA.ids[DATA.y == 5][:5]
    again.add_classes(DATA.induced(np.flatnonzero(DATA.y < 6)), {5: more})
    assert again.labels == (0, 1, 2, 3, 4, 5)


def test_forgotten_class_is_not_predicted_and_its_name_is_free(model):
    model.add_classes(NEXT, SUPPORT).forget([1])
    assert model.labels == (0, 2, 3, 4)
    assert 1 not in model.predict(NEXT)
    model.add_classes(NEXT, {1: NEXT.ids[NEXT.y == 1][:5]})
    assert 1 in model.predict(NEXT)


def test_known_label_is_refused_unless_updated(model):
    five = {1: NEXT.ids[NEXT.y == 1][:5]}
    model.add_classes(NEXT, SUPPORT)
    with pytest.raises(InputError, match=r"label 1.*update=True"):
        model.add_classes(NEXT, five)
    assert sorted(model.add_classes(NEXT, five, update=True).labels) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ({}, "no class"),
        ({3: []}, "no node"),
        ({3: [int(SUPPORT[3][0])] * 2}, "listed twice"),
        ({3: SUPPORT[3][:2], 4: SUPPORT[3][1:3]}, "under 3 and 4"),
        ({3: [10**6]}, "node 1000000"),
        ({3: ["x"]}, "whole numbers"),
    ],
)
def test_bad_support_is_refused_by_name(model, support, message):
    with pytest.raises(InputError, match=message):
        model.add_classes(NEXT, support)
    assert model.labels == (0, 1, 2)


def test_future_classes_in_an_inductive_graph_are_refused_with_their_number(model):
    future = int((DATA.y > 4).sum())
    with pytest.raises(InputError, match=f"{future} nodes of 2 classes"):
        model.add_classes(DATA, SUPPORT)
    with pytest.raises(InputError, match="transductive"):
        fitted().fit_base(DATA, *masks(DATA, (0, 1, 2)))
    open_to_all = Mecoin(hidden=16, mode="transductive").fit_base(DATA, *masks(DATA, (0, 1, 2)))
    assert open_to_all.add_classes(DATA, SUPPORT).labels == (0, 1, 2, 3, 4)


def test_fewer_labels_than_five_are_taken_and_logged(model, caplog):
    with caplog.at_level(logging.INFO, "mecoin"):
        model.add_classes(FOUR, {3: SUPPORT[3][:1]})
    assert "1 labelled nodes" in caplog.text
    assert 3 in model.labels


def test_isolated_support_node_works_and_warns(model):
    x = sp.csr_array(sp.vstack([FOUR.x, FOUR.x[:1]]))
    lone = Graph(x, FOUR.edge_index, np.append(FOUR.y, -1), FOUR.names, np.append(FOUR.ids, 10**6))
    with pytest.warns(UserWarning, match="node 1000000.*no neighbours"):
        model.add_classes(lone, {3: [*SUPPORT[3], 10**6]})
    assert 3 in model.labels


def test_number_of_features_must_stay(model):
    other = Graph(NEXT.x[:, :50], NEXT.edge_index, NEXT.y, NEXT.names, NEXT.ids)
    with pytest.raises(InputError, match=f"50 features.*{NEXT.width}"):
        model.add_classes(other, SUPPORT)


def test_support_nodes_are_no_test_nodes(model):
    model.add_classes(NEXT, SUPPORT)
    with pytest.raises(InputError, match="5 support nodes"):
        model.evaluate(NEXT, [*TEST, *SUPPORT[3]] if not np.isin(TEST, model._state.support).any() else SUPPORT[3])
    fresh = TEST[~np.isin(TEST, model._state.support)]
    assert 50 < model.evaluate(NEXT, fresh)["accuracy"] <= 100


def test_text_labels_and_ids_with_gaps_work_through_pyg():
    names = np.array(["red", "green", "blue", "cyan", "pink", "grey", "gold"])
    texts = Graph.of(BASE.x, BASE.edge_index, names[BASE.y], ids=BASE.ids * 7 + 3)
    made = Mecoin(hidden=16).fit_base(texts, *masks(BASE, (0, 1, 2)))
    bigger = Graph.of(NEXT.x, NEXT.edge_index, names[NEXT.y], ids=NEXT.ids * 7 + 3)
    made.add_classes(bigger, {"cyan": SUPPORT[3] * 7 + 3, "pink": SUPPORT[4] * 7 + 3})
    assert set(made.predict(bigger)) <= {"red", "green", "blue", "cyan", "pink"}
    data = to_pyg(NEXT)
    numbers = Mecoin(hidden=16, mode="transductive").fit_base(data, *masks(NEXT, (0, 1, 2)))
    assert numbers.add_classes(data, SUPPORT).labels == (0, 1, 2, 3, 4)


def test_nodes_far_from_all_classes_are_novel(plus):
    held = BASE.ids[masks(BASE, (0, 1, 2))[1]]
    assert np.mean(plus.novelty(BASE, held) > 1) == pytest.approx(0.05, abs=0.03)
    strange = DATA.ids[DATA.y == 6]
    assert np.median(plus.novelty(DATA, strange)) > np.median(plus.novelty(BASE, held))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda train, held: (train[:-1], held), "shape"),
        (lambda train, held: (train.astype(int), held), "bool"),
        (lambda train, held: (train, train), "training nodes"),
        (lambda train, held: (train & False, held), "no node"),
        (lambda train, held: (train & (BASE.y == 0), held), "at least two"),
    ],
)
def test_bad_masks_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Mecoin(hidden=16).fit_base(BASE, *change(*masks(BASE, (0, 1, 2))))


def test_training_node_without_label_is_named():
    y = BASE.y.copy()
    y[0] = -1
    train = np.ones(len(BASE), bool)
    with pytest.raises(InputError, match=f"node {BASE.ids[0]}.*no label"):
        Mecoin(hidden=16).fit_base(BASE.with_labels(y), train)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": "best"}, "mecoin\\+, paper, codebook"),
        ({"encoder": "mlp"}, "sgc"),
        ({"hidden": 0}, "hidden"),
        ({"lambdas": (1, 2)}, "three weights"),
        ({"mode": "both"}, "inductive"),
        ({"variant": "paper", "metric": "whitened"}, "metric"),
    ],
)
def test_bad_settings_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Mecoin(**options)


def test_empty_model_says_what_comes_first():
    with pytest.raises(InputError, match="fit_base"):
        Mecoin().predict(BASE)


def test_unknown_label_is_not_forgotten(plus):
    with pytest.raises(InputError, match="label 9"):
        plus.forget([9])
    with pytest.raises(InputError, match="all of them"):
        plus.forget([0, 1, 2])


def test_memory_grows_by_prototype_and_row_alone(model):
    before = model.memory_report()
    model.add_classes(FOUR, {3: SUPPORT[3]})
    after = model.memory_report()
    assert after["prototypes (grow)"] - before["prototypes (grow)"] == 4 * 16
    assert after["rows (grow)"] == 4 * 4 * 4
    assert after["construction (constant)"] == before["construction (constant)"]


@pytest.mark.parametrize("answer", ["head", "mean"])
def test_head_can_answer_too(answer):
    made = fitted("paper")
    learner = made._state.learner
    assert isinstance(learner, Memory)
    memory = learner.probabilities(made._encoder.embed(BASE))
    learner.answer = answer
    other = learner.probabilities(made._encoder.embed(BASE))
    assert not np.allclose(memory, other)
    np.testing.assert_allclose(other.sum(1), 1, rtol=1e-4)


def test_attention_encoder_is_saved_and_read(tmp_path):
    from mecoin._gat import GatEncoder

    made = Mecoin("paper", GatEncoder(16, epochs=10), hidden=16).fit_base(BASE, *masks(BASE, (0, 1, 2)))
    made.save(tmp_path / "gat.safetensors")
    again = Mecoin.load(tmp_path / "gat.safetensors")
    np.testing.assert_array_equal(again.predict_proba(BASE), made.predict_proba(BASE))
