"""Where others call `generate`: transformers' server, and a hub folder of custom generation."""

from __future__ import annotations

import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import torch
from ninefold.errors import InputError
from ninefold_testing import command, warm
from tokenprune import FTPConfig, TokenPruner, tiny_model
from tokenprune.cli._serve import run

from .conftest import byte_tokenizer

HUB = Path(__file__).parent.parent / "hub"
GREEDY = {"max_new_tokens": 4, "do_sample": False, "pad_token_id": 0, "eos_token_id": None}


def test_a_hub_folder_generates_as_the_attached_pruner_does(model, ids, tmp_path, monkeypatch):
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path))
    for sparsity in (0.0, 0.6):
        with TokenPruner(model, FTPConfig(target_sparsity=sparsity)):
            expected = model.generate(ids, attention_mask=torch.ones_like(ids), **GREEDY)
        found = model.generate(ids, attention_mask=torch.ones_like(ids), custom_generate=str(HUB), sparsity=sparsity,
                               trust_remote_code=True, **GREEDY)  # fmt: skip
        assert torch.equal(found, expected)
    assert "forward" not in model.model.__dict__  # taken away again


@pytest.fixture
def served(tmp_path):
    """Base URL of a server of a tiny model at a sparsity."""
    for module in ("fastapi", "uvicorn"):
        pytest.importorskip(module)
    folder, tokenizer = tmp_path / "model", byte_tokenizer(bos=True)
    tokenizer.chat_template = "{% for one in messages %}[{{ one.role }}] {{ one.content }}\n{% endfor %}"
    tiny_model(vocab_size=300, seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = command("tokenprune.cli", "serve", "--model", str(folder), "--port", str(port), "--sparsity", "0.5")[1:]
    with (tmp_path / "said").open("w+") as said:
        program = warm().start(words, said.fileno(), said.fileno())
        try:
            end = time.monotonic() + 200
            while not _healthy(port):
                assert program.wait(0.1) is None, (tmp_path / "said").read_text()
                assert time.monotonic() < end, "the server did not answer"
            yield f"http://127.0.0.1:{port}", folder
        finally:
            program.kill()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def test_a_folder_without_a_tokenizer_is_refused_before_the_server_starts(model, tmp_path):
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match=r"--model.*without a tokenizer"):
        run(str(tmp_path), TokenPruner, host="127.0.0.1", port=1, device="cpu")


def test_the_server_answers_what_the_pruned_model_says(served):
    from tokenprune import load

    url, folder = served
    prompt = "Before we proceed any further, hear me speak. " * 3

    def said(**more):
        asked = {"model": str(folder), "prompt": prompt, "max_tokens": 6, "temperature": 0.0, **more}
        about = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{url}/v1/completions", json.dumps(asked).encode(), about)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["choices"][0]["text"]

    model, tokenizer = load(folder)
    batch = tokenizer(prompt, return_tensors="pt")

    def words():
        out = model.generate(**batch, max_new_tokens=6, do_sample=False, pad_token_id=0)
        return tokenizer.decode(out[0, batch["input_ids"].shape[1] :], skip_special_tokens=True)

    dense, expected = words(), {}
    for sparsity in (0.5, 0.8):
        with TokenPruner(model, FTPConfig(target_sparsity=sparsity)):
            expected[sparsity] = words()
    assert len({dense, *expected.values()}) == 3
    assert said() == expected[0.5]
    assert said(sparsity=0.8) == expected[0.8]
    assert said(sparsity=0.0) == dense
    assert said() == expected[0.5]  # a request's sparsity is its own
    with TokenPruner(model, FTPConfig(target_sparsity=0.8)) as pruner, pruner.asking(99):
        asked = words()
    assert said(sparsity=0.8, query=prompt[-99:]) == asked
    wrongs = [("sparsity", one) for one in (1.5, -0.1, "half", True)] + [("query", one) for one in ("absent", 3, " ")]
    for name, wrong in wrongs:
        with pytest.raises(urllib.error.HTTPError) as refused:
            said(**{name: wrong})
        assert refused.value.code == 422
        assert name in json.load(refused.value)["detail"]
