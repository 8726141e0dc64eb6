"""The service: answers equal the model's, wrong requests are named, nothing that was acknowledged is lost."""

import asyncio
import contextlib
import dataclasses
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import InputError, NinefoldError
from recsys import EASE, IALS, make_app
from recsys.serving import _app, _serve
from recsys.serving._live import Live
from recsys.serving._metrics import Metrics
from recsys.serving._serve import serve

from .helpers import events

pytest.importorskip("starlette")


class Client:
    """Asks an ASGI application without a network, from one event loop that it owns."""

    def __init__(self, app):
        self.app, self.loop = app, asyncio.new_event_loop()
        self.service = app.state.service
        self._life = self.service.lifespan(app)
        self.loop.run_until_complete(self._life.__aenter__())

    def close(self):
        self.loop.run_until_complete(self._life.__aexit__(None, None, None))
        self.loop.close()

    async def send(self, method, path, body=b""):
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
                 "headers": [], "http_version": "1.1", "scheme": "http", "server": ("t", 80), "client": ("t", 1),
                 "root_path": ""}  # fmt: skip
        sent, parts = [], [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            return parts.pop(0) if parts else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        content = b"".join(one.get("body", b"") for one in sent)
        return sent[0]["status"], content

    def raw(self, method, path, body=b""):
        return self.loop.run_until_complete(self.send(method, path, body))

    def ask(self, path, **fields):
        status, content = self.raw("POST", path, json.dumps(fields).encode())
        return status, json.loads(content)

    def together(self, path, requests):
        async def run():
            sends = [self.send("POST", path, json.dumps(one).encode()) for one in requests]
            return await asyncio.gather(*sends)

        return [(status, json.loads(content)) for status, content in self.loop.run_until_complete(run())]


@contextlib.contextmanager
def serving(*args, **options):
    client = Client(make_app(*args, **options))
    try:
        yield client
    finally:
        client.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return EASE(l2=5.0).fit(events(text=True)).save(tmp_path_factory.mktemp("served") / "model")


@pytest.fixture(scope="module")
def model(folder):
    return recsys.load(folder)


@pytest.fixture
def client(folder, tmp_path):
    with serving(
        folder,
        events=tmp_path / "events.sqlite",
        items={"what": [f"i{one}" for one in range(25)], "kind": ["a", "b"] * 12 + ["a"]},
    ) as found:
        yield found


def listed(answer, place=0):
    return answer["lists"][place]["items"]


def expected(model, user, k, **options):
    return model.recommend([user], k, **options)["what"].to_pylist()


def test_answers_equal_the_models(client, model):
    status, answer = client.ask("/recommend", users=["u3", "nobody"], k=4, exclude=["i0"])
    assert status == 200
    rows = model.recommend(["u3", "nobody"], k=4, exclude=["i0"]).to_pylist()
    assert [one for each in answer["lists"] for one in each["items"]] == [row["what"] for row in rows]
    np.testing.assert_allclose(
        [one for each in answer["lists"] for one in each["scores"]], [row["score"] for row in rows]
    )
    assert [set(one["sources"]) for one in answer["lists"]] == [{"model"}, {"fallback"}]
    assert client.ask("/similar", items=["i1"], k=2)[1]["rows"] == model.similar_items(["i1"], 2).to_pylist()
    assert client.ask("/explain", user="u3", item="i4", k=3)[1]["rows"] == model.explain("u3", "i4", 3).to_pylist()


def test_requests_that_wait_are_answered_together_each_with_its_own(client, model, monkeypatch):
    calls = []
    inner = type(client.service.live).lists
    monkeypatch.setattr(
        type(client.service.live), "lists", lambda self, asked: calls.append(len(asked)) or inner(self, asked)
    )
    users = [f"u{one}" for one in range(40)]
    found = client.together("/recommend", [{"users": [one], "k": 3 + number % 2} for number, one in enumerate(users)])
    for number, (one, (status, answer)) in enumerate(zip(users, found, strict=True)):
        assert status == 200
        assert answer["lists"][0]["user"] == one
        assert listed(answer) == expected(model, one, 3 + number % 2)
    assert len(calls) < 20


def test_one_wrong_request_among_many_is_refused_alone(client):
    found = client.together("/recommend", [{"users": ["u1"]}, {"users": [17]}, {"users": ["u2"]}])
    assert [status for status, _ in found] == [200, 400, 200]
    assert "text ids" in found[1][1]["error"]


# --- what happens while it serves ---


def test_events_count_at_once_for_new_and_known_users(client, model):
    before = listed(client.ask("/recommend", users=["u3"], k=3)[1])
    sent = {"who": ["x", "x", "u3"], "what": ["i1", "i4", before[0]], "when": [1_700_000_000] * 3}
    assert client.ask("/events", events=sent) == (200, {"stored": 3})
    status, answer = client.ask("/recommend", users=["x", "u3"], k=3)
    assert status == 200
    assert set(answer["lists"][0]["sources"]) == {"fold_in"}
    assert not {"i1", "i4"} & set(listed(answer))
    assert before[0] not in listed(answer, 1)
    folded = model.fold_in(
        recsys.Dataset.from_frame(
            {"who": ["x", "x"], "what": ["i1", "i4"], "when": [1_700_000_000] * 2}, user="who", item="what", time="when"
        )
    )
    assert listed(answer) == expected(folded, "x", 3)


def test_what_one_worker_is_sent_the_other_knows_and_a_new_one_too(folder, tmp_path):
    path = tmp_path / "events.sqlite"
    with serving(folder, events=path) as one, serving(folder, events=path) as other:
        one.ask("/events", events={"who": ["x"], "what": ["i1"]})
        assert set(other.ask("/recommend", users=["x"], k=2)[1]["lists"][0]["sources"]) == {"fold_in"}
    with serving(folder, events=path) as third:
        assert set(third.ask("/recommend", users=["x"], k=2)[1]["lists"][0]["sources"]) == {"fold_in"}
        assert json.loads(third.raw("GET", "/health")[1])["events"] == 1


def test_events_of_a_request_are_folded_in_and_not_kept(client):
    shown = {"who": ["x", "x"], "what": ["i1", "i4"], "when": [1_700_000_000, 1_700_000_009]}
    status, answer = client.ask("/fold_in", events=shown, k=3)
    assert status == 200
    assert set(answer["lists"][0]["sources"]) == {"fold_in"}
    assert not {"i1", "i4"} & set(listed(answer))
    assert set(client.ask("/recommend", users=["x"])[1]["lists"][0]["sources"]) == {"fallback"}


@pytest.mark.parametrize(
    "kind",
    [
        recsys.FM(head="bpr", factors=4, epochs=3),
        recsys.BayesianFM(factors=2, sweeps=8, burn_in=2, samples=2),  # learns users only in fit
        IALS(factors=4, epochs=2),
        recsys.Trend(model=recsys.ItemKNN(k=5)),
        recsys.Markov(),
        recsys.baselines.UserKNN(k=5),
    ],
    ids=lambda one: one.name,
)
def test_every_kind_of_model_hides_what_a_user_had_since(kind, tmp_path):
    data, stars = events(text=True), {}
    if isinstance(kind, recsys.BayesianFM):
        data, stars = dataclasses.replace(data, value=(np.arange(len(data)) % 5).astype("f")), {"value": [4, 2]}
    kind.fit(data).save(tmp_path / "m")
    with serving(tmp_path / "m", events=tmp_path / "log") as client:
        top = listed(client.ask("/recommend", users=["u3"], k=1, filter_seen=True)[1])[0]
        assert client.ask("/events", events={"who": ["u3", "x"], "what": [top, "i2"], **stars})[0] == 200
        answer = client.ask("/recommend", users=["u3", "x"], k=5, filter_seen=True)[1]
        assert top not in listed(answer)
        assert len(listed(answer, 1)) > 0


def test_a_disk_that_is_full_is_said_and_nothing_is_half_there(client):
    client.service.log._base.execute("PRAGMA max_page_count = 5")
    many = {"who": [f"x{one}" for one in range(1000)], "what": ["i1"] * 1000}
    status, answer = client.ask("/events", events=many)
    assert (status, "full" in answer["error"]) == (507, True)
    assert client.ask("/recommend", users=["x1"])[1]["lists"][0]["sources"][0] == "fallback"
    client.service.log._base.execute("PRAGMA max_page_count = 100000")
    assert client.ask("/events", events=many) == (200, {"stored": 1000})


def test_a_new_model_is_taken_up_whole_and_a_damaged_one_is_not(tmp_path):
    data = events(text=True)
    EASE(l2=5.0).fit(data).save(tmp_path / "m")
    with serving(tmp_path / "m", events=tmp_path / "log", poll=0.05) as client:
        client.ask("/events", events={"who": ["x"], "what": ["i1"]})
        recsys.ItemKNN(k=5).fit(data).save(tmp_path / "m", force=True)
        for _ in range(100):
            client.loop.run_until_complete(asyncio.sleep(0.05))
            answer = client.together("/recommend", [{"users": [f"u{one}"], "k": 2} for one in range(5)])
            assert [status for status, _ in answer] == [200] * 5
            if json.loads(client.raw("GET", "/health")[1])["model"] == "ItemKNN(k=5)":
                break
        else:
            pytest.fail("the new model was not taken up")
        assert set(client.ask("/recommend", users=["x"])[1]["lists"][0]["sources"]) == {"fold_in"}
        (tmp_path / "m" / "model.json").write_text("{}")
        client.loop.run_until_complete(asyncio.sleep(0.3))
        assert "damaged" in json.loads(client.raw("GET", "/health")[1])["reload"]
        assert client.ask("/recommend", users=["u1"])[0] == 200
        assert client.ask("/reload")[0] == 400


# --- rules ---


def test_rules_by_request(client, model):
    kinds = {f"i{one}": "ab"[one % 2] for one in range(25)}
    assert all(
        kinds.get(one) == "b" for one in listed(client.ask("/recommend", users=["u3"], k=8, where={"kind": "b"})[1])
    )
    both = listed(client.ask("/recommend", users=["u3"], k=8, where={"kind": ["a", "b"]})[1])
    assert both == expected(model, "u3", 8, candidates=list(kinds))
    few = listed(client.ask("/recommend", users=["u3"], k=6, most={"kind": 2}, candidates=list(kinds))[1])
    assert [sum(kinds[one] == kind for one in few) for kind in "ab"] == [2, 2]
    plain = expected(model, "u3", 6)
    pinned = listed(client.ask("/recommend", users=["u3"], k=6, first=[plain[4], plain[2]])[1])
    assert pinned == [plain[4], plain[2], plain[0], plain[1], plain[3], plain[5]]
    kind = kinds[plain[4]]  # a cap is never broken, by what is pinned neither
    capped = {"k": 2, "first": [plain[4]], "most": {"kind": 1}, "candidates": list(kinds)}
    both = listed(client.ask("/recommend", users=["u3"], **capped)[1])
    assert both[0] == plain[4]
    assert [kinds[one] for one in both] == [kind, "ab".replace(kind, "")]


def test_a_list_that_a_cap_shortens_goes_on_until_it_is_full():
    data = events(users=40, items=200, n=4000, text=True)
    model = recsys.Popular().fit(data)
    order = [item for item, _ in model.recommend_one("nobody", 200)]
    live = Live(model, {"what": order, "kind": ["a"] * 150 + [f"b{one}" for one in range(len(order) - 150)]})
    (found,) = live.lists([{"users": ["nobody"], "k": 5, "most": {"kind": 1}}])
    assert found["lists"][0]["items"] == [order[0], *order[150:154]]


def test_items_are_filtered_by_categories_and_by_tags():
    data = events(text=True)
    live = Live(recsys.Popular().fit(data), pa.table({
        "what": ["i1", "i2", "i3", "i4"], "kind": pa.array(["a", "b", None, "a"]).dictionary_encode(),
        "tags": [["x", "y"], [], None, ["y", None]],
    }))  # fmt: skip

    def found(**where):
        (answer,) = live.lists([{"users": ["nobody"], "k": 9, "where": where}])
        return sorted(answer["lists"][0]["items"])

    assert found(kind="a") == ["i1", "i4"]
    assert found(tags="y") == ["i1", "i4"]
    assert found(tags=["x"], kind=["a", "b"]) == ["i1"]
    (answer,) = live.lists([{"users": ["nobody"], "k": 2, "where": {"tags": 3}}])
    assert "values of string" in str(answer)


def test_events_need_no_column_that_the_model_does_not_read():
    data = recsys.simulate(30, 12, 400, seed=0).data
    live = Live(recsys.EASE(l2=9.0).fit(data.clicks()))
    (event,) = live.read({"user": ["new"], "item": ["i3"]})
    assert event.context == {}
    live.learn([event])
    (found,) = live.lists([{"users": ["new"], "k": 3}])
    assert found["lists"][0]["sources"] == ["fold_in"] * 3
    with pytest.raises(InputError, match=r"column 'scene'.*no such column"):
        Live(recsys.Markov(action="scene").fit(data.clicks())).read({"user": ["new"], "item": ["i3"]})


def test_values_that_a_fit_would_refuse_are_refused_as_events():
    data = recsys.simulate(30, 12, 400, seed=0).data
    live = Live(recsys.EASE(l2=9.0, weight="value").fit(data))
    assert len(live.read({"user": ["new"], "item": ["i3"], "rating": [2.0]})) == 1
    with pytest.raises(InputError, match=r"values of EASE.*below 0"):
        live.read({"user": ["new"], "item": ["i3"], "rating": [-2.0]})


# --- what is asked wrongly ---


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("/recommend", b"{", "body.*no JSON"),
        ("/recommend", b"\xff", "body.*no JSON"),
        ("/recommend", b"[1]", "body.*list.*object"),
        ("/recommend", b"[" * 5000, "20 deep"),
        ("/recommend", b"{}", "field 'users'.*nothing"),
        ("/recommend", b'{"users": [1], "kk": 3}', "field 'kk'.*unknown.*'k'"),
        ("/recommend", b'{"users": ["a"], "k": 0}', "field 'k'.*0.*1 to 1000"),
        ("/recommend", b'{"users": ["a"], "k": true}', "field 'k'.*True"),
        ("/recommend", b'{"users": ["a"], "k": 2.5}', r"field 'k'.*2\.5"),
        ("/recommend", b'{"users": "a"}', "field 'users'.*1 to 1000 ids"),
        ("/recommend", b'{"users": []}', "field 'users'.*1 to 1000 ids"),
        ("/recommend", b'{"users": [1.5]}', "field 'users'.*ids"),
        ("/recommend", b'{"users": [NaN]}', "NaN.*finite"),
        ("/recommend", b'{"users": [1e999]}', "1e999.*finite"),
        ("/recommend", b'{"users": [17]}', "user ids.*17.*text ids"),
        ("/recommend", b'{"users": ["nobody"], "strict": true}', "1 unknown"),
        ("/recommend", b'{"users": ["u1"], "where": {"brand": 1}}', "no column 'brand'"),
        ("/recommend", b'{"users": ["u1"], "where": {"kind": 1.5}}', "kind.*string"),
        ("/recommend", b'{"users": ["u1"], "most": {"kind": 0}}', "most.*at least 1"),
        ("/recommend", b'{"users": ["u1"], "context": {"scene": "out"}}', "context.*none"),
        ("/similar", b'{"items": ["nothing"]}', "nothing"),
        ("/explain", b'{"user": "u1", "item": "zzz"}', "zzz"),
        ("/fold_in", b'{"events": {"who": ["x"]}}', "column 'what'"),
        ("/fold_in", b'{"events": {"who": ["x"], "what": [1]}}', "item ids"),
        ("/events", b'{"events": {"who": ["x"], "what": ["i1"], "colour": [1]}}', "column 'colour'.*unknown"),
        ("/events", b'{"events": {"who": ["x"], "what": "i1"}}', "lists of at most"),
    ],
)
def test_a_bad_request_is_named(client, path, body, reason):
    status, content = client.raw("POST", path, body)
    assert status == 400
    assert re.search(reason, json.loads(content)["error"])


