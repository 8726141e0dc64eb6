"""Decoders: windows and fine-tuning of a tiny Llama."""

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from tswitch_experiments.models import _decoder as models
from tswitch_experiments.models._decoder import DecoderConfig, finetuned_decoder, load_decoder, losses, train, windows

transformers = pytest.importorskip("transformers")
WORDS = {"market": ["apple", "pear", "plum", "fig", "sold"], "harbour": ["wave", "gull", "boat", "net", "salt"]}


def tiny_llama(folder):
    from tokenizers import Tokenizer, pre_tokenizers
    from tokenizers.models import WordLevel

    vocabulary = {word: i for i, word in enumerate(["[UNK]", "the", *WORDS["market"], *WORDS["harbour"]])}
    words = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))  # noqa: S106
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    config = transformers.LlamaConfig(
        vocab_size=16, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder)
    return folder


def texts(domain, count, seed):
    rng = np.random.default_rng(seed)
    return [" ".join(["the", *rng.choice(WORDS[domain], 5)]) for _ in range(count)]


@pytest.fixture
def base(tmp_path, monkeypatch):
    monkeypatch.setenv("NINEFOLD_CACHE", str(tmp_path / "cache"))
    return tiny_llama(tmp_path / "base")


CONFIG = DecoderConfig(steps=30, lr=5e-3, batch=8, length=12, bf16=False)


def test_windows_are_the_texts_one_after_the_other_without_padding(base):
    _, tokenizer = load_decoder(base)
    made = windows(tokenizer, texts("market", 9, 0), 12)
    assert made.shape == (9 * 6 // 12, 12)
    assert tokenizer.decode(made[0]).split() == " ".join(texts("market", 2, 0)).split()
    with pytest.raises(InputError, match=r"texts: got 6 tokens, expected at least 64, one window"):
        windows(tokenizer, texts("market", 1, 0), 64)


def test_losses_are_those_of_the_model_itself(base):
    model, tokenizer = load_decoder(base)
    rows = windows(tokenizer, texts("market", 20, 0), 12)
    each = [model(input_ids=row[None], labels=row[None]).loss.item() for row in rows]
    np.testing.assert_allclose(losses(model, rows, batch=3), each, rtol=1e-5)


def test_fine_tuning_lowers_the_loss_of_its_domain_and_is_the_same_each_time(base):
    model, tokenizer = load_decoder(base)
    rows = windows(tokenizer, texts("market", 60, 0), 12)
    before = losses(model, rows).mean()
    train(model, rows, CONFIG, seed=3)
    again, _ = load_decoder(base)
    train(again, rows, CONFIG, seed=3)
    assert losses(model, rows).mean() < before - 0.3
    assert all(torch.equal(one, two) for one, two in zip(model.parameters(), again.parameters(), strict=True))


def test_a_fine_tuned_decoder_is_made_once(base, monkeypatch):
    folder = finetuned_decoder(base, "market", texts("market", 60, 0), CONFIG, 0)
    monkeypatch.setattr(models, "train", lambda *_: pytest.fail("trained again"))
    assert finetuned_decoder(base, "market", texts("market", 60, 0), CONFIG, 0) == folder
    monkeypatch.undo()
