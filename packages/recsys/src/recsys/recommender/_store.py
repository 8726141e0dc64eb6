"""Model folders: safetensors for arrays, Arrow for original ids and contexts, JSON for what they are.

model.json holds the class's name, its parameters, a hash of the id schema and a digest of each other file, in one
canonical form that is compared to the letter: a change of any byte of any file is noticed. Nothing is ever unpickled.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
import scipy.sparse as sp
from ninefold import artifacts
from ninefold.errors import ArtifactError, InputError, version_of
from ninefold.files import atomic_folder, digest, digest_file

from recsys.data._dataset import Names
from recsys.data._history import History
from recsys.data._ids import IdMap
from recsys.recommender._learner import Learner, fallback
from recsys.recommender._registry import stored_class, stored_name

if TYPE_CHECKING:
    from recsys.recommender._base import Recommender

FORMAT = 2  # 1 held vocabularies as bytes among the arrays
KIND = "recsys.model"
_FILES = ("model.safetensors", "users.arrow", "items.arrow", "context.arrow")
_PERHAPS = ("bm25_", "item_scale_")  # held where a model has them; of models with a trend 0.1 held some alone
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


def load(folder: str | Path) -> Recommender:
    """Read a model folder; every byte is checked.

    Raises:
        ArtifactError: if it is damaged, foreign, incomplete, or of a newer format; names the file and the reason.
    """
    folder = Path(folder)
    about = _read_about(folder / "model.json")
    for name, expected in about["digests"].items():
        if not (folder / name).is_file():
            raise ArtifactError(folder / name, "is not there")
        if digest_file(folder / name) != expected:
            raise ArtifactError(folder / name, "is damaged: it does not match its digest in model.json")
    kind = stored_class(about["class"])
    if kind is None:
        raise ArtifactError(folder / "model.json", f"field class names {about['class']}, which is none of this package")
    gone = [name for name, value in kind.removed.items() if about["params"].get(name, "") == value]
    params: dict[str, Any] = {
        str(kind.renamed.get(name, name)): one for name, one in about["params"].items() if name not in gone
    }
    try:
        model: Recommender = kind(**params)
    except (TypeError, InputError) as error:
        raise ArtifactError(folder / "model.json", f"field params is unknown here ({error})") from None
    held = artifacts.Artifact(folder / _FILES[0], kind=KIND, format_version=FORMAT)
    _make_parts(model)
    model.user_ids_ = IdMap(_read_arrow(folder / "users.arrow").column("id").combine_chunks(), "user")
    model.item_ids_ = IdMap(_read_arrow(folder / "items.arrow").column("id").combine_chunks(), "item")
    model.names_, model.now_ = Names(**about["names"]), about["now"]
    model.origin_, model.key_ = about["origin"], about["fit"]
    optional = {
        one: held.numpy(f"history.{one}") if f"history.{one}" in held.names else None for one in ("value", "time")
    }
    model.history_ = History(
        held.numpy("history.indptr"), held.numpy("history.item"), **optional,
        context=_read_arrow(folder / "context.arrow"), n_items=len(model.item_ids_),
    )  # fmt: skip
    model.popular_ = held.numpy("popular_")
    model.fallback_ = fallback(model.history_, model.popular_, model.now_)
    shared = {name: getattr(model, name) for name in _SHARED}
    for prefix, part in _parts(model):
        _fill(part, prefix, held, about)
        for name, one in shared.items():
            setattr(part, name, one)
    if schema_hash(model) != about["schema"]:
        raise ArtifactError(folder / "model.json", "field schema does not fit the id maps")
    return model


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


def _fill(model: Recommender, prefix: str, held: artifacts.Artifact, about: dict[str, Any]) -> None:
    """Give a model what was learned."""
    older = {today: before for before, today in model.renamed.items() if prefix + before in held.names}
    for name in (*model.fitted, *(one for one in _PERHAPS if prefix + one in held.names)):
        if (full := prefix + older.get(name, name)) in about["sparse"]:
            parts = tuple(held.numpy(f"{full}.{part}") for part in ("data", "indices", "indptr"))
            setattr(model, name, sp.csr_matrix(parts, shape=tuple(about["sparse"][full])))
        else:
            setattr(model, name, held.numpy(full))
    known = about.get("vocabularies", {})
    for name in model.vocabularies:  # 0.1 held them as bytes of JSON among the arrays
        found = known[prefix + name] if prefix + name in known else json.loads(held.numpy(name).tobytes())
        setattr(model, name, found)


def schema_hash(model: Recommender) -> str:
    """Digest of the ids' types and counts and of the context's columns: what a caller must match."""
    users, items, context = model.user_ids_, model.item_ids_, model.history_.context
    columns = [f"{field.name}:{field.type}" for field in context.schema]
    parts = [str(users.values.type), len(users), str(items.values.type), len(items), *columns]
    return digest(json.dumps(parts).encode())


def describe(folder: str | Path) -> dict[str, Any]:
    """What a model folder says of itself: class, parameters, ids, arrays with shapes; checks its digests."""
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
    return (
        json.dumps({**body, "digest": digest(json.dumps(body, sort_keys=True).encode())}, indent=1, sort_keys=True)
        + "\n"
    )


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
    except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError):
        raise ArtifactError(path, "is damaged, or not the description of a recsys model") from None
    if text != _canonical(about):
        raise ArtifactError(path, "is damaged: it does not match its own digest")
    return about


def _write_arrow(path: Path, table: pa.Table) -> None:
    with pa.OSFile(str(path), "wb") as sink, pyarrow.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def _read_arrow(path: Path) -> pa.Table:
    try:
        with pa.OSFile(str(path), "rb") as source:
            return pyarrow.ipc.open_file(source).read_all()
    except (pa.ArrowInvalid, OSError) as error:
        raise ArtifactError(path, f"is damaged: {error}") from None
