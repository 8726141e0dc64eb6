"""BitNet checkpoints in every published layout: transformers' own classes are the oracle."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch
from bnn_fsg import TernaryLM
from ninefold.errors import ArtifactError, InputError
from safetensors.torch import load_file, save_file
from transformers import BitNetConfig, BitNetForCausalLM
from transformers.integrations.bitnet import AutoBitLinear, BitLinear, pack_weights

RULES = [("autobitlinear", "offline"), ("autobitlinear", "online"), ("bitlinear", "offline")]
PROMPTS = np.random.default_rng(1).integers(0, 97, (8, 5))
TOKENS = PROMPTS[0]


@pytest.fixture(autouse=True, scope="module")
def _no_compiler():
    """transformers compiles its bit operations; the same functions run plainly here."""
    before, torch._dynamo.config.disable = torch._dynamo.config.disable, True
    yield
    torch._dynamo.config.disable = before


def written(folder, *, rule, norm=False, dtype=torch.float32, packed=True, tied=False, seed=0, **sizes):
    """A checkpoint in `folder`: BitNetForCausalLM's own names, weights as the rule of transformers stores them."""
    linear_class, mode = rule
    quantization = {"quant_method": "bitnet", "linear_class": linear_class, "quantization_mode": mode}
    if norm:
        quantization |= {"use_rms_norm": True, "rms_norm_eps": 1e-4}
    shape = {"vocab_size": 97, "hidden_size": 64, "intermediate_size": 136, "num_hidden_layers": 2}
    shape |= {"num_attention_heads": 4, "num_key_value_heads": 2, "tie_word_embeddings": tied, **sizes}
    config = BitNetConfig(**shape, bos_token_id=1, eos_token_id=2)
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    tensors = {}
    for name, one in BitNetForCausalLM(config).state_dict().items():
        if one.ndim == 1:
            tensors[name] = (1 + 0.2 * torch.randn(one.shape, generator=generator)).to(dtype)
        elif "embed" in name or "lm_head" in name:
            tensors[name] = one.half().to(dtype)  # a packed file has embeddings of float16
        elif mode == "online":
            tensors[name] = one.to(dtype)
        else:
            ternary = torch.randint(-1, 2, one.shape, generator=generator).float()
            scale = 0.02 + 0.05 * torch.rand(1, generator=generator)
            tensors[name] = pack_weights(ternary.clone()) if packed else ternary.to(dtype)
            tensors[f"{name}_scale"] = (1 / scale if linear_class == "bitlinear" else scale).to(dtype)
        if norm and name.endswith("_proj.weight"):
            about = 1 + 0.2 * torch.randn(one.shape[1], generator=generator)
            tensors[name.replace(".weight", ".rms_norm.weight")] = about.to(dtype)
    if tied:
        tensors.pop("lm_head.weight", None)
    folder.mkdir(exist_ok=True)
    save_file({name: one.contiguous() for name, one in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    config.quantization_config = quantization
    config.architectures = ["BitNetForCausalLM"]
    config.save_pretrained(folder)
    return folder


def assert_logits_are_those_of_transformers(ours, folder):
    """Equal to 1e-3, loaded and run by transformers in float32, on eight prompts of five tokens.

    An input on the edge between two of its 255 steps may fall to either side by the last bits of a float32. Where that
    happens is found in transformers alone, by embeddings that differ in their last bits; those tokens are left out.
    """
    model = BitNetForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    torch.nn.Module.float(model)  # weights of bfloat16 that are not packed stay so when they are loaded
    kind = BitLinear if model.config.quantization_config.linear_class == "bitlinear" else AutoBitLinear
    assert sum(isinstance(one, kind) for one in model.modules()) == 7 * model.config.num_hidden_layers
    with torch.no_grad():
        rows = model.get_input_embeddings()(torch.from_numpy(PROMPTS))
        noise = torch.randn((15, *rows.shape), generator=torch.Generator().manual_seed(0))
        near = torch.cat([rows[None], rows * (1 + 1e-6 * noise)])
        expected = model(inputs_embeds=near.flatten(0, 1)).logits.unflatten(0, near.shape[:2]).numpy()
    found = np.stack([ours(prompt) for prompt in PROMPTS])
    sure = np.abs(expected - expected[0]).max(axis=(0, 3)) < 2e-4
    assert sure.mean() > 0.3, "few tokens to compare at"
    assert sure[:, 2:].sum() > 3, "few tokens that attend to others"
    assert np.abs(expected[0]).max() > 0.3
    np.testing.assert_allclose(found[sure], expected[0][sure], rtol=0, atol=1e-3)


FORMS = [
    (rule, norm, dtype, packed)
    for rule, norm, dtype, packed in itertools.product(
        RULES, (False, True), (torch.float32, torch.bfloat16), (True, False)
    )
    if packed == (rule[1] == "offline") or (rule == ("autobitlinear", "offline") and not packed)
]


@pytest.mark.parametrize(("rule", "norm", "dtype", "packed"), FORMS)
def test_logits_are_those_of_transformers(tmp_path, rule, norm, dtype, packed):
    folder = written(tmp_path / "model", rule=rule, norm=norm, dtype=dtype, packed=packed)
    ours = TernaryLM.from_pretrained(folder)
    assert_logits_are_those_of_transformers(ours, folder)
    ours.save(tmp_path / "model.tlm")
    np.testing.assert_array_equal(TernaryLM.load(tmp_path / "model.tlm")(TOKENS), ours(TOKENS))


@pytest.mark.parametrize("seed", range(6))
def test_logits_are_those_of_transformers_at_drawn_sizes(tmp_path, seed):
    draw = np.random.default_rng(seed)
    groups, keys = int(draw.integers(1, 4)), int(draw.integers(1, 3))
    sizes = {"num_attention_heads": groups * keys, "num_key_value_heads": keys}
    sizes["hidden_size"] = 8 * groups * keys * int(draw.integers(1, 4))
    sizes |= {"intermediate_size": 4 * int(draw.integers(5, 60)), "num_hidden_layers": int(draw.integers(1, 4))}
    sizes |= {"rms_norm_eps": float(draw.choice([1e-6, 1e-3])), "tied": bool(draw.integers(2)), "seed": seed}
    sizes["rope_parameters"] = {"rope_type": "default", "rope_theta": float(draw.choice([1e4, 5e5]))}
    rule, norm = RULES[seed % 3], bool(draw.integers(2))
    folder = written(tmp_path, rule=rule, norm=norm, packed=rule[1] == "offline", **sizes)
    assert_logits_are_those_of_transformers(TernaryLM.from_pretrained(folder), folder)


def changed(folder, **quantization):
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config["quantization_config"] |= quantization
    path.write_text(json.dumps(config))


def edited(folder, **config):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"quant_method": "awq", "bits": 4}, r"quantization_config\.quant_method: got awq"),
        ({"quant_method": "gptq", "bits": 4}, r"quant_method: got gptq"),
        ({"quant_method": "bitsandbytes"}, r"quant_method: got bitsandbytes"),
        ({"quant_method": None}, r"quant_method: got null"),
        ({"linear_class": "linear"}, r"linear_class: got linear, expected autobitlinear or bitlinear"),
        ({"quantization_mode": "dynamic"}, r"quantization_mode: got dynamic"),
        ({"use_rms_norm": "yes"}, r"use_rms_norm: got yes"),
        ({"use_rms_norm": True}, r"q_proj\.rms_norm\.weight: got missing"),
        ({"rms_norm_eps": None}, r"rms_norm_eps: got null"),
        ({"modules_to_not_convert": ["lm_head", "model.layers.0"]}, r"modules_to_not_convert: got.*layers\.0"),
        ({"modules_to_not_convert": []}, r"modules_to_not_convert: got \[\]"),
        ({"quantization_mode": "online"}, r"q_proj\.weight: got uint8"),
    ],
)
def test_another_quantization_is_refused_by_name(tmp_path, change, match):
    folder = written(tmp_path, rule=RULES[0])
    changed(folder, **change)
    with pytest.raises(InputError, match=match):
        TernaryLM.from_pretrained(folder)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"quantization_config": None}, r"quantization_config: got none.*autobitlinear"),
        ({"quantization_config": ["bitnet"]}, r"quantization_config: got \['bitnet'\], expected a JSON object"),
        ({"model_type": "llama"}, r"model_type: got llama"),
        ({"rope_parameters": [1]}, r"rope_parameters: got \[1\]"),
        ({"rope_parameters": {"rope_theta": "x"}}, r"rope_theta: got x"),
        ({"hidden_size": "64"}, r"hidden_size: got 64"),
        ({"hidden_size": None}, r"hidden_size: got null"),
        ({"tie_word_embeddings": "no"}, r"tie_word_embeddings: got no"),
        ({"tie_word_embeddings": True}, r"lm_head\.weight: got another than the embedding"),
        ({"head_dim": 8}, r"head_dim: got 8"),
        ({"intermediate_size": 138}, r"gate_proj\.weight.*a multiple of 4 rows, not 138"),
    ],
)
def test_another_config_is_refused_by_name(tmp_path, change, match):
    folder = written(tmp_path, rule=RULES[0])
    edited(folder, **change)
    with pytest.raises(InputError, match=match):
        TernaryLM.from_pretrained(folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '"bitnet"', "\ufeff{}", "[" * 100_000])
