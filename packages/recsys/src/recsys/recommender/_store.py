"""Model folders: safetensors for arrays, Arrow for original ids and contexts, JSON for what they are.

model.json holds the class's name, its parameters, a hash of the id schema and a digest of each other file, in one
canonical form that is compared to the letter: a change of any byte of any file is noticed. Nothing is ever unpickled.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import scipy.sparse as sp
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError, MissingExtraError, version_of
from ninefold.files import atomic_folder, digest, digest_file, read_header

import recsys
from recsys.data._dataset import Names
from recsys.data._frame import need
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.recommender._learner import Learner, fallback
from recsys.recommender._query import FOLD_IN, MODEL, Query
from recsys.recommender._registry import GONE, stored_class, stored_name
from recsys.recommender._sound import check_arrays, check_csr, check_history, check_ids

if TYPE_CHECKING:
    from recsys.recommender._base import Recommender

FORMAT = 2  # 1 held vocabularies as bytes among the arrays
KIND = "recsys.model"
_FILES = ("model.safetensors", "users.arrow", "items.arrow", "context.arrow")
_ABOUT = {  # fields of model.json
    "class": str, "params": dict, "names": dict, "schema": str, "sparse": dict, "digests": dict, "origin": int,
    "now": (int, type(None)), "fit": str,
}  # fmt: skip
_MAPPED = {"BOOL": np.bool_, "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}  # safetensors' names
_TREES = ("tree_value_", "tree_root_", "tree_child_", "tree_feature_")
_PERHAPS = ("bm25_", "item_scale_", "item_facts_", *_TREES)  # held where a model has them; 0.1 held some trends alone
_SHARED = ("user_ids_", "item_ids_", "names_", "history_", "popular_", "now_", "fallback_", "origin_", "key_")


def save(model: Recommender, folder: str | Path, *, force: bool = False) -> Path:
    """Write a fitted model as a folder, whole or not at all.

    Raises:
        ArtifactError: if the folder exists and `force` is off.
    """
    model._need_fit()
    history = model.history_
    arrays: dict[str, Any] = {"history.indptr": history.indptr, "history.item": history.item}
    arrays["popular_"] = model.popular_
    arrays |= {f"history.{name}": one for name in ("value", "time") if (one := getattr(history, name)) is not None}
    sparse, vocabularies = {}, {}
    for prefix, part in _parts(model):
        vocabularies |= {prefix + name: getattr(part, name) for name in part.vocabularies}
        for name in (*part.fitted, *(one for one in _PERHAPS if hasattr(part, one))):
            array = getattr(part, name)
            if sp.issparse(array):
                sparse[prefix + name] = list(array.shape)
                arrays |= {f"{prefix}{name}.{one}": getattr(array, one) for one in ("data", "indices", "indptr")}
            else:
                arrays[prefix + name] = array
    arrays = dict(sorted(arrays.items(), key=lambda one: -np.asarray(one[1]).itemsize))  # aligned when mapped
    with atomic_folder(folder, force=force, ours=KIND) as place:
        artifacts.save(place / _FILES[0], arrays, kind=KIND, format_version=FORMAT, package="recsys")
        _write_arrow(place / "users.arrow", pa.table({"id": model.user_ids_.values}))
        _write_arrow(place / "items.arrow", pa.table({"id": model.item_ids_.values}))
        _write_arrow(place / "context.arrow", history.context)
        about = {
            "kind": KIND,
            "format_version": FORMAT,
            "package_version": version_of("recsys"),
            "class": stored_name(type(model)),
            "params": {name: _plain(value) for name, value in model.get_params(deep=False).items()},
            "names": vars(model.names_),
            "now": model.now_,
            "origin": model.origin_,
            "fit": model.key_,
            "schema": schema_hash(model),
            "sparse": sparse,
            "vocabularies": vocabularies,
            "digests": {name: digest_file(place / name) for name in _FILES},
        }
        (place / "model.json").write_text(_canonical(about), encoding="utf-8")
    return Path(folder)


def load(folder: str | Path, *, mmap: bool = False) -> Recommender:
    """Read a model folder; every byte is checked against its digest, every array against its shape and range.

    Args:
        folder: as `save` wrote it.
        mmap: arrays are mapped from the file, read-only: processes that serve one folder share its memory.
    Raises:
        ArtifactError: if it is damaged, foreign, incomplete, unsound, or of a newer format; names the file and the
            reason.

    Examples:
        >>> import recsys

        >>> data = recsys.simulate(50, 20, 500, seed=0).data.clicks()
        >>> model = recsys.EASE(l2=10.0).fit(data)
        >>> path = model.save("model")
        >>> sorted(file.name for file in path.iterdir())
        ['context.arrow', 'items.arrow', 'model.json', 'model.safetensors', 'users.arrow']
        >>> again = recsys.load("model")
        >>> again.recommend(["u1"], k=3).equals(model.recommend(["u1"], k=3))
        True
    """
    if not isinstance(folder, (str, Path)):
        raise InputError("folder", got=type(folder).__name__, expected="the path of a model folder")
    inner = Path(folder) / "model"  # of the run of `best`
    if inner.is_dir() and not (Path(folder) / "model.json").exists():
        raise InputError(
            f"folder {folder}", got="a folder without a model", expected=f"a model folder, such as {inner}"
        )
    return artifacts.settled(folder, lambda: _load(Path(folder), mmap))


def _load(folder: Path, mmap: bool) -> Recommender:
    about = _read_about(folder / "model.json")
    for name in _FILES:
        if not (folder / name).is_file():
            raise ArtifactError(folder / name, "is not there")
        if digest_file(folder / name) != about["digests"].get(name):
            raise ArtifactError(folder / name, "is damaged: it does not match its digest in model.json")
    kind = stored_class(about["class"])
    if kind is None:
        reason = f"field class names {about['class']}, which is neither a model of this package nor registered"
        reason += "; 0.3 was the last version that has it" if about["class"] in GONE else ""
        raise ArtifactError(folder / "model.json", reason)
    model = _make(kind, about["params"], folder)
    held = artifacts.Artifact(folder / _FILES[0], kind=KIND, format_version=FORMAT)
    try:
        _restore(model, held, about, folder, mmap)
        _answer_once(model)
    except (ArtifactError, MissingExtraError):
        raise
    except InputError as error:
        raise ArtifactError(folder, f"is unsound: {error}") from None
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
            ValueError, pa.ArrowException) as error:  # fmt: skip
        reason = f"is unsound: it cannot answer ({type(error).__name__}: {str(error).splitlines()[0:1]})"
        raise ArtifactError(folder, reason) from None
    if schema_hash(model) != about["schema"]:
        raise ArtifactError(folder / "model.json", "field schema does not fit the id maps")
    return model


def _make(kind: type[Any], stored: dict[str, Any], folder: Path) -> Recommender:
    """A model of the stored parameters, not fitted."""
    own = {field.name for field in dataclasses.fields(kind)}
    trend = {} if "trend" in own else {name: stored[name] for name in ("trend", "damp", "recent") if name in stored}
    gone = [*trend, *(name for name in ("block", "solver") if name not in own)]  # of iALS++, of BiasedMF
    params: dict[str, Any] = {
        str(kind.renamed.get(name, name)): one for name, one in stored.items() if name not in gone
    }
    try:
        model: Recommender = kind(**params)
        if trend.get("trend") or trend.get("damp"):  # until 0.4 models had a trend of their own
            model = recsys.Trend(model=model, **trend)
        model.check_params()
        _make_parts(model)
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError, InputError) as error:
        raise ArtifactError(folder / "model.json", f"field params is unknown here ({error})") from None
    return model


def _restore(model: Recommender, held: artifacts.Artifact, about: dict[str, Any], folder: Path, mmap: bool) -> None:
    """Give a model what it learned, checked."""
    read = partial(_array, held, mmap)
    model.user_ids_ = IdMap(check_ids(_read_arrow(folder / "users.arrow"), "user"), "user")
    model.item_ids_ = IdMap(check_ids(_read_arrow(folder / "items.arrow"), "item"), "item")
    users, items = len(model.user_ids_), len(model.item_ids_)
    model.names_, model.now_ = _names(about["names"]), about["now"]
    model.origin_, model.key_ = about["origin"], about["fit"]
    if type(model.origin_) is not int or model.origin_ not in (MODEL, FOLD_IN):
        raise InputError("origin", got=repr(model.origin_), expected=f"{MODEL} or {FOLD_IN}")
    if not (model.now_ is None or (type(model.now_) is int and abs(model.now_) < 2**63)):
        raise InputError("now", got=repr(model.now_)[:80], expected="microseconds, or null")
    value = read("history.value") if "history.value" in held.names else None
    when = read("history.time") if "history.time" in held.names else None
    context = _read_arrow(folder / "context.arrow")
    model.history_ = History(read("history.indptr"), read("history.item"), value, when, context, items)
    check_history(model.history_, users, items)
    model.popular_ = read("popular_")
    check_arrays({"popular_": model.popular_}, {"popular_": "items"}, {"items": items})
    model.fallback_ = fallback(model.history_, model.popular_, model.now_)
    shared = {name: getattr(model, name) for name in _SHARED}
    own_trend = isinstance(model, recsys.Trend) and about["class"] != stored_name(recsys.Trend)
    for prefix, part in [("", part) for _, part in _parts(model)] if own_trend else _parts(model):
        arrays = _fill(part, prefix, held, about, read)
        check_arrays(arrays, part.shapes, {"users": users, "items": items})
        for name, one in shared.items():
            setattr(part, name, one)


def _array(held: artifacts.Artifact, mmap: bool, name: str) -> np.ndarray:
    """One array, copied, or mapped where it is aligned."""
    if not mmap:
        return held.numpy(name)
    entry = read_header(held.path)[0][name]
    if (kind := _MAPPED.get(entry["dtype"])) is None:
        return held.numpy(name)
    found = np.asarray(held.bytes_of(name)).view(kind).reshape(entry["shape"])
    return found if found.flags.aligned else np.array(found)


def _names(stored: Any) -> Names:
    names = Names(**stored)
    if not (isinstance(names.user, str) and isinstance(names.item, str) and names.user != names.item):
        raise InputError("names", got=repr(stored)[:80], expected="the names of the user and the item column")
    if not all(one is None or isinstance(one, str) for one in (names.value, names.time)):
        raise InputError("names", got=repr(stored)[:80], expected="names of columns")
    return names


def _answer_once(model: Recommender) -> None:
    """Lists of one user and of nobody: a folder that cannot answer is refused when it is read, not when it is asked."""
    columns, history = model._context_columns(), model.history_
    codes = np.array([0, -1] if len(model.user_ids_) else [-1], np.int32)
    rows = None
    if columns:
        if not len(history.item):
            return
        need(history.context.column_names, columns, where="context.arrow")
        rows = history.context.select(columns).take(pa.array(np.zeros(len(codes), np.int64)))
    lists, origin = model._lists(Query(codes, history.take(codes), rows), 1, False, None)
    model._listed(pa.array(["", ""][: len(codes)]), lists, origin)


def _parts(model: Any, prefix: str = "") -> list[tuple[str, Recommender]]:
    """The model, and the models that it is made of, each with what is put before the names of its arrays."""
    inner = enumerate(getattr(model, "parts_", []))
    return [(prefix, model), *(one for place, part in inner for one in _parts(part, f"{prefix}{place}."))]


def _make_parts(model: Any) -> None:
    """Make the models that a model is made of, not fitted."""
    if hasattr(model, "parts"):
        model.parts_ = model.parts()
        for part in model.parts_:
            _make_parts(part)


def _fill(
    model: Recommender, prefix: str, held: artifacts.Artifact, about: dict[str, Any], read: Callable[[str], np.ndarray]
) -> dict[str, Any]:
    """Give a model what was learned; returns its arrays by name."""
    older = {today: before for before, today in model.renamed.items() if prefix + before in held.names}
    arrays: dict[str, Any] = {}
    for name in (*model.fitted, *(one for one in _PERHAPS if prefix + one in held.names)):
        if (full := prefix + older.get(name, name)) in about["sparse"]:
            data, indices, indptr = (read(f"{full}.{one}") for one in ("data", "indices", "indptr"))
            arrays[name] = _sparse(name, data, indices, indptr, about["sparse"][full])
        else:
            arrays[name] = read(full)
        setattr(model, name, arrays[name])
    known = about.get("vocabularies", {})
    for name in model.vocabularies:  # 0.1 held them as bytes of JSON among the arrays
        found = known[prefix + name] if prefix + name in known else json.loads(held.numpy(name).tobytes())
        if not isinstance(found, list):
            raise InputError(name, got=type(found).__name__, expected="a list")
        setattr(model, name, found)
    return arrays


def _sparse(name: str, data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, shape: Any) -> Any:
    """A CSR matrix whose arrays were checked before scipy's own code reads them."""
    raw = SimpleNamespace(shape=tuple(int(one) for one in shape), data=data, indices=indices, indptr=indptr)
    if len(raw.shape) != 2 or data.dtype.kind not in "fiub":
        raise InputError(name, got=f"shape {raw.shape}, {data.dtype}", expected="rows, columns and numbers")
    check_csr(raw, name)
    return sp.csr_matrix((data, indices, indptr), shape=raw.shape)


