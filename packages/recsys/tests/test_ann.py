import copy

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from recsys import EASE, IALS, Index, build_index
from recsys.recommender._longest import top_of_factors
from recsys.serving import _ann

from .helpers import events

pytest.importorskip("usearch")


@pytest.fixture(scope="module")
def model():
    return IALS(factors=6, epochs=3).fit(events(users=200, items=300, n=6000))


@pytest.fixture(scope="module")
def index(model):
    return build_index(model, recall=0.99)


def test_reported_recall_is_the_share_of_the_exact_top_that_is_found(model, index):
    assert index.recall >= 0.99
    exact = top_of_factors(model.user_factors_, model.item_factors_, 10).item.reshape(-1, 10)
    near = index.search(model.user_factors_, 10)
    shares = [len(set(a) & set(b)) / 10 for a, b in zip(exact.tolist(), near.tolist(), strict=True)]
    assert np.mean(shares) == pytest.approx(index.recall, abs=0.01)


def test_recall_does_not_depend_on_the_size_of_the_scores(model):
    """A graph of 1 - product saw no difference between products of 1e-9, and found nothing."""
    for factor in (1e-9, 1e9):
        other = copy.copy(model)
        other.user_factors_, other.item_factors_ = (
            np.float32(factor) * one for one in (model.user_factors_, model.item_factors_)
        )
        assert build_index(other, recall=0.99).recall >= 0.99


def test_a_recall_that_is_not_reached_is_said(model, monkeypatch):
    monkeypatch.setattr(_ann, "_WIDEST", 32)
    other = copy.copy(model)  # one direction, and all lengths alike: the graph leads nowhere
    other.item_factors_ = np.repeat(model.item_factors_[:1], 300, axis=0)
    with pytest.warns(UserWarning, match=r"the index finds 0\.\d+ of the exact lists, not 1\.0"):
        assert build_index(other, recall=1.0).recall < 1


def test_lists_are_filtered_whole_and_nearly_exact(model, index):
    exact, near = (one.recommend(k=10, exclude=[1000, 1001]).to_pandas() for one in (model, index))
    pairs = set(zip(exact.who, exact.what, strict=True))
    assert len(near) == len(exact)
    assert len(pairs & set(zip(near.who, near.what, strict=True))) / len(pairs) > 0.97
    assert not set(near.what) & {1000, 1001}
    some = [1002, 1005, 1200]
    whole, part = (one.recommend([100, 101], k=3, candidates=some).to_pydict() for one in (model, index))
    assert (part["who"], part["what"]) == (whole["who"], whole["what"])
    assert part["score"] == pytest.approx(whole["score"], rel=1e-5)
    table = events(users=200, items=300, n=6000).to_table().to_pandas()
    assert not set(zip(near.who, near.what, strict=True)) & set(zip(table.who, table.what, strict=True))
    assert (near.groupby("who").score.diff().dropna() <= 1e-6).all()


def test_users_who_come_short_or_unknown_are_answered_exactly(model, index):
    near, exact = (one.recommend([100, 99_999], k=300).to_pandas() for one in (index, model))
    assert near.what.tolist() == exact.what.tolist()
    assert set(near[near.who == 99_999].source) == {"fallback"}


def test_an_index_is_kept_with_its_model(model, index, tmp_path):
    folder = index.save(tmp_path / "i")
    loaded = Index.load(folder, model)
    assert (loaded.recall, loaded.width) == (index.recall, index.width)
    assert loaded.recommend(k=5).equals(index.recommend(k=5))
    other = IALS(factors=6, epochs=2).fit(events(users=200, items=300, n=6000))
    with pytest.raises(ArtifactError, match="another model"):
        Index.load(folder, other)
    whole = (folder / "graph.usearch").read_bytes()
    (folder / "graph.usearch").write_bytes(whole[:500] + b"x" + whole[501:])
    with pytest.raises(ArtifactError, match=r"graph.usearch.*damaged"):
        Index.load(folder, model)
    (folder / "index.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"index.json.*damaged"):
        Index.load(folder, model)


def test_models_without_inner_products_have_no_index():
    with pytest.raises(InputError, match="no inner products"):
        build_index(EASE(l2=5.0).fit(events()))
