"""Model folders that are wrong inside: each is refused by name at load, or answers; none ends the process."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import recsys
import scipy.sparse as sp
from ninefold.errors import ArtifactError, InputError
from recsys.content._features import Features
from recsys.recommender import _store
from recsys.recommender._longest import top_of_factors
from recsys.recommender._registry import make_model
from recsys.recommender._sound import check_arrays, check_csr
from recsys.recommender._topk import Filter, top_of_product, top_of_scores

from .helpers import events, ready_process
from .mutating import models

DATA = events(text=True)


def test_mutated_folders_are_refused_or_answer():
    done = ready_process().run([str(Path(__file__).parent / "mutating.py"), "120", "7"], timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    counts = json.loads(done.stdout.splitlines()[-1])
    assert counts["refused"] > 60
    assert counts["answers"] > 5  # the untouched part of a folder still works: not all are refused out of hand


def test_a_sound_model_keeps_its_shapes():
    world = recsys.simulate(40, 25, 600, ties=4.0, seed=0)
    for model in models():
        fitted = model.fit(world.data if model.reads_values and model.name != "recent-popular" else world.data.clicks())
        for part in [fitted, *getattr(fitted, "parts_", [])]:
            arrays = {name: getattr(part, name) for name in part.fitted}
            check_arrays(arrays, part.shapes, {"users": len(fitted.user_ids_), "items": len(fitted.item_ids_)})


@pytest.mark.parametrize(
    ("arrays", "shapes", "reason"),
    [
        ({"a_": np.zeros(3)}, {"a_": "items"}, r"a_: got shape \(3,\), expected \(4\)"),
        (
            {"a_": np.zeros((4, 2)), "b_": np.zeros((3, 3))},
            {"a_": "items d", "b_": "users d"},
            r"b_: .*expected \(3, 2\)",
        ),
        ({"a_": np.array([0, 4])}, {"a_": "below:items n"}, r"a_: got numbers from 0 to 4, expected 0 to 3"),
        ({"a_": np.array([np.nan])}, {}, "a_: got NaN"),
        ({"a_": np.array([1])}, {"a_": "n"}, "a_: got numbers of type int64"),
        ({"a_": np.zeros(4, np.float16)}, {"a_": "items"}, "a_: got numbers of type float16"),  # scipy has no product
        ({"a_": np.array([0, 3], np.uint64)}, {"a_": "below:items n"}, "a_: got numbers of type uint64"),  # nor numba
        ({"a_": np.zeros((4, 4))}, {"a_": "csr items items"}, "a_: got a dense array"),
        ({"a_": np.zeros(5)}, {"a_": "items+1"}, None),
    ],
)
def test_an_array_that_does_not_fit_is_named(arrays, shapes, reason):
    if reason is None:
        return check_arrays(arrays, shapes, {"items": 4, "users": 3})
    with pytest.raises(InputError, match=reason):
        check_arrays(arrays, shapes, {"items": 4, "users": 3})
    return None


def test_what_is_known_of_features_is_no_empty_list():
    with pytest.raises(InputError, match="encoder: got an empty list"):
        Features.unpacked([])


def test_one_user_is_answered_from_weights_of_double_precision():
    model = recsys.EASE(l2=5.0).fit(DATA.clicks())
    user = model.user_ids_.values[0].as_py()
    expected = model.recommend_one(user, 3)
    model.weights_ = model.weights_.astype(np.float64)
    assert [item for item, _ in model.recommend_one(user, 3)] == [item for item, _ in expected]


@pytest.mark.parametrize(
    ("name", "value"),
    [("indices", [0, 9]), ("indices", [-1, 0]), ("indptr", [0, 2, 1]), ("indptr", [0, 1, 3]), ("indptr", [1, 1, 2])],
)
def test_a_sparse_matrix_that_leads_outside_is_refused_by_every_kernel(name, value):
    matrix = sp.csr_matrix((np.ones(2, np.float32), [0, 1], [0, 1, 2]), shape=(2, 2))
    setattr(matrix, name, np.array(value, np.int32))
    sound = sp.identity(2, np.float32, format="csr")
    with pytest.raises(InputError, match="sound sparse matrix"):
        check_csr(matrix, "m")
    for call in (
        lambda: top_of_product(matrix, sound, 1),
        lambda: top_of_product(sound, matrix, 1),
        lambda: top_of_product(sound, sound, 1, Filter(among=matrix)),
        lambda: top_of_scores(np.ones((2, 2), np.float32), 1, Filter(hidden=matrix)),
        lambda: top_of_factors(np.ones((2, 1)), np.ones((2, 1)), 1, Filter(hidden=matrix)),
    ):
        with pytest.raises(InputError, match="sound sparse matrix"):
            call()


@pytest.mark.parametrize(
    "rules",
    [
        {"allowed": np.ones(1, bool)}, {"scale": np.ones(3, np.float32)},
        {"hidden": sp.csr_matrix((2, 3), dtype=np.float32)}, {"falls_back": np.ones(2, bool)},
        {"falls_back": np.ones(1, bool), "fallback": np.ones(2, np.float32)},
    ],
)  # fmt: skip
def test_rules_of_another_size_are_refused(rules):
    with pytest.raises(InputError):
        top_of_scores(np.ones((2, 2), np.float32), 1, Filter(**rules))


# --- a user's own model ---


@dataclass(kw_only=True, eq=False, repr=False)
class Taste(recsys.Recommender):
    """A model of one's own: items by a number each."""

    fitted: ClassVar[tuple[str, ...]] = ("taste_",)
    shapes: ClassVar[dict[str, str]] = recsys.Recommender.shapes | {"taste_": "items"}
    power: float = 1.0

    def _fit(self, data):
        self.taste_ = (self.popular_**self.power).astype(np.float32)

    def _score(self, query):
        return np.tile(self.taste_, (len(query), 1))