def test_a_damaged_config_is_refused_by_path(tmp_path, text):
    folder = written(tmp_path, rule=RULES[0])
    (folder / "config.json").write_text(text)
    with pytest.raises(ArtifactError, match=r"config\.json"):
        TernaryLM.from_pretrained(folder)


def _scale(value):
    return lambda tensors: tensors.update({"model.layers.0.mlp.up_proj.weight_scale": torch.tensor(value)})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda tensors: tensors.pop("model.layers.1.mlp.up_proj.weight_scale"), r"up_proj\.weight_scale: got missing"),
        (_scale([0.0]), r"up_proj\.weight_scale: got 0\.0"),
        (_scale([float("nan")]), r"up_proj\.weight_scale: got nan"),
        (_scale([1.0, 2.0]), r"up_proj\.weight_scale.*shape \(1,\)"),
        (
            lambda tensors: tensors["model.layers.0.mlp.up_proj.weight"].fill_(255),
            r"up_proj\.weight: got other numbers",
        ),
        (lambda tensors: tensors.pop("lm_head.weight"), r"lm_head\.weight: got missing"),
        (lambda tensors: tensors.update({"model.layers.0.mlp.up_proj.bias": torch.ones(136)}), r"up_proj\.bias"),
        (
            lambda tensors: tensors.update({"model.layers.0.mlp.up_proj.rms_norm.weight": torch.ones(64)}),
            r"up_proj\.rms_norm\.weight",
        ),
    ],
)
@pytest.mark.parametrize("rule", [RULES[0], RULES[2]])
def test_tensors_that_do_not_fit_the_rule_are_named(tmp_path, rule, change, match):
    folder = written(tmp_path, rule=rule)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=match):
        TernaryLM.from_pretrained(folder)


