"""The scripted server as a thing of its own, and its verb."""

import http.client
import json

import pytest
from ninefold.errors import NinefoldError
from proteus_experiments.scripted._fake_server import FakeLLM
from proteus_experiments.scripted._script import load_script, shipped_scripts

from .llm_helpers import script


def send(fake, body, path="/v1/chat/completions", method="POST"):
    connection = http.client.HTTPConnection(fake.base_url.split("/")[2], timeout=5)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, data)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def test_it_listens_on_loopback_alone():
    with FakeLLM(script()) as fake:
        assert fake._server.server_address[0] == "127.0.0.1"
        assert fake.base_url.startswith("http://127.0.0.1:")
        with pytest.raises(NinefoldError, match="port"):
            FakeLLM(script(), port=fake._server.server_address[1])


def test_other_paths_models_and_bodies_are_refused():
    with FakeLLM(script()) as fake:
        assert send(fake, {}, "/v1/models", "GET")[1]["data"] == [{"id": "fake", "object": "model"}]
        assert send(fake, {}, "/etc/passwd", "GET")[0] == 404
        assert send(fake, {"messages": []}, "/v1/../x")[0] == 404
        assert send(fake, b"{")[0] == 400
        assert send(fake, b"[]")[0] == 400
        assert send(fake, {"messages": [], "model": "other"})[0] == 404
        status, body = send(fake, {"messages": [], "model": "fake"})
    assert status == 404
    assert "no turn of the script answers" in body["error"]["message"]


def test_turns_are_tried_in_order_and_used_up():
    from proteus_experiments.scripted._script import Turn

    turns = [
        Turn(contains="(?i)apple", text="fruit"), Turn(times=1, text="first"),
        Turn(tool_calls=[{"name": "look", "arguments": {"a": 1}}]),
    ]  # fmt: skip
    with FakeLLM(script(turns=turns)) as fake:
        told = [
            send(fake, {"model": "fake", "messages": [{"role": "user", "content": words}]})[1]["choices"][0]
            for words in ("pear", "an Apple", "pear")
        ]
    assert [one["message"]["content"] for one in told] == ["first", "fruit", None]
    assert told[2]["finish_reason"] == "tool_calls"
    assert told[2]["message"]["tool_calls"][0]["function"] == {"name": "look", "arguments": '{"a": 1}'}


def test_a_template_cannot_reach_outside():
    from proteus_experiments.scripted._script import Turn

    evil = "{{ ''.__class__.__mro__[1].__subclasses__() }}"
    with FakeLLM(script(turns=[Turn(template=evil)])) as fake:
        status, body = send(fake, {"model": "fake", "messages": []})
    assert status == 422
    assert "SecurityError" in body["error"]["message"]


def test_every_shipped_script_loads():
    assert {"good", "bad-json", "invented-gene", "invented-number", "invented-tool"} <= set(shipped_scripts())
    for name in shipped_scripts():
        made = load_script(name)
        assert made.turns
        assert name == "good" or made.faults or len(made.turns) > len(load_script("good").turns), name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("turns: []", "is no script"),
        ("format: proteus.script\nformat_version: 7", "newer"),
        ("format: proteus.script\nformat_version: 1\nturns: [{reply: 1, text: x}]", r"turns\.0: needs one of"),
        ("format: proteus.script\nformat_version: 1\nfaults: [{kind: earthquake}]", r"faults\.0\.kind"),
        ("format: proteus.script\nformat_version: 1\nturns: [{text: x, contains: '('}]", r"turns\.0\.contains"),
        ("format: proteus.script\nformat_version: 1\nport: 80", "port"),
        ("a: [", "is no YAML"),
    ],
)
def test_a_bad_script_is_named_with_its_field(tmp_path, text, message):
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(NinefoldError, match=rf"mine\.yaml.*{message}"):
        load_script(file)


def test_a_script_that_is_not_there_names_those_that_are(tmp_path):
    with pytest.raises(NinefoldError, match=r"nothere.*good"):
        load_script("nothere")
