import subprocess
import sys

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import Dataset, SASRec

torch = pytest.importorskip("torch")
SASREC = SASRec(factors=8, max_len=5, epochs=2, batch=16, negatives=7)


def successors(n=60, items=12, *, seed=0):
    """Sessions in which item i is followed by i + 1, or by i + 3 after the action "jump"; with an item table."""
    draw = np.random.default_rng(seed)
    rows = []
    for session in range(n):
        item = int(draw.integers(items))
        for _ in range(6):
            jump = bool(draw.integers(2))
            rows.append((session, item, "jump" if jump else "step"))
            item = (item + (3 if jump else 1)) % items
    frame = {"s": [r[0] for r in rows], "i": [r[1] for r in rows], "a": [r[2] for r in rows]}
    frame["t"] = np.arange(len(rows)) + 1_600_000_000
    side = {"i": list(range(items + 2)), "kind": [f"kind{one % 3}" for one in range(items + 2)]}
    return Dataset.from_frame(frame, user="s", item="i", time="t", context=["a"], items=side)


NEURAL = [
    SASREC,
    SASRec(factors=8, blocks=1, max_len=5, epochs=2, batch=16, loss="sampled", negatives=7, time="gap", action="a"),
]
each = pytest.mark.parametrize("model", NEURAL, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def data():
    return successors()


@each
def test_lists_hold_no_seen_item_and_survive_a_file(model, data, tmp_path):
    fitted = model.clone().fit(data)
    lists = fitted.recommend(k=50).to_pandas()
    table = data.to_table().to_pandas()
    assert not set(zip(lists.s, lists.i, strict=True)) & set(zip(table.s, table.i, strict=True))
    assert not lists.duplicated(["s", "i"]).any()
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    again = loaded.recommend(k=50).to_pandas()
    assert again.i.tolist() == lists.i.tolist()
    np.testing.assert_allclose(again.score, lists.score, rtol=1e-5)
    assert fitted.recommend([12345], k=2).column("source").to_pylist() == ["fallback"] * 2
    later = Dataset.from_frame(
        {"s": [900, 900], "i": [1, 2], "a": ["step", "new"], "t": [1_700_000_000, 1_700_000_001]},
        user="s", item="i", time="t", context=["a"],
    )  # fmt: skip
    assert set(fitted.fold_in(later).recommend([900], k=3).column("source").to_pylist()) <= {"fold_in", "features"}
    assert len(fitted.partial_fit(later).recommend([900], k=3)) == 3


@each
def test_a_killed_fit_resumes_to_the_same_numbers(model, data, tmp_path, monkeypatch):
    from recsys.neural._checkpoint import Checkpoint

    whole, saved, path = model.clone().fit(data), Checkpoint.save, tmp_path / "fit.safetensors"

    def die(self, epochs, arrays):
        saved(self, epochs, arrays)
        raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoint, "save", die)
    with pytest.raises(KeyboardInterrupt):
        model.clone().fit(data, checkpoint=path)
    monkeypatch.undo()
    resumed = model.clone().fit(data, checkpoint=path)
    for name in model.fitted:
        first, second = getattr(whole, name), getattr(resumed, name)
        assert np.array_equal(getattr(first, "data", first), getattr(second, "data", second)), name


@each
def test_another_seed_gives_another_model(model, data):
    first, second = (model.clone().set_params(seed=seed).fit(data).recommend(k=3) for seed in (0, 1))
    assert not first.equals(second)


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (SASRec(loss="hinge"), "loss.*'hinge'.*softmax"),
        (SASRec(factors=7, heads=2), "divided by heads"),
        (SASRec(action="mood"), r"action.*'mood'.*\['a'\]"),
        (SASRec(epochs=0), "epochs of SASRec: got 0, expected at least 1"),
        (SASRec(time="noon"), r"time.*'noon'.*\('gap', 'week'\)"),
        (SASRec(blocks=0), "blocks of SASRec: got 0, expected at least 1"),
        (SASRec(dropout=1.0), "dropout"),
    ],
)
def test_bad_settings_are_named(model, reason, data):
    with pytest.raises(InputError, match=reason):
        model.fit(data)


def test_users_of_one_event_alone_are_refused():
    single = Dataset.from_frame({"u": [1, 2], "i": [1, 2]}, user="u", item="i", items={"i": [1, 2], "k": ["a", "b"]})
    with pytest.raises(InputError, match="no user with two"):
        SASREC.clone().fit(single)


def test_a_loss_that_blows_up_is_named_with_its_epoch(data):
    with pytest.raises(InputError, match=r"SASRec.*after epoch [12]"), np.errstate(all="ignore"):
        SASREC.clone().set_params(learning_rate=1e30).fit(data)


_WITHOUT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, Absent())
import recsys
data = recsys.Dataset.from_frame({"u": [1, 1, 2, 2], "i": [1, 2, 2, 3]}, user="u", item="i")
try:
    recsys.SASRec().fit(data)
except Exception as error:
    print(error)
"""


def test_without_torch_the_line_that_brings_it_is_named():
    done = subprocess.run([sys.executable, "-c", _WITHOUT], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["this needs torch: pip install 'recsys[torch]'"]
