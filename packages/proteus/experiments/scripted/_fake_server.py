"""`fake-llm`: a scripted, OpenAI-compatible HTTP server on loopback, with the faults that real ones have."""

from __future__ import annotations

import json
import re
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ninefold.errors import ArtifactError, InputError
from ninefold.files import write_text
from proteus_experiments.scripted._requests import payload_of, task_of, text_of
from proteus_experiments.scripted._script import Fault, Script, Turn
from proteus_experiments.scripted._spoil import spoil

_LARGEST = 32 * 2**20


class FakeLLM:
    """The server, a context manager; it listens on 127.0.0.1 alone, and stops when the block ends.

    Attributes:
        base_url: what a client is given, ends in /v1.
        requests: the bodies of all chat requests so far, in order, with the `status` they got.
    """

    def __init__(self, script: Script, *, port: int = 0, log: str | Path | None = None) -> None:
        """Listen on `port` (0: any free one); `log` names a file that holds `requests` as JSON lines.

        Raises:
            InputError: if the port is taken.
        """
        self.script, self.requests = script, []
        self._log = Path(log) if log is not None else None
        self._lock = threading.Lock()
        self._tasks: Counter[str] = Counter()
        self._used: Counter[int] = Counter()
        self._closing = threading.Event()
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        except (OSError, OverflowError) as error:
            raise InputError("port", got=port, expected="a free port", hint=str(error)) from None
        self._server.daemon_threads = True
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> FakeLLM:
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    def pause(self, seconds: float) -> None:
        """Wait, but no longer than the server lives."""
        self._closing.wait(seconds)

    def plan(self, body: dict[str, Any]) -> tuple[Turn | None, list[Fault], int]:
        """The turn that answers a request, the faults that strike it, and how many of its task there were."""
        task, text = task_of(body), text_of(body)
        with self._lock:
            self._tasks[task] += 1
            call, every = self._tasks[task], self._tasks.total()
            turn = None
            for number, one in enumerate(self.script.turns):
                free = one.times is None or self._used[number] < one.times
                if free and one.task in (None, task) and re.search(one.contains or "", text):
                    turn = one
                    self._used[number] += 1
                    break
        faults = []
        for fault in self.script.faults:
            number = every if fault.task is None else call
            if fault.task in (None, task) and 0 <= number - fault.first < (fault.count or number):
                faults.append(fault)
        return turn, faults, call

    def note(self, body: dict[str, Any], status: int) -> None:
        """Keep a request."""
        with self._lock:
            self.requests.append({**body, "status": status})
            if self._log is not None:
                write_text(self._log, "".join(json.dumps(one) + "\n" for one in self.requests))


def _answer(turn: Turn, body: dict[str, Any], call: int) -> tuple[str, list[dict[str, Any]]]:
    """(content, tool calls) of a turn."""
    if turn.tool_calls is not None:
        return "", [{"name": one.name, "arguments": one.arguments} for one in turn.tool_calls]
    if turn.text is not None:
        return turn.text, []
    if turn.template is None:
        return json.dumps(turn.reply), []
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    made = environment.from_string(turn.template).render(payload=payload_of(body), task=task_of(body), call=call)
    try:
        return json.dumps(json.loads(made)), []
    except json.JSONDecodeError as error:
        raise ArtifactError("template", f"gives no JSON: {error}") from None


def _form(body: dict[str, Any]) -> str:
    """Which form of answer a request asks for."""
    if body.get("tools"):
        return "tools"
    asked = body.get("response_format")
    return asked.get("type", "text") if isinstance(asked, dict) else "text"


def _message(body: dict[str, Any], content: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """The assistant's message: a function call where one was asked for, words around JSON where nothing was."""
    form = _form(body)
    if form == "tools" and not calls:
        calls = [{"name": body["tools"][0]["function"]["name"], "arguments": content}]
        content = ""
    elif form == "text" and content.startswith(("{", "[")):
        content = f"Here is what I suggest.\n\n```json\n{content}\n```\nTell me if you need more."
    if not calls:
        return {"role": "assistant", "content": content}
    made = [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {
                "name": one["name"],
                "arguments": one["arguments"] if isinstance(one["arguments"], str) else json.dumps(one["arguments"]),
            },
        }
        for number, one in enumerate(calls)
    ]
    return {"role": "assistant", "content": None, "tool_calls": made}


