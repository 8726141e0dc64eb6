"""What a target tells without labels (mix, shift, words, walk), and what its labels say of the sources."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from mldgg import MLDGG, Graph, open_graph
from mldgg.domains import rehearsals, thinned
from mldgg.meta import Adapted, ReadingWarning, _unlabelled
from mldgg.meta._adapted import ALONE, judged
from mldgg.meta._search import CHANGES, discriminant
from mldgg.meta._solver import GatedSolver
from mldgg.meta._unlabelled import FORMS, Part, Setting, WordHead
from ninefold.errors import InputError
from ninefold_graphs import InputEncoder, Ridge, centred_update, left_out, ridge_weights, softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from ..small import domains, shown


def shifted(name, shares, shift, seed, nodes=900, flip=1.0):
    """Nodes around three class means, moved by `shift` in all columns; a block of columns follows label times flip.

    Three in four edges stay within a class.
    """
    draws = np.random.default_rng(seed)
    y = draws.choice(3, nodes, p=shares)
    means = np.random.default_rng(9).normal(size=(3, 8)) * 1.2
    block = flip * np.eye(3)[y] * 3 + 0.3 * draws.normal(size=(nodes, 3))
    x = np.concatenate([means[y] + draws.normal(size=(nodes, 8)) + shift, block], axis=1)
    first, second = draws.integers(0, nodes, (2, 2 * nodes))
    for label in range(3):
        some = np.flatnonzero((y[first] == label) & (draws.random(first.size) < 0.7))
        second[some] = draws.choice(np.flatnonzero(y == label), some.size)
    return Graph.of(x.astype(np.float32), np.stack([first, second]), y, classes=("a", "b", "c"), name=name)


EVEN = (0.34, 0.33, 0.33)


def plain(graph):
    """Without the block of columns that follows the label."""
    return replace(graph, x=graph.x[:, :8])


def head_of(sources):
    encoder = InputEncoder.fit(sources)
    return WordHead.fit(encoder, sources, [None] * len(sources), (0,), 1.0, 6.0)


def accuracy(head, target, reading):
    rows, weights = head.rows(head.blocks(target, None), reading)
    return ((rows @ weights).argmax(axis=1) == target.y).mean()


def read_of(head, graph, **options):
    return head.reading(head.blocks(graph, None), graph, None, **{"rehearsed": True, **options})


SOURCES = [plain(shifted("one", EVEN, 0.0, 1)), plain(shifted("two", EVEN, 0.2, 2))]


@pytest.mark.parametrize("shift", [0.3, 0.6, 1.0, -0.6])
@pytest.mark.parametrize("seed", [3, 4])
def test_shift_of_all_features_is_no_other_class_mix(shift, seed):
    head, target = head_of(SOURCES), plain(shifted("t", EVEN, shift, seed))
    reading, still = read_of(head, target), plain(shifted("t", EVEN, 0.0, seed))
    assert np.abs(reading.mix - np.array(EVEN)).sum() / 2 < 0.06
    assert accuracy(head, target, reading) > accuracy(head, still, read_of(head, still)) - 0.03


@pytest.mark.parametrize("shares", [(0.9, 0.05, 0.05), (0.05, 0.9, 0.05), (0.7, 0.3, 0.0), (0.1, 0.45, 0.45)])
@pytest.mark.parametrize("rehearsed", [True, False])
def test_another_class_mix_is_no_shift_of_features(shares, rehearsed):
    head, target = head_of(SOURCES), plain(shifted("t", shares, 0.0, 3))
    reading = read_of(head, target, rehearsed=rehearsed)
    assert reading.around == "nothing"
    assert np.abs(reading.mix - np.array(shares)).sum() / 2 < 0.1
    assert accuracy(head, target, reading) > accuracy(head, target, replace(reading, around="own mean")) - 0.01


def test_edges_that_say_nothing_leave_the_choice_to_rehearsals():
    target = plain(shifted("t", EVEN, 0.0, 3))
    alone = replace(target, edge_index=target.edge_index[:, :0])
    crossed = [replace(one, y=(one.y + np.arange(len(one))) % 3) for one in SOURCES]  # edges ignore these labels
    for head, graph in ((head_of(SOURCES), alone), (head_of(crossed), target)):
        for rehearsed in (True, False):
            reading = read_of(head, graph, rehearsed=rehearsed)
            assert (reading.around == "own mean", reading.decided) == (rehearsed, False)
    assert read_of(head_of(SOURCES), alone, may_centre=False).around == "nothing"


def people(seed, nodes=120):
    """Two classes on three graphs, whose two measurements are shifted by 0, .3 and -.3: the README's own graphs."""
    draw, made = random.Random(seed), {}
    for name, shift in (("north", 0.0), ("south", 0.3), ("new", -0.3)):
        kinds = ["ab"[node % 2] for node in range(nodes)]
        edges = [
            (node, other)
            for node, kind in enumerate(kinds)
            for other in (*draw.sample([n for n in range(nodes) if kinds[n] == kind and n != node], 2),
                          draw.randrange(nodes))
        ]  # fmt: skip
        x = [[draw.gauss(shift + (kind == "a"), 1), draw.gauss(0, 1)] for kind in kinds]
        y = [int(kind == "b") for kind in kinds]
        made[name] = Graph.of(np.array(x), np.array(edges), y, classes=("a", "b"), name=name)
    return made


