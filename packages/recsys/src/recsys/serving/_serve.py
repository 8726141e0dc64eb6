"""A small HTTP server over one model, on the loopback interface, with the standard library alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pyarrow as pa
from ninefold.errors import InputError, NinefoldError, version_of

from recsys.data._dataset import Dataset
from recsys.recommender._base import Recommender
from recsys.recommender._store import schema_hash

_LONGEST = 1 << 20  # bytes of a request
_MOST = 1000  # users, items or list entries of a request


@dataclass(frozen=True)
class _Field:
    """What a request may say: kinds of value, whether it must be there, and what it is when it is not."""

    kinds: tuple[type, ...]
    says: str
    needed: bool = False
    default: Any = None


_IDS = _Field((list,), "a list of ids, integer or text")
_K = _Field((int,), f"a whole number from 1 to {_MOST}", default=10)
_CONTEXT = _Field((dict,), "an object: column -> value")
_FLAG = _Field((bool,), "true or false")
_REQUESTS: dict[str, dict[str, _Field]] = {
    "/recommend": {
        "users": _Field((list,), _IDS.says, needed=True), "k": _K, "filter_seen": _FLAG, "candidates": _IDS,
        "exclude": _IDS, "strict": _Field((bool,), _FLAG.says, default=False),
        "context": _CONTEXT,
    },
    "/similar": {"items": _Field((list,), _IDS.says, needed=True), "k": _K},
    "/explain": {
        "user": _Field((int, str), "an id", needed=True), "item": _Field((int, str), "an id", needed=True), "k": _K,
        "context": _CONTEXT,
    },
    "/fold_in": {
        "events": _Field((dict,), "an object: column -> list of values, as in the fit", needed=True), "k": _K,
        "filter_seen": _FLAG, "exclude": _IDS,
    },
}  # fmt: skip


class Service:
    """What the server answers, without the network: `answer("POST", "/recommend", body)`.

    GET /health says which model is served; POST /recommend, /similar, /explain and /fold_in take JSON objects whose
    fields are checked. One request is worked on at a time.
    """

    def __init__(self, model: Recommender) -> None:
        model._need_fit()
        self.model, self.lock = model, threading.Lock()
        self.routes: dict[str, Callable[[dict[str, Any]], Any]] = {
            "/recommend": self._recommend,
            "/similar": lambda asked: model.similar_items(asked["items"], asked["k"]),
            "/explain": lambda asked: model.explain(**asked),
            "/fold_in": self._fold_in,
        }

    def answer(self, method: str, path: str, body: bytes = b"") -> tuple[int, dict[str, Any]]:
        """(HTTP status, JSON object) of a request; a user's mistake is 400 and names the field."""
        if path == "/health":
            return (200, self._health()) if method == "GET" else (405, {"error": "use GET"})
        if path not in self.routes:
            return 404, {"error": f"no {path}; there are /health, {', '.join(self.routes)}"}
        if method != "POST":
            return 405, {"error": "use POST with a JSON object"}
        try:
            asked = _checked(path, body)
            with self.lock:
                table = self.routes[path](asked)
        except NinefoldError as error:
            return 400, {"error": str(error)}
        except Exception as error:  # our defect: the server goes on
            return 500, {"error": f"defect: {type(error).__name__}"}
        return 200, {"rows": table.to_pylist()}

    def _health(self) -> dict[str, Any]:
        model = self.model
        return {
            "status": "ok",
            "model": repr(model),
            "version": version_of("recsys"),
            "users": len(model.user_ids_),
            "items": len(model.item_ids_),
            "user_ids": model.user_ids_.type_name,
            "item_ids": model.item_ids_.type_name,
            "schema": schema_hash(model),
        }

    def _recommend(self, asked: dict[str, Any]) -> pa.Table:
        users = asked.pop("users")
        return self.model.recommend(users, **asked)

    def _fold_in(self, asked: dict[str, Any]) -> pa.Table:
        names, context = self.model.names_, self.model.history_.context.column_names
        timed = None if self.model.history_.time is None else names.time or "time"
        valued = None if self.model.history_.value is None else names.value or "value"
        events = Dataset.from_frame(
            asked.pop("events"), user=names.user, item=names.item, value=valued, time=timed, context=context
        )
        return self.model.fold_in(events).recommend(None, **asked)


def _checked(path: str, body: bytes) -> dict[str, Any]:
    """The request's fields with defaults; InputError that names what is wrong."""
    try:
        asked = json.loads(body, parse_constant=_no_constant)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError("body", got=f"no JSON ({error})", expected="a JSON object") from None
    if not isinstance(asked, dict):
        raise InputError("body", got=type(asked).__name__, expected="a JSON object")
    fields = _REQUESTS[path]
    for name in asked:
        if name not in fields:
            raise InputError(f"field {name!r}", got="unknown", expected=f"one of {sorted(fields)}")
    found = {}
    for name, field in fields.items():
        value = asked.get(name)
        if value is None:
            if field.needed:
                raise InputError(f"field {name!r}", got="nothing", expected=field.says)
            found[name] = field.default
            continue
        wrong = not isinstance(value, field.kinds) or (isinstance(value, bool) and bool not in field.kinds)
        if wrong or (name == "k" and not 1 <= value <= _MOST):
            raise InputError(f"field {name!r}", got=repr(value)[:80], expected=field.says)
        if isinstance(value, list) and (not value or len(value) > _MOST or not all(map(_is_id, value))):
            raise InputError(f"field {name!r}", got=repr(value)[:80], expected=f"1 to {_MOST} ids, integer or text")
        found[name] = value
    return found


def _is_id(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63)


def _no_constant(name: str) -> Any:
    raise InputError("body", got=name, expected="finite numbers")


def make_server(model: Recommender, port: int = 0) -> ThreadingHTTPServer:
    """A server of a fitted model on 127.0.0.1; call `serve_forever()`.

    Args:
        model: fitted, or loaded.
        port: 0 takes a free one; see `server.server_address`.
    Raises:
        InputError: if the port is taken or no port.
    """
    service = Service(model)

    class Handler(BaseHTTPRequestHandler):
        timeout = 30

        def do_GET(self) -> None:
            self._reply(*service.answer("GET", self.path))

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                self._reply(411, {"error": "say Content-Length"})
            elif int(length) > _LONGEST:
                self._reply(413, {"error": f"at most {_LONGEST:,} bytes"})
            else:
                self._reply(*service.answer("POST", self.path, self.rfile.read(int(length))))

        def do_PUT(self) -> None:
            self._reply(*service.answer("PUT", self.path))

        do_DELETE = do_PATCH = do_PUT  # noqa: N815

        def _reply(self, status: int, answer: dict[str, Any]) -> None:
            text = json.dumps(answer, default=str).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            if status in (411, 413):  # the body was not read: nothing more can be understood on this connection
                self.close_connection = True
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    try:
        return ThreadingHTTPServer(("127.0.0.1", port), Handler)
    except (OSError, OverflowError) as error:
        raise InputError(f"port {port}", got=str(error), expected="a free port, or 0") from None