def test_wrong_paths_methods_and_lengths(client):
    assert client.raw("GET", "/nowhere")[0] == 404
    assert client.raw("GET", "/recommend")[0] == 405
    assert client.raw("POST", "/health")[0] == 405
    assert client.raw("POST", "/recommend", b" " * (1 << 21))[0] == 413


def test_a_defect_is_500_and_the_next_request_is_answered(client, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(type(client.service.live), "lists", lambda self, asked: 1 / 0)
        assert client.ask("/recommend", users=["u1"]) == (500, {"error": "defect: ZeroDivisionError"})
    assert client.ask("/recommend", users=["u1"])[0] == 200


def test_more_than_can_wait_are_told_to_ask_again(client, monkeypatch):
    monkeypatch.setattr(_app, "_WAITING", 5)
    found = client.together("/recommend", [{"users": ["u1"], "k": 2}] * 20)
    assert {status for status, _ in found} == {200, 503}


MUTATED = 2000


def test_mutated_requests_are_answered_or_refused(client):
    draw = np.random.default_rng(0)
    whole = [
        ("/recommend", {"users": ["u1", "nobody"], "k": 3, "exclude": ["i1"], "where": {"kind": "a"}, "first": ["i3"]}),
        ("/recommend", {"users": ["u1"], "most": {"kind": 2}, "candidates": ["i1"], "strict": True}),
        ("/fold_in", {"events": {"who": ["x"], "what": ["i1"], "when": [1_700_000_000]}, "k": 2, "filter_seen": True}),
        ("/events", {"events": {"who": ["x"], "what": ["i1"], "when": [1_700_000_000]}}),
        ("/similar", {"items": ["i1"], "k": 2}), ("/explain", {"user": "u1", "item": "i2", "k": 2}),
    ]  # fmt: skip
    odd = [
        None,
        True,
        -1,
        0,
        2**31,
        2**63,
        10**30,
        -0.5,
        1e300,
        "",
        "x",
        "\0",
        "\ud800",
        [],
        [[]],
        {},
        {"a": 1},
        ["i1", 1],
        [None],
        [2**63],
        ["u1"] * 1001,
    ]
    counts = {}
    for _ in range(MUTATED):
        path, fields = whole[draw.integers(len(whole))]
        fields = json.loads(json.dumps(fields))
        where, key = fields, list(fields)[draw.integers(len(fields))]
        while isinstance(where[key], (dict, list)) and where[key] and draw.random() < 0.7:
            where = where[key]
            key = list(where)[draw.integers(len(where))] if isinstance(where, dict) else int(draw.integers(len(where)))
        where[key] = odd[draw.integers(len(odd))]
        body = bytearray(json.dumps(fields).encode())
        if draw.random() < 0.3:
            body[draw.integers(len(body))] = draw.integers(256)
        status, content = client.raw("POST", path, bytes(body))
        assert status in (200, 400), (path, bytes(body), content)
        json.loads(content)
        counts[status] = counts.get(status, 0) + 1
    assert min(counts.values()) > MUTATED // 50


def test_health_metrics_and_pages(client):
    for _ in range(3):
        client.ask("/recommend", users=["u1"])
    client.ask("/recommend")
    status, about = client.raw("GET", "/health")
    about = json.loads(about)
    assert (status, about["status"], about["model"], about["items"], about["user_ids"]) == (
        200,
        "ok",
        "EASE(l2=5.0)",
        30,
        "text",
    )
    text = client.raw("GET", "/metrics")[1].decode()
    assert 'recsys_requests_total{path="/recommend",status="200"} 3' in text
    assert 'recsys_requests_total{path="/recommend",status="400"} 1' in text
    assert "recsys_seconds_count 4" in text
    described = json.loads(client.raw("GET", "/openapi.json")[1])
    assert described["openapi"].startswith("3.1")
    assert set(described["paths"]) >= {"/recommend", "/events", "/health"}
    assert b"/recommend" in client.raw("GET", "/docs")[1]


def families_of(text):
    """Metric families of Prometheus' text form: a sample counts only below the type of its own family."""
    found, family = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            family = line.split()[2]
            assert family not in found, "a family stands in two places"
            found[family] = {}
        elif not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            base = name.partition("{")[0]
            assert base == family or (base.removeprefix(f"{family}_") in ("bucket", "sum", "count")), line
            found[family][name] = float(value)
    return found


def test_metrics_are_families_that_a_parser_keeps(client):
    for k in (1, 2, 0):
        client.ask("/recommend", users=["u1"], k=k)
    found = families_of(client.raw("GET", "/metrics")[1].decode())
    assert set(found) == {"recsys_requests_total", "recsys_seconds", "recsys_reloads_total"}
    seconds = found["recsys_seconds"]
    assert seconds["recsys_seconds_count"] == seconds['recsys_seconds_bucket{le="+Inf"}'] == 3
    buckets = [value for name, value in seconds.items() if "bucket" in name]
    assert buckets == sorted(buckets)
    assert sum(found["recsys_requests_total"].values()) == 3


def read_by_prometheus(text):
    """Metric families by name, as Prometheus' own client parses them."""
    parser = pytest.importorskip("prometheus_client.parser")
    found = list(parser.text_string_to_metric_families(text))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found}