@pytest.mark.parametrize("seed", range(4))
def test_shifted_measurements_of_a_small_graph_are_read_right_with_and_without_labels(seed):
    graphs = people(seed)
    model, target = MLDGG(gate=False).fit([graphs["north"], graphs["south"]]), graphs["new"]
    right = []
    for labels in (0, 6):
        adapted = model.adapt(target.hidden(np.arange(len(target)) < labels))
        right.append((adapted.predict() == target.y)[6:].mean())
        mix = adapted.report()["class mix"]
        if mix != "unknown":
            share, low, high = mix["a"]
            assert low <= 0.5 <= high
            assert abs(share - 0.5) < 0.12
    assert min(right) > 0.8
    assert right[1] > right[0] - 0.03


def test_class_that_no_source_has_does_not_take_the_whole_mix():
    sources = [replace(one, y=np.where(one.y == 2, -1, one.y)) for one in SOURCES]
    adapted = MLDGG(gate=False).fit(sources).adapt(shown(plain(shifted("t", EVEN, 0.0, 3)), 0))
    mix = adapted.report()["class mix"]
    assert mix == "unknown" or mix["c"][0] < 0.2


def test_mix_is_unknown_where_the_labels_contradict_the_answers():
    model, target = MLDGG(gate=False).fit(SOURCES), plain(shifted("t", EVEN, 0.0, 3))
    support = np.arange(len(target)) < 12
    turned = target.with_labels(np.where(support, (target.y + 1) % 3, -1))
    with pytest.warns(ReadingWarning, match="speak against"):
        adapted = model.adapt(turned)
    assert adapted.trust.right < 6 <= adapted.trust.labels
    assert adapted.report()["class mix"] == "unknown"
    assert model.adapt(target.hidden(support)).report()["class mix"] != "unknown"


def test_thinned_graph_has_one_class_whole():
    graph = domains()["north"]
    small = thinned(graph, 0.1, seed=0)
    before, after = (np.bincount(one.y, minlength=3) for one in (graph, small))
    whole = int(np.flatnonzero(before == after)[0])
    others = np.delete(np.arange(3), whole)
    assert (after[others] >= 2).all()
    assert (after[others] < 0.4 * before[others]).all()
    assert thinned(graph, 0.1, seed=0).digest == small.digest


@pytest.mark.parametrize(("flip", "believed"), [(1.0, True), (-0.8, False), (-0.3, False)])
def test_labels_that_speak_against_the_sources_leave_them_out(flip, believed):
    sources, target = [shifted("one", EVEN, 0, 1), shifted("two", EVEN, 0, 2)], shifted("t", EVEN, 0, 3, flip=flip)
    head = head_of(sources)
    rows = head.blocks(target, None)
    support = np.concatenate([np.flatnonzero(target.y == label)[:5] for label in range(3)])
    trust = judged(rows[support], target.y[support], Ridge(head.plain))
    right = ((rows @ trust.weights).argmax(axis=1) == target.y).mean()
    assert trust.believed == believed
    assert right > 0.9
    assert judged(rows[:0], target.y[:0], Ridge(head.plain)).believed


