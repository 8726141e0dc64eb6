"""Model folders that are wrong inside but whose digests are right: what a careless or hostile writer could leave.

`python packages/recsys/tests/mutating.py 10000` makes so many, each from a sound folder by one to three changes of a
bit, an array, a field or an Arrow file, and asks each for lists, scores, likenesses and reasons in other processes. A
folder may be refused by a typed error or answer; anything else is a fault, and ends in status 1.
"""

from __future__ import annotations

import faulthandler
import json
import multiprocessing
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import recsys
from ninefold import artifacts
from ninefold.errors import NinefoldError
from ninefold.files import digest_file
from recsys.recommender import _store

ARRAYS, TABLES = "model.safetensors", ("users.arrow", "items.arrow", "context.arrow")
ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1,
    2**31,
    2**63,
    10**30,
    -0.5,
    1e308,
    "",
    "x",
    [],
    [[]],
    {},
    {"a": 1},
    [1, "b", None],
]


_RANKER = "trees" if find_spec("lightgbm") else "fm"


def models() -> list[Any]:
    """Models of every kind of array: dense, sparse, both sides, parts, vocabularies, contexts, features."""
    return [
        recsys.EASE(l2=10.0), recsys.ItemKNN(k=5), recsys.baselines.UserKNN(k=5), recsys.IALS(factors=4, epochs=2),
        recsys.RP3beta(k=5), recsys.SANSA(neighbours=5), recsys.baselines.CoOccurrence(),
        recsys.Markov(order=2, action="scene"), recsys.RecentPopular(),
        recsys.baselines.PureSVD(factors=3), recsys.EASE(transform="bm25", half_life=9.0),
        recsys.Trend(model=recsys.ItemKNN(k=5)), recsys.TwoStage(models="markov+item-knn", candidates=5),
        recsys.TwoStage(models="ials(factors=4,epochs=2)+item-knn", candidates=9, windows=2, days=1.0,
                        ranker=_RANKER, trees=9),
        recsys.ContentKNN(k=3), recsys.FeatureIALS(factors=4, epochs=2), recsys.BiasedMF(factors=3, epochs=2),
        recsys.SLIM(sweeps=5), recsys.Fusion(models="ease(l2=9)+item-knn(k=5)", by="score"),
        recsys.Social(models="ease(l2=9)"), recsys.Social(models="trend(model=ials(factors=4,epochs=2))"),
        recsys.BayesianFM(factors=2, sweeps=6, burn_in=2, samples=2, features="all"),
    ]  # fmt: skip


def originals(folder: Path) -> list[Path]:
    """Sound folders of all `models`, written below a folder."""
    world = recsys.simulate(40, 25, 600, ties=4.0, seed=0)
    found = []
    for number, model in enumerate(models()):
        data = world.data if model.reads_values and model.name != "recent-popular" else world.data.clicks()
        found.append(model.fit(data).save(folder / f"{number:02d}-{model.name}"))
    return found


def mutate(source: Path, out: Path, draw: np.random.Generator) -> str:
    """Write a changed copy of a folder; returns what was changed."""
    shutil.copytree(source, out)
    said = []
    for _ in range(int(draw.choice([1, 1, 1, 2, 3]))):
        change = (_arrays, _arrays, _arrays, _table, _about, _about, _bytes)[draw.integers(7)]
        said.append(change(out, draw))
    path = out / "model.json"
    about = json.loads(path.read_text())
    if isinstance(about, dict) and isinstance(about.get("digests"), dict):
        about["digests"] |= {name: digest_file(out / name) for name in (ARRAYS, *TABLES)}
        path.write_text(_store._canonical(about))
    return "; ".join(said)


