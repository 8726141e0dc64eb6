import json
import subprocess
import sys

import numpy as np
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError
from recsys import HSTU, BERT4Rec, Dataset, ESASRec, GRU4Rec, LightGCN, MultVAE, SASRec, TwoTower, evaluate_next
from recsys.recommender._neural import layers_of
from recsys.recommender._registry import make_model
from recsys.recommender._store import _canonical, load

torch = pytest.importorskip("torch")
SASREC = SASRec(factors=8, max_len=5, epochs=2, batch=16, negatives=7)


def successors(n=60, items=12, *, seed=0):
    """Sessions in which item i is followed by i + 1, or by i + 3 after the action "jump"; with an item table."""
    draw = np.random.default_rng(seed)
    rows = []
    for session in range(n):
        item = int(draw.integers(items))
        for _ in range(6):
            jump = bool(draw.integers(2))
            rows.append((session, item, "jump" if jump else "step"))
            item = (item + (3 if jump else 1)) % items
    frame = {"s": [r[0] for r in rows], "i": [r[1] for r in rows], "a": [r[2] for r in rows]}
    frame["t"] = np.arange(len(rows)) + 1_600_000_000
    side = {"i": list(range(items + 2)), "kind": [f"kind{one % 3}" for one in range(items + 2)]}
    return Dataset.from_frame(frame, user="s", item="i", time="t", context=["a"], items=side)


NEURAL = [
    SASREC,
    ESASRec(factors=8, blocks=1, max_len=5, epochs=2, batch=16, negatives=7, time="gap"),
    GRU4Rec(factors=8, max_len=5, epochs=2, batch=16),
    HSTU(factors=8, max_len=5, epochs=2, batch=16, action="a"),
    BERT4Rec(factors=8, max_len=5, epochs=2, batch=16),
    MultVAE(hidden=8, latent=4, epochs=2, batch=16),
    LightGCN(factors=4, epochs=2, batch=64),
    TwoTower(factors=4, hidden=8, epochs=2, batch=32),
]
each = pytest.mark.parametrize("model", NEURAL, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return successors()


@each
def test_lists_hold_no_seen_item_and_survive_a_file(model, data, tmp_path):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(k=50).to_pandas()
    table = data.to_table().to_pandas()
    assert not set(zip(lists.s, lists.i, strict=True)) & set(zip(table.s, table.i, strict=True))
    assert not lists.duplicated(["s", "i"]).any()
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    again = loaded.recommend(k=50).to_pandas()
    assert again.i.tolist() == lists.i.tolist()
    np.testing.assert_allclose(again.score, lists.score, rtol=1e-5)
    assert fitted.recommend([12345], k=2).column("source").to_pylist() == ["fallback"] * 2
    later = Dataset.from_frame(
        {"s": [900, 900], "i": [1, 2], "a": ["step", "new"], "t": [1_700_000_000, 1_700_000_001]},
        user="s", item="i", time="t", context=["a"],
    )  # fmt: skip
    assert set(fitted.fold_in(later).recommend([900], k=3).column("source").to_pylist()) <= {"fold_in", "features"}
    assert len(fitted.partial_fit(later).recommend([900], k=3)) == 3


@each
def test_a_killed_fit_resumes_to_the_same_numbers(model, data, tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint

    whole, saved, path = model.clone().fit(data), Checkpoint.save, tmp_path / "fit.safetensors"

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=path)
    monkeypatch.undo()
    resumed = model.clone().fit(data, checkpoint=path)
    for name in model.fitted:
        first, second = getattr(whole, name), getattr(resumed, name)
        assert np.array_equal(getattr(first, "data", first), getattr(second, "data", second)), name


@each
def test_another_seed_gives_another_model(model, data):
    first, second = (model.clone().set_params(seed=seed).fit(data).recommend(k=3) for seed in (0, 1))
    assert not first.equals(second)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (SASRec(loss="hinge"), "loss.*'hinge'.*softmax"),
        (SASRec(factors=7, heads=2), "divided by heads"),
        (SASRec(action="mood"), r"action.*'mood'.*\['a'\]"),
        (SASRec(epochs=0), "positive sizes"),
        (SASRec(time="noon"), r"time.*'noon'.*\['gap', 'week'\]"),
        (GRU4Rec(blocks=0), "positive sizes"),
        (HSTU(factors=9, heads=2), "divided by heads"),
        (BERT4Rec(heads=3), "divided by heads"),
        (BERT4Rec(masked=1.0), "masked"),
        (MultVAE(dropout=1.0), "dropout"),
        (LightGCN(factors=0), "factors"),
        (TwoTower(temperature=0.0), "temperature"),
        (MultVAE(epochs=0), "epochs"),
    ],
)
def test_bad_settings_are_named(model, reason, data):
    with pytest.raises(InputError, match=reason):
        model.fit(data)


