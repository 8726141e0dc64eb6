"""Candidates of a picture: any callable on a `Request`, and our conditional diffusion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from ninefold.errors import InputError
from torch import Tensor

from semcom.multimodal._features import SNR_RANGE, as_bytes
from semcom.multimodal._schedule import cosine_alphabar, sample
from semcom.multimodal._unet import Condition, Unet

_REACH = 6.0  # of the residual in units of its scale: samples beyond are numerical accidents


@dataclass
class Request:
    """What a generator may know: what crossed the channel, and nothing else.

    Attributes:
        coarse: (rows, H, W, 3) float32 in [0, 1].
        text: (rows, dim) float32; see `ReceivedText.vectors`.
        has_text: (rows,) bool.
        captions: received captions, or None.
        snr_db: (rows,) effective Es/N0.
        count: candidates of a picture, K.
        seed: of the candidates.
        rows: (rows,) numbers that the candidates' noise depends on, so that a picture gets the same in any batch.
        max_batch: candidates that pass the model at once.
        has_coarse: whether there is a coarse picture at all.
    """

    coarse: np.ndarray
    text: np.ndarray
    has_text: np.ndarray
    captions: list[str | None]
    snr_db: np.ndarray
    count: int
    seed: int
    rows: np.ndarray
    max_batch: int = 64
    has_coarse: bool = True

    def __post_init__(self) -> None:
        for name in ("count", "max_batch"):
            if getattr(self, name) < 1:
                shown = "num_candidates" if name == "count" else name
                raise InputError(shown, got=getattr(self, name), expected="at least 1")


Generator = Callable[[Request], np.ndarray]
"""(rows, K, H, W, 3) uint8 of a request."""


def candidate_noise(seed: int, row: int, candidate: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal noise of one candidate of one picture, whatever batch it is drawn in."""
    words = np.random.SeedSequence([seed, row, candidate]).generate_state(2, np.uint32)
    generator = torch.Generator().manual_seed(int(words[0]) << 31 | int(words[1]))
    return torch.randn(shape, generator=generator)


class ResidualDiffusion:
    """Draws candidates by a `Unet`.

    Attributes:
        steps: calls of the network for a candidate.
        bfloat16: whether the network's products are taken in bfloat16: faster where the processor has them.
    """

    def __init__(self, unet: Unet, steps: int = 5, *, bfloat16: bool = False) -> None:
        if steps < 1:
            raise InputError("steps", got=steps, expected="at least 1")
        self.unet, self.steps, self.bfloat16 = unet.eval(), steps, bfloat16
        self._alphabar = cosine_alphabar()

    def __call__(self, request: Request) -> np.ndarray:
        rows, height, width = request.coarse.shape[:3]
        order = [(row, candidate) for row in range(rows) for candidate in range(request.count)]
        made = np.empty((rows * request.count, height, width, 3), np.uint8)
        for begin in range(0, len(order), request.max_batch):
            part = order[begin : begin + request.max_batch]
            condition = self._condition(request, [row for row, _ in part])
            shape = (12, height // 2, width // 2)
            noise = [candidate_noise(request.seed, int(request.rows[row]), number, shape) for row, number in part]
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                residual = sample(partial(self._velocity, condition), torch.stack(noise), self.steps, _REACH)
                pictures = self.unet.picture(residual, condition)
            made[begin : begin + len(part)] = as_bytes(pictures.permute(0, 2, 3, 1).numpy())
        return made.reshape(rows, request.count, height, width, 3)

    def _condition(self, request: Request, rows: list[int]) -> Condition:
        coarse = torch.from_numpy(np.ascontiguousarray(request.coarse[rows].transpose(0, 3, 1, 2)))
        return Condition(
            coarse, torch.full((len(rows),), request.has_coarse),
            torch.from_numpy(request.text[rows].astype(np.float32)), torch.from_numpy(request.has_text[rows]),
            torch.from_numpy(np.clip(np.nan_to_num(request.snr_db[rows]), *SNR_RANGE).astype(np.float32)),
        )  # fmt: skip

    def _velocity(self, condition: Condition, z: Tensor, t: int) -> Tensor:
        return self.unet(z, self._alphabar[t].expand(len(z)), condition).float()
