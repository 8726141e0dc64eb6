"""A simulator with known truth: tastes, drift, transitions, exposure with propensities, ratings not at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from ninefold.errors import InputError

from recsys.data._dataset import Dataset

_SECOND = 1_000_000
_START = 1_700_000_000 * _SECOND


@dataclass(frozen=True)
class World:
    """A data set and the truth behind it.

    Attributes:
        data: events (user, item, value: rating 1 to 5, time; context: scene), items with features.
        affinity: true utility of each user for each item at the start, float32 (users, items).
        propensity: probability that an event shows the item to the user, float32 (users, items); rows add up to 1.
        ratings: true rating of each pair, float32 (users, items).
        clusters: of users and of items, int.

    Examples:
        >>> import recsys

        >>> world = recsys.simulate(users=100, items=30, events=1_000, seed=0)
        >>> favourite = int(world.affinity[0].argmax())  # what the first user truly likes best
        >>> round(float(world.ratings[0, favourite]), 1)
        5.0
        >>> world.data.items.column_names
        ['x0', 'x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'x7']
    """

    data: Dataset
    affinity: np.ndarray
    propensity: np.ndarray
    ratings: np.ndarray
    clusters: tuple[np.ndarray, np.ndarray]


def simulate(
    users: int = 500,
    items: int = 200,
    events: int = 20_000,
    *,
    clusters: int = 8,
    dimension: int = 8,
    zipf: float = 1.0,
    feature_r2: float = 0.5,
    transitions: float = 0.0,
    context: float = 0.0,
    drift: float = 0.0,
    mnar: float = 1.0,
    ties: float = 0.0,
    homophily: float = 0.8,
    seed: int = 0,
) -> World:
    """Draw a world.

    Args:
        users, items, events: sizes.
        clusters, dimension: users and items scatter around cluster centres in a latent space.
        zipf: popularity of the item of rank r is r^-zipf.
        feature_r2: share of an item's latent position that its observed features explain.
        transitions: probability that an event follows the user's last item to its one successor.
        context: how strongly the scene (0 or 1) of an event moves utilities.
        drift: how far utilities turn towards another cluster from the first to the last event.
        mnar: how strongly liked items are shown more: 0 shows by popularity alone.
        ties: mean number of ties of a user; 0: none.
        homophily: share of the ties between users of one cluster; the others are between any two.
        seed: of all draws.

    Examples:
        >>> import recsys

        >>> world = recsys.simulate(users=100, items=30, events=1_000, seed=0)
        >>> world.data
        Dataset(1,000 events, 100 users, 30 items, values, times, scene)
        >>> world.propensity.shape, round(float(world.propensity[0].sum()), 3)
        ((100, 30), 1.0)
    """
    if min(users, items, clusters, dimension) < 2 or events < 1:
        raise InputError("users, items, clusters, dimension", got="below 2", expected="2 or more of each, and an event")
    if not 0 <= ties < users or not 0 <= homophily <= 1:
        raise InputError("ties, homophily", got=(ties, homophily), expected="fewer than the users, a share in 0..1")
    if not 0 <= transitions <= 1 or not 0 <= feature_r2 <= 1:
        raise InputError("transitions, feature_r2", got=(transitions, feature_r2), expected="shares in 0..1")
    draw = np.random.default_rng(seed)
    centres = draw.standard_normal((clusters, dimension)) / np.sqrt(dimension) * 2
    of_user, of_item = draw.integers(0, clusters, users), draw.integers(0, clusters, items)
    P = centres[of_user] + 0.5 * draw.standard_normal((users, dimension)) / np.sqrt(dimension)
    Q = centres[of_item] + 0.5 * draw.standard_normal((items, dimension)) / np.sqrt(dimension)
    affinity = P @ Q.T
    popularity = (1.0 + draw.permutation(items)) ** -zipf
    shown = popularity * np.exp(mnar * affinity)
    propensity = shown / shown.sum(axis=1, keepdims=True)
    ratings = np.clip(3 + affinity - affinity.mean(), 1, 5)
    user = draw.integers(0, users, events).astype(np.int32)
    scene = draw.integers(0, 2, events)
    later = centres[(of_user + 1) % clusters] @ Q.T
    effect = draw.standard_normal(items)
    item = _choose(draw, user, scene, propensity, drift * mnar * (later - affinity), context * effect)
    _follow(draw, user, item, draw.permutation(items), transitions)
    value = np.clip(np.round(ratings[user, item] + 0.3 * draw.standard_normal(events)), 1, 5)
    spread = np.sqrt((1 - feature_r2) / feature_r2) if feature_r2 > 0 else np.inf
    noise = draw.standard_normal(Q.shape) * Q.std(axis=0)
    features = Q + spread * noise if feature_r2 > 0 else noise
    side = {"item": [f"i{code}" for code in range(items)], **{f"x{d}": features[:, d] for d in range(dimension)}}
    names_u, names_i = pa.array([f"u{code}" for code in range(users)]), pa.array(side["item"])
    frame = {
        "user": names_u.take(pa.array(user)),
        "item": names_i.take(pa.array(item)),
        "rating": value,
        "time": pa.array(_START + np.arange(events) * 600 * _SECOND).cast(pa.timestamp("us")),
        "scene": pa.array(["home", "out"]).take(pa.array(scene)),
    }
    data = Dataset.from_frame(
        frame, user="user", item="item", value="rating", time="time", context=["scene"], items=side
    )
    if ties:
        data = data.with_ties(_ties(of_user, ties, homophily, np.random.default_rng([seed, 1])))
    affinity, propensity, ratings = (one.astype(np.float32) for one in (affinity, propensity, ratings))
    return World(data, affinity, propensity, ratings, (of_user, of_item))


def _ties(of_user: np.ndarray, ties: float, homophily: float, draw: np.random.Generator) -> dict[str, list[str]]:
    """So many pairs of users that each has `ties` in the mean, a share of them within a cluster."""
    users = len(of_user)
    one = draw.integers(0, users, round(users * ties / 2))
    other = draw.integers(0, users, len(one))
    alike = np.flatnonzero(draw.random(len(one)) < homophily)
    order = np.argsort(of_user, kind="stable")
    size, kind = np.bincount(of_user), of_user[one[alike]]
    other[alike] = order[(np.cumsum(size) - size)[kind] + (draw.random(len(alike)) * size[kind]).astype(int)]
    kept = one != other
    return {"user": [f"u{code}" for code in one[kept]], "friend": [f"u{code}" for code in other[kept]]}


def _choose(
    draw: np.random.Generator,
    user: np.ndarray,
    scene: np.ndarray,
    propensity: np.ndarray,
    turn: np.ndarray,
    effect: np.ndarray,
) -> np.ndarray:
    """An item for each event by its propensity, turned by drift and scene; in blocks (the Gumbel trick)."""
    if not turn.any() and not effect.any():  # nothing changes in time: one look-up in each user's cumulated shares
        shares = np.cumsum(propensity, axis=1)
        shares += np.arange(len(shares))[:, None] - (shares[:, -1:] - 1)
        place = np.searchsorted(shares.ravel(), user + draw.random(len(user)))
        return np.minimum(place - user.astype(np.int64) * propensity.shape[1], propensity.shape[1] - 1).astype(np.int32)
    item = np.empty(len(user), np.int32)
    block = max(1, 4_000_000 // propensity.shape[1])
    for start in range(0, len(user), block):
        part = slice(start, min(start + block, len(user)))
        age = np.arange(part.start, part.stop)[:, None] / max(len(user) - 1, 1)
        utility = np.log(propensity[user[part]]) + age * turn[user[part]] + (scene[part, None] * 2 - 1) * effect
        item[part] = np.argmax(utility + draw.gumbel(size=utility.shape), axis=1)
    return item


def _follow(draw: np.random.Generator, user: np.ndarray, item: np.ndarray, successor: np.ndarray, share: float) -> None:
    """Let a share of events be the successor of the user's last item, in place."""
    if share == 0:
        return
    follows = draw.random(len(user)) < share
    last: dict[int, int] = {}
    for event, (who, does) in enumerate(zip(user.tolist(), follows.tolist(), strict=True)):
        if does and who in last:
            item[event] = successor[last[who]]
        last[who] = int(item[event])
