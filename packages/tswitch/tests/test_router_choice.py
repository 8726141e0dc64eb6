"""Auto-Switch by votes or in closed form: which is taken, what query sets keep for it, and inputs without texts."""

import zlib

import numpy as np
import pytest
import torch
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError
from tswitch import AutoSwitch, QuerySet
from tswitch.routing import _choice, _closed_form, _router
from tswitch.routing._features import extract, extract_layers
from tswitch.routing._query_set import FILE, FeatureSettings
from tswitch.routing._words import Words
from tswitch_experiments.claims._routes import auroc

from .test_router import F, Net, bert, close, cluster, make_bank, tokens  # noqa: F401

SAYS = {
    "a": ("paid", "card", "bank", "loan", "cheque"),
    "b": ("flight", "trip", "hotel", "visa", "luggage"),
    "c": ("cook", "oven", "salt", "soup", "kettle"),
}


def texts_of(task, count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(SAYS[task], 4)) for _ in range(count)]


def noise(texts):
    """Features that say nothing: they are drawn by the text, whatever its task."""
    seeds = [zlib.crc32(text.encode()) for text in texts]
    return torch.stack([torch.randn(F, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


def wordy(**options):
    router = AutoSwitch(make_bank(), 3, feature_layer="first", preprocess=noise, **options)
    return router.fit({task: texts_of(task, 20, seed) for seed, task in enumerate(SAYS)})


def clustered(spread=0.3, n=12, **options):
    router = AutoSwitch(make_bank(), 3, feature_layer="first", **options)
    return router.fit({task: cluster(place, n, place, spread) for place, task in enumerate(SAYS)})


def test_the_closed_form_is_taken_where_it_assigns_more_queries_left_out():
    router = wordy()
    assert router.left_out["closed form"] >= 90 > 60 > router.left_out["votes"]
    assert router.chosen == "closed form"
    asked = [texts_of(task, 1, 9)[0] for task in ("c", "a", "b")]
    routed = router(asked)
    assert routed.heads == ["c", "a", "b"]
    assert (routed.weights.argmax(1) == torch.tensor([2, 0, 1])).all()
    assert torch.allclose(routed.weights.sum(1), torch.ones(3))
    assert torch.equal(router.predict_weights(asked), routed.weights)
    assert torch.equal(router.reject_scores(asked), routed.reject)
    assert wordy(method="votes").chosen == "votes"


def test_equal_methods_leave_the_votes():
    router = clustered()
    assert router.left_out == {"votes": 100.0, "closed form": 100.0}
    assert router.chosen == "votes"
    assert torch.equal(router.predict_weights(cluster(1, 4)), router._weights(router.features(cluster(1, 4)))[0])


def test_votes_left_out_are_those_of_scikit_learn():
    neighbors = pytest.importorskip("sklearn.neighbors")
    router = clustered(spread=1.5, n=15)
    stored = torch.cat([held.features.float() for held in router.query_sets.values()])
    stored = (stored - stored.mean(0)).numpy()
    labels = np.repeat([0, 1, 2], 15)
    right = 0
    for row in range(45):
        rest = np.delete(np.arange(45), row)
        peer = neighbors.KNeighborsClassifier(3, metric="cosine", algorithm="brute").fit(stored[rest], labels[rest])
        near = peer.kneighbors(stored[row : row + 1], return_distance=False)[0]
        votes = np.bincount(labels[rest][near], minlength=3)
        right += next(task for task in labels[rest][near] if votes[task] == votes.max()) == labels[row]
    assert router.left_out["votes"] == pytest.approx(100 * right / 45)
    assert 40 < router.left_out["votes"] < 100


@pytest.mark.parametrize("mode", ["sample", "sample-argmax", "batch-mean", "batch-argmax"])
def test_modes_in_closed_form(mode):
    given = torch.cat([cluster(place, 3, 30 + place, 1.5) for place in (2, 0)])
    router = clustered(method="closed form", mode=mode)
    routed = router(given)
    for row, (output, head) in enumerate(zip(routed.outputs, routed.heads, strict=True)):
        with router.bank.use(dict(zip(router.tasks, routed.weights[row].tolist(), strict=True)), head=head):
            close(output, router.bank(given[row : row + 1])[0])
    weights = routed.weights
    assert torch.allclose(weights.sum(1), torch.ones(6))
    assert (weights == weights[0]).all() == mode.startswith("batch")
    assert weights.eq(1).any(1).all() or not mode.endswith("argmax")


def test_inputs_without_texts_are_routed_by_features_alone():
    for router in (wordy(), clustered(method="closed form")):
        given = cluster(1, 4)
        weights = router.predict_weights(given)
        assert torch.allclose(weights.sum(1), torch.ones(4))
    assert router(given).heads == ["b"] * 4
    blind, bare = wordy(), wordy(words=False, method="closed form")
    assert bare.query_sets["a"].words is None
    assert torch.equal(blind.predict_weights(noise(["pay"])), bare.predict_weights(noise(["pay"])))


def test_far_inputs_are_rejected_in_closed_form():
    router = clustered(spread=1.0, n=30, method="closed form")
    known = torch.cat([cluster(place, 40, 50 + place, 1.0) for place in range(3)])
    far = torch.cat([cluster(place, 40, 60 + place, 1.0) for place in (4, 5, 6)])
    scores = [router.reject_scores(each).numpy() for each in (far, known)]
    assert min(each.min() for each in scores) >= 0
    assert auroc(*scores) > 0.8
    assert auroc(scores[1][::2], scores[1][1::2]) == pytest.approx(0.5, abs=0.15)


def test_saved_query_sets_route_alike_in_closed_form(tmp_path):
    router = wordy()
    for task, held in router.query_sets.items():
        held.save(tmp_path / task / FILE)
        stored = (tmp_path / task / FILE).read_bytes()
        assert not any(word.encode() in stored for words in SAYS.values() for word in words)
    again = AutoSwitch(router.bank, 3, feature_layer="first", preprocess=noise)
    again.use_query_sets({task: tmp_path / task for task in SAYS})
    asked = [text for task in SAYS for text in texts_of(task, 5, 7)]
    assert again.left_out == router.left_out
    assert torch.equal(again.predict_weights(asked), router.predict_weights(asked))
    assert torch.equal(wordy().reject_scores(asked), router.reject_scores(asked))


def test_query_sets_of_before_serve_without_words(tmp_path):
    settings, bank = FeatureSettings("first"), make_bank()
    for place, task in enumerate(SAYS):
        QuerySet(bank.model.first(cluster(place, 6)).detach(), settings).save(tmp_path / task / FILE)
        written = artifacts.Artifact(tmp_path / task / FILE, kind="tswitch.query_set", format_version=1)
        assert written.names == ["features"]
    router = AutoSwitch(bank, 3, feature_layer="first", preprocess=noise, method="closed form")
    router.use_query_sets({task: tmp_path / task for task in SAYS})
    assert router(cluster(2, 3)).heads == ["c"] * 3
    assert len(router(["pay", "fly"]).heads) == 2
    router.use_query_sets({"a": tmp_path / "a", "b": wordy().query_sets["b"]})
    assert len(router(["pay", "fly"]).heads) == 2


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"features": torch.ones(20)}, r"features of shape \(20,\)"),
        ({"features": torch.ones(20, 0)}, r"features of shape \(20, 0\)"),
        ({"features": torch.ones(20, F, dtype=torch.int32)}, "features of torch.int32"),
        ({"features": torch.full((20, F), torch.nan)}, "160 NaN or infinite features"),
        ({"layers/-1": torch.ones(19, F)}, r"layers/-1 of shape \(19, 8\)"),
        ({"layers/-1": torch.full((20, F), torch.inf)}, "160 NaN or infinite layers/-1"),
        ({"layers/last": torch.ones(20, F)}, "'last'"),
        ({"words/ids": np.zeros(3)}, "words/ids"),
        ({"words/counts": np.zeros(3, np.int32)}, "words/counts"),
        ({"words/ends": np.arange(20)}, "words/ends"),
        ({"words/ends": None}, "has no array 'words/ends'"),
        ({"features": None}, "has no array 'features'"),
    ],
)
def test_malformed_query_sets_are_refused_by_the_tensor(tmp_path, change, named):
    held = wordy().query_sets["a"]
    held.save(tmp_path / "whole")
    about = {"kind": "tswitch.query_set", "format_version": 2}
    whole = artifacts.Artifact(tmp_path / "whole", **about)
    arrays = {name: whole.numpy(name) for name in whole.names} | change
    kept = {name: array for name, array in arrays.items() if array is not None}
    artifacts.save(tmp_path / "bad", kept, **about, package="tswitch", meta=whole.meta)
    with pytest.raises(ArtifactError, match=named) as caught:
        QuerySet.load(tmp_path / "bad")
    assert str(tmp_path / "bad") in str(caught.value)
    with pytest.raises(InputError, match="words/ends of 2 texts"):
        QuerySet(torch.ones(3, F), FeatureSettings("first"), words=Words.of(["a", "b"]))


