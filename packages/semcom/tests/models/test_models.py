"""Models: the small autoencoder, ViTMAE of transformers, coders, and files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from ninefold.errors import ArtifactError, InputError
from safetensors.torch import load_file, save_file
from semcom.models import (
    BUILT_IN,
    JsccCoder,
    JsccConfig,
    Judge,
    MaeConfig,
    PictureCoder,
    SmallMae,
    built_in_path,
    load_jscc,
    load_mae,
    load_model,
    model_hash,
    patchify,
    save_model,
)
from semcom.models._mae import unpatchify

TINY = MaeConfig(16, 4, 16, 1, 2, 24, 1, 2)


def test_patches_come_back_in_raster_order():
    images = torch.arange(2 * 3 * 8 * 12, dtype=torch.float32).reshape(2, 3, 8, 12)
    patches = patchify(images, 4)
    assert patches.shape == (2, 6, 48)
    torch.testing.assert_close(patches[0, 1].reshape(4, 4, 3), images[0, :, :4, 4:8].permute(1, 2, 0))
    torch.testing.assert_close(unpatchify(patches, 4, 8, 12), images)


def test_each_token_has_unit_power_whatever_the_picture():
    model = SmallMae(TINY)
    kept = torch.tensor([[0, 3, 9], [1, 2, 15]])
    tokens = model.encode(torch.stack([torch.zeros(3, 16, 16), torch.rand(3, 16, 16)]), kept)
    assert tokens.shape == (2, 4, 16)
    torch.testing.assert_close(tokens.square().mean(dim=2), torch.ones(2, 4), atol=1e-3, rtol=0)


def test_masked_patches_are_never_read():
    model, kept = SmallMae(TINY), torch.tensor([[0, 3, 9]])
    image = torch.rand(1, 3, 16, 16)
    tokens = model.encode(image, kept)
    patches = patchify(image, 4)
    hidden = [place for place in range(16) if place not in (0, 3, 9)]
    patches[:, hidden] = torch.nan
    torch.testing.assert_close(model.encode(unpatchify(patches, 4, 16, 16), kept), tokens)


@pytest.fixture
def vit(tmp_path):
    """A folder with a random ViTMAE."""
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    config = ViTMAEConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=64, patch_size=16,
        decoder_hidden_size=32, decoder_num_hidden_layers=2, decoder_num_attention_heads=4,
        decoder_intermediate_size=64,
    )  # fmt: skip
    model = ViTMAEForPreTraining(config)
    with torch.no_grad():
        for one in model.parameters():
            one.add_(0.05 * torch.randn_like(one))
    model.save_pretrained(tmp_path / "vit")
    return tmp_path / "vit"


def reference(model, images, kept, count):
    """Picture of transformers' own forward pass with a mask forced through its noise."""
    noise = torch.ones(len(images), count).scatter(1, kept, 0.0) + torch.arange(count) * 1e-4
    model.model.config.mask_ratio = 1 - (kept.shape[1] + 0.5) / count
    out = model.model((images - model.mean) / model.std, noise=noise)
    assert torch.equal((out.mask == 0).sum(1), torch.full((len(images),), kept.shape[1]))
    return model.model.unpatchify(out.logits) * model.std + model.mean


def test_forced_mask_gives_what_transformers_gives(vit):
    model = load_mae(vit)
    images, kept = torch.rand(2, 3, 64, 64), torch.tensor([[0, 5, 6, 11], [2, 3, 8, 15]])
    with torch.no_grad():
        ours = model.decode(model.embed(model.encode(images, kept)), kept)
        torch.testing.assert_close(ours, reference(model, images, kept, 16), atol=1e-4, rtol=0)


@pytest.mark.slow
def test_forced_mask_of_the_package_at_full_size_gives_what_transformers_gives(tmp_path):
    from semcom.paper import MaskCodec
    from transformers import ViTMAEConfig, ViTMAEForPreTraining

    torch.manual_seed(0)
    ViTMAEForPreTraining(ViTMAEConfig()).save_pretrained(tmp_path / "base")
    model = load_mae(tmp_path / "base")
    codec = MaskCodec(196, 0.75)
    masks = codec.encode(np.random.default_rng(0).integers(0, 2, (1, codec.capacity_bits)))
    kept = torch.from_numpy(np.nonzero(~masks)[1].reshape(1, -1))
    images = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        ours = model.decode(model.embed(model.encode(images, kept)), kept)
        torch.testing.assert_close(ours, reference(model, images, kept, 196), atol=1e-4, rtol=0)