def test_labels_alone_take_a_strength_below_those_of_a_change_where_it_misses_less():
    draws = np.random.default_rng(0)
    y = np.arange(40) % 2
    rows = np.concatenate([0.02 * draws.normal(size=(40, 3)), np.ones((40, 1))], axis=1).astype(np.float32)
    rows[:, 0] -= 0.1 * (2 * y - 1)  # so small that a strength of one lets nothing of it through
    sources = np.zeros((4, 2), np.float32)
    sources[0] = -20, 20
    trust = judged(rows, y, Ridge(sources))
    truth = np.eye(2, dtype=np.float32)[y] - 0.5
    missed = {strength: (left_out(rows, truth, strength) ** 2).sum() for strength in ALONE}
    best = min(missed, key=missed.get)
    assert not trust.believed
    assert best < min(CHANGES)
    wanted = centred_update(rows, truth, best)
    np.testing.assert_allclose(trust.weights[:3], wanted[:3], rtol=1e-4, atol=1e-5)


def test_model_without_sources_warns_and_says_what_it_read():
    sources = [shifted("one", EVEN, 0, 1, 300), shifted("two", EVEN, 0, 2, 300)]
    model = MLDGG(gate=False).fit(sources)
    target = shifted("t", (0.9, 0.05, 0.05), 0, 3, 300, flip=-0.8)
    support = np.isin(np.arange(300), np.concatenate([np.flatnonzero(target.y == k)[:5] for k in range(3)]))
    with pytest.warns(ReadingWarning, match="class mix|speak against"):
        adapted = model.adapt(target.hidden(support))
    assert not adapted.trust.believed
    assert (adapted.predict() == target.y).mean() > 0.9
    untouched = model.adapt(target.hidden(support), transductive=False)
    assert untouched.reading.around == "nothing"


@pytest.mark.parametrize("words", ["sources", "joint"])
def test_file_of_an_adaptation_answers_alike(tmp_path, words):
    model = MLDGG(gate=False).fit(domains().without("south"))
    solver = model.solver
    kept = tuple((graph, None) for graph in domains().without("south")) if words == "joint" else ()
    parts = {form: Part(words, 0.5, "discriminant" if form == "own mean" else "") for form in FORMS}
    model.solver = replace(solver, choice=replace(solver.choice, parts=parts), kept=kept)
    assert isinstance(model.solver, GatedSolver)
    target = shown(domains()["south"], 2)
    adapted = model.adapt(target)
    adapted.save(tmp_path / "a.safetensors")
    model.save(tmp_path / "m.safetensors")
    again = Adapted.load(tmp_path / "a.safetensors", target)
    np.testing.assert_allclose(again.predict_proba(), adapted.predict_proba(), atol=1e-5)
    np.testing.assert_allclose(adapted.predict_proba().sum(axis=1), 1, atol=1e-5)
    loaded = MLDGG.load(tmp_path / "m.safetensors").adapt(target)
    np.testing.assert_allclose(loaded.predict_proba(), adapted.predict_proba(), atol=1e-5)
    other = Adapted.load(tmp_path / "a.safetensors", open_graph(shown(domains()["south"], 0), "again"))
    np.testing.assert_allclose(other.predict_proba(), adapted.predict_proba(), atol=1e-4)


def test_second_fit_is_the_ridge_over_sources_and_answers():
    sources, target = (
        [plain(shifted("one", EVEN, 0, 1)), plain(shifted("two", EVEN, 0, 2))],
        plain(shifted("t", EVEN, 1, 3)),
    )
    head = head_of(sources)
    reading = replace(read_of(head, target), again="ridge")
    rows, weights = head.rows(head.blocks(target, None), reading)
    chances = softmax(head.sharpness * (rows @ weights))
    parts = [np.asarray(head.blocks(graph, None)) for graph in sources]
    for one in parts:
        one[:, :-1] -= one[:, :-1].mean(axis=0)
    z, y = np.concatenate([*parts, rows]), np.concatenate([*(np.eye(3)[graph.y] for graph in sources), chances])
    np.testing.assert_allclose(head.again(rows, weights, None, reading, 2.0), ridge_weights(z, y, 2.0), atol=1e-3)


