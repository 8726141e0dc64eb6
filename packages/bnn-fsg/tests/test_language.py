"""Ternary linear layers and models of BitNet's shape: against whole numbers, against transformers, and their files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from bnn_fsg import TernaryLinear, TernaryLM
from bnn_fsg.language._transformer import Cache
from bnn_fsg.runtime._native import sets
from ninefold.errors import ArtifactError, InputError
from torch import nn
from transformers import BitNetConfig, BitNetForCausalLM

BACKENDS = [*sets(), "numpy"]
SMALL = {"vocab_size": 97, "hidden_size": 64, "intermediate_size": 136, "num_hidden_layers": 3}
SMALL |= {"num_attention_heads": 4, "num_key_value_heads": 2}
ONLINE = {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "online"}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("inputs", [1, 3, 15, 16, 17, 33, 700])
@pytest.mark.parametrize("outputs", [1, 16, 37])
def test_sums_are_those_of_whole_numbers(outputs, inputs, backend):
    generator = np.random.default_rng(inputs)
    weight = generator.integers(-1, 2, (outputs, inputs))
    x = generator.integers(-127, 128, (5, inputs)).astype(np.float32)
    x[:, 0] = 127  # so that a token's scale is 1
    for threads in (1, 2):
        layer = TernaryLinear.of_ternary(weight, 0.5, threads=threads, backend=backend)
        np.testing.assert_array_equal(layer(x), (x.astype(np.int64) @ weight.T) * 0.5)
    np.testing.assert_array_equal(layer.ternary(), weight)


@pytest.mark.parametrize("backend", sets())
def test_every_set_of_kernels_gives_what_numpy_gives(backend):
    generator = np.random.default_rng(0)
    weight = generator.standard_normal((70, 210)).astype(np.float32)
    x = generator.standard_normal((3, 210)).astype(np.float32) * np.array([[1], [1e-9], [1e6]], np.float32)
    expected = TernaryLinear.of_floats(weight, backend="numpy")(x)
    np.testing.assert_array_equal(TernaryLinear.of_floats(weight, backend=backend)(x), expected)


def test_two_bits_a_weight_are_kept():
    assert TernaryLinear.of_ternary(np.zeros((160, 320))).words.nbytes * 8 == 2 * 160 * 320


class BitLinear(nn.Linear):
    """The published layer in torch: weights rounded by their mean, a token's inputs by their largest."""

    def forward(self, x):
        scale = self.weight.abs().mean().clamp(min=1e-5)
        weight = (self.weight / scale).round().clamp(-1, 1) * scale
        by = 127 / x.abs().amax(-1, keepdim=True).clamp(min=1e-5)
        return nn.functional.linear((x * by).round() / by, weight)


def twin(config):
    """transformers' own model, its linear layers those of the publication."""
    torch.manual_seed(0)
    model = BitNetForCausalLM(config).eval()
    for name, module in list(model.named_modules()):
        if isinstance(module, nn.Linear) and name != "lm_head":
            module.__class__ = BitLinear
    with torch.no_grad():
        for name, one in model.named_parameters():
            if "norm" in name:
                one.add_(0.1 * torch.randn_like(one))
            if "embed" in name or "lm_head" in name:
                one.copy_(one.half().float())
    return model


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    config = BitNetConfig(**SMALL)
    model, folder = twin(config), tmp_path_factory.mktemp("bitnet")
    model.config.quantization_config = ONLINE
    model.save_pretrained(folder)
    return model, folder


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_gives_the_logits_of_its_twin_in_torch(pair, backend):
    model, folder = pair
    ours = TernaryLM.from_pretrained(folder, backend=backend)
    tokens = np.random.default_rng(1).integers(0, 97, 80)
    with torch.no_grad():
        expected = model(torch.from_numpy(tokens)[None]).logits[0].numpy()
    found = ours(tokens)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-4, atol=1e-5)
    # an input on the edge between two of 255 steps may fall to either side, which later tokens see
    assert np.median(np.abs(found - expected)) < 1e-3
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


def test_a_cache_gives_what_the_whole_gives(pair):
    ours, tokens = TernaryLM.from_pretrained(pair[1]), np.arange(90)
    cache = Cache(ours.shape)
    parts = [ours(part, cache) for part in (tokens[:70], tokens[70:71], tokens[71:])]
    np.testing.assert_allclose(np.concatenate(parts), ours(tokens), rtol=1e-3, atol=2e-2)


def test_generate_takes_the_likeliest_token_or_draws_by_seed(pair):
    ours = TernaryLM.from_pretrained(pair[1])
    found = list(ours.generate(np.array([1, 2, 3]), 5))
    assert found[0] == int(ours(np.array([1, 2, 3]))[-1].argmax())
    assert list(ours.generate(np.array([1, 2, 3]), 5, stop=found[2])) == found[: found.index(found[2]) + 1]
    drawn = [list(ours.generate(np.array([1]), 8, temperature=2.0, seed=seed)) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_file_comes_back_the_same_and_damage_is_found(pair, tmp_path):
    ours, path = TernaryLM.from_pretrained(pair[1]), tmp_path / "model.safetensors"
    ours.save(path)
    np.testing.assert_array_equal(TernaryLM.load(path, threads=2)(np.arange(9)), ours(np.arange(9)))
    whole = path.read_bytes()
    for place in (30, len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ArtifactError, match=r"model\.safetensors"):
            TernaryLM.load(path)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"hidden_act": "silu"}, "hidden_act silu"),
        ({"num_key_value_heads": 3}, "heads of an even size"),
        ({"hidden_size": 0}, "hidden_size: got 0"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "scaled rotary"),
    ],
)
def test_a_config_of_another_model_is_named(change, match):
    with pytest.raises(InputError, match=match):
        TernaryLM.of_tensors({**SMALL, "quantization_config": ONLINE, **change}, {}.get)


def test_what_is_missing_or_wrong_is_named(pair, tmp_path):
    with pytest.raises(InputError, match=r"tensor model\.layers\.0\.self_attn\.q_proj\.weight: got missing"):
        TernaryLM.of_tensors({**SMALL, "quantization_config": ONLINE}, {}.get)
    with pytest.raises(ArtifactError, match=r"no config\.json"):
        TernaryLM.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 90)
    with pytest.raises(ArtifactError, match=r"a\.safetensors.*damaged"):
        TernaryLM.from_pretrained(tmp_path)
    ours = TernaryLM.from_pretrained(pair[1])
    for wrong in ([97], [-1], [0.5], []):
        with pytest.raises(InputError, match="tokens"):
            ours(np.array(wrong))
    with pytest.raises(InputError, match="a matrix of -1, 0 and 1"):
        TernaryLinear.of_ternary(np.array([[2.0]]))
    with pytest.raises(InputError, match=r"float32 \(tokens, 4\)"):
        TernaryLinear.of_ternary(np.ones((2, 4)))(np.ones((1, 5), np.float32))