@pytest.mark.parametrize("n", [1, 2])
@pytest.mark.parametrize("method", ["auto", "closed form"])
def test_one_query_a_task_and_queries_given_twice(n, method):
    router = AutoSwitch(make_bank(), 1, feature_layer="first", method=method)
    router.fit({task: cluster(place, 1, place).repeat(n, 1) for place, task in enumerate(SAYS)})
    assert router(torch.cat([cluster(place, 1, place) for place in range(3)])).heads == ["a", "b", "c"]
    assert router.left_out["votes"] == (100 if n == 2 else 0)


def test_more_queries_than_the_kernel_holds_are_cut_with_a_word(monkeypatch):
    for module in (_choice, _closed_form):
        monkeypatch.setattr(module, "MOST", 15)
    router = clustered(method="closed form")
    with pytest.warns(UserWarning, match="36 queries: the closed form uses at most 5 of each task, 15 of all"):
        assert router(cluster(1, 2)).heads == ["b", "b"]


def test_a_single_task_needs_no_choice(monkeypatch):
    monkeypatch.setattr(_router, "Forms", None)
    router = AutoSwitch(make_bank(), 1, feature_layer="first").fit({"a": cluster(0, 5)})
    assert router(cluster(2, 2)).heads == ["a", "a"]


def test_features_beyond_float16_stay_as_they_are():
    router = AutoSwitch(make_bank(), 1, feature_layer="first")
    router.fit({"a": cluster(0, 5), "b": 1e7 * cluster(1, 5)})
    assert [held.features.dtype for held in router.query_sets.values()] == [torch.float16, torch.float32]
    assert router(cluster(0, 1)).heads == ["a"]