def test_rivals_have_no_parameter_that_they_would_ignore_and_folders_that_name_one_are_read(data, tmp_path):
    for name, setting in (("gru4rec", "heads=2"), ("bert4rec", "loss=bce")):
        with pytest.raises(InputError, match=setting):
            make_model(name, [setting])
    fitted = GRU4Rec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    place = fitted.save(tmp_path / "m") / "model.json"
    about = json.loads(place.read_text())
    for heads, wrong in ((1, False), (2, True)):
        about["params"]["heads"] = heads
        place.write_text(_canonical(about))
        if wrong:
            with pytest.raises(ArtifactError, match="heads"):
                load(place.parent)
        else:
            assert load(place.parent).recommend(k=3).equals(fitted.recommend(k=3))


def test_users_of_one_event_alone_are_refused():
    single = Dataset.from_frame({"u": [1, 2], "i": [1, 2]}, user="u", item="i", items={"i": [1, 2], "k": ["a", "b"]})
    for model in (SASREC.clone(), TwoTower()):
        with pytest.raises(InputError, match="no user with two"):
            model.fit(single)
    with pytest.raises(InputError, match=r"relative_time.*without times"):
        HSTU().fit(single)


def test_a_loss_that_blows_up_is_named_with_its_epoch(data):
    with pytest.raises(InputError, match=r"SASRec.*after epoch [12]"), np.errstate(all="ignore"):
        SASREC.clone().set_params(learning_rate=1e30).fit(data)


# --- GRU4Rec, BERT4Rec ---


def test_states_of_gru4rec_do_not_run_through_the_padding():
    from recsys.neural._transformer import GRU4RecNet

    torch.manual_seed(0)
    net = GRU4RecNet(9, [2], 4, 2, 0.5).eval()
    items, actions = torch.tensor([[3, 1, 7]]), torch.tensor([[0, 1, 0]])
    with torch.no_grad():
        alone = net(items, actions)
        expected, _ = net.recurrent(net.item(items) + net.marks[0](actions))
        padded = net(
            torch.tensor([[-1, -1, 3, 1, 7], [2, 2, 3, 1, 7]]), torch.tensor([[-1, -1, 0, 1, 0], [1, 0, 0, 1, 0]])
        )
    torch.testing.assert_close(alone, expected)
    torch.testing.assert_close(padded[:1, 2:], expected)
    assert (padded[0, :2] == 0).all()
    assert not torch.allclose(padded[1, 2:], expected[0])


def test_bert4rec_sees_both_sides_of_a_mask_and_sasrec_one():
    from recsys.neural._transformer import SASRecNet

    torch.manual_seed(0)
    rows = torch.tensor([[-1, 2, 9, 4], [-1, 2, 9, 5]])  # 9: masked
    for causal in (True, False):
        net = SASRecNet(10 if causal else 9, [], 4, 1, 1, 4, 0.0, causal=causal).eval()
        with torch.no_grad():
            first, second = net(rows)[:, 2]
            assert torch.allclose(first, second) == causal
            np.testing.assert_array_equal(net.vectors().shape, (10 if causal else 9, 4))


@pytest.mark.slow
@pytest.mark.parametrize(  # BERT4Rec is given time: stopped early, rounding decided whether it had learned
    "model", [GRU4Rec(epochs=12), BERT4Rec(epochs=120, patience=120, dropout=0.0, blocks=1)], ids=lambda one: one.name
)
def test_rivals_of_sasrec_learn_what_follows(model):
    train, test = successors(300).split.time(test=0.2)
    model = model.clone().set_params(factors=16, max_len=6, batch=32, learning_rate=0.01).fit(train)
    assert evaluate_next(model, test, filter_seen=False).mean("mrr@10") > 0.6  # of two successors: .75 at best


# --- the others ---


def test_mult_vae_answers_as_its_network_does(data):
    from recsys.neural._nets import MultVAENet, vae_loss
    from recsys.neural._train import set_vector

    model = MultVAE(hidden=8, latent=4, epochs=1, batch=16).fit(data)
    X = model.history_.matrix()
    net = MultVAENet(X.shape[1], 8, 4, 0.5)
    set_vector(net, model.parameters_)
    net.eval()
    logp, kl = net(torch.from_numpy(X.toarray()))
    query = recsys.recommender._query.Query(np.arange(X.shape[0]), model.history_)
    np.testing.assert_allclose(model._score(query), logp.detach().numpy(), atol=1e-4)
    sizes = [(X.shape[1], 8), (8, 8), (4, 8), (8, X.shape[1])]
    first, second = layers_of(model.parameters_.astype(np.float64), sizes)[:2]
    row = X[[0]].toarray()[0] / np.linalg.norm(X[[0]].toarray())
    mean, log_variance = np.split(np.tanh(row @ first[0] + first[1]) @ second[0] + second[1], 2)
    expected = 0.5 * (np.exp(log_variance) + mean**2 - 1 - log_variance).sum()
    assert float(kl[0].detach()) == pytest.approx(expected, rel=1e-4)
    loss = float(vae_loss(net, torch.from_numpy(X.toarray()), 0.3).detach())
    assert loss == pytest.approx(
        float((0.3 * kl - (logp * torch.from_numpy(X.toarray())).sum(1)).mean().detach()), rel=1e-5
    )


