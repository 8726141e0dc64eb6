import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import FM, BayesianFM, Dataset, evaluate, evaluate_values, load, simulate
from recsys.fm._columns import Normal, OneHot, SetColumns, colours
from recsys.fm._fields import encode_all, make_fields, packed, unpacked
from recsys.fm._gibbs import Sampler

from .helpers import needs_data


def clicks(n=1500, seed=0, noise=0.3):
    """Events whose value is a factorisation machine of user, item, a scene and a number."""
    draw = np.random.default_rng(seed)
    user, item, scene, heat = (
        draw.integers(0, 30, n),
        draw.integers(0, 12, n),
        draw.integers(0, 3, n),
        draw.normal(size=n),
    )
    u, i, c, h = (draw.normal(size=(size, 2)) for size in (30, 12, 3, 1))
    q = u[user] + i[item] + c[scene] + heat[:, None] * h[0]
    square = (u[user] ** 2 + i[item] ** 2 + c[scene] ** 2 + (heat[:, None] * h[0]) ** 2).sum(axis=1)
    score = 0.5 * ((q * q).sum(axis=1) - square)
    value = score + noise * draw.normal(size=n)
    names = np.array(["home", "out", "car"])
    return {"user": user, "item": item, "scene": names[scene], "heat": heat, "value": value, "label": (value > 0) * 1.0}


def dataset(frame, value="value", context=("scene", "heat")):
    return Dataset.from_frame(frame, user="user", item="item", value=value, context=list(context))


@pytest.fixture(scope="module")
def data():
    return dataset(clicks())


def pair_sum(columns, w0):
    """y of one row by the definition, a sum over all pairs of its (x, w, v)."""
    y = w0 + sum(x * w for x, w, _ in columns)
    for a in range(len(columns)):
        for b in range(a + 1, len(columns)):
            y += columns[a][0] * columns[b][0] * (columns[a][2] @ columns[b][2])
    return y


def columns_of(model, data, event, sample):
    """(x, w, v) of an event's columns, read back from the parts of a fitted model."""

    def undo(part):  # l = w - 1/2 |v|^2
        return part[0] + 0.5 * part[1:] @ part[1:], part[1:]

    user = undo(model.user_part_[data.user[event], sample].astype(float))
    item = undo(model.item_part_[data.item[event], sample].astype(float))
    found = [(1.0, *user), (1.0, *item)]
    start = 0
    for field, (index, x) in zip(model._fields(), model._encoded(data.context, len(data)), strict=True):
        theta = model.context_part_[start + index[event], sample].astype(float)
        found.append((1.0 if x is None else x[event], theta[0], theta[1:]))
        start += field.size
    return found


