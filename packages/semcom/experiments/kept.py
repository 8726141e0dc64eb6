"""What experiments keep in the cache: measured rows and trained weights, so that a killed run goes on.

Both stand under the digest of the source that they depend on; seconds count wherever a kept result is used.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from ninefold.datasets import cache_path
from ninefold.files import write_text
from ninefold.run import Run
from ninefold_lab import Claim, add_seconds, at_least, code_key, source_key
from semcom.models import read_model, save_model


def kept_rows(claim: Claim, name: str, measure: Callable[[], Any]) -> Any:
    """What `measure()` gives, in JSON values; from disk if an experiment of the same source and data has it already.

    Args:
        claim: one of the claims that share the rows, all run by functions of one module.
        name: of the rows, made into a file's name.
    """
    folder = cache_path("semcom") / "rows" / source_key(claim)
    path = folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.json"
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        add_seconds(known["seconds"])
        return known["rows"]
    start = time.perf_counter()
    text = json.dumps(measure())
    seconds = time.perf_counter() - start
    write_text(path, f'{{"name": {json.dumps(name)}, "seconds": {seconds:.3f}, "rows": {text}}}', force=None)
    return json.loads(text)


def kept_model(
    name: str, about: Mapping[str, Any], train: Callable[[Run], Any], kind: tuple[Any, Any], *, counts: bool = True
) -> Any:
    """The model that `train` makes, in evaluation mode; trained once, a killed training goes on.

    Args:
        name: of the model.
        about: all settings of the training, as JSON values.
        train: the run's folder -> model. Functions that it calls or holds decide under which digest the model is kept.
        kind: classes of the model and of its config.
        counts: whether the seconds of a model that is there already count for the caller.
    """
    said: Any = Claim(id="semcom/training", says=name, source="ours", run=train, verdict=at_least("", 0))  # type: ignore
    about = {**about, "model": name, "code": code_key(said)}
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
    folder = cache_path("semcom") / "trained" / f"{name}-{digest}"
    path = folder / "model.safetensors"
    if not path.is_file():
        start = time.perf_counter()
        with Run(folder, about) as run:
            model = train(run)
            seconds = round(time.perf_counter() - start, 1)  # of the process that finished it
            save_model(model, path, recipe={**about, "seconds": seconds}, force=True)
    elif counts:
        add_seconds(read_model(path, *kind)[1]["seconds"])
    return read_model(path, *kind)[0]
