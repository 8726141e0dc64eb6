"""A document is read once; each question gives what document and question in one prompt give."""

from __future__ import annotations

import pytest
import torch
from ninefold.errors import InputError
from tokenprune import Document, FTPConfig, TokenPruner, tiny_model

SCORES = {"max_new_tokens": 4, "output_scores": True, "return_dict_in_generate": True, "eos_token_id": None}


@pytest.fixture
def pruner(model):
    return TokenPruner(model, FTPConfig(target_sparsity=0.5))


@torch.no_grad()
def test_each_question_gives_what_one_prompt_gives_in_any_order(pruner, model, ids):
    document, ran = Document(pruner, ids[0]), []
    hook = model.model.layers[0].register_forward_pre_hook(lambda _module, args: ran.append(args[0].shape[1]))
    found = [
        document.ask(ids[row, :size], max_new_tokens=4, eos_token_id=None) for row, size in ((1, 9), (2, 1), (1, 9))
    ]
    assert [length for length in ran if length > 1] == [9, 9]  # the document is not read again
    hook.remove()
    assert torch.equal(found[0], found[2])
    for answer, (row, size) in zip(found, ((1, 9), (2, 1), (1, 9)), strict=True):
        both = torch.cat([ids[:1], ids[row : row + 1, :size]], 1)
        with pruner.asking(size):
            whole = model.generate(both, do_sample=False, pad_token_id=0, **SCORES)
        assert torch.equal(answer, whole.sequences[0, both.shape[1] :])


def test_questions_cost_the_later_blocks_alone(pruner, ids):
    document = Document(pruner, ids[:1])
    once, twice = document.cost([6]), document.cost([6, 6])
    whole = pruner.cost([30], query=6)
    assert once.flops == pytest.approx(whole.flops)
    first = pruner.executor().costs.of_kept([[24]])
    assert twice.flops == pytest.approx(2 * whole.flops - first.flops)


def test_ten_questions_take_less_than_half_of_ten_dense_prompts():
    """Geometry of SmolLM2, 4,000 tokens, questions of 30; .3 is the sparsity that comes by default."""
    model = tiny_model(num_hidden_layers=30, max_position_embeddings=8192)
    document = Document(TokenPruner(model), torch.arange(4000) % 256)
    dense = document.executor.costs.dense([4030] * 10, logits=10)
    assert document.cost([30] * 10).flops < 0.5 * dense.flops


def test_what_is_no_document_is_named(pruner, model, ids):
    with pytest.raises(InputError, match="document: got 3 rows"):
        Document(pruner, ids)
    with pytest.raises(InputError, match="cache_tokens=8"):
        Document(TokenPruner(model, FTPConfig(cache_tokens=8)), ids[0])
    with pytest.raises(InputError, match="question: got shape"):
        Document(pruner, ids[0]).ask(ids[1, :0])
