"""Lists of networks that are made on a device."""

import numpy as np
import pytest
import recsys
import scipy.sparse as sp
from ninefold.errors import InputError
from recsys import SASRec, Trend
from recsys.recommender._topk import Filter, top_of_factors

from .test_neural import successors

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def data():
    return successors()


@pytest.mark.parametrize("block", [1, 1 << 28])
def test_lists_on_a_device_are_those_of_the_compiled_top_k(block, monkeypatch):
    from recsys.neural import _answers

    monkeypatch.setattr(_answers, "_CELLS", block)
    draw = np.random.default_rng(0)
    states, vectors = draw.standard_normal((7, 4)).astype("f"), draw.standard_normal((12, 4)).astype("f")
    hidden, among = (sp.csr_matrix(draw.random((7, 12)) < share) for share in (0.3, 0.8))
    allowed, falls_back = draw.random(12) < 0.9, np.arange(7) == 3
    fallback = np.where(np.arange(12) < 5, np.arange(12.0), -np.inf).astype("f")
    rules = {"hidden": hidden, "among": among, "allowed": allowed, "falls_back": falls_back, "fallback": fallback}
    items, scores = _answers.top_on_device(torch.from_numpy(states), torch.from_numpy(vectors), 5, **rules)
    expected = top_of_factors(states, vectors, 5, Filter(**rules))
    real = np.isfinite(scores)
    assert real.sum(axis=1).tolist() == expected.counts.tolist()
    assert items[real].tolist() == expected.item.tolist()
    np.testing.assert_allclose(scores[real], expected.score, rtol=1e-5)


def test_a_models_lists_on_its_device_are_those_of_the_cpu(data, monkeypatch):
    model = SASRec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    users = [*model.user_ids_.values[:9].to_pylist(), 12345]  # the last is unknown
    settings = {"k": 20, "exclude": [3], "candidates": None}
    expected, used = model.recommend(users, **settings).to_pandas(), []
    from recsys.neural import _answers

    plain = _answers.top_on_device
    monkeypatch.setattr(_answers, "top_on_device", lambda *of, **how: used.append(of[0].device) or plain(*of, **how))
    monkeypatch.setattr(SASRec, "_device", lambda self: _LikeCuda())
    monkeypatch.setattr(SASRec, "_network", lambda self: self._ready.cpu().eval())
    found = model.recommend(users, **settings).to_pandas()
    assert len(used) == 1
    assert found.drop(columns="score").equals(expected.drop(columns="score"))
    np.testing.assert_allclose(found.score, expected.score, rtol=1e-5)
    assert Trend(model=model.clone()).fit(data).recommend(users, 3).num_rows == 30


class _LikeCuda:
    type = "cuda"


def test_a_device_that_is_not_there_answers_on_the_cpu_and_a_wrong_name_is_refused(data, tmp_path):
    model = SASRec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    model.device = "cuda"  # as of a folder from a machine that has one
    loaded = recsys.load(model.save(tmp_path / "m"))
    if not torch.cuda.is_available():
        assert loaded._network().vectors().device.type == "cpu"
    assert loaded.recommend(k=3).num_rows
    with pytest.raises(InputError, match=r"device.*'gpu'"):
        SASRec(factors=8, epochs=1, device="gpu").fit(data)