def _arrays(out: Path, draw: np.random.Generator) -> str:
    try:
        held = artifacts.Artifact(out / ARRAYS, kind=_store.KIND, format_version=_store.FORMAT)
        arrays = {name: held.numpy(name) for name in held.names}
    except NinefoldError:  # changed before
        return "nothing"
    name = held.names[draw.integers(len(held.names))]
    array = arrays[name].copy()
    how = draw.integers(9)
    flat = array.reshape(-1)
    if how == 0 and flat.size:
        flat[draw.integers(flat.size)] = _number(array.dtype, draw)
    elif how == 1 and flat.size:
        flat[:] = _number(array.dtype, draw)
    elif how == 2:
        array = flat[: draw.integers(flat.size + 1)]
    elif how == 3:
        array = np.concatenate([flat, flat[: draw.integers(flat.size + 1)]])
    elif how == 4:
        kinds = [np.int8, np.int32, np.int64, np.float16, np.float32, np.float64, np.bool_, np.uint64]
        with np.errstate(all="ignore"):
            array = array.astype(kinds[draw.integers(len(kinds))])
    elif how == 5:
        array = flat.reshape([(-1, 1), (1, -1), (1, -1, 1)][draw.integers(3)])
    elif how == 6 and array.ndim > 1:
        array = np.ascontiguousarray(array[: draw.integers(len(array) + 1)])
    elif how == 7:
        array = np.ascontiguousarray(array.T) if array.ndim > 1 else array[::-1].copy()
    elif how == 8:
        del arrays[name]
    if how != 8:
        arrays[name] = array
    (out / ARRAYS).unlink()
    artifacts.save(out / ARRAYS, arrays, kind=_store.KIND, format_version=_store.FORMAT, package="recsys")
    return f"array {name} in way {how}"


