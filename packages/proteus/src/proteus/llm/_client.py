"""Asking a model: the best form of answer its server takes, retries, a hard budget, and answers that are checked."""

import json
import random
import re
import time
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from proteus.llm._calls import Calls, call_key
from proteus.llm._endpoint import Endpoint
from proteus.llm._http import Reply, WireError, post
from proteus.llm._prompt import Messages, prompt
from proteus.record._planner import PlannerError

MODES = ("json_schema", "tools", "json_object", "text")  # best first
STYLES = ("stream", "completion", "plain")
REPAIRS = 2
_TRIES = 5
_LONGEST_WAIT = 60.0
_SHORTEST_ANSWER = 256
_NOT_TAKEN = (400, 415, 422, 501)
_ANSWER = TypeVar("_ANSWER", bound=BaseModel)


class _Ok(BaseModel):
    ok: bool


class Client:
    """A model on a server, with what was already asked of it in this run.

    Args:
        endpoint: where.
        calls: what was asked so far; answers found there are not paid for again.
        usd, tokens: hard limits of the whole run; None is none.
        seed: of the waits between tries.
        sleep: for tests.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        calls: Calls,
        *,
        usd: float | None = None,
        tokens: int | None = None,
        seed: int = 0,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        endpoint.check_budget(usd)
        self.endpoint, self.calls = endpoint, calls
        self._usd, self._tokens = usd, tokens
        self._random, self._sleep = random.Random(seed), sleep
        self._down: PlannerError | None = None

    def ask(
        self,
        task: str,
        messages: Messages,
        answer: type[_ANSWER],
        *,
        sample: int = 0,
        read: Callable[[Any], Any] = lambda value: value,
    ) -> _ANSWER:
        """Ask until the answer is a valid `answer`, telling the model what was wrong, at most twice.

        Args:
            task: prompt role.
            messages: see `prompt`.
            answer: model of the answer.
            sample: number of an independent answer to the same question.
            read: what becomes of an answer's JSON before it is checked.
        Raises:
            PlannerError: `down`, `budget`, or `refused` after three invalid answers, after which it is not asked again.
        """
        why = ""
        for _ in range(REPAIRS + 1):
            record = self.complete(task, messages, answer.model_json_schema(), sample=sample)
            try:
                return answer.model_validate(read(extract(record["answer"])))
            except ValidationError as error:
                first = error.errors()[0]
                why = f"{'.'.join(map(str, first['loc'])) or 'the answer'}: {first['msg']}"
            except ValueError as error:
                why = str(error)
            if record["finish"] == "length":
                why = "it was cut off at the longest length allowed; answer in fewer words"
            again = f"That answer is refused: {why[:600]}\nAnswer again, whole, as JSON of the schema."
            messages = [
                *messages,
                {"role": "assistant", "content": record["answer"]},
                {"role": "user", "content": again},
            ]
        self._gone(f"it answered out of form {REPAIRS + 1} times in a row ({task}), and is not asked again")
        raise PlannerError("refused", f"{task}: {why}")

    def complete(self, task: str, messages: Messages, schema: dict[str, Any], *, sample: int = 0) -> dict[str, Any]:
        """The record of one answered call: from the store, else from the server."""
        key = call_key(model=self.endpoint.model, task=task, messages=messages, schema=schema, sample=sample)
        kept = self.calls.get(key)
        if kept is not None:
            return kept
        mode, style = self._way()
        return self._pay(task, key, messages, schema, mode, style, {"sample": sample})

    def _way(self) -> tuple[str, str]:
        """(form of answer, style of request): the first that the server takes, asked once a run."""
        key = call_key(probe=self.endpoint.base_url, model=self.endpoint.model)
        kept = self.calls.get(key)
        if kept is not None:
            return kept["mode"], kept["style"]
        messages = prompt("probe", 'Answer with the JSON object {"ok": true} and nothing else.', {})
        why = ""
        for style in STYLES:
            for mode in MODES:
                try:
                    record = self._pay("probe", key, messages, _Ok.model_json_schema(), mode, style, {})
                    if mode != "text":
                        _Ok.model_validate_json(record["answer"].strip())  # a server that ignores the form gives words
                    return mode, style
                except ValueError:  # it takes the words and does not do what they say
                    self.calls.forget(key)
                except _NotTakenError as error:
                    why = str(error)
        raise self._gone(f"{self.endpoint.base_url} takes no form of request: {why}")

    def _pay(
        self,
        task: str,
        key: str,
        messages: Messages,
        schema: dict[str, Any],
        mode: str,
        style: str,
        more: dict[str, Any],
    ) -> dict[str, Any]:
        asked = {"model": self.endpoint.model, "messages": messages, "schema": schema, **more}
        lost = {"tries": 0, "prompt_tokens": 0, "usd": 0.0}
        record = {"task": task, "asked": asked, "mode": mode, "style": style, "lost": lost}
        try:
            prompt_tokens, reply = self._reply(messages, schema, mode, style, lost)
        except _NotTakenError as error:
            if task != "probe":
                self.calls.fail(key, error.kind, error.reason, **record)
            raise
        except PlannerError as error:
            self.calls.fail(key, error.kind, error.reason, **record)
            raise
        usage = reply.usage or {"prompt_tokens": prompt_tokens, "completion_tokens": _estimate(reply.text)}
        usd = self.endpoint.usd(usage["prompt_tokens"], usage["completion_tokens"])
        estimated = reply.usage is None or lost["prompt_tokens"] > 0
        return self.calls.keep(
            key, **record, answer=reply.text, finish=reply.finish, usage=usage, estimated=estimated, usd=usd
        )

    def _reply(
        self, messages: Messages, schema: dict[str, Any], mode: str, style: str, lost: dict[str, Any]
    ) -> tuple[int, Reply]:
        """(tokens of the prompt, estimated; the answer)."""
        if self._down is not None:
            raise self._down
        prompt_tokens = _estimate(messages) + _estimate(schema)
        body = request(self.endpoint.model, messages, schema, mode, style, self._room(prompt_tokens))
        return prompt_tokens, self._try(body, prompt_tokens, lost)

    def _try(self, body: dict[str, Any], prompt_tokens: int, lost: dict[str, Any]) -> Reply:
        """Post with back-off; what a broken try may have cost is added to `lost`."""
        for number in range(_TRIES):
            try:
                return post(self.endpoint, body)
            except WireError as error:
                if error.status in _NOT_TAKEN:
                    raise _NotTakenError(str(error)) from None
                lost["tries"] += 1
                if error.sent and not error.status:
                    lost["prompt_tokens"] += prompt_tokens
                    lost["usd"] += self.endpoint.usd(prompt_tokens, 0)
                if not error.again or number == _TRIES - 1:
                    times = f", {number + 1} times" if number else ""
                    raise self._gone(f"{self.endpoint.base_url}: {error}{times}") from None
                wait = self._random.uniform(0.5, 1.0) * 0.5 * 2**number
                wait = max(wait, error.after or 0.0)
                if wait > _LONGEST_WAIT:
                    raise self._gone(f"{self.endpoint.base_url}: {error}; asks to wait {wait:.0f} s") from None
                self._sleep(wait)
        raise AssertionError("unreachable")

    def _gone(self, why: str) -> PlannerError:
        """The error of this call, and of all to come: a server that failed so often is not asked again."""
        self._down = PlannerError("down", why)
        return self._down

    def _room(self, prompt_tokens: int) -> int:
        """Longest answer that the budget still pays for."""
        _, tokens, usd, _ = self.calls.spent()
        room = self.endpoint.max_tokens
        if self._tokens is not None:
            room = min(room, self._tokens - tokens - prompt_tokens)
        price = self.endpoint.usd_out
        if self._usd is not None:
            left = self._usd - usd - self.endpoint.usd(prompt_tokens, 0)
            room = min(room, int(left / price * 1e6)) if price else (room if left >= 0 else 0)
        if room < min(_SHORTEST_ANSWER, self.endpoint.max_tokens):
            raise PlannerError(
                "budget", f"{tokens} tokens, {usd:.4f} USD are spent; the next call would pass the limit"
            )
        return room


class _NotTakenError(PlannerError):
    """A server that does not understand the request's form."""

    def __init__(self, reason: str) -> None:
        super().__init__("refused", reason)