def schema_hash(model: Recommender) -> str:
    """Digest of the ids' types and counts and of the context's columns: what a caller must match."""
    users, items, context = model.user_ids_, model.item_ids_, model.history_.context
    columns = [f"{field.name}:{field.type}" for field in context.schema]
    parts = [str(users.values.type), len(users), str(items.values.type), len(items), *columns]
    return digest(json.dumps(parts).encode())


def describe(folder: str | Path) -> dict[str, Any]:
    """What a model folder says about itself: class, parameters, ids, arrays with shapes; checks its digests."""
    model = load(folder)
    arrays = {name: getattr(model, name) for name in ("popular_", *model.fitted)}
    return {
        "model": repr(model),
        "users": f"{len(model.user_ids_)} {model.user_ids_.type_name} ids",
        "items": f"{len(model.item_ids_)} {model.item_ids_.type_name} ids",
        "events": len(model.history_.item),
        **{name: f"{array.dtype} {list(np.shape(array))}" for name, array in arrays.items()},
    }


def _plain(value: Any) -> Any:
    """A setting as JSON holds it: numpy's numbers, as a search over an array gives them, become Python's."""
    if isinstance(value, Learner):  # the model of a wrapper
        params = {name: _plain(one) for name, one in value.get_params(deep=False).items()}
        return {"class": stored_name(type(value)), "params": params}
    return value.item() if isinstance(value, np.generic) else value


