"""One request to a chat server over plain sockets: no proxy, no redirect, no host but the one asked for."""

import contextlib
import email.utils
import http.client
import json
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from proteus.llm._endpoint import Endpoint

_LARGEST = 16 * 2**20


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        text: the message's words, or the arguments of its first function call.
        finish: why it ended (`stop`, `tool_calls`, `length`).
        usage: its own count of tokens, or None.
    """

    text: str
    finish: str
    usage: dict[str, int] | None = None


@dataclass
class WireError(Exception):
    """A call that came to nothing.

    Attributes:
        reason: in words.
        status: HTTP status, 0 where there was none.
        again: whether another try may help.
        after: seconds that the server asked us to wait.
        sent: whether the request went out, so that it may have been charged.
    """

    reason: str
    status: int = 0
    again: bool = True
    after: float | None = None
    sent: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.reason


def post(endpoint: Endpoint, body: dict[str, Any]) -> Reply:
    """Send a chat request and read its answer, streamed or whole.

    Raises:
        WireError: unreachable, refused, hung, cut, or no answer of this protocol.
    """
    parts = urlsplit(endpoint.base_url)
    make = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    more: dict[str, Any] = {"context": ssl.create_default_context()} if parts.scheme == "https" else {}
    connection = make(endpoint.host, parts.port, timeout=endpoint.timeout, **more)
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    if endpoint.api_key:
        headers["Authorization"] = f"Bearer {endpoint.api_key}"
    end = time.monotonic() + endpoint.deadline
    sent = False
    try:
        connection.connect()
        sent = True
        connection.request("POST", f"{parts.path.rstrip('/')}/chat/completions", json.dumps(body).encode(), headers)
        response = connection.getresponse()
        if response.status != 200:
            raise _refusal(response)
        if "event-stream" in (response.getheader("Content-Type") or ""):
            return _streamed(response, end)
        return _whole(_read(response, end))
    except WireError as error:
        error.sent = sent
        raise
    except TimeoutError:
        raise WireError(f"no byte for {endpoint.timeout:g} s", sent=sent) from None
    except ssl.SSLCertVerificationError as error:
        raise WireError(f"its certificate is not valid: {error.verify_message}", again=False) from None
    except (OSError, http.client.HTTPException) as error:
        why = "the connection was cut" if sent else f"not reachable ({error.strerror or error})"  # type: ignore[union-attr]
        raise WireError(why, sent=sent) from None
    finally:
        connection.close()


def _refusal(response: http.client.HTTPResponse) -> WireError:
    status = response.status
    raw = response.read(65_536)
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        error = json.loads(raw)["error"]
        raw = str(error.get("message") if isinstance(error, dict) else error).encode()
    words = " ".join(raw.decode("utf-8", "replace").split())[:300]
    if 300 <= status < 400:
        return WireError(f"status {status}: it points to another address, which is not followed", status, again=False)
    again = status in (408, 409, 425, 429) or status >= 500
    return WireError(f"status {status}: {words}", status, again, _seconds(response.getheader("Retry-After")))


def _seconds(value: str | None) -> float | None:
    """Retry-After, given in seconds or as a date."""
    if value is None:
        return None
    with contextlib.suppress(ValueError):
        return max(0.0, float(value))
    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, email.utils.parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _read(response: http.client.HTTPResponse, end: float) -> bytes:
    parts: list[bytes] = []
    while part := response.read1(65_536):
        parts.append(part)
        _limits(sum(map(len, parts)), end)
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return b"".join(parts)


def _limits(size: int, end: float) -> None:
    if size > _LARGEST:
        raise WireError(f"an answer of more than {_LARGEST >> 20} MiB", again=False)
    if time.monotonic() > end:
        raise WireError("it took longer than a call may take")


def _whole(raw: bytes) -> Reply:
    try:
        value = json.loads(raw)
        choice = value["choices"][0]
        message = choice["message"]
        calls = message.get("tool_calls") or []
        text = calls[0]["function"]["arguments"] if calls else message.get("content") or ""
        return Reply(_text(text), str(choice.get("finish_reason") or "stop"), _usage(value.get("usage")))
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        raise WireError("no answer of this protocol (choices[0].message is missing)", again=False) from None


def _streamed(response: http.client.HTTPResponse, end: float) -> Reply:
    words, arguments, finish, usage, size = [], [], "", None, 0
    while line := response.readline(_LARGEST):
        size += len(line)
        _limits(size, end)
        name, _, data = line.decode("utf-8", "replace").strip().partition(":")
        data = data.strip()
        if name != "data" or data == "[DONE]":
            continue
        try:
            value = json.loads(data)
            if isinstance(value.get("error"), dict):
                raise WireError(f"error inside the stream: {str(value['error'].get('message'))[:300]}")
            usage = _usage(value.get("usage")) or usage
            for choice in value.get("choices") or []:
                delta = choice.get("delta") or {}
                words.append(delta.get("content") or "")
                calls = [one for one in delta.get("tool_calls") or [] if one.get("index", 0) == 0]
                arguments += [(one.get("function") or {}).get("arguments") or "" for one in calls]
                finish = choice.get("finish_reason") or finish
        except (ValueError, TypeError, AttributeError):
            raise WireError("the connection was cut inside a piece of the stream") from None
    if not finish:
        raise WireError("the connection was cut")
    return Reply("".join(arguments) if any(arguments) else "".join(words), str(finish), usage)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _usage(value: Any) -> dict[str, int] | None:
    if not isinstance(value, dict):
        return None
    counts = {key: value.get(key) for key in ("prompt_tokens", "completion_tokens")}
    return counts if all(isinstance(one, int) and one >= 0 for one in counts.values()) else None  # type: ignore[return-value]
