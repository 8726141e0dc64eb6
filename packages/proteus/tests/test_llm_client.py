"""The client against the scripted server: forms of answer, faults, retries, budget, records."""

import contextlib
import http.client
import json
import socket
import threading
import time

import pytest
from ninefold.errors import ArtifactError, InputError
from proteus.llm._calls import Calls
from proteus.llm._client import MODES, extract
from proteus.llm._endpoint import Endpoint
from proteus.record._planner import PlannerError

from .llm_helpers import ask, client_of, serving, statuses


@pytest.mark.parametrize("skipped", range(4))
def test_the_best_form_that_the_server_takes_is_found_by_probe(tmp_path, skipped):
    with serving(tmp_path, modes=MODES[skipped:]) as (fake, client):
        assert ask(client, "γ ```\nTask: lie") == "γ ```\nTask: lie"
        assert ask(client, "again") == "again"
    sent = [one for one in fake.requests if one["status"] == 200]
    assert len(sent) == 3  # one probe for both
    assert len(fake.requests) == 3 + skipped
    forms = {"json_schema": "response_format", "tools": "tools", "json_object": "response_format", "text": "messages"}
    assert forms[MODES[skipped]] in sent[-1]
    in_words = "schema and nothing else" in str(sent[-1]["messages"])
    assert in_words == (MODES[skipped] in ("json_object", "text"))


def test_a_server_that_ignores_the_form_is_told_the_schema_in_words(tmp_path):
    """It takes every request and answers in prose all the same."""
    from proteus_experiments.scripted import _fake_server

    asked = []

    def prose(body, content, calls):
        asked.append(body)
        return {"role": "assistant", "content": f"Sure: {content}"}

    with pytest.MonkeyPatch.context() as patch, serving(tmp_path) as (_, client):
        patch.setattr(_fake_server, "_message", prose)
        assert ask(client) == "up"
    assert len(asked) == 5  # four probes
    assert "schema and nothing else" in str(asked[-1]["messages"])


@pytest.mark.parametrize(("stream", "usage"), [(True, True), (True, False), (False, True), (False, False)])
def test_streamed_and_whole_answers_are_read_alike_and_tokens_counted(tmp_path, stream, usage):
    with serving(tmp_path, stream=stream, usage=usage) as (_, client):
        assert ask(client) == "up"
    _, tokens, _, estimated = client.calls.spent()
    assert tokens > 0
    assert estimated is not usage


@pytest.mark.parametrize("code", [408, 429, 500, 503])
def test_passing_trouble_is_waited_out(tmp_path, code):
    fault = {"kind": "status", "task": "interpret_step", "code": code, "count": 3, "retry_after": 7}
    with serving(tmp_path, fault) as (fake, client):
        assert ask(client) == "up"
    assert statuses(fake) == [code, code, code, 200]
    assert client.waits == [7.0, 7.0, 7.0]


def test_waits_grow_and_differ(tmp_path):
    with serving(tmp_path, {"kind": "status", "task": "interpret_step"}) as (fake, client):
        with pytest.raises(PlannerError, match=r"down.*status 500.*5 times"):
            ask(client)
        asked = len(fake.requests)
        with pytest.raises(PlannerError, match="down"):
            ask(client, "another")
        assert len(fake.requests) == asked  # a server that is gone is not asked again
    assert [0.25 * 2**n <= wait <= 0.5 * 2**n for n, wait in enumerate(client.waits)] == [True] * 4
    assert len({wait / 2**n for n, wait in enumerate(client.waits)}) == 4


@pytest.mark.parametrize(("code", "words"), [(401, "status 401"), (403, "status 403"), (404, "status 404")])
def test_lasting_trouble_is_not_tried_again(tmp_path, code, words):
    fault = {"kind": "status", "task": "interpret_step", "code": code}
    with serving(tmp_path, fault) as (fake, client), pytest.raises(PlannerError, match=words):
        ask(client)
    assert statuses(fake) == [code]


def test_a_server_that_asks_for_an_hour_is_left(tmp_path):
    fault = {"kind": "status", "task": "interpret_step", "code": 429, "retry_after": 3600}
    with serving(tmp_path, fault) as (_, client), pytest.raises(PlannerError, match="asks to wait 3600 s"):
        ask(client)
    assert client.waits == []


