"""Series of simulated tables in a run folder, resumable table by table."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.files import atomic_folder, write_text
from ninefold.run import Run

from proteus import datasets
from proteus.loaders import load, load_gmt, load_network
from proteus.simulation._simulate import Simulation, Template, learn, simulate


def simulate_tables(
    out: Path | None,
    *,
    template: Path | None,
    template_samples: Path | None,
    group: str | None,
    tables: int,
    features: int,
    samples: int,
    effect: float,
    sets: Path | None,
    network: Path | None,
    seed: int,
    advance: Callable[[], object] = lambda: None,
) -> list[dict[str, Any]]:
    """Draw tables; with `out` each goes to `out/table-NNN` (data folder, key.json, sets.gmt, network.tsv).

    Table k of a seed is the same whatever the number of tables, and whether or not the work was interrupted.

    Returns:
        The keys of all tables.
    """
    config = {
        "template": template.name if template else "embedded", "group": group, "tables": tables, "features": features,
        "samples": samples, "effect": effect, "sets": sets.name if sets else None,
        "network": network.name if network else None, "seed": seed,
    }  # fmt: skip
    run = Run(out, config) if out is not None else None
    try:
        learned = _template(template, template_samples, group)
        known_sets = load_gmt(sets) if sets else None
        known_network = load_network(network) if network else None
        keys = []
        for number in range(tables):
            place = run.path / f"table-{number:03d}" if run else None
            if place is None or not place.exists():
                child = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
                drawn = simulate(
                    learned, samples=samples, features=features, sets=known_sets, network=known_network, effect=effect,
                    seed=child,
                )  # fmt: skip
                if place is None:
                    keys.append(drawn.key)
                else:
                    _write(drawn, place)
            if place is not None:
                keys.append(json.loads((place / "key.json").read_text(encoding="utf-8")))
            advance()
        return keys
    finally:
        if run is not None:
            run.close()


def _template(path: Path | None, samples: Path | None, group: str | None) -> Template:
    if path is None:
        return learn(datasets.ups1_peptides(), "group")
    return learn(load(path, samples), group)


def _write(drawn: Simulation, place: Path) -> None:
    with atomic_folder(place) as folder:
        drawn.data.save(folder / "data")
        write_text(folder / "key.json", json.dumps(drawn.key, indent=1) + "\n")
        lines = ["\t".join([name, "simulated", *genes]) for name, genes in drawn.sets.items()]
        write_text(folder / "sets.gmt", "\n".join(lines) + "\n")
        nodes = drawn.network.nodes
        pairs = ["\t".join((nodes[a], nodes[b])) for a, b in drawn.network.edges]
        write_text(folder / "network.tsv", "\n".join(["a\tb", *pairs]) + "\n")
