"""The service: an ASGI application over one model folder, for uvicorn, granian, or a larger application to mount.

Requests that wait for a list are answered together, in one product, by one thread next to the event loop. A model that
takes the folder's place is read and warmed while the old one is in use, which answers until then.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ninefold.errors import InputError, NinefoldError, require, version_of

from recsys.recommender._store import load, schema_hash
from recsys.serving._events import EventLog, StorageError
from recsys.serving._live import Live
from recsys.serving._metrics import Metrics
from recsys.serving._requests import LONGEST, REQUESTS, checked, openapi, page

_TOGETHER = 64  # requests that one product answers
_WAITING = 1024  # requests that may wait; more are told to ask again


class Service:
    """What the application answers, by path; `lifespan` starts and stops it.

    Args:
        folder: a model folder; when another takes its place, that is read, warmed and used from then on.
        events: file of the event log; None: /events is refused.
        items: a table about the items, for `where` and `most`.
        state: folder of the counters that the workers of one service share; None: this process counts alone.
        poll: seconds between two looks at the folder.
    """

    def __init__(
        self, folder: str | Path, *, events: str | Path | None = None, items: Any = None,
        state: str | Path | None = None, poll: float = 1.0,
    ) -> None:  # fmt: skip
        self.folder, self.items, self.poll = Path(folder), items, poll
        self.log = None if events is None else EventLog(events)
        self.metrics = Metrics(state)
        self.live: Live | None = None
        self.problem: str | None = None  # why the newest folder is not used
        self.stamp: tuple[int, ...] | None = None
        self._worker = ThreadPoolExecutor(1, "lists")  # the one thread that uses the model
        self._reader = ThreadPoolExecutor(1, "reload")
        self._waiting: list[tuple[dict[str, Any], asyncio.Future[Any]]] = []
        self._wake: asyncio.Event | None = None

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Any) -> AsyncIterator[None]:  # noqa: ARG002  (Starlette's signature)
        """Read and warm the model before the first request; at the end let the waiting ones be answered."""
        loop = asyncio.get_running_loop()
        stamp = _stamp(self.folder)
        self.live, self.stamp = await loop.run_in_executor(self._reader, self._read), stamp
        self._wake = asyncio.Event()
        tasks = [asyncio.create_task(self._serve()), asyncio.create_task(self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._worker.shutdown()
            self._reader.shutdown()
            if self.log is not None:
                self.log.close()

    def _read(self) -> Live:
        live = Live(load(self.folder, mmap=True), self.items)
        live.warm()
        if self.log is not None:
            with contextlib.closing(EventLog(self.log.path)) as log:  # its own: the other may be within a write
                live.place, events = log.since(0)
            live.learn(events)
        return live

    # --- lists, many at a time ---

    async def lists(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of one request for lists; waits for those in front of it."""
        if len(self._waiting) >= _WAITING:
            raise BusyError(f"{_WAITING} requests wait already")
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        assert self._wake is not None  # set before the first request
        self._wake.set()
        return await future

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._wake is not None
        while True:
            await self._wake.wait()
            batch, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            if not self._waiting:
                self._wake.clear()
            try:
                answers = await loop.run_in_executor(self._worker, self._answers, [one for one, _ in batch])
            except Exception as error:  # our defect: these requests fail, the next are answered
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():  # the client left
                    continue
                if isinstance(answer, BaseException):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    def _answers(self, requests: list[dict[str, Any]]) -> list[Any]:
        live = self._live()
        self._follow(live)
        return live.lists(requests)

    def _live(self) -> Live:
        if self.live is None:
            raise BusyError("the model is being read")
        return self.live

    def _follow(self, live: Live) -> None:
        """Learn what any worker was sent."""
        if self.log is not None:
            live.place, events = self.log.since(live.place)
            live.learn(events)

    # --- all else, one at a time ---

    async def answer(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """The answer of a checked request."""
        if path == "/recommend":
            return await self.lists(request)
        if path == "/reload":
            return await self.reload()
        call: Callable[[dict[str, Any]], dict[str, Any]] = {
            "/fold_in": lambda one: self._live().fold_in(one),
            "/events": self._keep,
            "/similar": lambda one: {"rows": self._live().model.similar_items(one["items"], one["k"]).to_pylist()},
            "/explain": lambda one: {"rows": self._live().model.explain(**one).to_pylist()},
        }[path]
        return await asyncio.get_running_loop().run_in_executor(self._worker, call, request)

    def _keep(self, request: dict[str, Any]) -> dict[str, Any]:
        if self.log is None:
            raise InputError("/events", got="a service without an event log", expected="serve --events FILE")
        live = self._live()
        events = live.read(request["events"])
        self.log.append(events)
        self._follow(live)
        return {"stored": len(events)}

    # --- a new model ---

    async def reload(self) -> dict[str, Any]:
        """Read the folder and use it from then on; the old model answers until then, and stays if that fails."""
        stamp = _stamp(self.folder)
        live = await asyncio.get_running_loop().run_in_executor(self._reader, self._read)
        self.live, self.stamp, self.problem = live, stamp, None
        self.metrics.add("reloads")
        return {"model": repr(live.model)}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self.poll)
            stamp = _stamp(self.folder)
            if stamp is None or stamp == self.stamp:
                continue
            try:
                await self.reload()
            except NinefoldError as error:  # perhaps half of it is there: looked at again, said in /health
                self.problem, self.stamp = str(error), stamp

    def health(self) -> tuple[int, dict[str, Any]]:
        """(status, what is served): 200 from the moment on at which lists come at full speed."""
        if self.live is None:
            return 503, {"status": "starting"}
        model = self.live.model
        about = {
            "status": "ok", "model": repr(model), "version": version_of("recsys"), "users": len(model.user_ids_),
            "items": len(model.item_ids_), "user_ids": model.user_ids_.type_name,
            "item_ids": model.item_ids_.type_name, "schema": schema_hash(model), "events": self.live.place,
            "events_of_unknown_items": self.live.unknown_items, "process": os.getpid(),
        }  # fmt: skip
        return 200, about | ({"reload": self.problem} if self.problem else {})


