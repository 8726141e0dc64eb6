"""Public DeepJSCC checkpoints: a made one of that layout against a forward pass written here, and files that differ."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from ninefold.errors import ArtifactError
from ninefold_testing import run_here
from PIL import Image
from semcom.datasets import embedded_photographs
from semcom.models import load_coder, load_jscc, save_model
from semcom.phy import Channel
from semcom.whole import CoderLink, carry_picture

ENCODER = [(3, 16, 2), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 8, 1)]
DECODER = [(8, 32, 1), (32, 32, 1), (32, 32, 1), (32, 16, 2), (16, 3, 2)]


@pytest.fixture
def state():
    """Tensors by the names of Deep-JSCC-PyTorch, eight channels: a bandwidth ratio of 1/12."""
    gen, made = torch.Generator().manual_seed(0), {}
    for place, (inner, outer, _) in enumerate(ENCODER, start=1):
        made[f"encoder.conv{place}.conv.weight"] = 0.1 * torch.randn(outer, inner, 5, 5, generator=gen)
        made[f"encoder.conv{place}.conv.bias"] = 0.1 * torch.randn(outer, generator=gen)
        made[f"encoder.conv{place}.prelu.weight"] = torch.tensor([0.1 * place])
    for place, (inner, outer, _) in enumerate(DECODER, start=1):
        made[f"decoder.tconv{place}.transconv.weight"] = 0.1 * torch.randn(inner, outer, 5, 5, generator=gen)
        made[f"decoder.tconv{place}.transconv.bias"] = 0.1 * torch.randn(outer, generator=gen)
        if place < 5:
            made[f"decoder.tconv{place}.activate.weight"] = torch.tensor([0.3 - 0.05 * place])
    return made


@pytest.fixture
def saved(tmp_path):
    def save(tensors, name="epoch_9.pkl"):
        torch.save(tensors, tmp_path / name)
        return tmp_path / name

    return save


def forward(state, images):
    """Features of unit mean square and, from these, pictures: DeepJSCC by the layers of that repository."""
    x = images
    for place, (_, _, stride) in enumerate(ENCODER, start=1):
        name = f"encoder.conv{place}."
        x = F.conv2d(x, state[name + "conv.weight"], state[name + "conv.bias"], stride, 2)
        x = F.prelu(x, state[name + "prelu.weight"])
    sent = x * np.sqrt(x[0].numel()) / x.flatten(1).norm(dim=1)[:, None, None, None]
    x = sent
    for place, (_, _, stride) in enumerate(DECODER, start=1):
        name = f"decoder.tconv{place}."
        x = F.conv_transpose2d(
            x, state[name + "transconv.weight"], state[name + "transconv.bias"], stride, 2, stride - 1
        )
        x = F.prelu(x, state[name + "activate.weight"]) if place < 5 else torch.sigmoid(x)
    return sent, x


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_computes_what_its_layers_say(prefix, state, saved):
    path = saved({prefix + name: value for name, value in state.items()})
    model, images, snr = load_jscc(path), torch.rand(2, 3, 32, 40), torch.tensor([5.0, 5.0])
    with torch.inference_mode():
        reals = model.encode(images, snr)
        sent, drawn = forward(state, images)
        torch.testing.assert_close(reals, sent.flatten(1), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.decode(sent.flatten(1), snr, 32, 40), drawn, atol=1e-5, rtol=1e-4)


def test_a_checkpoint_is_a_link_for_whole_pictures_and_can_be_kept_without_pickle(state, saved, tmp_path, rng):
    picture = embedded_photographs()["coffee"]
    link = CoderLink(load_coder(saved(state)))
    assert link.symbols(96, 128) == 96 * 128 * 3 // 12
    drawn = carry_picture(link, picture, Channel(), 10.0, rng)
    save_model(link.model, tmp_path / "kept.safetensors", recipe={})
    again = carry_picture(CoderLink(load_coder(tmp_path / "kept.safetensors")), picture, Channel(), 100.0, rng)
    assert drawn.shape == again.shape == picture.shape


def test_baseline_takes_a_checkpoint_by_its_path(state, saved, tmp_path):
    Image.fromarray(embedded_photographs()["coffee"]).save(tmp_path / "coffee.png")
    words = ("baseline", tmp_path / "coffee.png", "--codec", "jpeg", "--arms", "joint", "--snr", "5",
             "--coder", saved(state), "--json")  # fmt: skip
    done = run_here("semcom.cli", *map(str, words))
    assert done.returncode == 0, done.stderr
    assert {row["link"] for row in json.loads(done.stdout)["rows"]} == {"JPEG + LDPC", "joint coder"}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("decoder.tconv4.transconv.weight", torch.zeros(32, 16, 6, 6), r"shape \(32, 16, 6, 6\), not finite.*5, 5"),
        ("encoder.conv6.conv.weight", torch.zeros(3), "'encoder.conv6.conv.weight' that no DeepJSCC"),
        ("encoder.conv2.conv.bias", torch.full((32,), torch.nan), "encoder.conv2.conv.bias.*finite"),
        ("encoder.conv2.conv.bias", torch.zeros(32, dtype=torch.int64), "encoder.conv2.conv.bias"),
        ("encoder.conv5.conv.weight", torch.zeros(()), "is no checkpoint of DeepJSCC"),
        ("encoder.conv3.prelu.weight", None, "lacks 1 tensors"),
        ("encoder.conv5.conv.weight", None, "is no checkpoint of DeepJSCC"),
        ("epoch", 7, "other things than tensors"),
    ],
)
def test_what_differs_is_refused_by_name(name, value, said, state, saved):
    state[name] = value
    path = saved({key: one for key, one in state.items() if one is not None})
    with pytest.raises(ArtifactError, match=said):
        load_jscc(path)


class Loud:
    def __reduce__(self):
        return print, ("code of the file runs",)


def test_no_code_of_a_file_is_run_and_a_damaged_or_missing_one_is_refused(state, saved, tmp_path, capsys):
    with pytest.raises(ArtifactError, match="cannot be read as weights"):
        load_jscc(saved({**state, "x": Loud()}))
    assert capsys.readouterr().out == ""
    path = saved(state)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ArtifactError, match="cannot be read as weights"):
        load_jscc(path)
    with pytest.raises(ArtifactError, match="is not there"):
        load_coder(tmp_path / "none.pth")
