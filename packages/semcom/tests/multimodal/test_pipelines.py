"""Pipelines of diffusers through the same interface, with a tiny one of random weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
from ninefold.errors import ArtifactError, InputError
from semcom.datasets import load_captioned
from semcom.multimodal import Img2ImgGenerator, MMConfig, MMSemCom, Request
from semcom.phy import Channel

diffusers = pytest.importorskip("diffusers", reason="the extra gen is not installed")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    import torch
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("words")
    letters = [chr(code) for code in range(97, 123)]
    words = letters + [f"{one}</w>" for one in letters] + ["<|startoftext|>", "<|endoftext|>", "ab"]
    (folder / "vocab.json").write_text(json.dumps({word: place for place, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    unet = diffusers.UNet2DConditionModel(
        block_out_channels=(8, 8), layers_per_block=1, sample_size=8, in_channels=4, out_channels=4, norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16, attention_head_dim=4,
    )  # fmt: skip
    vae = diffusers.AutoencoderKL(
        block_out_channels=[8, 8], in_channels=3, out_channels=3, latent_channels=4, norm_num_groups=4,
        down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    )  # fmt: skip
    text = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
            max_position_embeddings=16, bos_token_id=52, eos_token_id=53,
        )
    )  # fmt: skip
    return diffusers.StableDiffusionImg2ImgPipeline(
        vae=vae, text_encoder=text, tokenizer=tokenizer, unet=unet,
        scheduler=diffusers.DDIMScheduler(clip_sample=False, steps_offset=1),
        safety_checker=None, feature_extractor=None, image_encoder=None, requires_safety_checker=False,
    )  # fmt: skip


def test_received_caption_is_the_prompt_and_the_coarse_picture_the_start(pipeline, tiny_parts):
    data = load_captioned("embedded", limit=2)
    generator = Img2ImgGenerator(pipeline, strength=0.5, steps=4, side=32)
    link = MMSemCom(
        tiny_parts[0], tiny_parts[1], generator, MMConfig(text="caption", text_size=12, symbols=200), max_batch=3
    )
    sent = link.transmit(data.images, ["a cat", "a frog"], 8.0)
    received = Channel().apply(sent.symbols, 8.0, np.random.default_rng(0))
    found = link.receive(received, 8.0, num_candidates=2, seed=1)
    assert found.evidence.candidates.shape == (2, 2, 32, 32, 3)
    again = link.receive(received, 8.0, num_candidates=2, seed=1)
    np.testing.assert_array_equal(found.evidence.candidates, again.evidence.candidates)
    assert not np.array_equal(found.evidence.candidates[:, 0], found.evidence.candidates[:, 1])


def test_pipeline_folders_load_and_strange_ones_are_refused(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "pipeline")
    generator = Img2ImgGenerator.from_folder(tmp_path / "pipeline", strength=0.5, steps=2, side=16)
    grey = np.full((1, 16, 16, 3), 0.5, np.float32)
    request = Request(grey, np.zeros((1, 4), np.float32), np.zeros(1, bool), [None], np.zeros(1), 1, 0, np.arange(1))
    assert generator(request).shape == (1, 1, 16, 16, 3)
    request.has_coarse = False
    with pytest.raises(InputError, match="image to image"):
        generator(request)
    with pytest.raises(ArtifactError, match="model_index"):
        Img2ImgGenerator.from_folder(tmp_path)
    with pytest.raises(InputError, match="strength"):
        Img2ImgGenerator(pipeline, strength=0)
