"""Models that are made of others, served by a process of their own: lists, new events, a new model."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys.serving._events import Event
from recsys.serving._live import Live

from .helpers import ready_process

pytest.importorskip("uvicorn")

DATA = recsys.simulate(60, 30, 1500, ties=4.0, seed=0).data.clicks()
LATER = 4_000_000_000  # seconds: after all events
KINDS = [
    recsys.TwoStage(models="markov+item-knn(k=5)", candidates=9),
    recsys.TwoStage(models="trend(model=ials(factors=4,epochs=2))+item-knn(k=5)", candidates=9, windows=2, days=2.0),
    recsys.Social(models="ease(l2=9)"),
    recsys.Social(models="trend(model=ials(factors=4,epochs=2))"),
    recsys.Fusion(models="ease(l2=9)+item-knn(k=5)"),
]


# `recsys serve`, which looks at its folder 20 times a second in place of once
SERVE = """
from recsys.cli import main
from recsys.serving import _app
service = _app.Service
_app.Service = lambda *folder, **options: service(*folder, **{**options, "poll": 0.05})
main()
"""


class Served:
    """`recsys serve` of a folder on loopback."""

    def __init__(self, folder, log):
        words = ["-c", SERVE, "serve", str(folder), "--port", "0", "--events", str(log)]
        read, write = os.pipe()
        self.errors = os.fdopen(read)
        with os.fdopen(write, "wb") as errors, Path(os.devnull).open("wb") as nothing:
            self.program = ready_process().start(words, nothing.fileno(), errors.fileno())
        self.place = self.errors.readline().strip().removesuffix("/health")
        self.until(lambda: self.get("/health")["model"])

    def until(self, holds, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if found := holds():
                    return found
            except OSError:
                pass
            time.sleep(0.02)
        pytest.fail("not in time")

    def get(self, path):
        with urllib.request.urlopen(self.place + path, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def ask(self, path, **fields):
        request = urllib.request.Request(self.place + path, json.dumps(fields).encode())  # noqa: S310
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.load(answer)

    def close(self):
        os.kill(self.program.process, signal.SIGTERM)
        if self.program.wait(30) is None:
            self.program.kill()
            pytest.fail("still there")
        self.errors.close()


def same(answer, model, users, k):
    """Whether the lists are those of the model."""
    for one, user in zip(answer["lists"], users, strict=True):
        expected = model.recommend([user], k).to_pydict()
        assert one["items"] == expected["item"]
        assert one["sources"] == expected["source"]
        np.testing.assert_allclose(one["scores"], expected["score"], rtol=1e-4, atol=1e-6)


@pytest.mark.skipif(os.name == "nt", reason="ends a process by a signal")
@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_folder_of_a_model_made_of_others_is_served_written_to_and_replaced(kind, tmp_path):
    model = kind.clone().fit(DATA)
    model.save(tmp_path / "m")
    users = ["u1", "u2", "nobody"]
    served = Served(tmp_path / "m", tmp_path / "log")
    try:
        same(served.ask("/recommend", users=users, k=5), model, users, 5)

        had = {"user": ["u1", "new", "new"], "item": [*model.recommend(["u1"], 1)["item"].to_pylist(), "i1", "i2"]}
        had |= {"time": [LATER, LATER, LATER + 1], "scene": ["out"] * 3}
        with pytest.raises(urllib.error.HTTPError, match="400"):  # once stored, it was a defect at each later list
            served.ask("/events", events={**had, "scene": [0] * 3})
        assert served.ask("/events", events=had)["stored"] == 3
        past = [row for row in DATA.to_table().to_pylist() if row["user"] == "u1"]
        rows = {name: [*(row[name] for row in past), *had[name]] for name in ("user", "item", "scene")}
        rows["time"] = [*(row["time"].timestamp() for row in past), *had["time"]]
        now = recsys.Dataset.from_frame(rows, user="user", item="item", time="time", context=["scene"], time_unit="s")
        grown = recsys.load(tmp_path / "m").fold_in(now)
        found = served.ask("/recommend", users=["u1", "new"], k=5)
        for user, one in zip(["u1", "new"], found["lists"], strict=True):
            assert one["items"] == grown.recommend([user], 5)["item"].to_pylist(), user

        other = recsys.ItemKNN(k=5).fit(DATA)
        other.save(tmp_path / "m", force=True)
        served.until(lambda: served.get("/health")["model"] == repr(other))
        same(served.ask("/recommend", users=["u2", "u3"], k=5), other, ["u2", "u3"], 5)
        model.save(tmp_path / "m", force=True)
        served.until(lambda: served.get("/health")["model"] == repr(model))
        same(served.ask("/recommend", users=["u2", "u3"], k=5), model, ["u2", "u3"], 5)
    finally:
        served.close()


@pytest.mark.parametrize("scene", [0, 1.5, True])
def test_a_context_of_another_type_is_refused_and_left_out_where_a_log_holds_it(scene):
    model = recsys.Fusion(models="ease(l2=9)+item-knn(k=5)").fit(DATA)
    live = Live(model)
    with pytest.raises(InputError, match=r"column 'scene'.*string"):
        live.read({"user": ["u1"], "item": ["i1"], "time": [LATER], "scene": [scene]})
    live.learn([Event("u1", "i1", None, LATER * 10**6, {"scene": scene})])
    (answer,) = live.lists([{"users": ["u1"], "k": 3}])
    assert answer["lists"][0]["items"] == model.recommend(["u1"], 3)["item"].to_pylist()
