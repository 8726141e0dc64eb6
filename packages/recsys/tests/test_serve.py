import http.client
import json
import threading

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import EASE, IALS, make_server
from recsys.serving._serve import Service

from .helpers import events


@pytest.fixture(scope="module")
def service():
    return Service(EASE(l2=5.0).fit(events(text=True)))


def ask(service, path, **fields):
    return service.answer("POST", path, json.dumps(fields).encode())


def test_answers_equal_the_models(service):
    status, answer = ask(service, "/recommend", users=["u3", "nobody"], k=4, exclude=["i0"])
    assert status == 200
    assert answer["rows"] == service.model.recommend(["u3", "nobody"], k=4, exclude=["i0"]).to_pylist()
    assert {row["source"] for row in answer["rows"]} == {"model", "fallback"}
    assert ask(service, "/similar", items=["i1"], k=2)[1]["rows"] == service.model.similar_items(["i1"], 2).to_pylist()
    explained = ask(service, "/explain", user="u3", item="i4", k=3)[1]["rows"]
    assert explained == service.model.explain("u3", "i4", 3).to_pylist()


def test_events_of_a_new_user_are_folded_in(service):
    shown = {"who": ["x", "x"], "what": ["i1", "i4"], "when": [1_700_000_000, 1_700_000_009]}
    status, answer = ask(service, "/fold_in", events=shown, k=3)
    assert status == 200
    assert {row["source"] for row in answer["rows"]} == {"fold_in"}
    assert not {row["what"] for row in answer["rows"]} & {"i1", "i4"}


def test_health_names_the_model(service):
    status, answer = service.answer("GET", "/health")
    assert (status, answer["status"], answer["model"], answer["items"]) == (200, "ok", "EASE(l2=5.0)", 30)
    assert answer["user_ids"] == "text"


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/recommend", b"{", "body.*no JSON"),
        ("/recommend", b"\xff", "body.*no JSON"),
        ("/recommend", b"[1]", "body.*list.*object"),
        ("/recommend", b"{}", "field 'users'.*nothing"),
        ("/recommend", b'{"users": [1], "kk": 3}', "field 'kk'.*unknown.*'k'"),
        ("/recommend", b'{"users": ["a"], "k": 0}', "field 'k'.*0.*1 to 1000"),
        ("/recommend", b'{"users": ["a"], "k": true}', "field 'k'.*True"),
        ("/recommend", b'{"users": ["a"], "k": 2.5}', "field 'k'.*2.5"),
        ("/recommend", b'{"users": "a"}', "field 'users'.*list of ids"),
        ("/recommend", b'{"users": []}', "field 'users'.*1 to 1000 ids"),
        ("/recommend", b'{"users": [1.5]}', "field 'users'.*ids"),
        ("/recommend", b'{"users": [NaN]}', "NaN.*finite"),
        ("/recommend", b'{"users": [17]}', "user ids.*17.*text ids"),
        ("/recommend", b'{"users": ["nobody"], "strict": true}', "1 unknown"),
        ("/similar", b'{"items": ["nothing"]}', "nothing"),
        ("/explain", b'{"user": "u1", "item": "zzz"}', "zzz"),
        ("/fold_in", b'{"events": {"who": ["x"]}}', "column 'what'"),
    ],
)
def test_a_bad_request_is_named(service, path, body, reason):
    import re

    status, answer = service.answer("POST", path, body)
    assert status == 400
    assert re.search(reason, answer["error"])


def test_wrong_paths_and_methods(service):
    assert service.answer("GET", "/nowhere")[0] == 404
    assert service.answer("GET", "/recommend")[0] == 405
    assert service.answer("POST", "/health")[0] == 405


def test_a_defect_is_500_and_the_next_request_is_answered(service, monkeypatch):
    monkeypatch.setitem(service.routes, "/similar", lambda asked: 1 / 0)
    assert ask(service, "/similar", items=["i1"]) == (500, {"error": "defect: ZeroDivisionError"})
    assert ask(service, "/recommend", users=["u1"])[0] == 200


def test_over_the_network_on_loopback_alone():
    server = make_server(IALS(factors=4, epochs=1).fit(events()))
    assert server.server_address[0] == "127.0.0.1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        line = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
        line.request("GET", "/health")
        assert json.loads(line.getresponse().read())["user_ids"] == "integer"
        line.request("POST", "/recommend", json.dumps({"users": [100], "k": 2}))
        reply = line.getresponse()
        assert reply.status == 200
        assert len(json.loads(reply.read())["rows"]) == 2
        line.request("PUT", "/recommend")
        reply = line.getresponse()
        assert (reply.status, reply.read()) == (405, b'{"error": "use POST with a JSON object"}')
        line.putrequest("POST", "/recommend")
        line.putheader("Content-Length", str(1 << 30))
        line.endheaders()
        assert line.getresponse().status == 413
    finally:
        server.shutdown()
        server.server_close()
    with make_server(recsys.Popular().fit(events())) as held, pytest.raises(InputError, match="port"):
        make_server(recsys.Popular().fit(events()), held.server_address[1])


def test_an_unfitted_model_is_not_served():
    with pytest.raises(InputError, match="not fitted"):
        make_server(EASE())


def test_many_ask_at_once_and_get_their_own(service):
    found = {}

    def one(user):
        found[user] = ask(service, "/recommend", users=[user], k=3)[1]["rows"]

    threads = [threading.Thread(target=one, args=(f"u{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user, rows in found.items():
        assert np.unique([row["who"] for row in rows]).tolist() == [user]