def test_a_model_of_ones_own_is_saved_by_the_name_that_it_registered(tmp_path):
    fitted = Taste(power=0.5).fit(DATA)
    with pytest.raises(InputError, match=r'Taste\.register\("my-model"\)'):
        fitted.save(tmp_path / "m")
    Taste.register("taste")
    fitted.save(tmp_path / "m")
    again = recsys.load(tmp_path / "m")
    assert type(again) is Taste
    assert again.power == 0.5
    assert again.recommend(["u3"], 3).equals(fitted.recommend(["u3"], 3))
    assert make_model("taste", ["power=2"]).power == 2
    with pytest.raises(InputError, match="taken"):
        Taste.register("ease")
    fitted.taste_ = fitted.taste_[:3]
    fitted.save(tmp_path / "short")
    with pytest.raises(ArtifactError, match=r"taste_: got shape \(3,\)"):
        recsys.load(tmp_path / "short")


# --- what is asked ---


@pytest.mark.parametrize("k", ["3", 2.5, True, None, [3], 0])
def test_a_length_that_is_no_number_is_one_line(k):
    model = recsys.ItemKNN(k=5).fit(DATA)
    for ask in (
        lambda: model.recommend(["u1"], k),
        lambda: model.recommend_one("u1", k),
        lambda: model.similar_items(["i1"], k),
    ):
        with pytest.raises(InputError, match=r"k: got .* at least 1"):
            ask()
    assert model.recommend(["u1"], 2.0).num_rows == 2


@pytest.mark.parametrize("block", [0, -1, "3"])
def test_a_block_of_no_rows_is_one_line(block):
    model = recsys.ItemKNN(k=5).fit(DATA)
    for ask in (
        lambda: model.recommend(["u1"], 2, block=block),
        lambda: model.predict({"who": ["u1"], "what": ["i1"]}, block=block),
    ):
        with pytest.raises(InputError, match="block"):
            ask()


@pytest.mark.parametrize(
    "model",
    [
        recsys.IALS(factors=2.5),
        recsys.IALS(factors="8"),
        recsys.SLIM(l1=True),
        recsys.EASE(weight=1),
    ],
)
def test_a_parameter_of_another_type_is_named(model):
    with pytest.raises(InputError, match=f"of {type(model).__name__}: got .*, expected a"):
        model.fit(DATA)
    assert recsys.IALS(factors=2.0, epochs=1).fit(DATA).item_factors_.shape[1] == 2


@pytest.mark.parametrize(
    ("data", "hint"), [({"user": [1]}, "from_frame"), (sp.csr_matrix((3, 3)), "from_csr"), (None, "from_frame")]
)
def test_what_is_no_data_set_is_told_how_to_become_one(data, hint):
    model = recsys.ItemKNN(k=5).fit(DATA)
    for ask in (
        lambda: recsys.EASE().fit(data), lambda: model.fold_in(data), lambda: model.partial_fit(data),
        lambda: recsys.evaluate(model, data), lambda: recsys.compare([recsys.EASE()], data, DATA),
        lambda: recsys.tune(recsys.EASE(), data),
    ):  # fmt: skip
        with pytest.raises(InputError, match=hint):
            ask()


def test_uuids_are_refused_with_the_way_out():
    import uuid

    ids = [uuid.uuid4() for _ in range(3)]
    with pytest.raises(InputError, match=r"user ids: .*text of them: str\(id\)"):
        recsys.Dataset.from_frame({"user": ids, "item": [1, 2, 3]}, user="user", item="item")
    assert (
        len(recsys.Dataset.from_frame({"user": [str(one) for one in ids], "item": [1, 2, 3]}, user="user", item="item"))
        == 3
    )


def test_a_comparison_on_earlier_events_warns():
    train, test = DATA.split.time()
    with pytest.warns(UserWarning, match="earlier than those of train"):
        recsys.compare([recsys.ItemKNN(k=5)], test, train)


@pytest.mark.parametrize(
    "model",
    [
        recsys.Bias(), recsys.BiasedMF(factors=3, epochs=2), recsys.IALS(factors=3, epochs=2),
        recsys.Trend(model=recsys.BiasedMF(factors=3, epochs=2)), recsys.Markov(),
        recsys.BayesianFM(factors=2, sweeps=6, burn_in=2, samples=2),
    ],
    ids=lambda one: one.name,
)  # fmt: skip
def test_a_list_and_a_prediction_have_one_scale(model):
    data = recsys.simulate(40, 25, 600, seed=0).data
    inner = model.model if isinstance(model, recsys.Trend) else model
    model.fit(data if inner.reads_values else data.clicks())
    context = {"context": {"scene": "out"}} if model._context_columns() else {}
    listed = model.recommend(["u1", "u2", "nobody"], 8, filter_seen=False, **context)
    pairs = {"user": listed["user"], "item": listed["item"], "scene": ["out"] * listed.num_rows}
    np.testing.assert_allclose(model.predict(pairs)["score"], listed["score"], rtol=1e-4, atol=1e-5)


def test_a_folder_that_is_replaced_while_it_is_read_comes_whole(tmp_path, monkeypatch):
    old, new = (recsys.ItemKNN(k=3).fit(recsys.simulate(users, 25, 300, seed=0).data.clicks()) for users in (20, 30))
    old.save(tmp_path / "model")
    reads = _store._read_about

    def replaced(path):
        about = reads(path)
        monkeypatch.undo()
        new.save(tmp_path / "model", force=True)
        return about

    monkeypatch.setattr("recsys.recommender._store._read_about", replaced)
    assert len(recsys.load(tmp_path / "model").user_ids_) == len(new.user_ids_)
