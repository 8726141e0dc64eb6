"""Merges beside mergekit's of the same files: one run of mergekit, from a folder of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from ninefold_testing import warm
from safetensors.torch import save_file
from tswitch import Checkpoint, merge_recipe

from .checkpoints import finetuned

transformers = pytest.importorskip("transformers")
PEER = """
import sys, yaml
sys.path.insert(0, sys.argv[1])
from mergekit.config import MergeConfiguration
from mergekit.merge import run_merge
from mergekit.options import MergeOptions
for name in sys.argv[2:]:  # all of one class of models: of another one mergekit would keep what it knows of the first
    config = MergeConfiguration.model_validate(yaml.safe_load(open(name + ".yml")))
    run_merge(config, name + "-theirs", MergeOptions(write_model_card=False, copy_tokenizer=True))
"""
HERE = [
    "torch", "transformers", "tokenizers", "accelerate", "peft", "datasets", "scipy", "huggingface_hub", "safetensors",
]  # fmt: skip
PEER_RECIPES = {
    "arithmetic": """
merge_method: task_arithmetic
base_model: base
models:
  - {model: m0, parameters: {weight: 0.3}}
  - {model: m1, parameters: {weight: 0.5}}
  - {model: m2, parameters: {weight: -0.2}}
dtype: float32
""",
    "normalized": """
merge_method: task_arithmetic
base_model: base
models: [{model: m0}, {model: m1}, {model: m2}]
parameters: {weight: 2.0, normalize: true, lambda: 0.8}
dtype: float32
""",
    "ties": """
merge_method: ties
base_model: base
models:
  - {model: m0, parameters: {weight: 1.0, density: 0.2}}
  - {model: m1, parameters: {weight: 0.5, density: 0.53}}
  - {model: m2, parameters: {weight: 1.5}}
parameters: {density: 0.3, lambda: 0.7}
dtype: float32
""",
    "summed": """
merge_method: ties
base_model: base
models: [{model: m0}, {model: m1}, {model: m2}]
parameters: {weight: 0.4, density: 0.1, normalize: false, int8_mask: true}
dtype: float32
""",
    "linear": """
merge_method: linear
models: [{model: base}, {model: m0}, {model: m1, parameters: {weight: 0.5}}]
parameters: {weight: 1.0}
dtype: float32
""",
}


def tiny_llamas(work: Path) -> None:
    from tokenizers import Tokenizer, models

    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(64)}))
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=words)
    torch.manual_seed(0)
    state = {name: v.detach() for name, v in transformers.LlamaForCausalLM(config).state_dict().items()}
    for index, folder in enumerate(("base", "m0", "m1", "m2")):
        tokenizer.save_pretrained(work / folder)
        config.save_pretrained(work / folder)
        save_file(finetuned(state, index) if index else state, work / folder / "model.safetensors", {"format": "pt"})


@pytest.mark.peer
@pytest.mark.slow
def test_recipes_equal_mergekits(tmp_path, monkeypatch):
    uv = shutil.which("uv")
    if uv is None:
        pytest.skip("mergekit needs a folder of its own, and uv, which fills one, is not installed")
    peer = tmp_path / "peer"  # with the small ones of its requirements; the large ones are installed here
    (tmp_path / "here.txt").write_text("".join(f"{name}; sys_platform == 'never'\n" for name in HERE))
    words = [uv, "pip", "install", "-q", "-p", sys.executable, "--target", peer, "--overrides", tmp_path / "here.txt"]
    got = subprocess.run([*words, "mergekit==0.1.5"], capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"mergekit 0.1.5 cannot be installed here: {(got.stderr.strip() or 'no reason').splitlines()[-1]}")
    tiny_llamas(tmp_path / "same")
    for name, recipe in PEER_RECIPES.items():
        (tmp_path / "same" / f"{name}.yml").write_text(recipe)
    monkeypatch.chdir(tmp_path / "same")
    run = warm().run(["-c", PEER, str(peer), *PEER_RECIPES], timeout=300)
    assert run.returncode == 0, run.stderr[-2000:]
    for name in PEER_RECIPES:
        same_merge(name)


def same_merge(name):
    base = Checkpoint.open("base")
    merge_recipe(f"{name}.yml", out=f"{name}-ours")
    ours, theirs = Checkpoint.open(f"{name}-ours"), Checkpoint.open(f"{name}-theirs")
    assert set(ours.names) == set(theirs.names) == set(base.names)
    for key in base.names:
        assert not torch.equal(ours.read(key), base.read(key))
        torch.testing.assert_close(ours.read(key), theirs.read(key), atol=1e-6, rtol=0, msg=f"{name}: {key}")
    assert json.loads(Path(f"{name}-ours/config.json").read_text())["architectures"] == ["LlamaForCausalLM"]
