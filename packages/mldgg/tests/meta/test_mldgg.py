"""The public model: what it learns, what it refuses, and that no query label can be seen."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from mldgg import MLDGG, Adapted, GraphDomains, LeakWarning, split_support, to_pyg
from mldgg.datasets import inject_edges
from ninefold.errors import ArtifactError, InputError

from ..small import SMALLER, TINY, domains, shown


@pytest.fixture(scope="module")
def fitted():
    """A model of two of three graphs."""
    return MLDGG().fit(domains().without("south"))


def accuracy(model, shots=0, seed=0):
    target = domains()["south"]
    split = split_support(target.y, shots=shots, seed=seed)
    found = model.adapt(target.hidden(split.support)).predict()
    return (found == target.y)[split.query].mean()


def test_default_learns_and_labels_help(fitted):
    largest = np.bincount(domains()["south"].y).max() / len(domains()["south"])
    assert accuracy(fitted) > largest + 0.2
    assert np.mean([accuracy(fitted, 20, seed) for seed in range(3)]) > largest + 0.25


def test_probabilities_and_files(fitted, tmp_path):
    model, target = fitted, shown(domains()["south"], 2)
    adapted = model.adapt(target)
    chances = adapted.predict_proba()
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-4)
    np.testing.assert_array_equal(adapted.predict(), chances.argmax(axis=1))
    model.save(tmp_path / "model.safetensors")
    again = MLDGG.load(tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.adapt(target).predict_proba(), chances)
    adapted.save(tmp_path / "adapted.safetensors")
    np.testing.assert_array_equal(Adapted.load(tmp_path / "adapted.safetensors", target).predict_proba(), chances)
    with pytest.raises(ArtifactError, match="exists already"):
        model.save(tmp_path / "model.safetensors")
    with pytest.raises(ArtifactError, match=r"holds a mldgg\.model"):
        Adapted.load(tmp_path / "model.safetensors", target)
    weights = adapted.edge_weight()
    assert weights.shape == (target.edge_index.shape[1],)
    assert (weights >= 0).all()
    assert weights.std() > 0


def test_scrambled_query_labels_change_no_bit(fitted):
    graph = domains()["south"]
    support = split_support(graph.y, shots=3, seed=0).support
    scrambled = np.where(support, graph.y, (graph.y + 1) % 3)
    one, other = (fitted.adapt(graph.with_labels(y).hidden(support)).predict_proba() for y in (graph.y, scrambled))
    np.testing.assert_array_equal(one, other)


def test_query_labels_handed_to_adapt_are_refused(fitted):
    graph = domains()["south"]
    support = split_support(graph.y, shots=3, seed=0).support
    with pytest.raises(InputError, match=r"labels of \d+ query nodes"):
        fitted.adapt(graph, support)


def test_injected_edges_get_less_weight():
    noisy = {name: inject_edges(graph, 1.0, seed=k) for k, (name, graph) in enumerate(domains().items())}
    model = MLDGG().fit([noisy[name][0] for name in ("north", "east")])
    target, injected = noisy["south"]
    adapted = model.adapt(target.hidden(np.zeros(150, bool)))
    weights = adapted.edge_weight()
    assert weights[~injected].mean() > weights[injected].mean() + 0.1
    some = target.edge_index[:, :7]
    np.testing.assert_array_equal(adapted.edge_weight(some), weights[:7])
    with pytest.raises(InputError, match=r"\(0, 0\), which is no edge"):
        adapted.edge_weight(np.zeros((2, 1), int))
    plain = MLDGG(gate=False).fit([noisy[name][0] for name in ("north", "east")])
    assert (plain.adapt(target.hidden(np.zeros(150, bool))).edge_weight() == 1).all()


@pytest.fixture
def few_steps(monkeypatch):
    """For tests that ask what a fit takes, and not how good it is."""
    monkeypatch.setattr("mldgg.structure._gate.STEPS", 30)


def unequal():
    """A source with other features, and one with other classes."""
    one, other = domains()["north"], domains()["east"]
    return [replace(one, x=one.x[:, :90]), other.with_labels(np.minimum(other.y, 1))]


def test_unequal_features_and_classes_need_support_and_no_sharing(few_steps):
    one, other = unequal()
    other = replace(other, classes=("a", "b"))
    model = MLDGG().fit([one, other])
    assert not model.shared
    target = domains()["south"]
    split = split_support(target.y, shots=10, seed=0)
    found = model.adapt(target.hidden(split.support)).predict()
    assert (found == target.y)[split.query].mean() > 0.4
    with pytest.raises(InputError, match="no node of class"):
        model.adapt(target.hidden(np.zeros(150, bool)))
    with pytest.raises(InputError, match=r"share: got True with north: 90 features"):
        MLDGG(share=True).fit([one, other])


def test_class_absent_from_support_is_named(fitted):
    graph = domains()["south"]
    support = split_support(graph.y, shots=2, seed=0).support & (graph.y != 1)
    with pytest.warns(LeakWarning, match="no support node of class class 1"):
        fitted.adapt(graph.hidden(support))


@pytest.mark.parametrize(
    "names",
    [(0, 1, 2), tuple(np.arange(3)), ("a", 1, 2.5), (True, False, None)],
    ids=["int", "numpy", "mixed", "others"],
)
def test_class_names_that_are_no_text_are_named_as_others_are(names, tmp_path):
    north, south, west = (replace(one, classes=names) for one in SMALLER.draw(0).values())
    model = MLDGG().fit([north, south])
    split = split_support(west.y, shots=4, seed=0)
    support = split.support & (west.y != 2)
    with pytest.warns(LeakWarning, match=f"no support node of class {names[2]};"):
        made = model.adapt(west.hidden(support))
    with pytest.raises(InputError, match=f"classes: got x, y, z, expected those of the sources: {names[0]}, "):
        model.adapt(replace(west, classes=("x", "y", "z")))
    made.save(tmp_path / "adapted.safetensors")
    loaded = Adapted.load(tmp_path / "adapted.safetensors", west.hidden(support))
    np.testing.assert_array_equal(loaded.predict(), made.predict())


def test_one_source_is_allowed_and_warned_of(few_steps):
    with pytest.warns(LeakWarning, match="one source only"):
        model = MLDGG().fit([domains()["north"]])
    assert accuracy(model) > 0.4


def test_target_with_rows_of_a_source_is_warned_of_by_a_loaded_model_too(fitted, tmp_path):
    source = domains()["north"]
    fitted.save(tmp_path / "model.safetensors")
    with pytest.warns(LeakWarning, match="150 rows of target copy are rows of source north"):
        MLDGG.load(tmp_path / "model.safetensors").adapt(replace(source.hidden(np.zeros(150, bool)), name="copy"))
    with pytest.warns(LeakWarning, match="150 rows of target copy are rows of source north"):
        fitted.adapt(replace(source.hidden(np.zeros(150, bool)), name="copy"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", LeakWarning)
        fitted.adapt(shown(domains()["south"], 1))


@pytest.mark.filterwarnings("ignore::mldgg.meta.ReadingWarning")
def test_same_seed_same_model_other_seed_another(few_steps):
    graphs = GraphDomains(SMALLER.draw(0))

    def chances(seed):
        model = MLDGG(seed=seed).fit(graphs.without("south"))
        return model.adapt(shown(graphs["south"], 1)).edge_weight()

    first = chances(0)
    np.testing.assert_array_equal(first, chances(0))
    assert not np.array_equal(first, chances(1))


def test_all_wrong_options_are_said_at_once():
    with pytest.raises(InputError, match=r"colour is no option; gate is 'soft'.*joint is 1") as one:
        MLDGG(colour=1, gate="soft", joint=1)
    assert "see mldgg.Settings" in str(one.value)


def test_source_without_labels_and_model_without_fit_are_refused():
    graph = domains()["north"]
    with pytest.raises(InputError, match="no labelled node"):
        MLDGG().fit([graph.hidden(np.zeros(150, bool)), domains()["east"]])
    with pytest.raises(InputError, match="not fitted"):
        MLDGG().adapt(graph)


def test_own_pyg_data_go_in_by_list_and_by_name(few_steps):
    data = {name: to_pyg(graph, dense=False) for name, graph in TINY.draw(0).items()}
    model = MLDGG().fit([data["north"], data["east"]])
    assert model.names == ("graph0", "graph1")
    named = MLDGG().fit({name: data[name] for name in ("north", "east")})
    assert named.names == ("north", "east")
    data["south"].y = None
    np.testing.assert_array_equal(model.adapt(data["south"]).predict(), named.adapt(data["south"]).predict())
