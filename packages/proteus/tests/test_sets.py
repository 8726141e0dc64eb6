import functools

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import moderated_test, tl
from proteus.knowledge import _sets as sets_module
from proteus.knowledge._camera import camera, fry, roast
from proteus.knowledge._enrichment import _enrichment_scores, over_representation, preranked_gsea
from proteus.knowledge._sets import cluster_sets, index_sets
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t
from scipy import stats

from .helpers import noise, reference, table


@pytest.fixture
def limma_sets(monkeypatch):
    monkeypatch.setattr(sets_module, "_LEAST_MAPPED", 0)
    names = ["s1", "s2", "s3", "s4"]
    sets = {name: [str(int(one) - 1) for one in reference("sets", name)] for name in names}
    y = reference("sets", "y")
    indexed = index_sets(sets, pd.Series([str(place) for place in range(len(y))]), np.ones(len(y), bool))
    fit = fit_linear_model(y, reference("random", "X"))
    return indexed, fit, moderated_t(fit, np.array([0, 1, 0]), fit_prior(fit))


def test_camera_equals_limma(limma_sets):
    indexed, fit, tested = limma_sets
    found = camera(indexed, tested, fit)
    np.testing.assert_allclose(found["p"], reference("camera", "p"), rtol=1e-5)
    np.testing.assert_allclose(found["correlation"], np.maximum(reference("camera", "rho"), 0), atol=1e-8)
    fixed = camera(indexed, tested, correlation=0.01)
    np.testing.assert_allclose(fixed["p"], reference("camera fixed", "p"), rtol=1e-2)


def test_roast_is_near_limmas(limma_sets):
    indexed, fit, tested = limma_sets
    found = roast(indexed, tested, fit, rotations=9999)
    np.testing.assert_allclose(found["p"], reference("roast", "p"), atol=0.03)


def test_fry_is_the_limit_of_roast(limma_sets):
    indexed, fit, tested = limma_sets
    rotated = roast(indexed, tested, fit, rotations=9999)["p"].to_numpy()
    limit = fry(indexed, tested, fit)["p"].to_numpy()
    assert np.corrcoef(np.log(rotated), np.log(limit))[0, 1] > 0.95


def correlated(rng, rho, members=30):
    values = noise(300, 12, int(rng.integers(1e6)))
    spread = values[:members].std(1, keepdims=True)
    values[:members] += np.sqrt(rho / (1 - rho)) * spread * rng.standard_normal(12)
    return table(values, group=["a"] * 6 + ["b"] * 6)


def test_correlated_set_without_effect_is_not_called(monkeypatch):
    """The error that gene permutation makes: correlated members move together by chance."""
    monkeypatch.setattr("proteus.tl._enrich.preranked_gsea", functools.partial(preranked_gsea, permutations=250))
    rng = np.random.default_rng(0)
    sets = {"planted": [f"f{place}" for place in range(30)]}
    sets |= {f"other{k}": [f"f{place}" for place in range(30 + 20 * k, 50 + 20 * k)] for k in range(10)}
    called = {"camera": 0, "fry": 0, "gsea": 0}
    for _ in range(40):
        result = moderated_test(correlated(rng, 0.5), "~ group", "a-b", lfc=0.0, trend=False, robust=False)
        for method in called:
            called[method] += tl.enrich(result, sets, method).loc["planted", "p"] < 0.05
    assert called["camera"] <= 6
    assert called["fry"] <= 6
    assert called["gsea"] >= 10


def test_shared_small_change_is_found_by_both_kinds():
    values = noise(2000, 16, sd=0.3)
    values[:80, :8] += 0.3
    result = moderated_test(table(values, group=["a"] * 8 + ["b"] * 8), "~ group", "a-b")
    sets = {"up": [f"f{place}" for place in range(80)], "rest": [f"f{place}" for place in range(200, 280)]}
    sets |= {f"other{k}": [f"f{place}" for place in range(300 + 80 * k, 380 + 80 * k)] for k in range(15)}
    for method in ("camera", "fry", "roast"):
        found = tl.enrich(result, sets, method)
        assert found.index[0] == "up"
        assert found.loc["up", "direction"] == "up"
        assert found.loc["up", "q"] < 0.05 < found.loc["rest", "q"]
        assert found.loc["up", "grade"] == "A/B"
    assert (tl.enrich(result, sets, "gsea")["grade"] == "C").all()
    with pytest.raises(InputError, match=r"no hit"):
        tl.enrich(result, sets, "ora", q=1e-9)


def test_over_representation_equals_fishers_exact_test():
    genes = pd.Series([f"g{place}" for place in range(100)])
    indexed = index_sets({"s": genes[:20].tolist()}, genes, np.arange(100) < 90)
    side = np.zeros(100)
    side[10:30] = 1
    side[60:80] = -1
    found = over_representation(indexed, side)
    fisher = stats.fisher_exact([[10, 10], [10, 60]], "greater").pvalue
    assert found["p"].iloc[0] == pytest.approx(2 * fisher)
    assert found["direction"].iloc[0] == "up"
    assert over_representation(indexed, -side)["direction"].iloc[0] == "down"