def _canonical(about: dict[str, Any]) -> str:
    body = {key: value for key, value in about.items() if key != "digest"}
    whole = {**body, "digest": digest(json.dumps(body, sort_keys=True).encode())}
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"


def _read_about(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ArtifactError(path, "is not there" if not path.exists() else "is not a file")
    try:
        text = path.read_text(encoding="utf-8")
        about = json.loads(text)
        if about["kind"] != KIND:
            raise ArtifactError(path, f"field kind is {about['kind']!r}, not {KIND!r}")
        if about["format_version"] > FORMAT:
            version = about["format_version"]
            raise ArtifactError(path, f"field format_version is {version}, newer than {FORMAT}, the newest known here")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise ArtifactError(path, "is damaged, or not the description of a recsys model") from None
    if text != _canonical(about):
        raise ArtifactError(path, "is damaged: it does not match its own digest")
    for name, kind in _ABOUT.items():
        if name not in about or not isinstance(about[name], kind):
            raise ArtifactError(path, f"field {name} is not there, or of another kind")
    return about


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read_arrow(path: Path) -> pa.Table:
    try:
        with pa.OSFile(str(path), "rb") as source:
            table = pyarrow.ipc.open_file(source).read_all()
        table.validate(full=True)  # offsets and indices, which reading takes as they stand
        return table
    except (pa.ArrowException, OSError, MemoryError, ValueError) as error:
        raise ArtifactError(path, f"is damaged: {error}") from None
