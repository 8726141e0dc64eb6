"""Every mistake of the list that the package promises to answer: each with the words that it answers with."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import scipy.sparse as sp
from mecoin import Graph, Mecoin, Simulated, Split
from mecoin.datasets import read_edge_list
from mecoin.encoders._gcn import GcnEncoder
from mecoin.memory._mecoin import FORMAT
from mecoin.paper import PaperModel
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from ninefold_graphs import DEMO

from .small import BASE, DATA, FOUR, NEXT, SUPPORT, TEST, fitted, masks, stream
from .test_samples import SAMPLES


@pytest.fixture(scope="module")
def plus() -> Mecoin:
    return fitted()


@pytest.fixture
def model(plus, tmp_path) -> Mecoin:
    plus.save(tmp_path / "fixture.safetensors")
    return Mecoin.load(tmp_path / "fixture.safetensors")


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
        ({3: ["x"]}, "integers"),
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
    lone = Graph(x, FOUR.edge_index, np.append(FOUR.y, -1), FOUR.classes, np.append(FOUR.ids, 10**6))
    with pytest.warns(UserWarning, match="node 1000000.*no neighbours"):
        model.add_classes(lone, {3: [*SUPPORT[3], 10**6]})
    assert 3 in model.labels


def test_number_of_features_must_stay(model):
    other = Graph(NEXT.x[:, :50], NEXT.edge_index, NEXT.y, NEXT.classes, NEXT.ids)
    with pytest.raises(InputError, match=f"50 features.*{NEXT.width}"):
        model.add_classes(other, SUPPORT)


def test_support_nodes_are_no_test_nodes(model):
    model.add_classes(NEXT, SUPPORT)
    with pytest.raises(InputError, match="5 support nodes"):
        model.evaluate(NEXT, [*TEST, *SUPPORT[3]] if not np.isin(TEST, model._state.support).any() else SUPPORT[3])
    fresh = TEST[~np.isin(TEST, model._state.support)]
    assert 50 < model.evaluate(NEXT, fresh)["accuracy"] <= 100


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
        ({"encoder": "mlp"}, "sgc"),
        ({"hidden": 0}, "hidden"),
        ({"mode": "both"}, "inductive"),
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


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_named_by_place(value):
    x = NEXT.x.toarray()
    x[7, 3] = value
    with pytest.raises(InputError, match=f"x at node 7, column 3: got {value}, expected finite values"):
        Graph.of(x, NEXT.edge_index)


def test_nodes_that_were_renumbered_need_their_ids(model):
    cut = Graph.of(NEXT.x[:20], np.zeros((2, 0), int))  # ids are 0..19 now, whatever they were
    with pytest.raises(InputError, match=r"support of 'new': got node \d+.*ids name nodes across graphs; give `ids=`"):
        model.add_classes(cut, {"new": SUPPORT[3][SUPPORT[3] > 20]})
    kept = Graph.of(NEXT.x, NEXT.edge_index, ids=NEXT.ids)
    assert "new" in model.add_classes(kept, {"new": SUPPORT[3]}).labels


def test_labels_with_gaps_and_texts_are_kept_with_the_model(model, tmp_path):
    names = (70, 700, 7000, 70000, 700000, 7, 8)
    gaps = Graph(BASE.x, BASE.edge_index, BASE.y, names, BASE.ids)
    made = Mecoin(hidden=16).fit_base(gaps, *masks(BASE, (0, 1, 2)))
    made.add_classes(Graph(FOUR.x, FOUR.edge_index, FOUR.y, names, FOUR.ids), {70000: SUPPORT[3]})
    made.save(tmp_path / "gaps.safetensors")
    assert Mecoin.load(tmp_path / "gaps.safetensors").labels == (70, 700, 7000, 70000)
    model.add_classes(FOUR.with_labels(np.full(len(FOUR), -1)), {"text": SUPPORT[3]}).save(
        tmp_path / "text.safetensors"
    )
    assert Mecoin.load(tmp_path / "text.safetensors").labels == (0, 1, 2, "text")


def test_labels_that_no_file_can_hold_are_refused(model, tmp_path):
    model.add_classes(FOUR.with_labels(np.full(len(FOUR), -1)), {("a", 1): SUPPORT[3]})
    with pytest.raises(InputError, match=r"label \('a', 1\): got tuple, expected a text or a number, to be saved"):
        model.save(tmp_path / "model.safetensors")
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("kind", [Mecoin, PaperModel])
def test_base_class_of_one_node_works(kind):
    train, held = masks(BASE, (0, 1))
    one = np.flatnonzero(BASE.y == 2)[0]
    train[one] = True
    options = {"encoder": GcnEncoder(16, epochs=30)} if kind is PaperModel else {}
    made = kind(hidden=16, **options).fit_base(BASE.induced(np.arange(len(BASE))), train, held)
    assert made.labels == (0, 1, 2)
    assert np.isfinite(made.predict_proba(BASE)).all()


def test_more_classes_than_the_head_had_leave_its_old_weights():
    made = fitted(PaperModel)
    before = made._state.learner.content.head
    made.add_classes(NEXT, SUPPORT)
    grown = made._state.learner.content.head
    assert (before.last.out_features, grown.last.out_features) == (3, 5)
    bare = before.grown(2)  # a session trains a copy: what it grows from keeps every bit
    assert all(
        bool((one == two[: len(one)]).all()) for one, two in zip(before.parameters(), bare.parameters(), strict=True)
    )


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_truncated_model_is_refused_with_its_path(plus, tmp_path, share):
    path = tmp_path / "model.safetensors"
    plus.save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ArtifactError, match=r"model\.safetensors"):
        Mecoin.load(path)


def test_truncated_split_is_refused_with_its_path(tmp_path):
    path = tmp_path / "split.json"
    stream().save(path)
    path.write_text(path.read_text()[:500])
    with pytest.raises(ArtifactError, match=r"split\.json: is damaged, or no split"):
        Split.load(path)
    path.write_text(json.dumps({"kind": "something else"}))
    with pytest.raises(ArtifactError, match=r"split\.json: is no mecoin\.split"):
        Split.load(path)


def test_accuracy_of_nodes_without_a_label_is_refused(model):
    y, nodes = np.where(NEXT.y < 3, NEXT.y, -1), TEST[NEXT.y[NEXT.positions(TEST)] >= 3]
    with pytest.raises(InputError, match=f"test node {nodes[0]}: got no label"):
        model.evaluate(NEXT.with_labels(y), nodes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden": 16.0}, r"hidden: got 16.0, expected a whole number of at least 1"),
        ({"hidden": True}, "hidden: got True"),
        ({"seed": -1}, r"seed: got -1, expected a whole number of at least 0"),
        ({"seed": 0.5}, "seed: got 0.5"),
        ({"transductive": 1}, "transductive: got 1, expected True or False"),
    ],
)
def test_settings_of_the_wrong_kind_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Mecoin(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"proto_per_class": "2"}, r"proto_per_class: got '2', expected a whole number"),
        ({"lambdas": (1, 2)}, "three weights"),
        ({"lambdas": (np.nan, 0.5, 0.1)}, "lambdas.*three weights"),
        ({"lambdas": ("a", 0.5, 0.1)}, "lambdas.*three weights"),
        ({"lambdas": 0.5}, "lambdas.*three weights"),
        ({"graphinfo_dim": 0}, "graphinfo_dim: got 0"),
        ({"hidden": 0}, "hidden: got 0"),
    ],
)
def test_settings_of_the_published_method_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        PaperModel(**options)


@pytest.mark.parametrize(
    ("support", "message"),
    [
        ([1, 2, 3], r"support: got list, expected \{label: \[node ids\]\}"),
        ({3: 5}, "support of 3: got int, expected a list of node ids"),
        ({3: np.int64(5)}, "support of 3: got int64, expected a list of node ids"),
        ({3: "57"}, "support of 3: got str"),
        ({None: SUPPORT[3]}, "label None: got what stands for an unknown class"),
        ({float("nan"): SUPPORT[3]}, "label nan"),
        ({-1: SUPPORT[3]}, "label -1"),
        ({"0": SUPPORT[3]}, r"label '0': got a str, expected another name than 0 has"),
        ({3: SUPPORT[3][:2], "3": SUPPORT[3][2:]}, r"label '3': got a str, expected another name than 3 has"),
        ({3: BASE.ids[masks(BASE, (1,))[0]][:5]}, r"of 3: got a node whose label was learnt before under 1"),
    ],
)
def test_support_of_the_wrong_kind_is_refused_and_nothing_is_learnt(model, support, message):
    with pytest.raises(InputError, match=message):
        model.add_classes(FOUR.with_labels(np.full(len(FOUR), -1)), support)
    assert model.labels == (0, 1, 2)


def test_nodes_of_a_forgotten_class_are_free_again(model, tmp_path):
    nodes = BASE.ids[masks(BASE, (1,))[0]][:5]
    model.forget([1])
    model.save(tmp_path / "model.safetensors")
    again = Mecoin.load(tmp_path / "model.safetensors").add_classes(BASE.with_labels(BASE.y * 0 - 1), {"one": nodes})
    assert again.labels == (0, 2, "one")
    with pytest.raises(InputError, match="learnt before under 'one'"):
        again.add_classes(BASE.with_labels(BASE.y * 0 - 1), {"two": nodes[:2]})


def rewritten(path, folder, **settings):
    """A copy of a model's file with other settings in it."""
    held = artifacts.Artifact(path, kind="mecoin.model", format_version=FORMAT)
    arrays = {name: held.numpy(name) for name in held.names}
    made = folder / "model.safetensors"
    artifacts.save(
        made, arrays, kind="mecoin.model", format_version=FORMAT, package="mecoin", meta={**held.meta, **settings}
    )
    return made