class BusyError(NinefoldError):
    """The service cannot answer now, and can soon."""


def make_app(
    folder: str | Path, *, events: str | Path | None = None, items: Any = None, state: str | Path | None = None,
    poll: float = 1.0,
) -> Any:  # fmt: skip
    """An ASGI application that answers about a model folder; needs the extra `serve`.

    GET /health, /metrics (for Prometheus), /openapi.json, /docs; POST /recommend, /fold_in, /events, /similar,
    /explain and /reload take JSON objects whose fields are checked. A user's mistake is 400 and names the field.

    Args:
        folder: as `model.save` wrote it. Save the next model to the same path with force=True: it is taken up whole,
            while the old one answers.
        events: file of an event log (SQLite), to which /events appends and from which all workers learn.
        items: a table about the items (frame or path) whose columns requests may filter by.
        state: folder for the counters of several workers; None: one process.
        poll: seconds between two looks at the folder.
    Raises:
        MissingExtraError: without Starlette.

    Examples:
        >>> import recsys
        >>> from starlette.testclient import TestClient

        >>> data = recsys.simulate(50, 20, 500, seed=0).data.clicks()
        >>> path = recsys.EASE(l2=10.0).fit(data).save("model")
        >>> with TestClient(recsys.make_app("model")) as client:
        ...     print(client.get("/health").json()["status"])
        ...     answer = client.post("/recommend", json={"users": ["u1"], "k": 2}).json()
        ok
        >>> answer["lists"][0]["items"]
        ['i19', 'i12']
    """
    require("starlette", "recsys", "serve")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    service = Service(folder, events=events, items=items, state=state, poll=poll)

    async def health(request: Request) -> Response:  # noqa: ARG001
        status, about = service.health()
        return JSONResponse(about, status)

    async def metrics(request: Request) -> Response:  # noqa: ARG001
        return PlainTextResponse(service.metrics.text())

    async def describe(request: Request) -> Response:
        return JSONResponse(openapi()) if request.url.path.endswith(".json") else HTMLResponse(page())

    async def post(request: Request) -> Response:
        start, path = time.perf_counter(), request.scope["route"].path
        try:
            body = await _body(request)
            status, answer = 200, await service.answer(path, checked(path, body))
        except _TooLongError:
            status, answer = 413, {"error": f"at most {LONGEST:,} bytes"}
        except BusyError as error:
            status, answer = 503, {"error": str(error)}
        except StorageError as error:  # nothing of the request was kept
            status, answer = 507, {"error": str(error)}
        except NinefoldError as error:
            status, answer = 400, {"error": str(error)}
        except Exception as error:  # our defect: the service goes on
            status, answer = 500, {"error": f"defect: {type(error).__name__}"}
        service.metrics.answered(path, status, time.perf_counter() - start)
        return JSONResponse(answer, status, {"Retry-After": "1"} if status == 503 else None)

    routes = [Route(path, post, methods=["POST"]) for path in REQUESTS]
    routes += [Route("/health", health), Route("/metrics", metrics), Route("/openapi.json", describe)]
    app = Starlette(routes=[*routes, Route("/docs", describe)], lifespan=service.lifespan)
    app.state.service = service
    return app


class _TooLongError(Exception):
    pass


async def _body(request: Any) -> bytes:
    """The body, read no further than is allowed."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > LONGEST:
            raise _TooLongError
        parts.append(part)
    return b"".join(parts)


def _stamp(folder: Path) -> tuple[int, ...] | None:
    """What changes when another model takes the folder's place; None while there is none."""
    try:
        about = (folder / "model.json").stat()
    except OSError:
        return None
    return about.st_ino, about.st_mtime_ns, about.st_size