def test_checkpoints_that_cannot_work_are_refused_with_the_reason(vit, tmp_path):
    config = json.loads((vit / "config.json").read_text())
    (vit / "config.json").write_text(json.dumps({**config, "norm_pix_loss": True}))
    with pytest.raises(InputError, match="normalised by each patch"):
        load_mae(vit)
    (vit / "config.json").write_text(json.dumps({**config, "model_type": "vit"}))
    with pytest.raises(ArtifactError, match="type 'vit'"):
        load_mae(vit)
    (vit / "config.json").write_text(json.dumps(config))
    state = load_file(vit / "model.safetensors")
    encoder = {name: one for name, one in state.items() if not name.startswith("decoder.")}
    save_file(encoder, vit / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match="encoder alone"):
        load_mae(vit)
    torch.save({"model": {"blocks.0.norm1.weight": torch.ones(3)}}, tmp_path / "mae.pth")
    with pytest.raises(InputError, match="encoder alone"):
        load_mae(tmp_path / "mae.pth")


def test_hub_id_without_a_network_names_the_built_in_model(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match="mae-32p4"):
        load_mae("nobody/no-such-model")


@pytest.mark.parametrize(("kind", "stages"), [("adjscc", 0), ("adjscc", 2), ("deepjscc", 0)])
def test_coders_have_unit_power_for_each_picture_and_the_right_size(kind, stages):
    coder = JsccCoder(JsccConfig(kind, 8, 16, stages)).eval()
    images = torch.stack([torch.rand(3, 32, 48), 0.01 * torch.rand(3, 32, 48)])
    with torch.no_grad():
        reals = coder.encode(images, torch.tensor([0.0, 5.0]))
        assert reals.shape == (2, 2 * coder.symbols(32, 48)) == (2, 8 * 8 * 12)
        torch.testing.assert_close(reals.square().mean(dim=1), torch.ones(2), atol=1e-3, rtol=0)
        assert coder.decode(reals, torch.zeros(2), 32, 48).shape == images.shape


def test_models_come_back_and_damage_is_named(tmp_path):
    model = SmallMae(TINY)
    save_model(model, tmp_path / "a.safetensors", recipe={"steps": 3})
    again, recipe = load_model(tmp_path / "a.safetensors", SmallMae.kind)
    assert recipe == {"steps": 3}
    assert model_hash(again) == model_hash(model)
    assert model_hash(SmallMae(TINY)) != model_hash(model)
    with pytest.raises(ArtifactError, match=r"semcom\.mae, not a semcom\.jscc"):
        load_jscc(tmp_path / "a.safetensors")
    with pytest.raises(ArtifactError, match="exists"):
        save_model(model, tmp_path / "a.safetensors", recipe={})


@pytest.mark.parametrize("name", BUILT_IN)
def test_shipped_weights_are_small_say_how_they_were_made_and_have_their_hash(name):
    path = built_in_path(name)
    kinds = {"mae-32p4": SmallMae.kind, "judge": Judge.kind, "picture-c16": PictureCoder.kind}
    model, recipe = load_model(path, kinds.get(name, JsccCoder.kind))
    assert recipe["verb"].startswith("train")
    about = json.loads((path.parent / "recipes.json").read_text())
    assert about[name]["model_hash"] == model_hash(model)


def test_wrong_sizes_are_refused():
    with pytest.raises(InputError, match="image_size"):
        MaeConfig(image_size=30, patch_size=4)
    with pytest.raises(InputError, match="width"):
        MaeConfig(dim=30)
    with pytest.raises(InputError, match="kind"):
        JsccConfig("jpeg")
    with pytest.raises(InputError, match="stages"):
        JsccConfig("deepjscc", stages=1)
