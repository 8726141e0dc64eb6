import numpy as np
import pytest
from ninefold.errors import InputError
from recsys import IALS, Popular, evaluate, simulate
from recsys.data._simulate import World
from recsys.evaluation import ips, snips


def test_same_seed_gives_the_same_world():
    first, second, other = (simulate(50, 30, 500, seed=seed) for seed in (1, 1, 2))
    assert first.data.to_table().equals(second.data.to_table())
    assert not first.data.to_table().equals(other.data.to_table())


def test_exposure_follows_its_propensities():
    world = simulate(4, 10, 40_000, seed=3)
    counts = np.zeros((4, 10))
    table = world.data.to_table()
    users, items = ([int(one[1:]) for one in table.column(name).to_pylist()] for name in ("user", "item"))
    np.add.at(counts, (users, items), 1)
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), world.propensity, atol=0.02)


def test_popularity_falls_as_zipf_says():
    world = simulate(100, 200, 50_000, mnar=0.0, zipf=1.0, seed=1)
    counts = np.sort(np.bincount(world.data.item, minlength=200))[::-1]
    slope = np.polyfit(np.log(np.arange(1, 51)), np.log(counts[:50]), 1)[0]
    assert slope == pytest.approx(-1.0, abs=0.1)


def test_features_explain_their_share():
    for share in (0.3, 0.9):
        world = simulate(100, 1000, 2000, feature_r2=share, seed=2)
        names = [f"x{d}" for d in range(8)]
        features = np.column_stack([world.data.items.column(name).to_numpy() for name in names])
        order = np.argsort([int(one[1:]) for one in world.data.item_ids.values.to_pylist()])
        latent = np.linalg.lstsq(
            np.linalg.svd(world.affinity, full_matrices=False)[2][:8].T, features[order], rcond=None
        )
        residual = latent[1].sum() / ((features - features.mean(0)) ** 2).sum()
        assert 1 - residual == pytest.approx(share, abs=0.1)


def test_transitions_follow_one_successor():
    world = simulate(20, 40, 5000, transitions=0.6, seed=4)
    history = world.data.history()
    same_user = np.diff(history.rows()) == 0
    pairs = np.stack([history.item[:-1][same_user], history.item[1:][same_user]], axis=1)
    best = [np.bincount(pairs[pairs[:, 0] == item, 1]).max() for item in np.unique(pairs[:, 0])]
    assert np.sum(best) / len(pairs) > 0.55
    plain = simulate(20, 40, 5000, transitions=0.0, seed=4)
    assert isinstance(plain, World)


def test_taste_is_learnt_from_the_worlds_events():
    train, test = simulate(300, 100, 15_000, mnar=1.5, seed=5).data.clicks().split.time()
    model, popular = (evaluate(one.fit(train), test, ["ndcg@10"]) for one in (IALS(factors=8, reg=0.02), Popular()))
    assert model.mean("ndcg@10") > popular.mean("ndcg@10") + 0.02


def logged(draw, n, world):
    """Rewards under the exposure policy, and the probabilities of a policy that shows all items alike."""
    users, items = world.propensity.shape
    user = draw.integers(0, users, n)
    item = (world.propensity[user].cumsum(1) > draw.random((n, 1))).argmax(1)
    return world.ratings[user, item].astype(float), np.full(n, 1 / items), world.propensity[user, item]


def test_snips_is_nearer_to_the_truth_than_the_naive_mean():
    world = simulate(40, 15, 100, mnar=1.0, zipf=0.5, seed=6)
    truth = world.ratings.mean()
    reward, target, chance = logged(np.random.default_rng(0), 4000, world)
    assert abs(snips(reward, target, chance).mean - truth) < abs(reward.mean() - truth) / 3
    assert abs(ips(reward, target, chance).mean - truth) < abs(reward.mean() - truth) / 2


@pytest.mark.parametrize("estimator", [ips, snips])
def test_intervals_cover_the_truth_in_500_runs(estimator):
    world = simulate(40, 12, 100, mnar=0.5, zipf=0.3, seed=7)
    truth, draw = float(world.ratings.mean()), np.random.default_rng(1)
    inside = 0
    for _ in range(500):
        found = estimator(*logged(draw, 1000, world))
        inside += found.low <= truth <= found.high
    assert 0.93 <= inside / 500 <= 0.97


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"logged": np.array([0.0, 0.5])}, "probabilities"),
        ({"reward": np.array([np.nan, 1.0])}, "reward.*NaN"),
        ({"target": np.array([0.0, 0.0])}, "target.*0 for every"),
        ({"target": np.array([0.5])}, "equal lengths"),
    ],
)
def test_bad_propensities_are_refused(change, message):
    good = {"reward": np.ones(2), "target": np.full(2, 0.5), "logged": np.full(2, 0.5)}
    with pytest.raises(InputError, match=message):
        snips(**{**good, **change})