def _number(dtype: np.dtype, draw: np.random.Generator) -> Any:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return [limits.max, limits.min, 0, limits.max // 2, 1000, 24, 25][draw.integers(7)]
    return [np.nan, np.inf, -np.inf, 1e30, -1e30, 0, -1][draw.integers(7)] if dtype.kind == "f" else True


def _table(out: Path, draw: np.random.Generator) -> str:
    path = out / TABLES[draw.integers(3)]
    try:
        table = _store._read_arrow(path)
    except NinefoldError:
        return "nothing"
    how = draw.integers(6)
    if how == 0:
        table = table.slice(0, int(draw.integers(table.num_rows + 1)))
    elif how == 1:
        table = pa.concat_tables([table, table])
    elif how == 2 and table.num_columns:
        table = table.rename_columns([f"{name}x" for name in table.column_names])
    elif how == 3 and table.num_columns:
        table = table.set_column(
            0, table.column_names[0], pa.array([None] * table.num_rows, table.schema.field(0).type)
        )
    elif how == 4 and table.num_columns:
        kinds = [pa.int64(), pa.float64(), pa.binary(), pa.bool_(), pa.timestamp("us")]
        other = pa.nulls(table.num_rows, kinds[draw.integers(5)])
        table = table.set_column(0, table.column_names[0], other)
    else:
        return _flip(path, draw)
    _store._write_arrow(path, table)
    return f"table {path.name} in way {how}"


def _about(out: Path, draw: np.random.Generator) -> str:
    path = out / "model.json"
    about = json.loads(path.read_text())
    where, key = about, ["params", "names", "sparse", "vocabularies", "now", "origin", "fit", "class"][draw.integers(8)]
    said = key
    while isinstance(where.get(key) if isinstance(where, dict) else where[key], (dict, list)) and where[key]:
        if draw.random() < 0.2:
            break
        where = where[key]
        key = list(where)[draw.integers(len(where))] if isinstance(where, dict) else int(draw.integers(len(where)))
        said += f".{key}"
    if draw.random() < 0.15 and isinstance(where, dict):
        where.pop(key, None)
    else:
        where[key] = ODD[draw.integers(len(ODD))]
    path.write_text(_store._canonical(about))
    return f"field {said}"


def _bytes(out: Path, draw: np.random.Generator) -> str:
    return _flip(out / (ARRAYS, *TABLES)[draw.integers(4)], draw)


def _flip(path: Path, draw: np.random.Generator) -> str:
    content = bytearray(path.read_bytes())
    for _ in range(int(draw.integers(1, 9))):
        content[draw.integers(len(content))] = draw.integers(256)
    path.write_bytes(content)
    return f"bytes of {path.name}"


def ask(folder: Path) -> str:
    """What becomes of a folder: "refused", "answers", or the fault, an error without a type of this project."""
    try:
        model = recsys.load(folder)
    except NinefoldError:
        return "refused"
    except Exception as error:
        return f"load: {type(error).__name__}: {error}"
    users, items = model.user_ids_.values.to_pylist()[:3], model.item_ids_.values.to_pylist()[:3]
    row = {name: [model.history_.context[name][0].as_py()] for name in model._context_columns()}
    context = {"context": row} if row else {}
    pairs = {model.names_.user: users[:1], model.names_.item: items[:1], **row}
    nobody = ["nobody"] if model.user_ids_.type_name == "text" else [-5]
    for what, call in {
        "recommend": lambda: model.recommend([*users, *nobody], 5, **context),
        "all": lambda: model.recommend(None, 3, filter_seen=False, **context),
        "one": lambda: model.recommend_one(users[0], 3),
        "predict": lambda: model.predict(pairs),
        "similar": lambda: (model.similar_items(items, 3), model.similar_users(users, 3)),
        "explain": lambda: model.explain(users[0], items[0], **context),
        "fold in": lambda: _folded(model, items).recommend(None, 3, **context),
    }.items():
        try:
            call()
        except NinefoldError:
            continue
        except Exception as error:
            return f"{what}: {type(error).__name__}: {error}"
    return "answers"


def _folded(model: Any, items: list[Any]) -> Any:
    """The model for a new user of two events that look like the first of the fit."""
    history, names = model.history_, model.names_
    two = history.context.slice(0, 1).take([0, 0]) if history.context.num_columns else history.context
    frame = {names.user: ["new"] * 2, names.item: items[:2], **dict(zip(two.column_names, two.columns, strict=True))}
    frame |= {} if history.time is None else {"at": [1_700_000_000, 1_700_000_001]}
    frame |= {} if history.value is None else {"worth": [1.0, 3.0]}
    given = {"time": "at" if "at" in frame else None, "value": "worth" if "worth" in frame else None}
    events = recsys.Dataset.from_frame(frame, user=names.user, item=names.item, context=two.column_names, **given)
    return model.fold_in(events)


def run(seed: int, sources: list[Path], many: int, log: Path) -> None:
    """Mutate and ask so many times; a line in `log` before each (so that a killed process shows its last) and after."""
    faulthandler.enable()
    warnings.simplefilter("ignore")
    draw = np.random.default_rng(seed)
    with log.open("w", buffering=1) as file, tempfile.TemporaryDirectory() as place:
        for number in range(many):
            out = Path(place) / "m"
            source = sources[draw.integers(len(sources))]
            said = mutate(source, out, draw)
            file.write(f"{seed}/{number} {source.name} [{said}] ")
            file.write(ask(out).replace("\n", " ")[:300] + "\n")
            shutil.rmtree(out)


def trial(total: int, folder: Path, *, seed: int = 0, workers: int = 2) -> tuple[Counter[str], list[str]]:
    """(how many were refused, answered, were faults; the lines of the faults) of `total` folders."""
    sources = originals(folder / "originals")
    context, logs = multiprocessing.get_context("spawn"), [folder / f"log-{worker}" for worker in range(workers)]
    shares = [(seed * 1000 + worker, sources, total // workers, log) for worker, log in enumerate(logs)]
    processes = [context.Process(target=run, args=one) for one in shares]
    if workers == 1:
        run(*shares[0])
        processes = []
    for process in processes:
        process.start()
    counts: Counter[str] = Counter()
    faults = []
    for process in processes:
        process.join()
        if process.exitcode:
            counts["signals"] += 1
            faults.append(f"status {process.exitcode}: the last line of a log")
    for log in logs:
        for line in log.read_text().splitlines():
            outcome = line.rpartition("] ")[2]
            counts[outcome if outcome in ("refused", "answers") else "faults"] += 1
            if outcome not in ("refused", "answers"):
                faults.append(line)
    return counts, faults


if __name__ == "__main__":
    total, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    with tempfile.TemporaryDirectory() as place:
        found, lines = trial(total, Path(place), seed=seed, workers=1 if total < 200 else 2)
    print("\n".join(lines[:60]))
    print(json.dumps(found))
    sys.exit(bool(lines))
