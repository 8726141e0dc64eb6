"""The experiments on MovieLens files that a user brings, on small files made to look like them."""

import numpy as np
import pytest
from ninefold.errors import DownloadError
from ninefold_lab import Budget
from recsys_experiments.claims import CLAIMS

BY_ID = {claim.id: claim for claim in CLAIMS}
TABLES = {
    "recsys/movielens-100k-rating-table": "ml-100k/u.data",
    "recsys/movielens-1m-rating-table": "ml-1m/ratings.dat",
}


def rows(users=60, items=30, events=1500):
    """Ratings that follow biases: user, movie, rating, seconds."""
    draw = np.random.default_rng(0)
    pairs = draw.permutation(users * items)[:events]
    user, item = np.divmod(pairs, items)
    rating = np.clip(np.round(3.5 + draw.normal(0, 1, users)[user] + draw.normal(0, 1, items)[item]), 1, 5)
    return np.stack([user + 1, item + 1, rating.astype(int), 880_000_000 + np.arange(events)], axis=1).tolist()


@pytest.fixture
def put(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))

    def write(name, text):
        path = tmp_path / "recsys" / "movielens" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize(("claim", "name"), list(TABLES.items()))
def test_rating_tables_are_run_on_files_that_the_user_brings(claim, name, put):
    between = "\t" if name.endswith("u.data") else "::"
    put(name, "".join(f"{between.join(map(str, row))}\n" for row in rows()))
    arms = BY_ID[claim].run(Budget(1, 1, "quick"), 0)
    assert list(arms) == ["bias", "item kNN", "MF", "SVD++"]
    assert {len(errors) for errors in arms.values()} == {300}  # a fifth, the same ratings for all
    for errors in arms.values():
        assert 0.2 < np.sqrt(-errors.mean()) < 1.2
    assert [one.bar.split(" >= ")[0] for one in BY_ID[claim].verdict([arms])] == list(arms)


def test_the_ranking_table_is_run_on_a_file_that_the_user_brings(put):
    lines = [f"{user},{item},{rating}.0,{time}\n" for user, item, rating, time in rows(events=1700)]
    put("ml-20m/ratings.csv", "userId,movieId,rating,timestamp\n" + "".join(lines))
    claim = BY_ID["recsys/movielens-20m-ranking-table"]
    arms = claim.run(Budget(1, 1, "quick"), 0)
    assert len({len(one) for one in arms.values()}) == 1
    assert all(one.min() >= 0 and one.max() <= 1 for one in arms.values())
    assert [one.verdict for one in claim.verdict([arms])] == ["reproduced"] * 3  # 30 items: nearly all are listed


@pytest.mark.parametrize(
    ("claim", "arms"), [("popularity", ["popular"]), ("ials", ["iALS"]), ("mult-vae", ["Mult-VAE"])]
)
def test_other_rows_of_the_ranking_table_are_run_by_the_same_protocol(claim, arms, put):
    if claim == "mult-vae":
        pytest.importorskip("torch")
    text = [f"{user},{item},{rating}.0,{time}\n" for user, item, rating, time in rows(events=1700)]
    put("ml-20m/ratings.csv", "userId,movieId,rating,timestamp\n" + "".join(text))
    found = BY_ID[f"recsys/movielens-20m-{claim}"]
    scores = found.run(Budget(1, 1, "quick"), 0)
    assert list(scores) == [f"{arms[0]} {metric}" for metric in ("recall_min@20", "recall_min@50", "ndcg@100")]
    assert len(found.verdict([scores])) == 3


def test_sequence_models_are_asked_for_the_last_film(put):
    pytest.importorskip("torch")
    put("ml-1m/ratings.dat", "".join(f"{'::'.join(map(str, row))}\n" for row in rows()))
    found = BY_ID["recsys/movielens-1m-last-film"]
    scores = found.run(Budget(1, 1, "quick"), 0)
    assert list(scores) == [f"{name} {m}" for name in ("SASRec", "BERT4Rec", "SASRec+") for m in ("hr@10", "ndcg@10")]
    assert {len(one) for one in scores.values()} == {60}  # a film of each user
    assert len(found.verdict([scores])) == 6


BROUGHT = [one.id for one in CLAIMS if one.id.startswith("recsys/movielens-")]


@pytest.mark.parametrize("claim", BROUGHT)
def test_a_missing_file_is_named_with_its_place(claim, tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_DATA", str(tmp_path))
    with pytest.raises(DownloadError, match=r"movielens/ml-.*recsys/movielens/ml-"):
        BY_ID[claim].run(Budget(1, 1, "quick"), 0)
