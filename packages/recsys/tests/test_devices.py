"""Lists of networks that are made on a device."""

import pytest
import recsys
from ninefold.errors import InputError
from recsys import SASRec

from .test_neural import successors

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def data():
    return successors()


def test_a_device_that_is_not_there_answers_on_the_cpu_and_a_wrong_name_is_refused(data, tmp_path):
    model = SASRec(factors=8, max_len=5, epochs=1, batch=16).fit(data)
    model.device = "cuda"  # as of a folder from a machine that has one
    loaded = recsys.load(model.save(tmp_path / "m"))
    if not torch.cuda.is_available():
        assert loaded._network().vectors().device.type == "cpu"
    assert loaded.recommend(k=3).num_rows
    with pytest.raises(InputError, match=r"device.*'gpu'"):
        SASRec(factors=8, epochs=1, device="gpu").fit(data)
