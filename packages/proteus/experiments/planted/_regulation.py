"""Regulators and targets planted into a simulated table, and decoys: partners that change and do not move together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from ninefold.errors import InputError
from proteus import normalise
from proteus.knowledge._network import Network
from proteus.record._objects import Hypothesis
from proteus_experiments.simulators._tables import Simulation


@dataclass(frozen=True)
class Regulation:
    """A table with planted pairs.

    Attributes:
        simulation: the table, with the links of pairs and decoys in its network.
        pairs: (regulator, target) to the sign of their coupling.
        changes: sign of the group change of each regulator, target and decoy.
    """

    simulation: Simulation
    pairs: dict[tuple[str, str], int]
    changes: dict[str, int]


def plant_regulators(
    simulation: Simulation, *, regulators: int = 6, targets: int = 2, effect: float = 1.0, coupling: float = 0.9,
    seed: int = 0,
) -> Regulation:  # fmt: skip
    """Plant regulators, each with targets that follow it within groups; as many pairs of decoys, linked alike.

    A target's own variation is, to the share `coupling`^2, the regulator's, with either sign; regulators, targets and
    decoys all change between the groups, so that a change in both is no sign of a pair.

    Args:
        simulation: whose unchanged, always seen features are taken.
        effect: log2 change of each, in either direction.
    Raises:
        InputError: too few such features.
    """
    rng, data = np.random.default_rng(seed), simulation.data
    changed, subtype = simulation.key["changed"], simulation.key["subtype"]
    assert isinstance(changed, dict)
    assert isinstance(subtype, dict)
    names = [str(one) for one in data.features.index]
    taken = [*changed, *subtype["features"], str(simulation.key["survival"])]  # a subtype's move together, too
    free = np.flatnonzero((~np.isnan(data.values)).all(1) & ~np.isin(names, taken))
    each = 1 + targets
    if len(free) < 2 * regulators * each:
        raise InputError(
            "features", got=f"{len(free)} unchanged and always seen", expected=f"at least {2 * regulators * each}"
        )
    chosen = rng.permutation(free)[: 2 * regulators * each].reshape(2 * regulators, each)
    values, case = data.values.copy(), (data.samples["group"] == "case").to_numpy()
    groups = (case, ~case)
    pairs: dict[tuple[str, str], int] = {}
    links: list[tuple[str, str]] = []
    for place, (lead, *rest) in enumerate(chosen):
        own = _within(values[lead], groups)
        for row in rest:
            links.append((names[lead], names[row]))
            if place < regulators:
                sign = int(rng.choice([-1, 1]))
                pairs[names[lead], names[row]] = sign
                noise = _within(values[row], groups)
                mixed = sign * coupling * own / own.std() + np.sqrt(1 - coupling**2) * noise / noise.std()
                values[row] = values[row].mean() + noise.std() * mixed
    changes = {}
    for row in chosen.ravel():
        sign = int(rng.choice([-1, 1]))
        changes[names[row]] = sign
        values[row] += sign * effect * case
    old = simulation.network
    known = [(old.nodes[a], old.nodes[b]) for a, b in old.edges] + links
    network = Network.from_pairs([a for a, _ in known], [b for _, b in known])
    return Regulation(replace(simulation, data=data.with_values(values), network=network), pairs, changes)


def _within(row: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """A row less its groups' means."""
    result = row.copy()
    for one in groups:
        result[one] -= row[one].mean()
    return result


def score_joins(hypotheses: Sequence[Hypothesis], planted: Regulation) -> tuple[np.ndarray, np.ndarray]:
    """(for each planted pair 1.0 if one joined hypothesis has both with their signs and the link of the right sign; for
    each link that is joined 1.0 if it is false)."""
    found: set[tuple[str, str]] = set()
    false: list[float] = []
    for one in hypotheses:
        said: dict[str, int] = {one.entities[0]: {"up": 1, "down": -1, "associated": 0}[one.direction]}
        said |= {edge.entity: edge.sign for edge in one.joins}
        for edge in one.joins:
            names = edge.entity.split(" and ")
            if len(names) != 2 or not set(names) <= set(said):
                continue
            pair = next((key for key in planted.pairs if set(key) == set(names)), None)
            signs = all(said[name] == planted.changes.get(name) for name in names)
            if pair is not None and edge.sign == planted.pairs[pair] and signs:
                found.add(pair)
                false.append(0.0)
            else:
                false.append(1.0)
    return np.array([float(key in found) for key in planted.pairs]), np.array(false or [0.0])


@dataclass(frozen=True)
class Mediation:
    """A table with planted graphs of group, regulator and target.

    Attributes:
        simulation: the table; all planted pairs are links of its network.
        kinds: (regulator, target) to `through`: group -> regulator -> target; `direct`: the target follows it, and
            changes by as much on its own; `apart`: both change, without a link.
    """

    simulation: Simulation
    kinds: dict[tuple[str, str], str]


def plant_mediation(
    simulation: Simulation, *, each: int = 6, effect: float = 2.0, coupling: float = 0.8, seed: int = 0
) -> Mediation:
    """Plant `each` graphs of each kind on unchanged, always seen features.

    Regulators change by `effect` within-group standard deviations, to either side, as do targets on their own. Of a
    coupled target's own variation the regulator's is the share `coupling`^2.

    Raises:
        InputError: too few such features.
    """
    rng = np.random.default_rng(seed)
    data = normalise(simulation.data)  # a shift of runs would be a path that both share
    changed, subtype = simulation.key["changed"], simulation.key["subtype"]
    assert isinstance(changed, dict)
    assert isinstance(subtype, dict)
    names = [str(one) for one in data.features.index]
    taken = [*changed, *subtype["features"], str(simulation.key["survival"])]
    free = np.flatnonzero((~np.isnan(data.values)).all(1) & ~np.isin(names, taken))
    if len(free) < 6 * each:
        raise InputError("features", got=f"{len(free)} unchanged and always seen", expected=f"at least {6 * each}")
    values, case = data.values.copy(), (data.samples["group"] == "case").to_numpy()
    groups = (case, ~case)
    kinds = {}
    for place, (lead, row) in enumerate(rng.permutation(free)[: 6 * each].reshape(-1, 2)):
        kind = ("through", "direct", "apart")[place % 3]
        own, spread = _within(values[lead], groups), _within(values[row], groups).std()
        noise = rng.standard_normal(
            len(case)
        )  # a target's own would share factors with the regulator: a path of its own
        values[lead] += float(rng.choice([-1, 1]) * effect) * own.std() * case
        leads = (values[lead] - values[lead].mean()) / own.std()  # with its change, planted and by chance
        tie = float(rng.choice([-1, 1]) * coupling) if kind != "apart" else 0.0
        alone = 0.0 if kind == "through" else float(rng.choice([-1, 1]) * effect)
        follows = tie * leads + np.sqrt(1 - tie**2) * noise + alone * case
        values[row] = values[row].mean() + spread * follows
        kinds[names[lead], names[row]] = kind
    old = simulation.network
    known = [(old.nodes[a], old.nodes[b]) for a, b in old.edges] + list(kinds)
    network = Network.from_pairs([a for a, _ in known], [b for _, b in known])
    return Mediation(replace(simulation, data=data.with_values(values), network=network), kinds)
