import functools

import numpy as np
import pandas as pd
import pytest
from ninefold.errors import InputError
from proteus import moderated_test, tl
from proteus.knowledge import _sets as sets_module
from proteus.knowledge._camera import camera, fry
from proteus.knowledge._complexes import complexes
from proteus.knowledge._sets import index_sets
from proteus.knowledge._told import tell_once
from proteus.statistics._linear_model import fit_linear_model
from proteus.statistics._moderated_t import fit_prior, moderated_t
from proteus_experiments.baselines import _set_tests
from proteus_experiments.baselines._set_tests import _enrichment_scores, preranked_gsea, rival_sets, roast
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
    monkeypatch.setattr(_set_tests, "preranked_gsea", functools.partial(preranked_gsea, permutations=250))
    rng = np.random.default_rng(0)
    sets = {"planted": [f"f{place}" for place in range(30)]}
    sets |= {f"other{k}": [f"f{place}" for place in range(30 + 20 * k, 50 + 20 * k)] for k in range(10)}
    called = {"camera": 0, "fry": 0, "gsea": 0}
    for _ in range(40):
        result = moderated_test(correlated(rng, 0.5), "~ group", "a-b", lfc=0.0, trend=False, robust=False)
        for method in called:
            test = rival_sets if method == "gsea" else tl.enrich
            called[method] += test(result, sets, method).loc["planted", "p"] < 0.05
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
        found = (rival_sets if method == "roast" else tl.enrich)(result, sets, method).sort_values("p")
        assert found.index[0] == "up"
        assert found.loc["up", "direction"] == "up"
        assert found.loc["up", "q"] < 0.05 < found.loc["rest", "q"]


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


def test_one_feature_stands_for_a_gene():
    genes = pd.Series(["A", "A", *[f"g{place}" for place in range(30)]])
    indexed = index_sets({"s": ["A", *[f"g{place}" for place in range(10)]]}, genes, np.ones(32, bool))
    assert indexed.sizes[0] == 11


def test_wrong_identifiers_are_refused():
    genes = pd.Series([f"P{place:05d}" for place in range(100)])
    with pytest.raises(InputError, match=r"0% of 100 features.*P00000.*map them to symbols"):
        index_sets({"s": ["TP53", "MYC"]}, genes, np.ones(100, bool))


def shifted(moved, sets, by=1.0, seed=3):
    """(sets, the name under which each is told) on 200 features of which `moved` are higher in one of two groups."""
    values = noise(200, 16, seed, sd=0.3)
    values[moved, :8] += by
    indexed = index_sets(sets, pd.Series([f"g{place}" for place in range(200)]), np.ones(200, bool))
    fit = fit_linear_model(values, np.stack([np.ones(16), np.arange(16) < 8], 1).astype(float))
    tested = moderated_t(fit, np.array([0.0, 1.0]), fit_prior(fit))
    p = camera(indexed, tested, fit)["p"].to_numpy()
    told, order = tell_once(indexed, tested, fit, p, p <= 0.02)
    assert sorted(order[order > 0]) == list(range(1, order.max() + 1))
    assert (told[order > 0] == np.flatnonzero(order > 0)).all()
    return {name: indexed.names[one] for name, one in zip(indexed.names, told, strict=True)}


def genes(*places):
    return [f"g{one}" for one in places]


NESTED = {"parent": genes(*range(40)), "set": genes(*range(20)), "child": genes(*range(8)),
          "beside": genes(*range(100, 120))}  # fmt: skip


@pytest.mark.parametrize(("moved", "name"), [(40, "parent"), (20, "set"), (8, "child")])
def test_a_shift_is_told_under_the_set_that_holds_what_moved_and_nothing_else(moved, name):
    told = shifted(np.arange(moved), NESTED)
    assert {told[one] for one in ("parent", "set", "child")} == {name}
    assert told["beside"] == "beside"


def test_two_shifts_are_told_twice_and_their_union_is_not():
    sets = NESTED | {"union": genes(*range(20), *range(100, 120))}
    told = shifted(np.r_[np.arange(20), np.arange(100, 120)], {one: sets[one] for one in ("union", "set", "child")})
    assert set(told.values()) == {"union"}  # one name fits all that moved
    told = shifted(np.r_[np.arange(20), np.arange(100, 120)], NESTED)
    assert (told["set"], told["child"], told["beside"]) == ("set", "set", "beside")


def test_of_sets_with_equal_members_the_one_that_is_measured_best_gives_the_name():
    sets = {"pathway": [*genes(*range(12)), *(f"not measured {one}" for one in range(20))], "whole": genes(*range(12))}
    told = shifted(np.arange(12), sets | {"beside": genes(*range(100, 150))})
    assert told == {"pathway": "whole", "whole": "whole", "beside": "beside"}


def test_genes_that_share_their_sets_are_a_complex_where_their_names_say_so():
    parts = [f"PSM{one}" for one in "ABCDE"]
    others = [f"X{one}" for one in range(5)]
    sets = {f"pathway {one}": [*parts, *others, f"OTHER{one}"] for one in range(3)}
    sets |= {f"second {one}": [*others, "Y"] for one in range(3)}
    names = {gene: f"Proteasome subunit alpha type-{place}" for place, gene in enumerate(parts)}
    names |= dict.fromkeys([*others, "Y", "OTHER0", "OTHER1", "OTHER2"], "Something else")
    assert complexes(sets, names) == {"proteasome complex": parts}
    assert complexes(sets, dict.fromkeys(names, "")) == {}


def test_a_tier_is_corrected_for_by_itself():
    values = noise(300, 12, 5, sd=0.3)
    values[:10, :6] += 0.6
    data = table(values, group=["a"] * 6 + ["b"] * 6)
    result = moderated_test(data, "~ group", "a-b", lfc=0.0)
    sets = {"own": [f"f{one}" for one in range(10)]} | {
        f"s{one}": [f"f{place}" for place in range(one, one + 12)] for one in range(20, 280, 5)
    }
    plain, apart = tl.enrich(result, sets), tl.enrich(result, sets, tier=("own",))
    assert apart.loc["own", "q"] == pytest.approx(apart.loc["own", "p"])
    assert plain.loc["own", "q"] > apart.loc["own", "q"]
