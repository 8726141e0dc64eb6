"""SASRec and what is built on it, beside numpy; and several processes that train one model."""

import datetime
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ninefold.errors import InputError
from recsys import Dataset, SASRec, evaluate_next, simulate
from recsys.recommender._query import Query
from recsys.sequence._sequences import Sequences, time_codes

from .test_neural import SASREC, successors

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def data():
    return successors()


def layer_norm(x, weight, bias, eps=1e-8):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps) * weight + bias


def attention(query, key, value):
    """One head, each step over itself and those before it."""
    mixed = np.zeros_like(value)
    for step in range(len(value)):
        weight = np.exp(key[: step + 1] @ query[step] / np.sqrt(value.shape[1]))
        mixed[step] = weight @ value[: step + 1] / weight.sum()
    return mixed


def by_hand(net, items, marks):
    """The last state of one sequence, step by step in numpy."""
    p = {name: one.detach().numpy().astype(np.float64) for name, one in net.named_parameters()}
    x = p["item.weight"][items] * np.sqrt(net.width) + p["position.weight"][net.max_len - len(items) :]
    for place, mark in enumerate(marks):
        x = x + p[f"marks.{place}.weight"][mark]
    for block in range(len(net.blocks)):
        q = {name.split(".", 2)[2]: one for name, one in p.items() if name.startswith(f"blocks.{block}.")}

        def dense(name, v, q=q):
            return v @ q[f"{name}.weight"].T + q.get(f"{name}.bias", 0)

        normed = layer_norm(x, q["query_norm.weight"], q["query_norm.bias"])
        x = normed + dense("out", attention(dense("query", normed), dense("key", x), dense("value", x)))
        x = layer_norm(x, q["norm.weight"], q["norm.bias"])
        x = x + dense("second", np.maximum(dense("first", x), 0))
    return layer_norm(x, p["last.weight"], p["last.bias"])[-1]


@pytest.mark.parametrize(("action", "time"), [(None, None), ("a", "week")])
def test_scores_equal_a_numpy_transformer(action, time, data):
    settings = {**SASREC.get_params(), "action": action, "time": time, "epochs": 1}
    model = SASRec(**settings).fit(data)
    net, history = model._network(), model.history_
    states, vectors = model._factors(Query(np.arange(5), history.take(np.arange(5))))
    for row in range(5):
        part = slice(history.indptr[row], history.indptr[row + 1])
        marks = [one[part][-5:] for one in model._marks(history)]
        expected = by_hand(net, history.item[part][-5:], marks)
        np.testing.assert_allclose(states[row], expected, rtol=1e-3, atol=1e-4)
    assert vectors.shape == (len(model.item_ids_), 8)
    assert len(model._marks(history)) == (action is not None) + (time is not None)


def test_times_are_told_by_gaps_and_hours():
    hour = 3600
    frame = {"u": [1, 1, 1, 2, 1], "i": [1, 2, 3, 1, 2], "t": [0, 0, 7, 25 * hour, 169 * hour]}
    data = Dataset.from_frame(frame, user="u", item="i", time="t", time_unit="s")
    gaps = [0, 1, 1 + 3, 1 + int(np.log2(169 * hour - 6)), 0]  # user 1 first
    assert time_codes(data.history(), "gap").tolist() == gaps
    assert time_codes(data.history(), "week").tolist() == [0, 0, 0, 1, 25]
    untimed = Dataset.from_frame({"u": [1, 1, 1], "i": [1, 2, 3]}, user="u", item="i")
    with pytest.raises(InputError, match=r"time.*without times"):
        SASREC.clone().set_params(time="gap").fit(untimed)


def test_the_gap_before_the_last_event_moves_its_answer():
    rows = [(user, step, 3600 * step) for user in range(20) for step in range(4)]
    frame = dict(zip("uit", map(list, zip(*rows, strict=True)), strict=True))
    data = Dataset.from_frame(frame, user="u", item="i", time="t", time_unit="s")
    model = SASREC.clone().set_params(time="gap", epochs=1).fit(data)
    late = {**frame, "t": [t + 86_400 * (i == 3) for i, t in zip(frame["i"], frame["t"], strict=True)]}
    other = model.fold_in(Dataset.from_frame(late, user="u", item="i", time="t", time_unit="s"))
    first, second = (one._factors(Query(np.arange(1), one.history_.take(np.arange(1))))[0] for one in (model, other))
    assert np.abs(first - second).max() > 1e-3


def test_sasrec_losses_equal_their_formulas():
    from recsys.neural._transformer import binary_loss, sampled_loss, softmax_loss

    gen = torch.Generator().manual_seed(0)
    hidden, vectors = torch.randn(2, 3, 4, generator=gen), torch.randn(6, 4, generator=gen)
    target = torch.tensor([[-1, 2, 5], [0, 1, 2]])
    negatives, other = torch.tensor([[2, 3], [4, 1]]), torch.tensor([[0, 3, 4], [5, 5, 3]])
    H, V = hidden.numpy().astype(np.float64), vectors.numpy().astype(np.float64)
    full, sampled, binary = [], [], []
    for row, step in ((0, 1), (0, 2), (1, 0), (1, 1), (1, 2)):
        want = int(target[row, step])
        scores = V @ H[row, step]
        full.append(np.log(np.exp(scores).sum()) - scores[want])
        among = [want, *(int(one) for one in negatives[row] if int(one) != want)]
        sampled.append(np.log(np.exp(scores[among]).sum()) - scores[want])
        binary.append(np.log1p(np.exp(-scores[want])) + np.log1p(np.exp(scores[int(other[row, step])])))
    assert float(softmax_loss(hidden, target, vectors)) == pytest.approx(np.mean(full), rel=1e-5)
    assert float(sampled_loss(hidden, target, vectors, negatives)) == pytest.approx(np.mean(sampled), rel=1e-5)
    assert float(binary_loss(hidden, target, vectors, other)) == pytest.approx(np.mean(binary), rel=1e-5)