@pytest.mark.parametrize("setting", [{"metric": "euclidean"}, {"proto_per_class": 2}, {"encoder": "both"}])
def test_file_with_a_setting_that_is_gone_is_refused_with_what_to_do(setting, tmp_path):
    path = rewritten(SAMPLES / "plus.safetensors", tmp_path, **setting)
    with pytest.raises(ArtifactError, match="settings that this one has not; fit it anew"):
        Mecoin.load(path)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stream(shot=2.5), "shot: got 2.5, expected a whole number"),
        (lambda: stream(way=True), "way: got True"),
        (lambda: stream(seed=-3), "seed: got -3"),
        (lambda: stream(sessions=1.0), "sessions: got 1.0"),
        (lambda: DEMO.draw(-1), "seed: got -1"),
        (lambda: Simulated(classes=3.5).draw(), "classes: got 3.5"),
    ],
)
def test_sizes_and_seeds_are_whole_numbers(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_messages_name_nodes_as_the_users_files_do(tmp_path):
    (tmp_path / "edges.csv").write_text("".join(f"n{a},n{b}\n" for a, b in BASE.edge_index.T))
    (tmp_path / "labels.csv").write_text("".join(f"n{i},c{y}\n" for i, y in enumerate(BASE.y)))
    graph, places = read_edge_list(tmp_path / "edges.csv", tmp_path / "labels.csv")
    train = np.arange(len(graph)) % 4 > 0
    model = Mecoin(hidden=16).fit_base(graph, train)
    node = next(name for name, one in places.items() if train[graph.positions([one])[0]])
    with pytest.raises(InputError, match=rf"support node {node} of 'new': got a node whose label was learnt before"):
        model.add_classes(graph, {"new": [places[node]]})
    with pytest.raises(InputError, match=rf"support nodes, such as {node}\b"):
        model.evaluate(graph, [places[node]])