@pytest.mark.parametrize("asked", [0, 1, 5])
def test_prometheus_reads_whole_histograms(asked, client):
    for k in range(asked):
        client.ask("/recommend", users=["u1"], k=k)  # the first is refused
    client.raw("GET", "/metrics")
    read = read_by_prometheus(client.raw("GET", "/metrics")[1].decode())
    assert {one.type for one in read.values()} == {"counter", "histogram"}
    assert "unknown" not in {one.type for one in read.values()}
    seconds = read["recsys_seconds"]
    assert (seconds.type, bool(seconds.documentation)) == ("histogram", True)
    buckets = {float(one.labels["le"]): one.value for one in seconds.samples if one.name == "recsys_seconds_bucket"}
    assert list(buckets) == sorted(buckets)
    assert list(buckets.values()) == sorted(buckets.values())
    assert (len(buckets), buckets[float("inf")]) == (12, asked)
    rest = {one.name: one.value for one in seconds.samples if "le" not in one.labels}
    assert set(rest) == {"recsys_seconds_sum", "recsys_seconds_count"}
    assert rest["recsys_seconds_count"] == asked
    assert (rest["recsys_seconds_sum"] > 0) == (asked > 0)
    counted = {tuple(one.labels.values()): one.value for one in read["recsys_requests"].samples}
    assert counted == {
        key: value for key, value in ((("/recommend", "400"), min(asked, 1)), (("/recommend", "200"), asked - 1))
        if value > 0
    }  # fmt: skip