def _handler(fake: FakeLLM) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        server_version, sys_version = "fake-llm", ""

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (the base class's name)
            pass

        def do_GET(self) -> None:
            if self.path.rstrip("/") == "/v1/models":
                self._json(200, {"object": "list", "data": [{"id": fake.script.model, "object": "model"}]})
            else:
                self._error(404, "no such path")

        def do_POST(self) -> None:
            body = self._body()
            if body is None:
                self._error(400, "the body is no JSON object")
            elif self.path.rstrip("/") != "/v1/chat/completions":
                self._error(404, "no such path")
            else:
                self._chat(body)

        def _body(self) -> dict[str, Any] | None:
            length = self.headers.get("Content-Length", "")
            if not length.isdigit() or int(length) > _LARGEST:
                self.close_connection = True
                return None
            try:
                body = json.loads(self.rfile.read(int(length)))
            except ValueError:
                return None
            return body if isinstance(body, dict) and isinstance(body.get("messages"), list) else None

        def _chat(self, body: dict[str, Any]) -> None:
            if body.get("model") != fake.script.model:
                self._refuse(body, 404, f"the model {body.get('model')!r} does not exist")
            elif _form(body) not in fake.script.modes:
                self._refuse(body, 400, f"response_format {_form(body)} is not supported")
            elif task_of(body) == "probe":
                self._send(body, _message(body, '{"ok": true}', []), [])
            else:
                self._play(body, *fake.plan(body))

        def _play(self, body: dict[str, Any], turn: Turn | None, faults: list[Fault], call: int) -> None:
            refused = next((one for one in faults if one.kind == "status"), None)
            if refused is not None:
                wait = {} if refused.retry_after is None else {"Retry-After": f"{refused.retry_after:g}"}
                self._refuse(body, refused.code, "scripted fault", wait)
                return
            if turn is None:
                self._refuse(body, 404, f"no turn of the script answers the task {task_of(body)!r}")
                return
            try:
                content, calls = _answer(turn, body, call)
            except Exception as error:  # a template can fail in any way; the client gets to know
                self._refuse(body, 422, f"{type(error).__name__}: {error}")
                return
            for fault in faults:
                if fault.kind == "hang":
                    fake.pause(fault.seconds)
                content = spoil(fault.kind, content)
            self._send(body, _message(body, content, calls), [one.kind for one in faults])

        def _send(self, body: dict[str, Any], message: dict[str, Any], faults: list[str]) -> None:
            text = json.dumps(message)
            reason = "length" if "truncate" in faults else "tool_calls" if message.get("tool_calls") else "stop"
            tokens = {"prompt_tokens": len(text_of(body)) // 4 + 1, "completion_tokens": len(text) // 4 + 1}
            usage = {**tokens, "total_tokens": sum(tokens.values())} if fake.script.usage else None
            head = {"id": f"chatcmpl-{len(fake.requests)}", "created": int(time.time()), "model": fake.script.model}
            fake.note(body, 200)
            if body.get("stream") and fake.script.stream:
                chunks = _chunks(head, message, reason, usage)
                data = b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in chunks) + b"data: [DONE]\n\n"
                kind = "text/event-stream"
            else:
                choice = {"index": 0, "message": message, "finish_reason": reason}
                whole = {**head, "object": "chat.completion", "choices": [choice]}
                data, kind = json.dumps({**whole, "usage": usage} if usage else whole).encode(), "application/json"
            self._write(200, data, kind, {}, cut="cut" in faults)

        def _refuse(self, body: dict[str, Any], code: int, why: str, headers: dict[str, str] | None = None) -> None:
            fake.note(body, code)
            self._error(code, why, headers)

        def _error(self, code: int, why: str, headers: dict[str, str] | None = None) -> None:
            self._json(code, {"error": {"message": why, "type": "fake", "code": code}}, headers)

        def _json(self, code: int, value: Any, headers: dict[str, str] | None = None) -> None:
            self._write(code, json.dumps(value).encode(), "application/json", headers or {})

        def _write(self, code: int, data: bytes, kind: str, headers: dict[str, str], *, cut: bool = False) -> None:
            self.send_response(code)
            for name, value in {"Content-Type": kind, "Content-Length": str(len(data)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(data[: len(data) // 2] if cut else data)
            except OSError:  # the client went away
                cut = True
            self.close_connection |= cut

    return Handler


def _chunks(head: dict[str, Any], message: dict[str, Any], reason: str, usage: Any) -> list[dict[str, Any]]:
    """The message as server-sent pieces."""
    calls, content = message.get("tool_calls"), message.get("content") or ""
    half = len(content) // 2
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": content[:half]}, {"content": content[half:]}]
    if calls:
        deltas = [{"tool_calls": [{"index": place, **one}]} for place, one in enumerate(calls)]
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices.append({"index": 0, "delta": {}, "finish_reason": reason})
    head = {**head, "object": "chat.completion.chunk"}
    chunks = [{**head, "choices": [choice]} for choice in choices]
    return [*chunks, {**head, "choices": [], "usage": usage}] if usage else chunks