MODELS = [
    FM(factors=3, epochs=2),
    FM(factors=0, epochs=2),
    FM(factors=3, epochs=2, head="bpr"),
    BayesianFM(factors=3, sweeps=8, burn_in=2, samples=3),
    BayesianFM(factors=3, sweeps=8, burn_in=7, samples=1),
    BayesianFM(factors=0, sweeps=8, burn_in=2, samples=3),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_prediction_equals_a_brute_force_pair_sum(model, data):
    fitted = model.clone().fit(data)
    found = fitted._rate(data.user[:20], data.item[:20], data.context.slice(0, 20))
    for event in range(20):
        samples = range(len(fitted.base_))
        expected = np.mean([pair_sum(columns_of(fitted, data, event, s), fitted.base_[s]) for s in samples])
        assert found[event] == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_lists_for_a_context_equal_each_items_prediction(model, data):
    fitted = model.clone().fit(data)
    scene = {"scene": "out", "heat": 0.7}
    lists = fitted.recommend([3, 5], k=12, filter_seen=False, context=scene).to_pandas()
    for user, one in lists.groupby("user"):
        context = pa.table({"scene": ["out"] * 12, "heat": [0.7] * 12})
        codes = fitted.user_ids_.codes([user] * 12)
        expected = fitted._rate(codes, fitted.item_ids_.codes(one["item"].to_numpy()), context)
        np.testing.assert_allclose(one.score, expected, rtol=1e-4, atol=1e-5)
        assert len(one) == 12


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_shares_of_parts_and_pairs_add_up_to_the_score(model, data):
    fitted = model.clone().fit(data)
    scene = {"scene": "out", "heat": 0.7}
    shares = fitted.explain(3, 5, k=99, context=scene).to_pydict()
    listed = fitted.recommend([3], candidates=[5], filter_seen=False, context=scene).column("score")[0].as_py()
    assert sum(shares["share"]) == pytest.approx(listed, rel=1e-3, abs=1e-4)
    assert set(shares["part"]) >= {"level", "user=3", "item=5", "scene=out", "user=3 x scene=out", "item=5 x heat=0.7"}
    assert len(shares["part"]) == 1 + 4 + 6
    columns = columns_of(fitted, data, 0, 0)
    if fitted.factors and len(fitted.base_) == 1:
        user, item = data.user_ids.values[data.user[0]].as_py(), data.item_ids.values[data.item[0]].as_py()
        found = fitted.explain(user, item, k=99, context=data.context.slice(0, 1)).to_pydict()
        pair = found["share"][found["part"].index(f"user={user} x item={item}")]
        assert pair == pytest.approx(columns[0][2] @ columns[1][2], rel=1e-4, abs=1e-6)
    with pytest.raises(InputError, match="no scene, heat"):
        fitted.explain(3, 5)


def test_context_moves_lists_and_strangers_are_answered_from_it(data):
    model = BayesianFM(factors=3, sweeps=60, burn_in=20, samples=10).fit(data)
    home, out = (model.recommend([999], k=5, context={"scene": scene, "heat": 0.0}) for scene in ("home", "out"))
    assert set(home.column("source").to_pylist()) == {"features"}
    assert home.column("item").to_pylist() != out.column("item").to_pylist()


@pytest.mark.parametrize("head", ["bpr", "probit"])
def test_a_model_of_contexts_is_evaluated_once_an_event_in_its_context(head):
    world = simulate(60, 20, 3000, context=3.0, mnar=0.5, seed=1)
    train, test = world.data.split.time()
    if head == "bpr":
        aware = FM(head=head, factors=4, epochs=10, reg=0.001).fit(train)
    else:
        train, test = (_labelled(one, seed) for seed, one in enumerate((train, test)))
        aware, test = BayesianFM(head=head, factors=4, sweeps=80, burn_in=30, samples=20).fit(train), test.positive()
    result = evaluate(aware, test, ["mrr"], filter_seen=False)
    assert len(result.users) == len(test) == 600
    other = pa.array(["home" if one == "out" else "out" for one in test.context["scene"].to_pylist()])
    elsewhere = dataclasses.replace(test, context=pa.table({"scene": other}))
    assert result.mean("mrr") > evaluate(aware, elsewhere, ["mrr"], filter_seen=False).mean("mrr") + 0.2
    users, items = test.encoded(aware.user_ids_, aware.item_ids_)
    for event in (0, 7):
        n = len(aware.item_ids_)
        context = test.context.take(pa.array([event] * n))
        scores = aware._rate(np.full(n, users[event]), np.arange(n), context)
        assert result.values["mrr"][event] == pytest.approx(1 / (1 + (scores > scores[items[event]]).sum()))
    column = {"time": "time"} if head == "bpr" else {"value": "label"}
    without = Dataset.from_frame(test.to_table(), user="user", item="item", **column)
    with pytest.raises(InputError, match=r"scene.*context of the test events"):
        evaluate(aware, without)


def _labelled(data, seed):
    """The events, with label 1, and as many of random items, with label 0."""
    draw, n = np.random.default_rng(seed), len(data)
    user, item = data.user_ids.ids(data.user).to_pylist(), data.item_ids.ids(data.item).to_pylist()
    other = data.item_ids.ids(draw.integers(0, data.n_items, n)).to_pylist()
    scene = data.context["scene"].to_pylist()
    frame = {"user": user * 2, "item": item + other, "label": [1.0] * n + [0.0] * n, "scene": scene * 2}
    return Dataset.from_frame(frame, user="user", item="item", value="label", context="scene")


def test_missing_context_is_named(data):
    model = FM(epochs=1).fit(data)
    with pytest.raises(InputError, match=r"context.*no scene, heat"):
        model.recommend([1])
    with pytest.raises(InputError, match=r"context.*no heat"):
        model.predict({"user": [1], "item": [1], "scene": ["out"]})
    with pytest.raises(InputError, match="no column 'mood' in the events"):
        FM(context="mood").fit(data)


def test_unknown_categories_and_nulls_add_nothing(data):
    model = BayesianFM(factors=2, sweeps=8, burn_in=2, samples=2).fit(data)
    score = model.predict(
        {"user": [1, 1], "item": [1, 1], "scene": ["moon", None], "heat": [None, model._fields()[1].mean]}
    ).column("score")
    assert score[0].as_py() == pytest.approx(score[1].as_py(), abs=1e-5)


def test_fields_survive_packing(data):
    fields = make_fields(data.context)
    assert unpacked(packed(fields)) == fields
    assert [one.size for one in fields] == [3, 1]
    (index, _), (_, heat) = encode_all(fields, data.context, len(data))
    assert index.max() == 2
    assert heat.std() == pytest.approx(1)


# --- Gibbs ---


class NoNoise:
    """A generator whose normal draws are 0, so that a draw is its conditional mean."""

    def standard_normal(self, size=None):
        return 0.0 if size is None else np.zeros(size)


def draw_by_coordinates(X, v, e, q, law, order, weights):
    """One column after the other from the definition; X dense (n, columns)."""
    for column in order:
        x = X[:, column]
        h = x if weights else x * (q - x * v[column])
        precision = law.precision + law.alpha * h @ h
        new = (law.alpha * h @ (e + h * v[column]) + law.precision * law.mean) / precision
        e -= h * (new - v[column])
        q += x * (new - v[column])
        v[column] = new


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("kind", ["categories", "numbers", "sets"])
def test_a_block_draw_equals_drawing_column_by_column(kind, weights):
    draw = np.random.default_rng(4)
    n, size = 120, 9
    if kind == "sets":
        sets = sp.random(15, size, 0.3, "csr", rng=draw)
        key = draw.integers(-1, 15, n)
        block, order = SetColumns(key, sets), np.concatenate(colours(sets))
        X = np.where((key >= 0)[:, None], sets.toarray()[key], 0)
    else:
        index, x = draw.integers(-1, size, n), draw.normal(size=n) if kind == "numbers" else None
        block, order = OneHot(index, size, x), range(size)
        X = np.zeros((n, size))
        X[np.arange(n), index] = 1.0 if x is None else x
        X[index < 0] = 0
    v, e, other = draw.normal(size=size), draw.normal(size=n), draw.normal(size=n)
    np.testing.assert_allclose(block.times(v), X @ v, atol=1e-12)
    np.testing.assert_allclose(block.squares(v), (X**2) @ (v**2), atol=1e-12)
    law = Normal(1.7, 0.3, 2.5, NoNoise())
    ours, theirs = (v.copy(), e.copy(), other + X @ v), (v.copy(), e.copy(), other + X @ v)
    if weights:
        block.draw_weights(ours[0], ours[1], law)
    else:
        block.draw_factor(*ours, law)
    draw_by_coordinates(X, *theirs, law, order, weights)
    for own, expected in list(zip(ours, theirs, strict=True))[: 2 if weights else 3]:
        np.testing.assert_allclose(own, expected, atol=1e-10)


def test_columns_of_one_colour_never_meet():
    sets = sp.random(40, 60, 0.1, "csr", rng=np.random.default_rng(0))
    groups = colours(sets)
    assert sorted(np.concatenate(groups)) == list(range(60))
    for group in groups:
        assert sets[:, group].getnnz(axis=1).max(initial=0) <= 1


@pytest.mark.parametrize("probit", [False, True])
def test_residual_stays_true_over_sweeps(probit):
    draw = np.random.default_rng(0)
    user, item = draw.integers(0, 20, 300), draw.integers(0, 10, 300)
    sets = sp.csr_matrix((np.ones(300), (user, item)), shape=(20, 10))
    sets.data[:] = 0.5
    blocks = [OneHot(user, 20), OneHot(item, 10, draw.normal(size=300)), SetColumns(user, sets)]
    y = (draw.random(300) > 0.5) * 1.0 if probit else draw.normal(size=300)
    sampler = Sampler(blocks, y, 3, probit=probit, seed=1)
    for sweep in range(5):
        sampler.sweep(sweep)
    np.testing.assert_allclose(sampler.e, sampler.z - sampler.predict(), atol=1e-9)
    if probit:
        assert ((sampler.z > 0) == (y > 0.5)).all()


def test_gibbs_finds_the_truth_to_the_noise():
    train, test = dataset(clicks(4000, noise=0.3)).split.rows(0.25)
    model = BayesianFM(factors=4, sweeps=150, burn_in=50, samples=20).fit(train)
    assert 0.29 < evaluate_values(model, test)["rmse"] < 0.36  # the noise is .3
    assert evaluate_values(FM(factors=0).fit(train), test)["rmse"] > 1.2


def test_probit_tells_labels_better_than_weights_alone():
    train, test = dataset(clicks(4000), value="label").split.rows(0.25)
    pairs, alone = (
        evaluate_values(
            BayesianFM(factors=k, head="probit", sweeps=80, burn_in=30, samples=20).fit(train),
            test,
            ["row_auc", "log_loss"],
        )
        for k in (3, 0)
    )
    assert pairs["row_auc"] > alone["row_auc"] + 0.1
    assert pairs["log_loss"] < alone["log_loss"]


@pytest.mark.parametrize("head", ["squared", "logit", "bpr"])
def test_gradient_heads_learn(head):
    frame = clicks(4000)
    if head == "bpr":  # events are the liked pairs alone
        liked = frame["value"] > 1.5
        frame = {name: column[liked] for name, column in frame.items()}
        data = dataset(frame, value=None)
        alone, pairs = (FM(head="bpr", factors=k, epochs=20, reg=0.001).fit(data) for k in (0, 3))
        item = np.random.default_rng(0).integers(0, 12, len(data))

        def share(model):
            above = model._rate(data.user, data.item, data.context) - model._rate(data.user, item, data.context)
            return (above > 0).mean() + 0.5 * (above == 0).mean()

        assert share(pairs) > share(alone) + 0.03 > 0.55
        return
    train, test = dataset(frame, value="label" if head == "logit" else "value").split.rows(0.25)
    metric = "row_auc" if head == "logit" else "rmse"
    found = {
        k: evaluate_values(FM(head=head, factors=k, epochs=40, reg=0.002).fit(train), test, [metric])[metric]
        for k in (0, 4)
    }
    assert found[4] > found[0] + 0.1 if head == "logit" else found[4] < 0.6 * found[0]


def test_slope_is_the_derivative_of_the_loss():
    model = FM(factors=3)
    draw = np.random.default_rng(0)
    index, x, target = draw.integers(0, 8, (30, 3)), draw.normal(size=(30, 3)), draw.integers(0, 2, 30).astype(float)
    index[:, 1] += 8
    index[:, 2] += 16
    X = sp.csr_matrix((x.ravel(), index.ravel(), np.arange(0, 91, 3)), shape=(30, 24))
    penalty = np.zeros(24)
    for head in ("squared", "logit", "bpr"):
        start = [np.array([0.1]), draw.normal(size=24), draw.normal(size=(24, 3))]

        def loss(w0, w, v, head=head):
            score = np.array(
                [pair_sum([(x[r, c], w[index[r, c]], v[index[r, c]]) for c in range(3)], w0[0]) for r in range(30)]
            )
            if head == "squared":
                return 0.5 * ((score - target) ** 2).sum()
            if head == "logit":
                return (np.logaddexp(0, score) - target * score).sum()
            return np.logaddexp(0, score[15:] - score[:15]).sum()

        model.head, model.learning_rate = head, 1.0
        model.w0_, model.w_, model.v_ = (one.copy() for one in start)
        model.w0_sum_, model.w_sum_, model.v_sum_ = (np.zeros_like(one) for one in start)
        model._step(X, target, penalty)
        for place, (name, at) in enumerate(
            [("w0_sum_", (0,)), ("w_sum_", (3,)), ("w_sum_", (17,)), ("v_sum_", (9, 1))]
        ):
            which = ("w0", "w", "w", "v")[place]
            k = ("w0", "w", "v").index(which)
            high, low = [one.copy() for one in start], [one.copy() for one in start]
            high[k][at] += 1e-5
            low[k][at] -= 1e-5
            slope = (loss(*high) - loss(*low)) / 2e-5
            assert np.sqrt(getattr(model, name)[at]) == pytest.approx(abs(slope), rel=1e-3, abs=1e-4), (head, name)


@pytest.mark.parametrize(
    "model",
    [
        BayesianFM(factors=2, sweeps=40, burn_in=8, samples=8, implicit=True, flipped=True),
        BayesianFM(factors=2, sweeps=40, burn_in=8, samples=8, head="probit"),
        FM(factors=2, epochs=6, head="logit"),
    ],
    ids=repr,
)
def test_killed_fit_resumes_and_a_saved_model_answers_alike(model, tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint

    data = dataset(clicks(300), value="label")
    whole = model.clone().fit(data)
    saved = Checkpoint.save

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        if epochs == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=tmp_path / "fit.safetensors")
    monkeypatch.setattr(Checkpoint, "save", saved)
    resumed = model.clone().fit(data, checkpoint=tmp_path / "fit.safetensors")
    assert np.array_equal(resumed.item_part_, whole.item_part_)
    assert np.array_equal(resumed.context_part_, whole.context_part_)
    loaded = load(whole.save(tmp_path / "model"))
    assert loaded.predict(data.to_table()).equals(whole.predict(data.to_table()))


def test_set_parts_equal_the_brute_force_pair_sum():
    data = dataset(clicks(200), context=())
    model = BayesianFM(factors=2, sweeps=6, burn_in=1, samples=1, implicit=True, seed=2)
    kept = {}
    original = BayesianFM._sampled

    def spy(self, sampler):
        kept["theta"] = original(self, sampler)[0].astype(float)
        return kept["theta"][None].astype(np.float32)

    BayesianFM._sampled = spy
    try:
        model.fit(data)
    finally:
        BayesianFM._sampled = original
    theta, users, items = kept["theta"], data.n_users, data.n_items
    found = model._rate(data.user[:10], data.item[:10], data.context)
    for event in range(10):
        u, i = data.user[event], data.item[event]
        mine = np.unique(data.item[data.user == u])
        rows = [(1.0, users * 0 + u), (1.0, users + i), *((len(mine) ** -0.5, users + items + j) for j in mine)]
        expected = pair_sum([(x, theta[row, 0], theta[row, 1:]) for x, row in rows], model.base_[0])
        assert found[event] == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_bad_parameters_and_labels_are_refused(data):
    for model, reason in [
        (FM(head="hinge"), "head"), (FM(head="logit"), "0 and 1"), (FM(factors=-1), "factors"),
        (FM(epochs=0), "epochs"),
        (BayesianFM(head="x"), "head"), (BayesianFM(head="probit"), "0 and 1"), (BayesianFM(samples=500), "samples"),
        (FM(batch=0), "batch"), (FM(learning_rate=0.0), "learning_rate"), (FM(reg=-1.0), "reg"),
        (FM(context_reg=-1.0), "context_reg"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=reason):
            model.fit(data)
    for model in (FM(epochs=1), BayesianFM(factors=2, sweeps=8, burn_in=2, samples=2)):
        with pytest.raises(InputError, match=rf"^{type(model).__name__}.fold_in.*only in fit"):
            model.fit(data).fold_in(data)


@needs_data
def test_gibbs_reaches_myfm_on_movielens():
    from recsys_experiments.real_sets import ml_latest_small

    train, test = next(ml_latest_small().split.kfold(5))
    model = BayesianFM(sweeps=80, burn_in=20, samples=40).fit(train)
    assert evaluate_values(model, test)["rmse"] < MYFM_FOLD_0 * 1.005


MYFM_FOLD_0 = 0.8651  # RMSE of myFM 0.4.0, rank 10, 256 sweeps, the same rows: experiments/benchmarks/peer_myfm.py
