import numpy as np
import pytest
from ninefold.errors import InputError
from proteus import Network, tl
from proteus.knowledge._network import communities, connectivity, rewire
from proteus.outcomes._coexpression import correlation, find_modules, module_traits, signed_tom

from .helpers import noise, table


def random_graph(nodes=120, edges=600, seed=0):
    rng = np.random.default_rng(seed)
    weight = rng.pareto(2, nodes) + 1
    pick = rng.choice(nodes, (2, edges), p=weight / weight.sum())
    drawn = Network.from_pairs([f"n{one}" for one in pick[0]], [f"n{one}" for one in pick[1]])
    return rewire(drawn, rng, sweeps=30)  # uniform among the graphs of these degrees


def degrees(network):
    return np.bincount(network.edges.ravel(), minlength=len(network.nodes))


def test_rewiring_keeps_degrees_and_makes_no_loops_or_doubles():
    network = random_graph()
    other = rewire(network, np.random.default_rng(0))
    np.testing.assert_array_equal(degrees(network), degrees(other))
    assert (other.edges[:, 0] < other.edges[:, 1]).all()
    assert len(np.unique(other.edges, axis=0)) == len(network.edges)
    same = {tuple(edge) for edge in network.edges} & {tuple(edge) for edge in other.edges}
    assert len(same) < 0.5 * len(network.edges)


def with_clique(network, members):
    first = [network.nodes[a] for a, _ in network.edges]
    second = [network.nodes[b] for _, b in network.edges]
    pairs = [(a, b) for i, a in enumerate(members) for b in members[i + 1 :]]
    return Network.from_pairs(first + [a for a, _ in pairs], second + [b for _, b in pairs])


def test_planted_module_is_connected_and_hubs_are_not():
    network = random_graph(300, 1200)
    quiet = [network.nodes[one] for one in np.argsort(degrees(network))[60:70]]
    network = with_clique(network, quiet)
    assert connectivity(network, quiet).p < 0.01
    found = []
    for seed in range(12):
        network = random_graph(300, 1200, seed)
        hubs = [network.nodes[one] for one in np.argsort(-degrees(network))[:10]]
        found.append(connectivity(network, hubs, rewirings=60))
    assert np.mean([one.edges for one in found]) > 8
    assert abs(np.mean([one.z for one in found])) < 0.8  # standard error 0.3 where degrees explain everything


def test_louvain_tells_two_cliques_apart():
    a, b = [f"a{k}" for k in range(8)], [f"b{k}" for k in range(8)]
    pairs = [(x, y) for group in (a, b) for i, x in enumerate(group) for y in group[i + 1 :]] + [("a0", "b0")]
    label = communities(Network.from_pairs([x for x, _ in pairs], [y for _, y in pairs]))
    assert label[a].nunique() == label[b].nunique() == 1
    assert label["a1"] != label["b1"]


def test_hits_outside_the_network_are_named():
    with pytest.raises(InputError, match="at least two"):
        tl.network(["x", "y"], random_graph(), ["n1", "n2", "n3"])


def test_correlation_equals_numpys_and_skips_missing_pairs():
    values = noise(5, 20)
    np.testing.assert_allclose(correlation(values), np.corrcoef(values), atol=1e-10)
    values[0, 3] = np.nan
    both = np.delete(values, 3, axis=1)
    np.testing.assert_allclose(correlation(values)[0, 1], np.corrcoef(both[:2])[0, 1], atol=1e-10)


def test_signed_overlap_equals_its_formula():
    r = np.corrcoef(noise(6, 12))
    tom = signed_tom(r, power=3)
    a = ((1 + r) / 2) ** 3
    np.fill_diagonal(a, 0)
    k = a.sum(0)
    expected = (a[0] @ a[:, 1] + a[0, 1]) / (min(k[0], k[1]) + 1 - a[0, 1])
    assert tom[0, 1] == pytest.approx(expected)
    assert (np.diag(tom) == 1).all()


def test_modules_are_found_and_follow_their_trait():
    rng = np.random.default_rng(0)
    trait = np.repeat([0.0, 1.0], 15)
    values = noise(150, 30, sd=0.3)
    values[:40] += 0.8 * (trait + 0.3 * rng.standard_normal(30))
    values[40:80] += 0.6 * rng.standard_normal(30)
    data = table(values, trait=trait.tolist(), group=["x", "y"] * 15)
    found = find_modules(data)
    label = found.label.to_numpy()
    assert len(set(label[:40]) - {0}) == len(set(label[40:80]) - {0}) == 1
    assert label[0] != label[40]
    tests = module_traits(found, data.samples, ["trait", "group"])
    first = tests.sort_values("p").iloc[0]
    assert (first["module"], first["trait"]) == (f"M{label[0]}", "trait")
    assert first["r"] > 0.6
