"""Auto-Switch: features from inside a model, neighbours, and answers of mixed batches."""

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from torch import nn
from tswitch import AutoSwitch, QuerySet, Switch, SwitchBank
from tswitch.routing._features import extract
from tswitch.routing._query_set import FeatureSettings

F = 8


def close(one, two):
    """As torch.testing.assert_close, without the seconds of imports that it takes."""
    np.testing.assert_allclose(one.detach().numpy(), two.detach().numpy(), rtol=1e-5, atol=1e-6)


class Net(nn.Module):
    """A small classifier on vectors, whose first layer gives the features."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(F, F)
        self.drop = nn.Dropout(0.5)
        self.second = nn.Linear(F, F)
        self.classifier = nn.Linear(F, 2)
        self.reached = 0

    def forward(self, x):
        hidden = self.drop(self.first(x)).relu()
        self.reached += 1
        return self.classifier(self.second(hidden))


def make_bank(tasks=("a", "b", "c"), callable_heads=False):
    torch.manual_seed(0)
    base = Net().eval()
    bank = SwitchBank(base)
    for index, task in enumerate(tasks):
        tuned = {name: value + 0.3 * torch.randn(value.shape) for name, value in base.state_dict().items()}
        head = {"classifier.weight": torch.randn(2 + index, F), "classifier.bias": torch.randn(2 + index)}
        switch = Switch.from_checkpoints(base, tuned | {"classifier.weight": head["classifier.weight"][:2]}, alpha=0.6)
        bank.add(task, switch, head=(lambda out, n=index: out.sum(-1) + n) if callable_heads else head)
    return bank


def make_router(bank=None, n_neighbors=3, n=6, **options):
    """A router by module name, with inputs of task i clustered around the i-th unit vector times three."""
    bank = make_bank() if bank is None else bank
    router = AutoSwitch(bank, n_neighbors, feature_layer="first", **options)
    return router.fit({task: cluster(index, n, seed=index) for index, task in enumerate(bank.tasks)})


def cluster(index, n, seed=0, spread=0.3):
    gen = torch.Generator().manual_seed(seed)
    return 3 * nn.functional.one_hot(torch.tensor(index), F) + spread * torch.randn(n, F, generator=gen)


def query_sets(sizes, seed=0, width=F):
    gen = torch.Generator().manual_seed(seed)
    settings = FeatureSettings("first")
    return {task: QuerySet(torch.randn(size, width, generator=gen), settings) for task, size in sizes.items()}


@pytest.mark.parametrize("k", [1, 5, 10, 17])
@pytest.mark.parametrize("metric", ["euclidean", "cosine", "cosine-centered"])
def test_weights_equal_sklearn_neighbours(metric, k):
    neighbors = pytest.importorskip("sklearn.neighbors")
    bank = make_bank()
    router = AutoSwitch(bank, k, metric, feature_layer="first").use_query_sets(query_sets({"a": 9, "b": 20, "c": 5}))
    stored = torch.cat([held.features for held in router.query_sets.values()])
    labels = np.repeat([0, 1, 2], [9, 20, 5])
    features = torch.randn(50, F, generator=torch.Generator().manual_seed(1))
    center = stored.mean(0) if metric == "cosine-centered" else torch.zeros(F)
    peer = neighbors.KNeighborsClassifier(
        k, metric="euclidean" if metric == "euclidean" else "cosine", algorithm="brute"
    )
    peer.fit((stored - center).numpy(), labels)
    weights, _, reject = router._weights(features)
    np.testing.assert_allclose(weights, peer.predict_proba((features - center).numpy()), atol=1e-6)
    distances, _ = peer.kneighbors((features - center).numpy())
    np.testing.assert_allclose(reject, distances.mean(1), rtol=1e-4, atol=1e-6)


def test_neighbours_on_a_hand_case():
    """One-dimensional features 0, 1 (task a) and 3 (task b); of 1.9 the two nearest are 1 and 3."""
    settings = FeatureSettings("first")
    sets = {"a": QuerySet(torch.tensor([[0.0], [1.0]]), settings), "b": QuerySet(torch.tensor([[3.0]]), settings)}
    router = AutoSwitch(make_bank(), 2, "euclidean", feature_layer="first").use_query_sets(sets)
    distances, owners = router.neighbours(torch.tensor([[1.9], [0.2]]))
    close(distances, torch.tensor([[0.9, 1.1], [0.2, 0.8]]))
    assert owners.tolist() == [[0, 1], [0, 0]]
    weights, heads, reject = router._weights(torch.tensor([[1.9], [2.1]]))
    assert weights.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert heads == [0, 1]  # equal shares: the nearest one's head
    close(reject, torch.tensor([1.0, 1.0]))


@pytest.mark.parametrize(
    ("mode", "expected", "heads"),
    [
        ("sample", [[1, 0], [1, 0], [0, 1]], [0, 0, 1]),
        ("sample-argmax", [[1, 0], [1, 0], [0, 1]], [0, 0, 1]),
        ("batch-mean", [[2 / 3, 1 / 3]] * 3, [0, 0, 0]),
        ("batch-argmax", [[1, 0]] * 3, [0, 0, 0]),
    ],
)
def test_modes_on_a_hand_case(mode, expected, heads):
    settings = FeatureSettings("first")
    sets = {"a": QuerySet(torch.tensor([[0.0]]), settings), "b": QuerySet(torch.tensor([[1.0]]), settings)}
    router = AutoSwitch(make_bank(), 1, "euclidean", "first", mode=mode).use_query_sets(sets)
    weights, found, _ = router._weights(torch.tensor([[0.1], [0.2], [0.9]]))
    close(weights, torch.tensor(expected, dtype=torch.float32))
    assert found == heads


@pytest.mark.parametrize("callable_heads", [False, True])
def test_grouped_answers_equal_one_by_one(callable_heads):
    bank = make_bank(callable_heads=callable_heads)
    router = make_router(bank, spread_mix := 3)
    batch = torch.cat([cluster(0, 4, 7), cluster(1, 3, 8), cluster(2, 2, 9), cluster(0, 5, 10, spread=3.0)])
    batch = batch[torch.randperm(len(batch), generator=torch.Generator().manual_seed(0))]
    state = {name: value.clone() for name, value in bank.model.state_dict().items()}
    routed = router(batch)
    assert len(routed.outputs) == len(batch)
    assert routed.forwards == 1
    weights = router.predict_weights(batch)
    assert torch.equal(routed.weights, weights)
    assert ((weights * spread_mix) % 1 == 0).all()
    for row, (output, head) in enumerate(zip(routed.outputs, routed.heads, strict=True)):
        with bank.use(dict(zip(router.tasks, weights[row].tolist(), strict=True)), head=head), torch.no_grad():
            close(output, bank(batch[row : row + 1])[0])
    assert all(torch.equal(value, state[name]) for name, value in bank.model.state_dict().items())


def test_clusters_are_routed_to_their_own_heads():
    router = make_router()
    routed = router(torch.cat([cluster(i, 5, seed=20 + i) for i in (2, 0, 1)]))
    assert routed.heads == ["c"] * 5 + ["a"] * 5 + ["b"] * 5
    assert [len(output) for output in routed.outputs] == [4] * 5 + [2] * 5 + [3] * 5
    assert routed.forwards == 1


def test_strange_inputs_score_higher_for_rejection():
    router = make_router(metric="euclidean")
    known, strange = cluster(1, 5, seed=30), -5 * torch.ones(5, F)
    assert router.reject_scores(known).max() < router.reject_scores(strange).min()
    assert torch.equal(router(known).reject, router.reject_scores(known))


def test_features_leave_early_in_evaluation_mode():
    net = Net().train()
    net.second.eval()
    found = extract(net, torch.ones(2, F), "first")
    assert net.reached == 0
    assert torch.equal(found, net.first(torch.ones(2, F)))
    assert net.training
    assert net.drop.training
    assert not net.second.training
    assert not net.first._forward_hooks


def test_features_of_pictures_are_means_over_places():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten())
    found = extract(net, picture := torch.rand(2, 3, 8, 8), "0")
    close(found, net[0](picture).mean((2, 3)))


def test_feature_layer_that_is_not_there_or_not_reached():
    net = Net()
    net.unused = nn.Linear(2, 2)
    with pytest.raises(InputError, match=r"nosuch.*first"):
        extract(net, torch.ones(1, F), "nosuch")
    with pytest.raises(InputError, match="unused"):
        extract(net, torch.ones(1, F), "unused")
    with pytest.raises(InputError, match="Net with no transformers"):
        extract(net, torch.ones(1, F), -2)


@pytest.fixture(scope="module")
def bert():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=3, num_attention_heads=2, intermediate_size=32, num_labels=2
    )
    return transformers.BertForSequenceClassification(config).eval()


@pytest.fixture
def tokens():
    gen = torch.Generator().manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])
    return {"input_ids": torch.randint(1, 50, (2, 5), generator=gen) * mask, "attention_mask": mask}


@pytest.mark.parametrize("layer", [0, 1, 2, 3, -1, -2, -3, -4])
def test_hidden_states_by_index_are_mean_pooled_under_the_mask(bert, tokens, layer):
    with torch.no_grad():
        states = bert(**tokens, output_hidden_states=True).hidden_states
    state, mask = states[layer], tokens["attention_mask"][..., None]
    close(extract(bert, tokens, layer), (state * mask).sum(1) / mask.sum(1))
    close(extract(bert, tokens, layer, "first"), state[:, 0])
    wrapped = nn.Sequential()
    wrapped.bert, wrapped.forward = bert, lambda **inputs: bert(**inputs)
    close(extract(wrapped, tokens, layer), (state * mask).sum(1) / mask.sum(1))


def test_hidden_states_of_layer_one_run_one_layer(bert, tokens):
    ran = []
    hooks = [
        layer.register_forward_hook(lambda *_, i=i: ran.append(i)) for i, layer in enumerate(bert.bert.encoder.layer)
    ]
    extract(bert, tokens, 1)
    extract(bert, tokens, -3)
    for hook in hooks:
        hook.remove()
    assert ran == [0, 0]
    with pytest.raises(InputError, match="-4 to 3"):
        extract(bert, tokens, 4)


def test_other_architectures_agree_with_their_hidden_states():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    vit = transformers.ViTModel(transformers.ViTConfig(**small, image_size=8, patch_size=4)).eval()
    llama = transformers.LlamaModel(transformers.LlamaConfig(**small, vocab_size=40, num_key_value_heads=2)).eval()
    for model, inputs in [
        (vit, {"pixel_values": torch.rand(2, 3, 8, 8)}),
        (llama, {"input_ids": torch.randint(0, 40, (2, 6))}),
    ]:
        with torch.no_grad():
            states = model(**inputs, output_hidden_states=True).hidden_states
        for layer in (0, 1):
            close(extract(model, inputs, layer), states[layer].mean(1))


def test_texts_go_through_preprocess_and_answers_through_heads(bert):
    def tokenise(texts):
        ids = torch.tensor([[ord(c) % 49 + 1 for c in text.ljust(6)[:6]] for text in texts])
        return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}

    bank = SwitchBank(bert)
    gen = torch.Generator().manual_seed(0)
    for index, task in enumerate(["x", "y"]):
        state = bert.state_dict()
        tuned = {name: value + 0.05 * torch.randn(value.shape, generator=gen) for name, value in state.items()}
        tuned = {name: tuned[name] if state[name].is_floating_point() else state[name] for name in state}
        tuned["classifier.weight"], tuned["classifier.bias"] = torch.randn(2 + index, 16), torch.randn(2 + index)
        bank.add(task, Switch.from_checkpoints(bert, tuned, alpha=0.6))
    router = AutoSwitch(bank, 3, preprocess=tokenise)
    router.fit({"x": ["aaaa", "aaab", "aaba", "abaa"], "y": ["zzzz", "zzzy", "zzyz", "zyzz"]})
    routed = router(["zzzz", "aaaa"])
    assert routed.heads == ["y", "x"]
    assert [len(output) for output in routed.outputs] == [3, 2]
    assert router(**tokenise(["zzzz"])).heads == ["y"]
    assert router("zzzz").heads == ["y"]


def test_merged_features_come_from_the_average_model():
    bank = make_bank()
    router = make_router(bank, feature_model="merged")
    batch = cluster(0, 4)
    with bank.use(dict.fromkeys(bank.tasks, 1 / 3)):
        expected = bank.model.first(batch)
    with bank.use("a"):
        close(router.features(batch), expected)
        assert bank.active == {"a": 1.0}
    close(make_router(bank).features(batch), bank.model.first(batch))


def test_query_sets_are_drawn_without_repetition_and_by_seed():
    bank = make_bank()
    given = {"a": torch.arange(200.0)[:, None].expand(200, F)}
    one, two, other = (AutoSwitch(bank, 1, feature_layer="first", n_queries=50, seed=s).fit(given) for s in (0, 0, 1))
    stored = [router.query_sets["a"].features for router in (one, two, other)]
    assert stored[0].shape == (50, F)
    assert len(stored[0].unique(dim=0)) == 50
    assert torch.equal(stored[0], stored[1])
    assert not torch.equal(stored[0], stored[2])
    assert one.nbytes == 50 * F * 2


def test_query_set_bytes_are_the_published_ones():
    """8 tasks, 100 queries, 512 features: 58.6 - 57.0 = 1.6 MB."""
    sets = query_sets({str(task): 100 for task in range(8)}, width=512)
    assert sum(held.nbytes for held in sets.values()) == 1_638_400


def test_saved_query_sets_route_alike(tmp_path):
    router = make_router()
    for task, held in router.query_sets.items():
        held.save(tmp_path / task / "query_set.safetensors")
    size = (tmp_path / "a" / "query_set.safetensors").stat().st_size
    assert size < router.query_sets["a"].nbytes + 1024
    again = AutoSwitch(router.bank, 3, feature_layer="first")
    again.use_query_sets({task: tmp_path / task for task in router.tasks})
    batch = torch.randn(20, F)
    assert torch.equal(again.predict_weights(batch), router.predict_weights(batch))
    with pytest.raises(ArtifactError, match="exists already"):
        router.query_sets["a"].save(tmp_path / "a" / "query_set.safetensors")


def test_damaged_query_set_is_refused_by_name(tmp_path):
    path = tmp_path / "q.safetensors"
    make_router().query_sets["a"].save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ArtifactError, match=r"q\.safetensors.*damaged"):
        QuerySet.load(path)
    path.write_bytes(whole[:-10])
    with pytest.raises(ArtifactError, match=r"q\.safetensors.*truncated"):
        QuerySet.load(path)
    with pytest.raises(ArtifactError, match="nosuch"):
        QuerySet.load(tmp_path / "nosuch")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"n_neighbors": 0}, "n_neighbors"),
        ({"n_neighbors": 2.5}, "n_neighbors"),
        ({"metric": "manhattan"}, "metric"),
        ({"mode": "each"}, "mode"),
        ({"pooling": "max"}, "pooling"),
        ({"feature_model": "best"}, "feature_model"),
        ({"n_queries": 0}, "n_queries"),
    ],
)
def test_arguments_out_of_range_are_named(options, named):
    with pytest.raises(InputError, match=named):
        AutoSwitch(make_bank(), **options)


def test_query_sets_that_do_not_serve_are_refused():
    router = AutoSwitch(make_bank(), 5, feature_layer="first")
    with pytest.raises(InputError, match="fit"):
        router.predict_weights(torch.ones(1, F))
    with pytest.raises(InputError, match="at most 4"):
        router.use_query_sets(query_sets({"a": 2, "b": 2}))
    with pytest.raises(InputError, match="'z'"):
        router.use_query_sets(query_sets({"z": 9}))
    with pytest.raises(InputError, match="no tasks"):
        router.use_query_sets({})
    with pytest.raises(InputError, match=r"'b'.*7 features.*8"):
        router.use_query_sets(query_sets({"a": 9}) | query_sets({"b": 9}, width=7))
    with pytest.raises(InputError, match=r"'a'.*layer='second'"):
        router.use_query_sets({"a": QuerySet(torch.ones(9, F), FeatureSettings("second"))})
    with pytest.raises(InputError, match=r"shape \(0, 8\)"):
        query_sets({"a": 0})
    with pytest.raises(InputError, match="1 NaN"):
        QuerySet(torch.tensor([[np.nan]]), FeatureSettings())
    assert router.query_sets == {}


def test_inputs_that_do_not_serve_are_refused():
    router = make_router()
    with pytest.raises(InputError, match="empty batch"):
        router(torch.ones(0, F))
    with pytest.raises(InputError, match="preprocess"):
        router(["a text"])
    with pytest.raises(InputError, match="NaN or infinity"):
        router(torch.full((1, F), torch.nan))
    with pytest.raises(InputError, match="query set: got none"):
        router.fit({"a": torch.ones(0, F)})
    with pytest.raises(InputError, match="'z'"):
        router.fit({"z": torch.ones(3, F)})
    router.settings = FeatureSettings("classifier")
    with pytest.raises(InputError, match=r"features: got shape \(1, 2\), expected \(B, 8\)"):
        router(torch.ones(1, F))
    assert not router.bank.active


def test_a_task_added_after_fit_does_not_change_what_features_are_made_by():
    bank = make_bank()
    router = make_router(bank, feature_model="merged")
    inputs = cluster(1, 4, seed=9)
    before = router.features(inputs)
    bank.add(
        "late", Switch.from_checkpoints(bank.model, {k: v + 1 for k, v in bank.model.state_dict().items()}, alpha=0.6)
    )
    assert torch.equal(router.features(inputs), before)
    assert all("late" in held.merged for held in router.fit({"late": inputs, "a": inputs}).query_sets.values())


@pytest.mark.parametrize("callable_heads", [False, True])
@pytest.mark.parametrize("mode", ["sample", "sample-argmax"])
def test_by_row_and_by_switch_give_the_same_answers(mode, callable_heads):
    bank = make_bank(callable_heads=callable_heads)
    inputs = torch.cat([cluster(index, 5, seed=9 + index, spread=1.5) for index in (2, 0, 1)])
    routed = make_router(bank, mode=mode)(inputs)
    assert "inputs" in routed.cost
    assert routed.seconds > 0
    assert routed.decoded > 0
    assert routed.forwards == 1
    if mode == "sample-argmax":
        assert routed.weights.max(1).values.eq(1).all()
    for row, (output, head) in enumerate(zip(routed.outputs, routed.heads, strict=True)):
        weights = dict(zip(bank.tasks, routed.weights[row].tolist(), strict=True))
        with bank.use(weights, head=head), torch.no_grad():
            close(output, bank(inputs[row : row + 1])[0])
