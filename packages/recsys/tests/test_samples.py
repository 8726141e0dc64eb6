"""Files that older versions wrote, kept as they were: each is read, and answers as it did."""

from pathlib import Path

import numpy as np
import pytest
import recsys
from ninefold.errors import InputError
from recsys import IALS, Dataset

SAMPLES = Path(__file__).parent / "samples"
ANSWERS = {  # model folder -> the first list of user u3, seen items among them
    "bayesian-fm": [
        (104, 4.0178),
        (101, 3.9521),
        (105, 3.6308),
    ],  # of stars and towns, not of `events`; arrays since renamed
    "ease-trend": [(107, 1.2634), (100, 0.9343), (105, 0.7749)],  # written by 0.3, by the model's own trend
    "ials": [(105, 0.9592), (104, 0.9195), (102, 0.9131)],
    "item-knn": [(107, 5.0705), (105, 4.9476), (100, 4.8422)],
    "sasrec": [(104, 0.0826), (106, 0.0562), (101, 0.0358)],  # its parameter max_len was longest
    "markov": [(107, 0.3687), (105, 0.1852), (100, 0.1050)],
}


def events() -> Dataset:
    """The events that the samples were fitted on."""
    draw = np.random.default_rng(0)
    user, item = draw.integers(0, 12, 120), draw.integers(0, 8, 120)
    frame = {
        "who": [f"u{one}" for one in user],
        "what": item + 100,
        "when": np.arange(120) + 1_600_000_000,
        "how": ["view" if row % 3 else "buy" for row in range(120)],
    }
    return Dataset.from_frame(frame, user="who", item="what", time="when", context=["how"])


@pytest.mark.parametrize("name", ANSWERS)
def test_a_model_folder_of_an_older_version_answers_as_it_did(name):
    rows = recsys.load(SAMPLES / name).recommend(["u3"], 3, filter_seen=False).to_pylist()
    assert [row["what"] for row in rows] == [item for item, _ in ANSWERS[name]]
    np.testing.assert_allclose([row["score"] for row in rows], [score for _, score in ANSWERS[name]], atol=1e-4)


def test_a_model_folder_of_0_1_is_written_anew_under_a_name(tmp_path):
    text = (recsys.load(SAMPLES / "item-knn").save(tmp_path / "m") / "model.json").read_text()
    assert '"class": "ItemKNN"' in text
    assert recsys.load(tmp_path / "m").get_params() == recsys.load(SAMPLES / "item-knn").get_params()


def test_an_index_of_0_1_finds_what_it_found():
    model = recsys.load(SAMPLES / "ials")
    found = recsys.Index.load(SAMPLES / "ials-index", model).recommend(["u3"], 3, filter_seen=False)
    assert found.column("what").to_pylist() == [item for item, _ in ANSWERS["ials"]]


def test_a_checkpoint_of_0_1_is_taken_up(tmp_path, monkeypatch):
    path = tmp_path / "fit.checkpoint"
    path.write_bytes((SAMPLES / "ials.checkpoint").read_bytes())
    done = []
    plain = IALS._epochs
    monkeypatch.setattr(IALS, "_epochs", lambda self, *of: (done.append(one) or one for one in plain(self, *of)))
    resumed = IALS(factors=4, epochs=3).fit(events(), checkpoint=path)
    assert done == [2]  # two of three epochs were done
    whole = recsys.load(SAMPLES / "ials")
    np.testing.assert_allclose(resumed.item_factors_, whole.item_factors_, rtol=1e-4, atol=1e-6)


def test_a_class_that_could_not_be_read_back_is_not_written(tmp_path):
    class Mine(IALS):
        pass

    with pytest.raises(InputError, match="a Mine"):
        Mine(factors=2, epochs=1).fit(events()).save(tmp_path / "m")