def test_prometheus_reads_the_sum_of_all_workers(tmp_path):
    first = Metrics(tmp_path)
    first.answered("/recommend", 200, 0.0015)
    (tmp_path / "metrics-1").write_bytes((tmp_path / f"metrics-{os.getpid()}").read_bytes())
    seconds = read_by_prometheus(first.text())["recsys_seconds"]
    counts = {one.labels.get("le"): one.value for one in seconds.samples if "le" in one.labels}
    assert (counts["0.001"], counts["0.002"], counts["+Inf"]) == (0, 2, 2)


@pytest.mark.parametrize("answering", [True, False], ids=["answering", "starting"])
def test_workers_end_with_a_killed_parent_and_free_the_port(answering, folder, tmp_path):
    words = [sys.executable, "-c", "from recsys.cli import main; main()", "serve", str(folder)]
    parent = subprocess.Popen(
        [*words, "--port", "0", "--workers", "2"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    workers, clients = set(), []
    try:
        address = parent.stderr.readline().strip()
        port = int(re.search(r":([0-9]+)/", address)[1])
        if answering:
            with urllib.request.urlopen(address, timeout=90) as reply:  # noqa: S310  (of this machine)
                assert reply.status == 200
            for sent in (b"GET /health HTTP/1.1\r\nHost: h\r\n\r\n",  # one who stays, and one in mid-sentence
                         b"POST /recommend HTTP/1.1\r\nHost: h\r\nContent-Length: 99\r\n\r\n{"):  # fmt: skip
                clients.append(socket.create_connection(("127.0.0.1", port)))
                clients[-1].sendall(sent)
            assert clients[0].recv(1)
        end = time.monotonic() + 60
        while len(workers) < 2 and time.monotonic() < end:
            workers |= _workers_of(parent.pid)
            time.sleep(0.02)
        assert len(workers) == 2
        parent.kill()
        parent.wait()
        end = time.monotonic() + 10
        while (alive := [one for one in workers if _runs(one)]) and time.monotonic() < end:
            time.sleep(0.05)
        assert not alive
        _serve._listening("127.0.0.1", port).close()  # which refuses a port that is taken
    finally:
        parent.kill()
        parent.wait()
        parent.stderr.close()
        for one in clients:
            one.close()
        for one in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)


def _workers_of(process):
    """The workers that a process has started, by ps."""
    listed = subprocess.run(
        ["ps", "-ww", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    found = [line.split(maxsplit=2) for line in listed.splitlines()]
    return {int(one) for one, parent, words in found if int(parent) == process and "spawn_main" in words}


def _runs(process):
    """Whether a process runs: one that has ended may wait, as a zombie, for a parent to ask how."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True, check=False)
    return listed.stdout.strip()[:1] not in ("", "Z")


def test_a_folder_that_is_none_is_not_served(tmp_path):
    with pytest.raises(InputError, match="port"):
        _serve._listening("127.0.0.1", 99999)
    with pytest.raises(Exception, match="is not there"), serving(tmp_path / "nothing"):
        pass


def test_time_of_one_list_among_waiting_ones_is_bounded(client):
    start = time.perf_counter()
    found = client.together("/recommend", [{"users": [f"u{one % 60}"], "k": 10} for one in range(300)])
    assert {status for status, _ in found} == {200}
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"items": "nowhere.csv"}, r"nowhere\.csv: got no such file"),
        ({"events": "nowhere/events.sqlite"}, r"events\.sqlite: cannot be used as an event log"),
        ({"workers": 0}, "workers"),
    ],
)
def test_what_a_worker_could_not_start_with_is_said_before_any_starts(folder, options, message, monkeypatch):
    uvicorn = pytest.importorskip("uvicorn")
    monkeypatch.setattr(uvicorn, "Config", lambda *a, **b: pytest.fail("a worker starts"))
    with pytest.raises(NinefoldError, match=message):
        serve(folder, port=0, **options)
