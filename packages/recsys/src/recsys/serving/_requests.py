"""What a request to the service may say: fields, their kinds and limits; and the OpenAPI description made of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ninefold.errors import InputError, version_of

LONGEST = 1 << 20  # bytes of a request
MOST = 1000  # users, items or list entries of a request
_DEPTH = 20  # brackets within brackets


@dataclass(frozen=True)
class Field:
    """One field: kinds of value, what it says, whether it must be there, what it is when it is not, and whether a value
    of these kinds will do; `made` is what is used of it."""

    kinds: tuple[type, ...]
    says: str
    needed: bool = False
    default: Any = None
    holds: Callable[[Any], bool] = lambda _: True
    made: Callable[[Any], Any] = lambda value: value


def _is_id(value: Any) -> bool:
    if isinstance(value, float):  # so JSON is written of a column with missing values
        return value.is_integer() and abs(value) < 2**53
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _one_id(value: Any) -> Any:
    return int(value) if isinstance(value, float) else value


def _ids(says: str = "", *, needed: bool = False) -> Field:
    return Field(
        (list,), f"{says}1 to {MOST} ids, integer or text", needed=needed,
        holds=lambda ids: 0 < len(ids) <= MOST and all(map(_is_id, ids)), made=lambda ids: list(map(_one_id, ids)),
    )  # fmt: skip


def _are_columns(value: dict[str, Any]) -> bool:
    return all(isinstance(one, list) and len(one) <= MOST for one in value.values())


_ID = Field((int, float, str), "an id", needed=True, holds=_is_id, made=_one_id)
_K = Field((int,), f"length of a list, a whole number from 1 to {MOST}", default=10, holds=lambda k: 1 <= k <= MOST)
_CONTEXT = Field(
    (dict,), "an object: context column -> value, for models that use it",
    holds=lambda given: all(one is None or isinstance(one, (str, int, float)) for one in given.values()),
)  # fmt: skip
_RULES: dict[str, Field] = {
    "k": _K,
    "filter_seen": Field((bool,), "true: leave out what a user had; by default as the model is made for"),
    "candidates": _ids("the only items to list: "),
    "exclude": _ids("items never to list: "),
    "where": Field(
        (dict,), "an object: column of the item table -> value or list of values, one of which an item must have"
    ),
    "most": Field((dict,), "an object with one column of the item table -> how many items of one value a list holds"),
    "first": _ids("items that stand first where the lists may hold them: "),
}
_EVENTS = Field(
    (dict,), f"an object: column -> lists of at most {MOST} values, as in the fit", needed=True, holds=_are_columns
)
REQUESTS: dict[str, tuple[str, dict[str, Field]]] = {  # path -> (what it does, fields)
    "/recommend": (
        "Lists for users; with the events that were sent since the fit",
        {"users": _ids(needed=True), **_RULES, "strict": Field((bool,), "true: refuse unknown users", default=False),
         "context": _CONTEXT},
    ),
    "/fold_in": ("Lists for events that are not kept", {"events": _EVENTS, **_RULES}),
    "/events": ("Keep events; the next lists know them", {"events": _EVENTS}),
    "/similar": ("Items like given ones", {"items": _ids(needed=True), "k": _K}),
    "/explain": (
        "Which of a user's items speak for an item",
        {"user": _ID, "item": _ID, "k": _K, "context": _CONTEXT},
    ),
    "/reload": ("Read the model folder anew, now", {}),
}  # fmt: skip


def checked(path: str, body: bytes) -> dict[str, Any]:
    """The fields of a request with defaults.

    Raises:
        InputError: that names what is wrong.
    """
    try:
        text = body.decode()
        if _depth(text) > _DEPTH:
            raise InputError("body", got="brackets within brackets", expected=f"at most {_DEPTH} deep")
        given = json.loads(text, parse_constant=_no_constant, parse_int=_whole, parse_float=_finite)
        if "\\u" in text:
            json.dumps(given, ensure_ascii=False).encode()  # half a letter is none
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("body", got=f"no JSON ({error})", expected="a JSON object") from None
    if not isinstance(given, dict):
        raise InputError("body", got=type(given).__name__, expected="a JSON object")
    fields = REQUESTS[path][1]
    for name in given:
        if name not in fields:
            raise InputError(f"field {name[:80]!r}", got="unknown", expected=f"one of {sorted(fields)}")
    return {name: _value(name, field, given.get(name)) for name, field in fields.items()}


def _value(name: str, field: Field, value: Any) -> Any:
    if value is None:
        if field.needed:
            raise InputError(f"field {name!r}", got="nothing", expected=field.says)
        return field.default
    right = isinstance(value, field.kinds) and (bool in field.kinds or not isinstance(value, bool))
    if not right or not field.holds(value):
        raise InputError(f"field {name!r}", got=repr(value)[:80], expected=field.says)
    return field.made(value)


def _depth(text: str) -> int:
    """Deepest nesting of brackets, strings counted too: a bound before the parser recurses."""
    deepest = depth = 0
    for letter in text if text.count("[") + text.count("{") > _DEPTH else "":
        depth += (letter in "[{") - (letter in "]}")
        deepest = max(deepest, depth)
    return deepest


def _no_constant(name: str) -> Any:
    raise InputError("body", got=name, expected="finite numbers")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _no_constant(text[:40])


def _whole(text: str) -> int:
    if len(text) > 20:
        raise InputError("body", got=f"{text[:20]}...", expected="whole numbers of 64 bits")
    return int(text)


def openapi() -> dict[str, Any]:
    """The service described by OpenAPI 3.1."""
    kinds = {list: "array", int: "integer", float: "integer", bool: "boolean", dict: "object", str: "string"}
    error = {"description": "The request is wrong, and the error says where", "content": {"application/json": {
        "schema": {"type": "object", "properties": {"error": {"type": "string"}}}}}}  # fmt: skip
    paths: dict[str, Any] = {
        path: {
            "get": {"summary": says, "responses": {"200": {"description": "OK"}, "503": {"description": "Not ready"}}}
        }
        for path, says in {"/health": "Ready, and which model", "/metrics": "Counters, for Prometheus"}.items()
    }
    for path, (says, fields) in REQUESTS.items():
        properties: dict[str, Any] = {}
        for name, field in fields.items():
            names = list(dict.fromkeys(kinds[kind] for kind in field.kinds))  # JSON Schema: 7.0 is an integer
            properties[name] = {"type": names if len(names) > 1 else names[0], "description": field.says}
            if list in field.kinds:
                properties[name]["items"] = {"type": ["integer", "string"]}
            if field.default is not None:
                properties[name]["default"] = field.default
        required = [name for name, field in fields.items() if field.needed]
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        paths[path] = {
            "post": {
                "summary": says,
                "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
                "responses": {
                    "200": {"description": "OK"},
                    "400": error,
                    "503": {"description": "Too busy: ask again"},
                },
            }
        }
    return {"openapi": "3.1.0", "info": {"title": "recsys", "version": version_of("recsys")}, "paths": paths}


_HEAD = (
    "<!doctype html><meta charset=utf-8><title>recsys</title><style>body{font:15px/1.5 sans-serif;max-width:52em;"
    "margin:2em auto}td{padding:.1em 1em .1em 0;vertical-align:top}code{background:#eee}</style><h1>recsys</h1><p>GET "
    "<code>/health</code>, <code>/metrics</code>, <code>/openapi.json</code>.</p>"
)


def page() -> str:
    """The same for people: one page without anything from elsewhere."""
    parts = [_HEAD]
    for path, (says, fields) in REQUESTS.items():
        parts.append(f"<h2>POST <code>{path}</code></h2><p>{says}.</p><table>")
        for name, field in fields.items():
            need = " (needed)" if field.needed else ""
            parts.append(f"<tr><td><code>{name}</code>{need}<td>{field.says.replace('->', '&rarr;')}")
        parts.append("</table>")
    return "".join(parts)
