"""The model by its public face: what it promises, and every mistake that a user can make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mecoin import Graph, Mecoin, to_pyg
from mecoin.memory._plus import MecoinPlus
from mecoin.paper import Interaction, PaperMecoin, PaperModel
from ninefold.errors import ArtifactError, InputError

from .small import BASE, DATA, FOUR, NEXT, SUPPORT, TEST, fitted, learnt, masks, stream


@pytest.fixture(scope="module")
def plus() -> Mecoin:
    return fitted()


@pytest.fixture
def model(plus, tmp_path) -> Mecoin:
    plus.save(tmp_path / "fixture.safetensors")
    return Mecoin.load(tmp_path / "fixture.safetensors")


@pytest.mark.parametrize("kind", [Mecoin, PaperModel])
def test_new_classes_are_predicted_and_old_ones_still_are(kind):
    made = fitted(kind).add_classes(NEXT, SUPPORT)
    assert made.labels == (0, 1, 2, 3, 4)
    predicted = made.predict(NEXT, TEST)
    truth = NEXT.y[NEXT.positions(TEST)]
    novel = truth >= 3
    assert (predicted == truth)[~novel].mean() > 0.5
    assert (predicted == truth)[novel].mean() > 0.4
    np.testing.assert_allclose(made.predict_proba(NEXT, TEST).sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("kind", [Mecoin, PaperModel])
def test_adding_leaves_every_old_bit(kind):
    made = fitted(kind)
    before = made._state.learner.content
    made.add_classes(NEXT, SUPPORT)
    after = made._state.learner.content
    np.testing.assert_array_equal(after.smu.prototypes[:3], before.smu.prototypes)
    if kind is PaperModel:
        np.testing.assert_array_equal(after.mram.rows[:3, :3], before.mram.rows)


def test_interrupted_addition_leaves_the_model_as_it_was(model, monkeypatch):
    before, kept = model._state, {key: one.copy() for key, one in model._state.learner.state().items()}

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mecoin.memory._plus.refine", interrupt)
    with pytest.raises(KeyboardInterrupt):
        model.add_classes(NEXT, SUPPORT)
    assert model._state is before
    assert all(np.array_equal(one, kept[key]) for key, one in model._state.learner.state().items())
    assert model.labels == (0, 1, 2)
    monkeypatch.undo()
    assert model.add_classes(NEXT, SUPPORT).labels == (0, 1, 2, 3, 4)


def test_interrupted_update_keeps_the_class(model, monkeypatch):
    monkeypatch.setattr("mecoin.memory._plus.refine", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        model.add_classes(BASE, {1: BASE.ids[BASE.y == 1][:5]}, update=True)
    assert model.labels == (0, 1, 2)
    assert len(model._state.learner.content.smu.prototypes) == 3


@pytest.mark.parametrize("kind", [Mecoin, PaperModel])
def test_model_comes_back_from_disk_with_the_same_answers(kind, tmp_path):
    made = fitted(kind).add_classes(NEXT, SUPPORT)
    path = tmp_path / "model.safetensors"
    made.save(path)
    with pytest.raises(ArtifactError, match="exists"):
        made.save(path)
    again = kind.load(path)
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


def test_nodes_far_from_all_classes_are_novel():
    from sklearn.metrics import roc_auc_score

    first, second, *_ = stream()
    graph, train = first.graph, np.isin(first.graph.ids, first.train)
    made = Mecoin().fit_base(graph, train, np.isin(graph.ids, first.validation))
    assert np.mean(made.novelty(graph, first.validation) > 1) == pytest.approx(0.05, abs=0.03)
    strange = np.isin(second.truth, second.new)
    unlabelled = second.graph.with_labels(np.full(len(second.graph), -1))
    assert roc_auc_score(strange, made.novelty(unlabelled, second.test)) > 0.8


def test_memory_grows_by_a_prototype_a_class(model):
    before = model.memory_report()
    model.add_classes(FOUR, {3: SUPPORT[3]})
    after = model.memory_report()
    assert after["prototypes (grow)"] - before["prototypes (grow)"] == 4 * model._encoder.dim + 8
    assert after["construction (constant)"] == before["construction (constant)"]


def test_published_memory_grows_by_a_prototype_a_row_and_five_nodes_a_class():
    made = fitted(PaperModel)
    before = made.memory_report()
    made.add_classes(FOUR, {3: SUPPORT[3]})
    after = made.memory_report()
    assert after["rows (grow)"] == 4 * 4 * 4
    per_node = 4 * 16 + 8 + 8  # features, class and session
    assert after["kept nodes (grow)"] - before["kept nodes (grow)"] == 5 * per_node
    assert after["construction (constant)"] == before["construction (constant)"]


def test_later_sessions_replay_nodes_of_earlier_classes(monkeypatch):
    seen = []
    learn = Interaction.learn
    monkeypatch.setattr(Interaction, "learn", lambda *given: seen.append(given[4]) or learn(*given))
    learnt(PaperModel).add_classes(FOUR, {3: SUPPORT[3]})
    assert np.bincount(seen[1]).tolist() == [5, 5, 5, 5]
    assert np.bincount(seen[0]).min() > 5


@pytest.mark.parametrize("answer", ["head", "mean"])
def test_head_can_answer_too(answer):
    made = fitted(PaperModel)
    learner = made._state.learner
    assert isinstance(learner, PaperMecoin)
    learner.answer = "memory"
    memory = learner.probabilities(made._encoder.embed(BASE))
    learner.answer = answer
    other = learner.probabilities(made._encoder.embed(BASE))
    assert not np.allclose(memory, other)
    np.testing.assert_allclose(other.sum(1), 1, rtol=1e-4)


def test_trained_module_of_ones_own_is_the_encoder(tmp_path):
    class Own(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(DATA.width, 16)

        def forward(self, x, edge_index):
            z = self.layer(x)
            return z + torch.zeros_like(z).index_add(0, edge_index[1], z[edge_index[0]])

    torch.manual_seed(0)
    module = Own()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    made = Mecoin(encoder=module).fit_base(BASE, *masks(BASE, (0, 1, 2))).add_classes(NEXT, SUPPORT)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    assert (made.predict(BASE) == np.array(BASE.classes)[BASE.y]).mean() > 0.6
    made.save(tmp_path / "own.safetensors")
    with pytest.raises(InputError, match="encoder: got none, expected the module that the model was made with"):
        Mecoin.load(tmp_path / "own.safetensors")
    again = Mecoin.load(tmp_path / "own.safetensors", encoder=Own())
    np.testing.assert_array_equal(again.predict_proba(NEXT, TEST), made.predict_proba(NEXT, TEST))
    with pytest.raises(ArtifactError, match="does not fit the module"):
        Mecoin.load(tmp_path / "own.safetensors", encoder=torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"encoder's output: got shape \(3, 2\), expected a tensor of \d+ rows"):
        Mecoin(encoder=Short()).fit_base(BASE, *masks(BASE, (0, 1, 2)))


class Short(torch.nn.Module):
    def forward(self, x, edge_index):
        return x[:3, :2]


def test_attention_encoder_is_saved_and_read(tmp_path):
    from mecoin.encoders._gcn import GatEncoder

    made = PaperModel(GatEncoder(16, epochs=10), hidden=16).fit_base(BASE, *masks(BASE, (0, 1, 2)))
    made.save(tmp_path / "gat.safetensors")
    again = PaperModel.load(tmp_path / "gat.safetensors")
    np.testing.assert_array_equal(again.predict_proba(BASE), made.predict_proba(BASE))


def test_masks_of_the_caller_are_left_as_they_were():
    (train, _), (_, held) = masks(BASE, (0, 1)), masks(BASE, (0, 1, 2))
    given = held.copy()
    Mecoin(hidden=16, mode="transductive").fit_base(BASE, train, held)
    np.testing.assert_array_equal(held, given)


def test_fit_that_fails_leaves_the_model_as_it_was(monkeypatch):
    made = fitted()
    before = made.predict_proba(FOUR)
    monkeypatch.setattr(MecoinPlus, "_fit", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made.fit_base(NEXT.with_labels(np.where(NEXT.y < 3, NEXT.y, -1)), *masks(NEXT, (0, 1, 2)))
    fresh = FOUR.with_labels(FOUR.y)  # embedded by none
    np.testing.assert_array_equal(made.predict_proba(fresh), before)


def test_masks_and_nodes_may_be_tensors():
    made = fitted()
    train, held = masks(BASE, (0, 1, 2))
    made.fit_base(BASE, torch.from_numpy(train), torch.from_numpy(held))
    made.add_classes(NEXT, {code: torch.from_numpy(nodes) for code, nodes in SUPPORT.items()})
    np.testing.assert_array_equal(made.predict(NEXT, torch.from_numpy(TEST)), made.predict(NEXT, TEST))
    novel = TEST[NEXT.y[NEXT.positions(TEST)] >= 3]
    assert made.evaluate(NEXT, torch.from_numpy(novel)) == made.evaluate(NEXT, novel)


def test_module_that_makes_gradients_by_itself_is_an_encoder():
    class Own(torch.nn.Module):
        def forward(self, x, edge_index):
            with torch.enable_grad():
                return x[:, :8] * torch.ones(8, requires_grad=True)

    assert Mecoin(encoder=Own()).fit_base(BASE, *masks(BASE, (0, 1, 2))).labels == (0, 1, 2)


def test_rivals_are_at_hand_by_attribute():
    import mecoin

    assert "SGC-NCM" in mecoin.__getattr__("baselines").BASELINES  # which an import elsewhere may have set already


def test_without_a_mask_all_labelled_nodes_outside_the_validation_mask_are_learned_from():
    labelled, held = BASE.y >= 0, np.arange(len(BASE)) % 7 == 0
    for validation, train in ((None, labelled), (held, labelled & ~held)):
        made, told = (Mecoin("sgc").fit_base(BASE, mask, validation) for mask in (None, train))
        np.testing.assert_array_equal(made.predict_proba(BASE), told.predict_proba(BASE))
