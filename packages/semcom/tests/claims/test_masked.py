"""Masks of the latent grid: payloads in them, equal symbols, and a coder that knows what is sent."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.datasets import embedded_photographs, load_whole
from semcom.models import PictureCoder, PictureConfig
from semcom.paper import MaskCodec
from semcom.phy import Channel
from semcom.whole import carry_picture
from semcom_experiments import masked
from semcom_experiments.masked import (
    MaskedCoder,
    MaskedRecipe,
    PatternLink,
    capacity,
    entries_of,
    fixed_mask,
    mask_of,
    placed,
)


@pytest.fixture
def start(monkeypatch):
    torch.manual_seed(0)
    tiny = PictureCoder(PictureConfig(width=8, stages=1, context=8, blocks=1)).eval()
    monkeypatch.setattr(masked, "load_picture_coder", lambda: tiny)
    return tiny


@pytest.mark.parametrize(("share", "side", "count"), [(0.75, 2, 24), (0.5, 2, 30), (0.75, 1, 96)])
def test_mask_carries_the_payload_and_keeps_the_share_of_each_block(share, side, count, rng):
    assert capacity(share, 32, 32, side) == count
    payload = rng.bytes(count)
    mask = mask_of(payload, share, 32, 32, side)
    assert int(mask.sum()) == round(share * 32 * 32)
    blocks = mask[::side, ::side].reshape(32 // side // 8, 8, -1, 8).permute(0, 2, 1, 3).reshape(-1, 64)
    assert torch.equal(placed(blocks[None], 32, 32, side)[0], mask)
    assert set(blocks.sum(1).tolist()) == {round(64 * share)}
    bits = MaskCodec(64, 1 - share, scramble_key="latent grid").decode(~blocks.numpy())
    assert np.packbits(bits.ravel()).tobytes()[:count] == payload
    with pytest.raises(InputError, match=f"at most {count}"):
        mask_of(payload + b"more than it can", share, 32, 32, side)


@pytest.mark.parametrize("share", [0.5, 0.75, 1.0])
def test_fixed_mask_keeps_its_share_of_patches(share):
    mask = fixed_mask(share, 16, 32, 2)
    assert mask.float().mean() == share
    assert torch.equal(mask, mask[::2, ::2].repeat_interleave(2, 0).repeat_interleave(2, 1))
    with pytest.raises(InputError, match="share"):
        fixed_mask(0.6, 16, 16, 2)


@pytest.mark.parametrize("reals", [2048, 1536, 1790, 8192])
def test_entries_have_the_total_and_spread_what_is_left_evenly(reals, rng):
    kept = torch.stack([mask_of(rng.bytes(24), 0.75, 32, 32, 2), mask_of(rng.bytes(24), 0.75, 32, 32, 2)])
    entries = entries_of(kept, reals)
    assert entries.sum((1, 2, 3)).tolist() == [reals, reals]
    assert torch.equal(entries[:, 0] | ~kept, torch.ones_like(kept))
    levels = entries.sum(1)
    assert levels[kept].max() - levels[kept].min() <= 1
    assert not levels[~kept].any()
    halves = levels[0, :16].sum(), levels[0, 16:].sum()
    assert abs(int(halves[0] - halves[1])) <= 2


def test_coder_without_a_mask_begins_as_the_shipped_one(start):
    model = MaskedCoder.begun().eval()
    images, snr = torch.rand(2, 3, 64, 64), torch.tensor([3.0, 9.0])
    entries = entries_of(torch.ones(2, 16, 16, dtype=torch.bool), 8 * 256)
    with torch.no_grad():
        reals = model.sent(images, snr, entries)
        torch.testing.assert_close(reals, start.encode(images, snr, 8))
        torch.testing.assert_close(model.drawn(reals, snr, entries), start.decode(reals, snr))


def test_symbols_have_unit_power_and_noise_of_gaps_does_not_count(start):
    model = MaskedCoder.begun().eval()
    kept = fixed_mask(0.75, 16, 16, 2)[None]
    entries = entries_of(kept, 8 * 256)
    with torch.no_grad():
        reals = model.sent(torch.rand(1, 3, 64, 64), torch.tensor([6.0]), entries)
        assert reals.square().sum() == pytest.approx(8 * 256, rel=1e-4)
        assert not reals[~entries].any()
        noisy = torch.where(entries, reals, torch.randn(reals.shape))
        drawn = [model.drawn(one, torch.tensor([6.0]), entries) for one in (reals, noisy)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize(("masks", "share"), [("random", 0.5), ("fixed", 0.75), ("none", 1.0)])
def test_training_starts_with_the_shipped_weights_and_a_link_sends_what_it_makes(masks, share, start, tmp_path):
    recipe = MaskedRecipe(steps=2, batch=2, crops=(64,), masks=masks, share=share, bfloat16=False)
    with Run(tmp_path / "run", {}) as run:
        model = masked.train_masked(recipe, run, load_whole("embedded"))
        assert np.isfinite(run.metrics()[-1]["loss"])
    picture = next(iter(embedded_photographs().values()))[:64, :64]
    link = PatternLink(model, 1000, None if share == 1 else fixed_mask(share, 16, 16, 2))
    assert link.send(picture, 6.0).shape == (1000,)
    assert carry_picture(link, picture, Channel(), 6.0, np.random.default_rng(0)).shape == picture.shape


def test_recipes_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="masks, share"):
        MaskedRecipe(masks="none", share=0.5)
    with pytest.raises(InputError, match="crops"):
        MaskedRecipe(crops=(96,))