def test_sasrec_never_trains_on_the_held_out_step(data):
    sequences = Sequences(data.history(), [], 4)
    rows = np.arange(3)
    assert set(rows) <= set(sequences.hold_out(np.random.default_rng(0)))
    (items,), target = sequences.padded(rows, held=False)
    _, held = sequences.padded(rows, held=True)
    for row in rows:
        events = data.history().take(np.array([row])).item
        assert target[row].tolist() == events[1:5].tolist()
        assert items[row].tolist() == events[0:4].tolist()
        assert held[row].tolist() == [-1, -1, -1, events[5]]


def test_a_tenth_of_the_rows_loses_its_last_step_and_the_others_train_on_it():
    frame = {"user": np.repeat(np.arange(5000), 3), "item": np.tile(np.arange(3), 5000), "time": np.arange(15000)}
    sequences = Sequences(
        Dataset.from_frame(frame, user="user", item="item", time="time", time_unit="index").history(), [], 4
    )
    held = sequences.hold_out(np.random.default_rng(0))
    assert len(held) == 500
    steps = (sequences.padded(np.arange(5000), held=False)[1] >= 0).sum(axis=1)
    assert (steps[held] == 1).all()
    assert steps.sum() == 2 * 5000 - 500


@pytest.mark.slow
def test_sasrec_learns_what_the_action_means():
    train, test = successors(300).split.time(test=0.2)
    acting, plain = (
        SASRec(factors=16, max_len=6, epochs=12, batch=32, learning_rate=0.01, action=action).fit(train)
        for action in ("a", None)
    )
    scores = [evaluate_next(one, test, filter_seen=False).mean("mrr@10") for one in (acting, plain)]
    assert scores[0] > 0.85
    assert scores[0] > scores[1] + 0.05


# --- several processes ---


NEXT = [SASREC.clone().set_params(loss=loss, epochs=1, dropout=0.0) for loss in ("softmax", "sampled", "bce")]


@pytest.mark.parametrize("model", NEXT, ids=repr)
def test_shares_of_a_batch_add_up_to_its_gradient(model, data, monkeypatch):
    from recsys.neural._parallel import Group
    from recsys.recommender._neural import NeuralModel, _shared

    kept, train = {}, NeuralModel._train

    def spy(self, make, losses, *rest):
        kept["losses"] = losses
        return train(self, make, losses, *rest)

    monkeypatch.setattr(NeuralModel, "_train", spy)
    net_of = {}
    monkeypatch.setattr("recsys.neural._train.Trainer.__init__", _remember(net_of))
    model.clone().fit(data)
    net = net_of["net"].eval()  # no noise, which each process draws for itself
    rows, loss = next(iter(kept["losses"](net, 0, np.random.default_rng(0))))

    def gradient(rank, size):
        net.zero_grad()
        _shared(net, Group(rank, size), rows, loss)().backward()
        return torch.cat([one.grad.ravel() for one in net.parameters()])

    whole = gradient(0, 1)
    assert float(whole.abs().max()) > 0
    torch.testing.assert_close(sum(gradient(rank, 3) for rank in range(3)), whole, rtol=1e-4, atol=1e-6)
    assert float(gradient(len(rows), len(rows) + 1).abs().max()) == 0  # one process more than rows


def _remember(net_of):
    from recsys.neural._train import Trainer

    made = Trainer.__init__

    def init(self, net, learning_rate):
        net_of["net"] = net
        made(self, net, learning_rate)

    return init


def test_two_that_share_the_work_go_on_from_a_kill_as_one_would(tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint
    from recsys.neural._parallel import Group
    from torch import distributed as dist

    if not dist.is_available() or not dist.is_gloo_available():
        pytest.skip("this torch has no gloo")
    model = SASRec(factors=8, blocks=1, epochs=3, batch=16, dropout=0.0, max_len=20, loss="sampled", negatives=256)
    data = simulate(40, 12, 600, transitions=0.5, seed=0).data.clicks()
    whole, saved = model.clone().fit(data), Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Checkpoint, "save", die)
        model.clone().fit(data, checkpoint=tmp_path / "0")
    store = dist.HashStore()

    def met(rank):  # in threads of this process, who speak by gloo as processes do
        wire = dist.ProcessGroupGloo(store, rank, 2, datetime.timedelta(seconds=300))
        groups[threading.get_ident()] = Group(rank, 2, wire)
        return model.clone().fit(data, checkpoint=tmp_path / f"{rank}")

    groups: dict[int, Group] = {}
    monkeypatch.setattr(Group, "join", lambda device: groups[threading.get_ident()])
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(met, (0, 1)))
    assert not list(tmp_path.iterdir())
    assert np.array_equal(both[0].parameters_, both[1].parameters_)
    expected = whole.recommend(k=12, filter_seen=False).to_pandas()
    for one in both:
        merged = one.recommend(k=12, filter_seen=False).to_pandas().merge(expected, on=["user", "item"])
        assert len(merged) == 40 * 12
        np.testing.assert_allclose(merged.score_x, merged.score_y, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("told", "together", "first"), [("", False, True), ("0 2", True, True), ("1 2", True, False)])
def test_what_torchrun_says_is_understood(told, together, first, monkeypatch):
    from ninefold import distributed

    for name, value in zip(("RANK", "WORLD_SIZE"), told.split() if told else (), strict=bool(told)):
        monkeypatch.setenv(name, value)
    for name in ("MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "29500")
    assert (distributed.launched() > 1, distributed.first()) == (together, first)