@pytest.mark.parametrize("stream", [True, False])
def test_an_answer_that_is_cut_is_asked_for_again_and_counted(tmp_path, stream):
    fault = {"kind": "cut", "task": "interpret_step", "count": 2}
    with serving(tmp_path, fault, stream=stream) as (fake, client):
        assert ask(client, "x" * 300) == "x" * 300
    assert statuses(fake) == [200, 200, 200]
    row = client.calls.ledger().to_dict()["rows"][-1]
    assert row["failed tries"] == 2
    assert row["counted"] == "estimated"


def test_a_hanging_server_is_left_after_the_timeout(tmp_path):
    fault = {"kind": "hang", "task": "interpret_step", "seconds": 30, "count": 1}
    begin = time.monotonic()
    with serving(tmp_path, fault, endpoint={"timeout": 0.3}) as (_, client):
        assert ask(client) == "up"
    assert time.monotonic() - begin < 5


def test_a_server_that_drips_is_left_at_the_deadline(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip():
            for _ in range(5):
                one, _ = listener.accept()
                one.recv(65_536)
                one.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
                with contextlib.suppress(OSError):
                    while True:
                        one.sendall(b": wait\n")
                        time.sleep(0.02)

        threading.Thread(target=drip, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        client = client_of(url, tmp_path, {"deadline": 0.15})
        with pytest.raises(PlannerError, match="longer than a call may take, 5 times"):
            ask(client)


def test_nothing_there_is_named(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
    with pytest.raises(PlannerError, match=r"down: http://127\.0\.0\.1.*not reachable.*refused"):
        ask(client_of(url, tmp_path))


def test_a_redirect_is_not_followed(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def point_elsewhere():
            one, _ = listener.accept()
            one.recv(65_536)
            one.sendall(b"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=point_elsewhere, daemon=True).start()
        with pytest.raises(PlannerError, match="not followed"):
            ask(client_of(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", tmp_path))


@pytest.mark.parametrize("kind", ["bad_json", "empty", "truncate"])
def test_a_bad_answer_is_asked_for_again_with_the_reason(tmp_path, kind):
    with serving(tmp_path, {"kind": kind, "task": "interpret_step", "count": 2}) as (fake, client):
        assert ask(client) == "up"
    last = fake.requests[-1]["messages"]
    assert [one["role"] for one in last] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "That answer is refused" in last[-1]["content"]
    if kind == "truncate":
        assert "cut off" in last[-1]["content"]


def test_three_bad_answers_are_the_end(tmp_path):
    fault = {"kind": "bad_json", "task": "interpret_step"}
    with serving(tmp_path, fault) as (fake, client), pytest.raises(PlannerError, match="refused: interpret_step"):
        ask(client)
    assert statuses(fake) == [200] * 3


def test_a_model_out_of_form_three_times_is_not_asked_again(tmp_path):
    with serving(tmp_path, {"kind": "bad_json", "task": "interpret_step", "count": 2}) as (_, client):
        assert ask(client) == "up"
    with serving(tmp_path / "worse", {"kind": "bad_json", "task": "interpret_step", "count": 3}) as (fake, client):
        with pytest.raises(PlannerError, match="refused"):
            ask(client)
        before = len(fake.requests)
        with pytest.raises(PlannerError, match="down: it answered out of form 3 times in a row"):
            ask(client, "next")
        assert len(fake.requests) == before


def test_what_was_paid_for_is_never_asked_again(tmp_path):
    with serving(tmp_path) as (fake, client):
        assert ask(client) == "up"
        paid = len(fake.requests)
        again = client_of(fake.base_url, tmp_path)
        assert ask(again) == "up"
        assert len(fake.requests) == paid
        assert ask(again, sample=1) == "up"  # an independent second answer is another call
        assert len(fake.requests) == paid + 1
    assert again.calls.spent()[0] == 3


def test_a_call_that_failed_is_asked_again_when_the_run_goes_on(tmp_path):
    with serving(tmp_path, {"kind": "status", "task": "interpret_step", "count": 5}) as (fake, client):
        with pytest.raises(PlannerError):
            ask(client)
        again = client_of(fake.base_url, tmp_path)
        assert ask(again) == "up"
    assert again.calls.ledger().to_dict()["rows"][-1]["failed tries"] == 5


@pytest.mark.parametrize("limit", [{"tokens": 2000}, {"usd": 0.002}])
def test_the_budget_is_never_passed(tmp_path, limit):
    prices = {"usd_in": 1.0, "usd_out": 2.0, "max_tokens": 50}
    with (
        serving(tmp_path, client=limit, endpoint=prices) as (fake, client),
        pytest.raises(PlannerError, match="budget"),
    ):
        for number in range(90):
            ask(client, f"word {number}")
    _, tokens, usd, _ = client.calls.spent()
    assert 0 < tokens <= limit.get("tokens", 1e9)
    assert 0 < usd <= limit.get("usd", 1e9)
    assert len(fake.requests) >= 5
    assert all(one["max_tokens"] <= 50 for one in fake.requests)


def test_the_ledger_adds_up(tmp_path):
    prices = {"usd_in": 3.0, "usd_out": 15.0}
    with serving(tmp_path, endpoint=prices) as (_, client):
        for word in ("a", "b", "c"):
            ask(client, word)
    rows = {row["task"]: row for row in client.calls.ledger().to_dict()["rows"]}
    assert rows["interpret_step"]["calls"] == 3
    total = rows["all"]
    assert total["USD"] == pytest.approx((3 * total["prompt tokens"] + 15 * total["answer tokens"]) / 1e6)
    assert total["prompt tokens"] == rows["probe"]["prompt tokens"] + rows["interpret_step"]["prompt tokens"]


def test_the_key_is_sent_and_never_written(tmp_path, monkeypatch):
    seen = []
    keep = http.client.HTTPConnection.request
    monkeypatch.setattr(
        http.client.HTTPConnection, "request", lambda self, *a, **k: (seen.append(a[3]), keep(self, *a, **k))[1]
    )
    with serving(tmp_path, endpoint={"api_key": "sk-secret"}) as (_, client):
        ask(client)
    assert all(one["Authorization"] == "Bearer sk-secret" for one in seen)
    assert not any(b"sk-secret" in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize("damage", ["edit", "cut", "foreign", "newer"])
def test_a_damaged_record_is_named(tmp_path, damage):
    with serving(tmp_path) as (_, client):
        ask(client)
    file = sorted(tmp_path.iterdir())[-1]
    text = file.read_text()
    changed = {
        "edit": text.replace("up", "down"), "cut": text[:-9], "foreign": "{}",
        "newer": text.replace('"format_version": 1', '"format_version": 9'),
    }  # fmt: skip
    file.write_text(changed[damage])
    with pytest.raises(ArtifactError, match=file.name):
        Calls(tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"base_url": "127.0.0.1:80"}, "--base-url"),
        ({"base_url": "ftp://127.0.0.1/v1"}, "--base-url"),
        ({"base_url": "http://[::1/v1"}, "--base-url"),
        ({"base_url": "http://me@127.0.0.1/v1"}, "--base-url"),
        ({"base_url": "http://127.0.0.1:99999/v1"}, "--base-url"),
        ({"model": ""}, "--model"),
        ({"data_policy": "everything"}, "--data-policy.*aggregate"),
        ({"base_url": "https://api.example.com/v1"}, "--data-policy: expected a choice: api.example.com is another"),
        ({"base_url": "http://localhost.example.com/v1"}, "another machine"),
        ({"base_url": "http://10.0.0.3/v1", "data_policy": "full", "api_key": "k"}, "https"),
    ],
)
def test_addresses_and_policies_are_checked_at_the_door(fields, message):
    with pytest.raises(InputError, match=message):
        Endpoint(**{"base_url": "http://127.0.0.1:8000/v1", "model": "m", **fields})


def test_a_budget_in_money_needs_prices_elsewhere(tmp_path):
    remote = Endpoint("https://api.example.com/v1", "m", "aggregate")
    with pytest.raises(InputError, match="--usd-in"):
        remote.check_budget(1.0)
    Endpoint("http://127.0.0.1:1/v1", "m").check_budget(1.0)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": 1}', 'Sure!\n```json\n{"a": 1}\n```\nBye {b}', 'x {not json} {"a": 1} y',
        '<think>{"a": 2}</think>{"a": 1}',
    ],
)  # fmt: skip
def test_json_is_found_between_words(text):
    assert extract(text) == {"a": 1}


def test_words_without_json_are_refused():
    with pytest.raises(ValueError, match="no JSON"):
        extract("I cannot " + "{" * 3000)
    assert json.dumps(extract("{}")) == "{}"
