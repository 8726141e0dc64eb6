"""Tables with planted truth: spread, dropout and correlation are learned from a real table, then effects are planted.

Planted: changed proteins, two changed gene sets, a changed network module, a survival marker, a subtype, a batch.
Decoys, which a careful analysis must not report: a factor aliased with the batch, a factor without any effect, and
changed hubs that are linked by their degree alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from ninefold.errors import InputError
from proteus.data._data import ProteomicsData
from proteus.knowledge._network import Network, rewire
from proteus.statistics._ebayes import squeeze_variances
from scipy import optimize, sparse


@dataclass(frozen=True)
class Template:
    """What a simulation takes from a real table.

    Attributes:
        mean: (P,) mean log2 abundance.
        log_variance: (P,) ln variance expected at that abundance.
        d0: prior degrees of freedom of variances around that.
        dropout: intercept and slope of logit P(observed) over abundance.
        loadings: (P, K) loadings of standardised residuals on shared factors.
        genes: (P,) names.
    """

    mean: np.ndarray
    log_variance: np.ndarray
    d0: float
    dropout: tuple[float, float]
    loadings: np.ndarray
    genes: list[str]


@dataclass(frozen=True)
class Simulation:
    """A table, its truth, and the knowledge it goes with.

    Attributes:
        data: log2, samples with group, batch, arm (decoy), smoker (decoy), time, event.
        key: what was planted, as JSON values: see `simulate`.
        sets: gene sets (the planted two among them).
        network: interactions (the planted module among them).

    Examples:
        >>> from proteus import datasets
        >>> from proteus_experiments.simulators._tables import learn, simulate
        >>> drawn = simulate(learn(datasets.ups1_peptides(), "group"), samples=12, features=200)
        >>> type(drawn).__name__, drawn.data.shape
        ('Simulation', (200, 12))
    """

    data: ProteomicsData
    key: dict[str, object]
    sets: dict[str, list[str]]
    network: Network


def learn(data: ProteomicsData, group: str | None = None, *, factors: int = 5, seed: int = 0) -> Template:
    """Read spread, dropout and correlation off a real table.

    Args:
        data: log2 table with at least 4 samples.
        group: column whose level means are taken out first.
        factors: shared factors at most; those no larger than in row-permuted residuals are left out.
        seed: of the permutation.

    Examples:
        >>> from proteus_experiments.simulators._tables import learn
        >>> from proteus import datasets
        >>> learn(datasets.ups1_peptides(), "group").dropout[1] > 0
        True
    """
    if data.shape[1] < 4 or data.scale != "log2":
        raise InputError("template", got=f"{data.shape[1]} samples, scale {data.scale}", expected="4 or more, log2")
    codes = np.zeros(data.shape[1], int) if group is None else pd.factorize(data.factor(group))[0]
    values = data.values
    seen = ~np.isnan(values)
    kept = seen.sum(1) >= 3
    values, seen = values[kept], seen[kept]
    residual = np.zeros_like(values)
    df = np.zeros(len(values))
    for code in np.unique(codes):
        part, there = values[:, codes == code], seen[:, codes == code]
        n = there.sum(1)
        mean = np.where(there, part, 0).sum(1) / np.maximum(n, 1)
        residual[:, codes == code] = np.where(there, part - mean[:, None], 0)
        df += np.maximum(n - 1, 0)
    mean = np.where(seen, values, 0).sum(1) / seen.sum(1)
    sigma = np.sqrt((residual**2).sum(1) / np.maximum(df, 1))
    sigma[df < 1] = np.nan
    prior = squeeze_variances(sigma, df, covariate=mean)
    d0 = float(prior.d0_bulk) if np.isfinite(prior.d0_bulk) else 100.0
    spread = np.where(np.isfinite(sigma) & (sigma > 0), sigma, 1)
    loadings = _factors(residual / spread[:, None], factors, np.random.default_rng(seed))
    genes = [str(name) for name in data.genes[kept]]
    return Template(mean, np.log(prior.s0_squared), d0, _dropout(mean, seen), loadings, genes)


def _dropout(mean: np.ndarray, seen: np.ndarray) -> tuple[float, float]:
    """Logistic regression of being observed on mean abundance, slope not negative."""
    share, n = seen.mean(1), seen.shape[1]
    if share.mean() > 0.9999:
        return 20.0, 0.0
    centre, scale = mean.mean(), max(mean.std(), 1e-6)
    x = (mean - centre) / scale

    def deviance(b: np.ndarray) -> float:
        eta = b[0] + b[1] * x
        return float(n * (np.logaddexp(0, eta) - share * eta).mean() + 1e-3 * b[1] ** 2)

    found = optimize.minimize(deviance, np.array([2.0, 0.5]), bounds=[(-20, 20), (0, 10)])
    slope = found.x[1] / scale
    return float(found.x[0] - slope * centre), float(slope)


def _factors(standard: np.ndarray, most: int, generator: np.random.Generator) -> np.ndarray:
    """Loadings of factors whose singular values exceed those of row-wise permuted residuals, shrunk by that excess."""
    left, singular, _ = np.linalg.svd(standard, full_matrices=False)
    null = np.linalg.svd(generator.permuted(standard, axis=1), compute_uv=False)
    kept = [k for k in range(min(most, len(singular))) if singular[k] > 1.05 * null[0]]
    if not kept:
        return np.zeros((len(standard), 0))
    strength = np.sqrt(singular[kept] ** 2 - null[kept] ** 2) / np.sqrt(standard.shape[1])
    return left[:, kept] * strength


def simulate(
    template: Template,
    *,
    samples: int = 40,
    features: int | None = None,
    sets: Mapping[str, Sequence[str]] | None = None,
    network: Network | None = None,
    effect: float = 1.0,
    changed: int = 40,
    seed: int = 0,
) -> Simulation:
    """Draw a table and plant its truth.

    Args:
        template: of `learn`.
        samples: half cases, half controls; at least 12.
        features: rows, drawn from the template; None: all.
        sets, network: real knowledge; None: made up, named MADE_UP_SET_nn.
        effect: typical log2 change of planted proteins, in units of 1; 0 gives a table without any signal.
        changed: single changed proteins beside sets and module.
        seed: of everything.
    Returns:
        With a key: `changed` (id: log2 case - control, all causes), `sets`, `module`, `hubs`, `survival`, `subtype`
        (features, samples), `batch` (features), `decoys` (arm, smoker, hubs).

    Examples:
        >>> from proteus_experiments.simulators._tables import learn, simulate
        >>> from proteus import datasets
        >>> drawn = simulate(learn(datasets.ups1_peptides(), "group"), samples=12, features=200)
        >>> sorted(drawn.data.samples["group"].unique())
        ['case', 'control']
    """
    if samples < 12:
        raise InputError("samples", got=samples, expected="at least 12")
    rng = np.random.default_rng(seed)
    total = len(template.mean)
    rows = np.arange(total) if features is None else rng.choice(total, features, replace=features > total)
    genes = _unique([template.genes[row] for row in rows])
    if len(genes) < 200:
        raise InputError("features", got=len(genes), expected="at least 200")
    sheet = _sheet(samples, rng)
    place = {gene: position for position, gene in enumerate(genes)}
    all_sets = {key: list(one) for key, one in sets.items()} if sets else _made_up_sets(genes, rng)
    net = network.restrict(genes) if network is not None else _made_up_network(genes, rng)
    chosen = _choose(all_sets, net, place, changed, rng)
    delta = np.zeros(len(genes))
    for gene in chosen["single"]:
        delta[place[gene]] = rng.choice([-1, 1]) * effect * rng.uniform(0.6, 1.6)
    for name, sign in zip(chosen["sets"], (1, -1), strict=False):
        for gene in (gene for gene in all_sets[name] if gene in place):
            if rng.random() < 0.7:
                delta[place[gene]] = sign * effect * rng.uniform(0.3, 0.8)
    for gene in chosen["module"]:
        delta[place[gene]] = effect * rng.uniform(0.6, 1.2)
    for gene in chosen["hubs"]:
        delta[place[gene]] = rng.choice([-1, 1]) * effect * rng.uniform(0.6, 1.2)
    values = _noise(template, rows, samples, rng)
    case = (sheet["group"] == "case").to_numpy()
    values += delta[:, None] * case
    late = (sheet["batch"] == "b2").to_numpy()
    batch = rng.choice(len(genes), len(genes) // 3, replace=False)
    values[np.ix_(batch, late)] += 0.5 * effect * rng.standard_normal(len(batch))[:, None]
    subtype = rng.choice(np.flatnonzero(delta == 0), min(30, (delta == 0).sum()), replace=False)
    half = rng.permutation(np.flatnonzero(case))[: case.sum() // 2]
    values[np.ix_(subtype, half)] += 1.2 * effect
    free = np.setdiff1d(np.flatnonzero(delta == 0), subtype)
    marker = int(free[np.argmin(np.abs(values[free].mean(1) - np.median(values)))])
    sheet["time"], sheet["event"] = _survival(values[marker], 1.0 if effect else 0.0, rng)
    intercept, slope = template.dropout
    seen = rng.random(values.shape) < 1 / (1 + np.exp(-np.clip(intercept + slope * values, -30, 30)))
    seen[marker] = True
    values = np.where(seen, values, np.nan)
    real = {genes[row]: round(float(delta[row]), 4) for row in np.flatnonzero(delta)} if effect else {}
    key: dict[str, object] = {
        "seed": seed,
        "changed": real,
        "sets": chosen["sets"] if effect else [],
        "module": chosen["module"] if effect else [],
        "hubs": chosen["hubs"] if effect else [],
        "survival": genes[marker] if effect else None,
        "subtype": {"features": [genes[row] for row in subtype], "samples": [str(sheet.index[one]) for one in half]},
        "batch": [genes[row] for row in batch],
        "decoys": {"aliased with batch": "arm", "without effect": "smoker", "linked by degree alone": chosen["hubs"]},
    }
    data = ProteomicsData(
        values, pd.DataFrame({"gene": genes}, index=pd.Index(genes, name="id")), sheet, "protein", "log2", "simulated",
        ["simulated, with planted truth"],
    )  # fmt: skip
    alive = ~np.isnan(values).all(1)
    return Simulation(data.take(features=alive), key, all_sets, net)


def _unique(genes: list[str]) -> list[str]:
    """Repeated names (and names as long as peptides') are numbered anew."""
    seen: set[str] = set()
    result = []
    for place, gene in enumerate(genes):
        result.append(gene if gene not in seen and len(gene) <= 20 else f"G{place:05d}")
        seen.add(gene)
    return result


def _sheet(samples: int, rng: np.random.Generator) -> pd.DataFrame:
    index = pd.Index([f"S{place:03d}" for place in range(samples)], name="sample")
    group = np.where(np.arange(samples) < samples // 2, "control", "case")
    batch = np.where(np.arange(samples) % 2 == 0, "b1", "b2")  # crosses the groups
    return pd.DataFrame(
        {
            "group": group,
            "batch": batch,
            "arm": np.where(batch == "b1", "left", "right"),
            "smoker": rng.permutation(np.where(np.arange(samples) < samples // 2, "no", "yes")),
        },
        index=index,
    )


def _noise(template: Template, rows: np.ndarray, samples: int, rng: np.random.Generator) -> np.ndarray:
    variance = np.exp(template.log_variance[rows]) * template.d0 / rng.chisquare(template.d0, len(rows))
    loadings = template.loadings[rows]
    shared = loadings @ rng.standard_normal((loadings.shape[1], samples))
    common = (loadings**2).sum(1)
    scale = np.sqrt(np.maximum(common + np.maximum(1 - common, 0.1), 1e-9))
    own = np.sqrt(np.maximum(1 - common, 0.1))[:, None] * rng.standard_normal((len(rows), samples))
    return template.mean[rows][:, None] + np.sqrt(variance)[:, None] * (shared + own) / scale[:, None]


def _made_up_sets(genes: list[str], rng: np.random.Generator) -> dict[str, list[str]]:
    return {
        f"MADE_UP_SET_{number:02d}": sorted(rng.choice(genes, int(rng.integers(12, 40)), replace=False).tolist())
        for number in range(60)
    }


def _made_up_network(genes: list[str], rng: np.random.Generator) -> Network:
    """Heavy-tailed degrees (weights of a power law), and 20 denser groups of 10."""
    weight = rng.pareto(1.5, len(genes)) + 1
    share = weight / weight.sum()
    count = 4 * len(genes)
    first, second = rng.choice(len(genes), count, p=share), rng.choice(len(genes), count, p=share)
    drawn = Network.from_pairs([genes[one] for one in first], [genes[one] for one in second])
    drawn = rewire(drawn, rng)  # hubs are then linked as their degrees say and no more
    pairs = [(drawn.nodes[a], drawn.nodes[b]) for a, b in drawn.edges]
    degree = np.bincount(drawn.edges.ravel(), minlength=len(drawn.nodes))
    hubs = {drawn.nodes[one] for one in np.argsort(-degree)[:30]}
    plain = [gene for gene in genes if gene not in hubs]
    for _ in range(20):
        members = rng.choice(plain, 10, replace=False)
        pairs += [(a, b) for i, a in enumerate(members) for b in members[i + 1 :] if rng.random() < 0.6]
    return Network.from_pairs([a for a, _ in pairs], [b for _, b in pairs])


def _choose(
    sets: Mapping[str, Sequence[str]], net: Network, place: Mapping[str, int], changed: int, rng: np.random.Generator
) -> dict[str, list[str]]:
    """Names of what is planted; the parts do not share proteins."""
    present = {name: [gene for gene in genes if gene in place] for name, genes in sets.items()}
    fitting = [name for name, genes in present.items() if 10 <= len(genes) <= 60]
    if len(fitting) < 2:
        raise InputError("gene sets", got=f"{len(fitting)} with 10 to 60 measured members", expected="at least two")
    first = str(rng.choice(fitting))
    apart = [name for name in fitting if not set(present[name]) & set(present[first])]
    second = str(rng.choice(apart)) if apart else str(rng.choice([name for name in fitting if name != first]))
    used = set(present[first]) | set(present[second])
    adjacency = _adjacency(net)
    degree = np.asarray(adjacency.sum(0)).ravel()
    module = _dense(net, adjacency, degree, used, rng)
    used |= set(module)
    by_degree = [net.nodes[one] for one in np.argsort(-degree, kind="stable") if net.nodes[one] in place]
    hubs = [gene for gene in by_degree if gene not in used][:10]
    used |= set(hubs)
    rest = [gene for gene in place if gene not in used]
    single = rng.choice(rest, min(changed, len(rest)), replace=False).tolist()
    return {"sets": [first, second], "module": module, "hubs": hubs, "single": single}


def _adjacency(net: Network) -> sparse.csr_matrix:
    """(nodes, nodes) symmetric 0/1."""
    n, (a, b) = len(net.nodes), net.edges.T
    ones = np.ones(2 * len(a))
    return sparse.csr_matrix((ones, (np.concatenate([a, b]), np.concatenate([b, a]))), shape=(n, n))


def _dense(net: Network, adjacency, degree: np.ndarray, used: set[str], rng: np.random.Generator) -> list[str]:
    """Ten nodes of middling degree grown from a random start by taking the neighbour with most links into the group."""
    nodes = np.array(net.nodes, object)
    free = np.array([name not in used for name in net.nodes]) & (degree >= 3) & (degree <= np.quantile(degree, 0.97))
    best: list[int] = []
    score = -1.0
    for start in rng.choice(np.flatnonzero(free), min(30, int(free.sum())), replace=False):
        group = [int(start)]
        inside = 0.0
        links = adjacency[group[0]].toarray().ravel()
        while len(group) < 10:
            candidate = np.where(free, links / np.sqrt(np.maximum(degree, 1)), -1.0)
            candidate[group] = -1
            following = int(np.argmax(candidate))
            if candidate[following] <= 0:
                break
            inside += links[following]
            group.append(following)
            links = links + adjacency[following].toarray().ravel()
        if len(group) == 10 and inside / degree[group].sum() > score:
            best, score = group, inside / degree[group].sum()
    return [str(name) for name in nodes[best]]


def _survival(values: np.ndarray, log_hazard: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Exponential times whose log hazard rises with the standardised marker; about a third censored."""
    standard = (values - values.mean()) / max(values.std(), 1e-9)
    time = rng.exponential(np.exp(-log_hazard * standard)) * 1000
    limit = rng.uniform(200, 3000, len(time))
    return np.round(np.minimum(time, limit)) + 1, (time <= limit).astype(int)
