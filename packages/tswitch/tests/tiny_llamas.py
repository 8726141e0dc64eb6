"""Tiny Llamas in folders, whose vocabularies may differ."""

import pytest
import torch

WORDS = {f"w{i}": i for i in range(20)}
VOCABULARIES = {  # token -> row: v0 has two tokens more, v1 lacks two of the base's and has its own order
    "base": WORDS,
    "v0": {**WORDS, "mine": 20, "both": 21},
    "v1": {token: i for i, token in enumerate(["both", *[f"w{i}" for i in range(19, 1, -1)], "<mark>", "theirs"])},
}


def tokenizer_of(vocabulary):
    transformers = pytest.importorskip("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = Tokenizer(models.WordLevel(vocabulary))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"additional_special_tokens": ["<mark>"]} if "<mark>" in vocabulary else {}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=words, **special)


def llama(folder, vocabulary, seed):
    """A random Llama with tied embeddings and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, tie_word_embeddings=True, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    torch.manual_seed(seed)
    transformers.LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer_of(vocabulary).save_pretrained(folder)


def llamas_of_different_vocabularies(work):
    for seed, (name, vocabulary) in enumerate(VOCABULARIES.items()):
        llama(work / name, vocabulary, seed)