def test_discriminant_is_that_of_scikit_learn():
    sources = [plain(shifted(name, EVEN, 0, k)) for k, name in enumerate(("one", "two"))]
    head = head_of(sources)
    rows = [np.asarray(head.blocks(graph, None))[:, :-1] for graph in sources]
    z, y = np.concatenate([one - one.mean(axis=0) for one in rows]), np.concatenate([graph.y for graph in sources])
    theirs = LinearDiscriminantAnalysis(priors=head.prior).fit(z, y).predict_proba(z)
    ours = softmax(np.c_[z, np.ones(len(z))] @ discriminant(head.grams, 1e-3, head.prior))
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


def test_source_that_plays_the_target_is_not_in_the_words_of_the_others():
    first, second = domains()["north"], domains()["east"]
    alone = int(np.asarray(second.x.sum(axis=0)).argmax())  # made a word that the second graph alone has
    keep = sp.diags((np.arange(first.width) != alone).astype(np.float32))
    first = replace(first, x=sp.csr_matrix(first.x @ keep))
    rehearsal = next(one for one in rehearsals([first, second]) if one.target is second)
    setting = Setting((0, 1), 1.0, True, True, 4.5, "accuracy", True, 0)
    heads = _unlabelled._heads(rehearsal, [None, None], setting, ("sources", "joint"))
    assert heads["sources"].encoder.idf[alone] == 0 < heads["joint"].encoder.idf[alone]


def test_report_and_nodes_marked_sure():
    adapted = MLDGG(gate=False).fit(domains().without("south")).adapt(shown(domains()["south"], 0))
    report = adapted.report()
    expected, low, high = report["expected accuracy"]
    assert low <= expected <= high
    gaps = adapted.model.fitted.choice.gaps
    assert expected == pytest.approx(report["mean largest probability"] + np.median(gaps) / 2, abs=2e-4)
    assert sum(share for share, _, _ in report["class mix"].values()) == pytest.approx(1, abs=1e-3)
    assert all(0 <= low <= share <= high <= 1 for share, low, high in report["class mix"].values())
    assert "edge gate" in report["off"]
    marked = [adapted.sure(risk).sum() for risk in (0.0, 0.2, 0.5, 1.0)]
    assert marked == sorted(marked)
    assert marked[-1] == 150
    assert adapted.predict_proba()[adapted.sure(0.5)].max(axis=1).min() >= adapted.predict_proba().max(axis=1).min()
    with pytest.raises(InputError, match="risk: got 2"):
        adapted.sure(2)


def test_expected_accuracy_is_of_the_nodes_that_are_asked_for():
    adapted = MLDGG(gate=False).fit(domains().without("south")).adapt(shown(domains()["south"], 0))
    largest = adapted.predict_proba().max(axis=1)
    surer = largest > np.median(largest)
    report, whole = adapted.report(among=surer), adapted.report()
    assert report["nodes"] == surer.sum() < whole["nodes"] == 150
    assert report["mean largest probability"] == pytest.approx(float(largest[surer].mean()), abs=1e-4)
    assert report["expected accuracy"][0] > whole["expected accuracy"][0]
    assert report["class mix"] == whole["class mix"]
    for among in (surer[:-1], np.flatnonzero(surer), surer & False):
        with pytest.raises(InputError, match="among: got dtype"):
            adapted.report(among=among)


def test_expected_accuracy_lies_in_its_range_where_all_rehearsals_err_to_one_side():
    model = MLDGG(gate=False).fit(domains().without("south"))
    for gaps in ((-0.2, -0.1, -0.1), (0.1, 0.2)):
        choice = replace(model.fitted.choice, gaps=gaps)
        model.solver = replace(model.fitted, choice=choice)
        expected, low, high = model.adapt(shown(domains()["south"], 0)).report()["expected accuracy"]
        assert low <= expected <= high


@pytest.mark.parametrize("shots", [0, 2])
def test_accuracy_without_edges_is_unknown_where_rehearsals_had_them(shots):
    model, south = MLDGG(gate=False).fit(domains().without("south")), shown(domains()["south"], shots)
    lonely = replace(south, edge_index=np.empty((2, 0), np.int64))
    assert model.adapt(south).report()["expected accuracy"] is not None
    assert model.adapt(lonely).report()["expected accuracy"] is None
