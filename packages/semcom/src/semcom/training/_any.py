"""Training of a coder of a user's own through a channel: the loop that everyone writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from ninefold.errors import InputError
from ninefold.progress import progress

from semcom.phy import Channel, apply_torch, torch_noise_equivalent
from semcom.whole import as_latents, encoded


def train(
    coder: Any, pictures: Sequence[np.ndarray], channel: str = "awgn", *, snrs: tuple[float, float] = (0.0, 20.0),
    steps: int = 1000, batch: int = 16, crop: int = 64, lr: float = 1e-3, seed: int = 0,
) -> Any:  # fmt: skip
    """Train a coder on random crops of pictures through a channel, in place.

    Args:
        coder: a `torch.nn.Module` with `encode` and `decode`, see `Coder`; what is sent is scaled to unit power.
        pictures: (H, W, 3) uint8, sides of `crop` and more.
        channel: specification of a channel; all but `erasure` and `bsc` have gradients.
        snrs: Es/N0 in dB, drawn evenly between the two for each picture.
        steps, batch, lr: of Adam, with a cosine to zero.
        crop: side of the crops in pixels.
        seed: random seed of crops, SNRs and channel.
    Returns: the coder, in evaluation mode.

    Examples:
        >>> import torch
        >>> import semcom

        >>> class Small(torch.nn.Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.down, self.up = torch.nn.Conv2d(3, 8, 4, 4), torch.nn.ConvTranspose2d(8, 3, 4, 4)
        ...
        ...     def encode(self, pictures):
        ...         return self.down(pictures)
        ...
        ...     def decode(self, received, size, snr):
        ...         return self.up(received)

        >>> pictures = list(semcom.datasets.embedded_photographs().values())
        >>> coder = semcom.train(Small(), pictures, "rayleigh:block=64", steps=3, batch=2)
        >>> coder.training
        False
    """
    large = [picture for picture in pictures if min(picture.shape[:2]) >= crop]
    if not large:
        raise InputError("pictures", got=f"none of {crop} pixels a side", expected=f"some, or a crop below {crop}")
    over, rng = Channel.from_spec(channel), np.random.default_rng(seed)
    torch.manual_seed(seed)
    device = next(coder.parameters()).device
    optimizer = torch.optim.Adam(coder.parameters(), lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    coder.train()
    with progress(steps, "steps") as bar:
        for _ in range(steps):
            crops = []
            for place in rng.integers(0, len(large), batch):
                top, left = (int(rng.integers(0, side - crop + 1)) for side in large[place].shape[:2])
                crops.append(large[place][top : top + crop, left : left + crop])
            wanted = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float().to(device) / 255
            snr = rng.uniform(*snrs, batch)
            symbols, shape, is_complex = encoded(coder, wanted, torch.from_numpy(snr).float().to(device))
            estimate, noise = apply_torch(over, symbols, snr, rng)
            reals, effective = torch_noise_equivalent(estimate, noise)
            latents = as_latents(reals, shape, is_complex=is_complex)
            loss = (coder.decode(latents, (crop, crop), effective.float()) - wanted).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.advance(note=f"loss {loss.item():.4f}")
    return coder.eval()
