"""A bank inside what serves models: transformers' pipelines. A web service is in the guide, and runs with it."""

from __future__ import annotations

import pytest
import torch
from tswitch import Switch, SwitchBank, export

transformers = pytest.importorskip("transformers")
from .tiny_llamas import WORDS, tokenizer_of  # noqa: E402  (needs transformers)


def test_a_pipeline_answers_as_that_of_the_export(tmp_path):
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(WORDS), hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                                     num_attention_heads=2, num_labels=3, pad_token_id=0)  # fmt: skip
    base, tokenizer = transformers.BertForSequenceClassification(config).eval(), tokenizer_of(WORDS)
    tokenizer.add_special_tokens({"pad_token": "w0"})
    base.save_pretrained(tmp_path / "base")
    bank = SwitchBank(base)
    exported = {}
    for task in ("a", "b"):
        tuned = {name: value + 0.3 * torch.randn(value.shape) for name, value in base.state_dict().items()}
        switch = Switch.from_checkpoints(base, tuned, alpha=0.6, exclude=())
        bank.add(task, switch)
        export(tmp_path / "base", switch, tmp_path / task)
        exported[task] = transformers.BertForSequenceClassification.from_pretrained(tmp_path / task).eval()

    def pipeline(model):
        return transformers.pipeline("text-classification", model=model, tokenizer=tokenizer, top_k=None, device="cpu")

    texts, served = ["w1 w2 w3", "w4 w5 w6 w7 w8", "w9"], pipeline(base)
    plain = served(texts, batch_size=2)
    for task in ("a", "b", "a"):
        bank.select(task)
        for mine, other in zip(served(texts, batch_size=2), pipeline(exported[task])(texts), strict=True):
            scores = [{one["label"]: one["score"] for one in found} for found in (mine, other)]
            assert scores[0] == pytest.approx(scores[1], abs=1e-5)
        assert served(texts, batch_size=2) != plain
    bank.select(None)
    assert served(texts, batch_size=2) == plain