def test_lightgcn_spreads_and_learns_by_its_formulas(data):
    from recsys.factors._lightgcn import normalised
    from recsys.neural._nets import LightGCNNet, bpr_loss, sparse

    X = data.warm().matrix()
    users, items = X.shape
    A = np.block([[np.zeros((users, users)), X.toarray()], [X.toarray().T, np.zeros((items, items))]])
    scale = 1 / np.sqrt(A.sum(1))
    dense = scale[:, None] * A * scale
    np.testing.assert_allclose(normalised(X).toarray(), dense, atol=1e-6)
    torch.manual_seed(0)
    net = LightGCNNet(users, items, 4)
    E = np.vstack([net.user.weight.detach().numpy(), net.item.weight.detach().numpy()]).astype(np.float64)
    mean = sum(np.linalg.matrix_power(dense, k) @ E for k in range(3)) / 3
    triples = np.array([[0, 3], [1, 2], [5, 7]])
    u, i, j = mean[triples[0]], mean[users + triples[1]], mean[users + triples[2]]
    expected = np.log1p(np.exp((u * j).sum(1) - (u * i).sum(1))).mean()
    base = [E[triples[0]], E[users + triples[1]], E[users + triples[2]]]
    expected += 0.01 * sum((one**2).sum() for one in base) / 2 / 2
    found = bpr_loss(net, sparse(normalised(X), "cpu"), 2, torch.from_numpy(triples), 0.01).detach()
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_a_new_user_of_lightgcn_gets_what_his_items_send(data):
    model = LightGCN(factors=4, layers=2, epochs=1, batch=64).fit(data)
    again = model.fold_in(data).user_factors_
    X = data.warm().matrix().toarray()
    own = X / np.sqrt(X.sum(1, keepdims=True))
    np.testing.assert_allclose(again, own @ model.sent_, rtol=1e-4, atol=1e-6)
    difference = model.user_factors_ - again  # layer 0 of a known user, over 3
    assert np.abs(difference).max() > 1e-3


def test_two_tower_loss_equals_its_formula_and_towers_answer_alike(data):
    from recsys.neural._nets import TwoTowerNet, in_batch_loss, sparse
    from recsys.neural._train import set_vector

    gen = torch.Generator().manual_seed(0)
    users, items = (torch.nn.functional.normalize(torch.randn(4, 3, generator=gen)) for _ in range(2))
    code, share = torch.tensor([7, 2, 7, 1]), torch.tensor([0.4, 0.2, 0.4, 0.1]).log()
    scores = users.numpy() @ items.numpy().T / 0.2 - share.numpy()
    expected = []
    for row in range(4):
        among = [c for c in range(4) if c == row or code[c] != code[row]]
        expected.append(np.log(np.exp(scores[row, among]).sum()) - scores[row, row])
    assert float(in_batch_loss(users, items, code, share, 0.2)) == pytest.approx(np.mean(expected), rel=1e-5)
    model = TwoTower(factors=4, hidden=8, epochs=1, batch=32).fit(data)
    net = TwoTowerNet(model._described().shape[1], 8, 4)
    set_vector(net, model.parameters_)
    theirs = net.tower(net.item, sparse(model._described(), "cpu")).detach().numpy()
    np.testing.assert_allclose(model.item_factors_, theirs, atol=1e-5)


def test_two_tower_lists_items_nobody_had(data):
    model = TwoTower(factors=4, hidden=8, epochs=2, batch=32).fit(data)
    lists = model.recommend([0], k=20).to_pandas()
    assert set(lists[lists.i >= 12].source) == {"features"}
    model.add_items({"i": [50], "kind": ["kind1"]})
    assert 50 in model.recommend([0], k=20).column("i").to_pylist()


_WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import recsys
data = recsys.Dataset.from_frame({"u": [1, 1, 2, 2], "i": [1, 2, 2, 3]}, user="u", item="i")
for model in (recsys.SASRec(), recsys.MultVAE(), recsys.LightGCN()):
    try:
        model.fit(data)
    except Exception as error:
        print(error)
"""


def test_without_torch_the_line_that_brings_it_is_named():
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["this needs torch: pip install 'recsys[torch]'"] * 3