def test_several_layers_in_one_pass_are_those_of_passes_of_their_own(bert, tokens):  # noqa: F811
    runs = []
    hook = bert.register_forward_pre_hook(lambda *_: runs.append(1))
    found = extract_layers(bert, tokens, (-4, -3, -2, -1))
    assert len(runs) == 1
    hook.remove()
    for layer, each in zip((-4, -3, -2, -1), found, strict=True):
        assert torch.equal(each, extract(bert, tokens, layer))
    with pytest.raises(InputError, match="classifier"):
        extract_layers(Net(), torch.ones(1, F), ("first", "classifier.nosuch"))


def test_the_last_hidden_states_of_a_transformer_are_kept(bert, tokens):  # noqa: F811
    from tswitch.routing._query_set import QuerySet as Made

    held = Made.of(bert, tokens, FeatureSettings())
    assert sorted(held.layers) == [-4, -3, -1]
    assert held.features.dtype == held.layers[-1].dtype == torch.float16
    close(held.layers[-1].float(), extract(bert, tokens, -1).half().float())
    assert not Made.of(bert, tokens, FeatureSettings(1)).layers
    assert not Made.of(bert, tokens, FeatureSettings(), wide=False).layers


def test_layers_of_other_sizes_are_refused():
    router = AutoSwitch(make_bank(), feature_layer=-2)
    made = {
        task: QuerySet(torch.randn(9, F), FeatureSettings(), layers={-1: torch.randn(9, size)})
        for task, size in (("a", 7), ("b", 6))
    }
    with pytest.raises(InputError, match=r"'b': got 6 features of layer -1, expected 7, as task 'a' has"):
        router.use_query_sets(made)


def test_layers_of_several_sizes_are_used_together():
    """A layer of zeros more changes nothing: cosines see no padding."""
    settings, rng = FeatureSettings(), torch.Generator().manual_seed(0)
    made, wide = {}, {}
    for place, task in enumerate(SAYS):
        own, other = cluster(place, 9, place, 2.0), torch.randn(9, 5, generator=rng)
        made[task] = QuerySet(own, settings, layers={-1: other})
        wide[task] = QuerySet(own, settings, layers={-1: torch.nn.functional.pad(other, (0, 7))})
    asked = [torch.randn(4, F, generator=rng), torch.randn(4, 5, generator=rng)]
    padded = [asked[0], torch.nn.functional.pad(asked[1], (0, 7))]
    forms = [_choice.Forms(each, 0, words=True) for each in (made, wide)]
    assert [form.sizes for form in forms] == [[8, 5], [8, 12]]
    np.testing.assert_allclose(forms[0].scores(asked, None), forms[1].scores(padded, None), atol=1e-6)
    assert forms[0].votes_left_out(3, "cosine-centered") == forms[1].votes_left_out(3, "cosine-centered")


def test_a_method_that_is_none_is_refused():
    with pytest.raises(InputError, match="method"):
        AutoSwitch(make_bank(), method="ridge")
    router = AutoSwitch(make_bank(), feature_layer="first")
    for ask in (lambda: router.chosen, lambda: router.left_out):
        with pytest.raises(InputError, match="fit"):
            ask()
