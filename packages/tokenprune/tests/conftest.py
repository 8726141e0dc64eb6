"""Small random models, and where the real one and the real texts are."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read when the hub's client is imported: a test never waits for a network

import pytest
import torch
from tokenprune import Scored, tiny_model

torch.set_num_threads(1)


def byte_tokenizer(*, bos: bool):
    """A Hugging Face tokenizer of single bytes, which puts <s>, id 256, before each text as LLaMA's does, or not."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({**{one: at for at, one in enumerate(letters)}, "<s>": 256}, []))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    if bos:
        made.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 256)])
    ends = dict.fromkeys(["bos_token"], "<s>")
    return PreTrainedTokenizerFast(tokenizer_object=made, **ends)


FAMILIES = ["llama", "mistral", "qwen2", "qwen3", "phi3", "gemma"]


def assert_rows_generate_as_alone(model, ids, options):
    """Prompts of 24 tokens, the second with nine of padding, go on in a batch as each does by itself."""
    mask = torch.ones_like(ids)
    mask[1, :9] = 0
    together = model.generate(ids, attention_mask=mask, **options)
    for row, start in ((0, 0), (1, 9)):
        alone = model.generate(ids[row : row + 1, start:], **options)
        assert torch.equal(together[row, 24:], alone[0, 24 - start :])


@pytest.fixture(scope="session")
def model():
    """A LLaMA of four blocks; tests must leave it as it is."""
    return tiny_model(seed=1)


@pytest.fixture
def ids():
    return torch.randint(1, 256, (3, 24), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def scored():
    """Six sequences of 33 tokens, four scored in each."""
    draw = torch.randint(1, 256, (6, 33), generator=torch.Generator().manual_seed(3))
    return Scored(list(draw), [4] * 6)