def request(
    model: str, messages: Messages, schema: dict[str, Any], mode: str, style: str, max_tokens: int
) -> dict[str, Any]:
    """Body of a chat request. Servers without a schema of their own get it in words."""
    body: dict[str, Any] = {"model": model, "messages": messages}
    if style == "completion":
        body["max_completion_tokens"] = max_tokens
    else:
        body |= {"max_tokens": max_tokens, "temperature": 0}
    if style == "stream":
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if mode == "json_schema":
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    elif mode == "tools":
        function = {"name": "answer", "description": "Gives the answer.", "parameters": schema}
        body["tools"] = [{"type": "function", "function": function}]
        body["tool_choice"] = {"type": "function", "function": {"name": "answer"}}
    else:
        words = f"\nAnswer with one JSON object of this schema and nothing else:\n{json.dumps(schema)}"
        body["messages"] = [{**messages[0], "content": messages[0]["content"] + words}, *messages[1:]]
        if mode == "json_object":
            body["response_format"] = {"type": "json_object"}
    return body


def extract(text: str) -> Any:
    """The JSON object in a model's words: alone, in a fence, or the first that stands between other words.

    Raises:
        ValueError: if there is none.
    """
    decoder = json.JSONDecoder()
    text = re.sub(r"<think>.*?</think>", "", text, flags=re.DOTALL)
    start = text.find("{")
    while start >= 0:
        try:
            return decoder.raw_decode(text, start)[0]
        except (json.JSONDecodeError, RecursionError):
            start = text.find("{", start + 1)
    raise ValueError("there is no JSON object in it")


def _estimate(value: Any) -> int:
    """Tokens of a text, on the high side: three characters each."""
    return len(value if isinstance(value, str) else json.dumps(value)) // 3 + 1
