"""Parts of a long experiment, kept while it runs: a run that was killed makes none of them again."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable

import numpy as np
from ninefold import artifacts
from ninefold.datasets import cache_path
from ninefold.errors import ArtifactError
from ninefold.files import digest
from ninefold_lab import Budget, Claim, Scores, add_seconds, all_of, source_key
from ninefold_lab.claims import groups_of

Experiment = Callable[[Budget, int], Scores]
_ABOUT = {"kind": "tswitch.claim-part", "format_version": 1}


def kept(run: Experiment, budget: Budget, seed: int, name: str, make: Callable[[], Scores]) -> Scores:
    """The scores of one part of an experiment: made now, or by an earlier run of the same source and data.

    Args:
        run: the experiment; what it imports is part of the key.
        budget: parts of the full form alone are kept.
        seed: of the run.
        name: of the part; unique in the experiment.
        make: the part itself.
    """
    if budget.form != "full":
        return make()
    file = f"{seed}-{digest(name.encode())[7:23]}.safetensors"
    path = cache_path("tswitch") / "claim-parts" / f"{run.__name__}-{_key(run)}" / file
    try:
        held = artifacts.Artifact(path, **_ABOUT)
        held.verify()
        add_seconds(held.meta["seconds"])
    except ArtifactError:  # not there, or of no use
        start = time.perf_counter()
        scores = make()
        arrays = {f"{arm}\t{group}": items for arm in scores for group, items in groups_of(scores, arm).items()}
        meta = {"seconds": time.perf_counter() - start}
        artifacts.save(path, arrays, **_ABOUT, package="tswitch", meta=meta, force=None)
        held = artifacts.Artifact(path, **_ABOUT)
    found: dict[str, dict[str, np.ndarray]] = {}
    for key in held.names:
        arm, group = key.split("\t")
        found.setdefault(arm, {})[group] = held.numpy(key)
    return found


@functools.lru_cache(maxsize=8)
def _key(run: Experiment) -> str:
    return source_key(Claim(id="tswitch/part", says="", source="", run=run, verdict=all_of()))