def test_a_set_that_goes_both_ways_is_not_over_represented_by_the_sum_of_both():
    genes = pd.Series([f"g{place}" for place in range(200)])
    indexed = index_sets({"s": genes[:20].tolist(), "rest": genes[100:160].tolist()}, genes, np.ones(200, bool))
    side = np.where(np.arange(200) < 6, 1, np.where(np.arange(200) < 12, -1, 0))
    side[100:120] = np.tile([1, -1], 10)
    whole = stats.fisher_exact([[12, 8], [20, 160]], "greater").pvalue
    assert over_representation(indexed, side)["p"].iloc[0] > 2 * whole


def naive_score(score, members):
    order = np.argsort(-score, kind="stable")
    inside = np.isin(order, members)
    gain = np.where(inside, np.abs(score[order]), 0)
    walk = np.cumsum(gain / gain.sum() - np.where(inside, 0, 1 / (~inside).sum()))
    return walk.max() if walk.max() >= -walk.min() else walk.min()


def test_enrichment_score_equals_the_running_sum():
    rng = np.random.default_rng(0)
    score = rng.standard_normal(200)
    order = np.argsort(-score, kind="stable")
    rank = np.argsort(order)
    for size in (5, 17, 60):
        members = rng.choice(200, size, replace=False)
        found = _enrichment_scores(np.sort(rank[members]), np.array([size]), np.abs(score[order]), 200)
        assert found[0] == pytest.approx(naive_score(score, members))


def test_gsea_finds_the_top_set_and_is_uniform_on_random_ones():
    rng = np.random.default_rng(1)
    genes = pd.Series([f"g{place}" for place in range(1000)])
    score = rng.standard_normal(1000)
    top = genes[np.argsort(-score)[:200]].sample(30, random_state=0).tolist()
    sets = {"top": top} | {f"r{k}": rng.choice(genes, 30, replace=False).tolist() for k in range(150)}
    found = preranked_gsea(index_sets(sets, genes, np.ones(1000, bool)), score)
    assert found["p"].idxmin() == "top"
    assert found.loc["top", "q"] < 0.01
    assert stats.kstest(found["p"].drop("top"), "uniform").pvalue > 0.001


def test_overlapping_sets_become_one_finding():
    genes = pd.Series([f"g{place}" for place in range(60)])
    sets = {"a": genes[:20].tolist(), "b": genes[:18].tolist(), "c": genes[40:55].tolist()}
    indexed = index_sets(sets, genes, np.ones(60, bool))
    assert cluster_sets(indexed, np.array([0.02, 0.01, 0.03]), chosen=np.ones(3, bool)).tolist() == [1, 1, 2]


def test_one_feature_stands_for_a_gene():
    genes = pd.Series(["A", "A", *[f"g{place}" for place in range(30)]])
    indexed = index_sets({"s": ["A", *[f"g{place}" for place in range(10)]]}, genes, np.ones(32, bool))
    assert indexed.sizes[0] == 11


def test_wrong_identifiers_are_refused():
    genes = pd.Series([f"P{place:05d}" for place in range(100)])
    with pytest.raises(InputError, match=r"0% of 100 features.*P00000.*map them to symbols"):
        index_sets({"s": ["TP53", "MYC"]}, genes, np.ones(100, bool))


def test_a_set_joins_the_best_that_holds_it_and_chains_do_not_make_one_of_all():
    genes = pd.Series([f"g{place}" for place in range(100)])
    sets = {
        "all of it": genes[:40].tolist(), "inside": genes[5:15].tolist(), "beside": genes[36:56].tolist(),
        "inside beside": genes[48:56].tolist(), "apart": genes[70:90].tolist(),
    }  # fmt: skip
    indexed = index_sets(sets, genes, np.ones(100, bool))
    found = cluster_sets(indexed, np.array([0.01, 0.02, 0.03, 0.04, 0.05]), chosen=np.ones(5, bool))
    assert found.tolist() == [0, 0, 2, 2, 4]


def test_a_cluster_is_named_by_the_set_that_is_measured_best():
    genes = pd.Series([f"g{place}" for place in range(60)])
    complex_, pathway = genes[:12].tolist(), [*genes[:13], *(f"not measured {place}" for place in range(20))]
    indexed = index_sets({"pathway": pathway, "complex": complex_}, genes, np.ones(60, bool))
    np.testing.assert_allclose(indexed.covered, [13 / 33, 1.0])
    found = cluster_sets(indexed, np.array([0.001, 0.01]), chosen=np.ones(2, bool))
    assert [indexed.names[one] for one in found] == ["complex", "complex"]