def test_float_weights_are_refused_where_they_would_be_read_as_ternary(tmp_path):
    folder = written(tmp_path, rule=RULES[1])
    changed(folder, quantization_mode="offline")
    with pytest.raises(InputError, match=r"q_proj\.weight: got other numbers, expected -1, 0 and 1"):
        TernaryLM.from_pretrained(folder)
    changed(folder, linear_class="bitlinear")
    with pytest.raises(InputError, match=r"q_proj\.weight: got float32, expected packed uint8"):
        TernaryLM.from_pretrained(folder)


def test_shards_are_read_by_their_index(tmp_path):
    folder = written(tmp_path, rule=RULES[0])
    expected, tensors = TernaryLM.from_pretrained(folder)(TOKENS), load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    parts = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, chosen in parts.items():
        save_file({name: tensors[name] for name in chosen}, folder / file, {"format": "pt"})
    where = {name: file for file, chosen in parts.items() for name in chosen}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    save_file({names[0]: torch.zeros(3)}, folder / "adapter.safetensors")  # not of the model
    np.testing.assert_array_equal(TernaryLM.from_pretrained(folder)(TOKENS), expected)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(ArtifactError, match=r"model-00002-of-00002\.safetensors.*is not there"):
        TernaryLM.from_pretrained(folder)
    (folder / "model.safetensors.index.json").unlink()
    with pytest.raises(ArtifactError, match=r"adapter\.safetensors, model-00001.*index"):
        TernaryLM.from_pretrained(folder)
