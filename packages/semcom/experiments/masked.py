"""Index modulation on the latent grid of the joint coder: which positions are sent is the payload.

A coder for whole pictures that knows which entries of its latent grid are sent (`MaskedCoder`), its training from the
shipped weights on (`train_masked`), masks from a payload (`mask_of`), and the link of one pattern (`PatternLink`).

uv run python packages/semcom/experiments/masked.py RUN_FOLDER share=.75,masks=random  (6 minutes on a core; a killed
run goes on) trains one and prints its PSNR on Caltech's test pictures, where choices are made.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.run import Run
from semcom.datasets import load_whole
from semcom.evaluation import psnr
from semcom.models import PictureCoder, PictureConfig, load_picture_coder, pad_sides, save_model
from semcom.models._picture import _state
from semcom.paper import MaskCodec
from semcom.phy import Channel, Received, reals_to_symbols, symbols_to_reals
from semcom.training import Recipe, fit
from semcom.training._picture import draw_crops
from semcom.whole import WholeLink, carry_picture, checked_picture
from torch import Tensor, nn

CHANNELS = 8  # reals a position if all positions are sent: a bandwidth ratio of 1/12
BLOCK = 64  # patches of a block, 8 x 8, of each of which the same share is sent
FORMS = ("random", "fixed", "none")


@dataclass(frozen=True, kw_only=True)
class MaskedRecipe(Recipe):
    """How a coder is trained whose latent grid is sent in part.

    Attributes:
        share: of the patches that are sent.
        masks: `random`, as payloads make them; `fixed`; or `none`, with a share of 1.
        thinned: up to this share of a picture's symbols is left out besides in two steps of three, as a payload in
            symbols of its own asks for. With random masks: a quarter of the steps sends `CHANNELS` reals at each
            position that is sent, the others as many symbols as without a mask.
        crops: sides of the square crops, one drawn for each step.
    """

    steps: int = 1200
    batch: int = 24
    lr: float = 5e-4
    average: float = 0.99
    snr_low: float = 2.0
    snr_high: float = 14.0
    loss: str = "log"
    bfloat16: bool = True
    share: float = 0.75
    masks: str = "random"
    thinned: float = 0.25
    crops: tuple[int, ...] = (64, 128)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.masks not in FORMS or (self.masks == "none") != (self.share == 1):
            raise InputError("masks, share", got=(self.masks, self.share), expected=f"{FORMS}, none with a share of 1")
        if not self.crops or any(side < 64 or side % 64 for side in self.crops):
            raise InputError("crops", got=self.crops, expected="multiples of 64")

    def kept(self, count: int, grid: int, generator: torch.Generator) -> Tensor:
        """Positions that are sent of so many pictures: (count, grid, grid) bool."""
        if self.masks == "none":
            return torch.ones(count, grid, grid, dtype=torch.bool)
        side = 1 + int(torch.randint(2, (1,), generator=generator))
        if self.masks == "fixed":
            return fixed_mask(self.share, grid, grid, side).expand(count, -1, -1)
        blocks = torch.rand(count, (grid // (8 * side)) ** 2, BLOCK, generator=generator)
        return placed(blocks.argsort(-1).argsort(-1) < round(BLOCK * self.share), grid, grid, side)

    def reals(self, positions: int, generator: torch.Generator) -> int:
        """Reals of a picture, an even number."""
        draw, thin = torch.rand(2, generator=generator).tolist()
        if self.masks == "random":
            return round(CHANNELS * positions * (self.share if draw < 0.25 else 1))
        return 2 * round(CHANNELS * positions * (1 - self.thinned * thin * (draw < 2 / 3)) / 2)


def placed(blocks: Tensor, rows: int, columns: int, side: int) -> Tensor:
    """Blocks of 8 x 8 patches (count, blocks, 64) as positions (count, rows, columns); a patch is `side` wide."""
    down, across = rows // (8 * side), columns // (8 * side)
    patches = blocks.reshape(-1, down, across, 8, 8).permute(0, 1, 3, 2, 4).reshape(-1, 8 * down, 8 * across)
    return patches.repeat_interleave(side, 1).repeat_interleave(side, 2)


def fixed_mask(share: float, rows: int, columns: int, side: int) -> Tensor:
    """Positions (rows, columns) bool: a checkerboard of patches for 1/2, all but every fourth for 3/4, or all for 1."""
    down, across = (torch.arange(size) // side % 2 for size in (rows, columns))
    if share == 0.5:
        return down[:, None] == across
    if share == 0.75:
        return (down[:, None] + across) < 2
    if share != 1:
        raise InputError("share", got=share, expected="1/2, 3/4 or 1 for a fixed mask")
    return torch.ones(rows, columns, dtype=torch.bool)


def _codec(share: float) -> MaskCodec:
    return MaskCodec(BLOCK, 1 - share, scramble_key="latent grid")


def capacity(share: float, rows: int, columns: int, side: int) -> int:
    """Whole bytes that a mask carries."""
    return rows * columns // (BLOCK * side**2) * _codec(share).capacity_bits // 8


def mask_of(payload: bytes, share: float, rows: int, columns: int, side: int) -> Tensor:
    """Positions that are sent, (rows, columns) bool: each block of 64 patches carries its bits of the payload."""
    codec, blocks = _codec(share), rows * columns // (BLOCK * side**2)
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    if len(bits) > blocks * codec.capacity_bits:
        most = blocks * codec.capacity_bits // 8
        raise InputError("payload", got=f"{len(payload)} bytes", expected=f"at most {most}")
    filled = np.pad(bits, (0, blocks * codec.capacity_bits - len(bits)))
    return placed(torch.from_numpy(~codec.encode(filled.reshape(blocks, -1))), rows, columns, side)[0]


def entries_of(kept: Tensor, reals: int) -> Tensor:
    """Which entries of the grid are sent: as many channels at each position, and further ones spread evenly.

    Args:
        kept: (count, rows, columns) bool, equally many in each.
        reals: entries of a picture.
    Returns: (count, channels, rows, columns) bool.
    """
    flat = kept.flatten(1)
    number = int(flat[0].sum())
    channels, more = divmod(reals, number)
    order = flat.cumsum(1)
    levels = flat * (channels + ((order * more // number) > ((order - 1) * more // number)).long())
    top = torch.arange(channels + bool(more))[None, :, None]
    return (top < levels[:, None]).reshape(len(kept), -1, *kept.shape[1:])


class MaskedCoder(PictureCoder):
    """The joint coder given what is sent: the encoder sees a plane of positions, the decoder a learnt value in gaps."""

    kind = "semcom.masked"

    def __init__(self, config: PictureConfig | None = None) -> None:
        super().__init__(config)
        self.seen = nn.Conv2d(1, self.config.width, 3, 1, 1)
        self.gap = nn.Parameter(torch.zeros(self.config.channels))
        nn.init.zeros_(self.seen.weight)
        nn.init.zeros_(self.seen.bias)  # type: ignore[arg-type]

    @classmethod
    def begun(cls) -> MaskedCoder:
        """A coder that begins as the shipped one."""
        start = load_picture_coder()
        model = cls(start.config)
        model.load_state_dict({**model.state_dict(), **start.state_dict()})
        return model

    def sent(self, images: Tensor, snr_db: Tensor, entries: Tensor) -> Tensor:
        """Reals at all entries, mean square 1 over those that are sent, zero elsewhere; arguments as in `features`."""
        state, channels = _state(snr_db, entries.shape[1]), entries.shape[1]
        x = self.to_features(images, state) + self.seen(entries[:, :1].float())
        if self.config.context:
            x = self.encoder_context(x, state)
        x = self.encoder[3](x)[:, :channels].float() * entries
        power = x.square().sum((1, 2, 3), keepdim=True) / entries.sum((1, 2, 3), keepdim=True)
        return x / power.add(1e-8).sqrt()

    def drawn(self, reals: Tensor, snr_db: Tensor, entries: Tensor) -> Tensor:
        """Pictures (B, 3, H, W), not clamped, of received reals; those of entries that were not sent do not count."""
        channels = entries.shape[1]
        return self.decode(torch.where(entries, reals, self.gap[None, :channels, None, None]), snr_db)


def train_masked(recipe: MaskedRecipe, run: Run, pictures: Sequence[np.ndarray] | None = None) -> MaskedCoder:
    """Train a coder from the shipped weights on, on crops of Caltech's training pictures; resumes what is there."""
    torch.manual_seed(recipe.seed)
    least = max(recipe.crops)
    found = load_whole("caltech101", "train") if pictures is None else pictures
    usable = [torch.from_numpy(np.array(one)) for one in found if min(one.shape[:2]) >= least]
    model = MaskedCoder.begun().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_of(generator: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        side = recipe.crops[int(torch.randint(len(recipe.crops), (1,), generator=generator))]
        size, grid = max(1, recipe.batch * min(recipe.crops) ** 2 // side**2), side // 4
        batch = draw_crops(usable, size, side, generator)
        entries = entries_of(recipe.kept(size, grid, generator), recipe.reals(grid**2, generator))
        snr = recipe.snrs(size, generator)
        with recipe.products():
            sent = model.sent(batch, snr, entries)
            noise = torch.randn(sent.shape, generator=generator) * (10 ** (-snr / 20))[:, None, None, None]
            drawn = model.drawn(sent + noise, snr, entries)
        return recipe.loss_of(drawn, batch)

    fit(model, loss_of, recipe, run)
    return model


class PatternLink(WholeLink):
    """A picture of one size by a `MaskedCoder` in a given number of symbols; the receiver knows which are sent."""

    name = "joint coder, in part"

    def __init__(self, model: MaskedCoder, symbols: int, kept: Tensor | None = None) -> None:
        """Args:
        model: the coder.
        symbols: complex symbols of a picture.
        kept: positions that are sent (H / 4, W / 4); all if left out.
        """
        self.model, self.count, self.kept = model, symbols, kept
        self._half = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

    def symbols(self, height: int, width: int) -> int:  # noqa: ARG002  (the interface's)
        """As given, whatever the size."""
        return self.count

    def _entries(self, height: int, width: int) -> Tensor:
        grid = self.model.grid(height, width)
        kept = torch.ones(grid, dtype=torch.bool) if self.kept is None else self.kept
        return entries_of(kept[None], 2 * self.count)

    def send(self, picture: np.ndarray, snr_db: float) -> np.ndarray:
        """Symbols of a picture; see `WholeLink`."""
        images = torch.from_numpy(pad_sides(checked_picture(picture)))[None].permute(0, 3, 1, 2)
        entries = self._entries(*picture.shape[:2])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            reals = self.model.sent(images, torch.tensor([float(snr_db)]), entries)[entries]
        return reals_to_symbols(reals[None].numpy())[0]

    def recover(self, received: Received, height: int, width: int, snr_db: float) -> np.ndarray:
        """The picture of received symbols; see `WholeLink`."""
        entries = self._entries(height, width)
        reals = torch.zeros(entries.shape)
        reals[entries] = torch.from_numpy(symbols_to_reals(received.unbiased)[0])
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._half):
            drawn = self.model.drawn(reals, torch.tensor([float(snr_db)]), entries)[0].float()
        pixels = (drawn.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(1, 2, 0).numpy()[:height, :width]


def validated(model: MaskedCoder, recipe: MaskedRecipe, snr_db: float = 6.0, pictures: int = 24) -> float:
    """Mean PSNR over AWGN on crops of 128 x 128 of Caltech's test pictures, a ratio of 1/12, patches of 2 x 2."""
    crops = [one[:128, :128] for one in load_whole("caltech101", "test") if min(one.shape[:2]) >= 128][:pictures]
    found = []
    for place, crop in enumerate(crops):
        rng = np.random.default_rng([7, place])
        kept = fixed_mask(recipe.share if recipe.masks == "fixed" else 1, 32, 32, 2)
        if recipe.masks == "random":
            kept = mask_of(rng.bytes(capacity(recipe.share, 32, 32, 2)), recipe.share, 32, 32, 2)
        link = PatternLink(model, CHANNELS * 32 * 32 // 2, kept)
        found.append(psnr(carry_picture(link, crop, Channel(), snr_db, rng)[None], crop[None])[0])
    return float(np.mean(found))


def main(folder: str, words: str = "") -> None:
    """Train a coder into a run folder, and print its PSNR on validation pictures."""
    recipe = MaskedRecipe.from_text(words)
    about = {"verb": "masked", **recipe.to_meta()}
    train = partial(train_masked, recipe)
    with Run(Path(folder), about) as run:
        model = train(run)
        save_model(model, run.path / "model.safetensors", recipe=about, half=True, force=True)
    sys.stdout.write(f"{validated(model, recipe):.3f} dB on Caltech's test pictures at 6 dB\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
