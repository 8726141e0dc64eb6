"""Speed of the parts in one process: codec, decoder, channel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from semcom.carrier import MaskCodec
from semcom.phy import Channel, Modulation, complex_noise, ldpc


def codec_calls(mode: str = "enumerative", patches: int = 196, rows: int = 20_000) -> dict[str, Callable[[], Any]]:
    """Encoding and decoding of masks, by name."""
    codec = MaskCodec(patches, 0.75, mode)
    bits = np.random.default_rng(0).integers(0, 2, (rows, codec.capacity_bits), dtype=np.uint8)
    masks = codec.encode(bits)
    return {"bits to masks": lambda: codec.encode(bits), "masks to bits": lambda: codec.decode(masks)}


def decoder_call(rows: int = 2000, snr_db: float = 3.0) -> tuple[Callable[[], Any], int]:
    """Decoding of noisy (171, 342) blocks, and the information bits of a call."""
    rng = np.random.default_rng(0)
    code, modulation = ldpc(171, 342), Modulation("qpsk")
    bits = rng.integers(0, 2, (rows, 171), dtype=np.uint8)
    received = Channel().apply(modulation.modulate(code.encode(bits)), snr_db, rng)
    llr = modulation.llr(received.unbiased, received.noise)
    return lambda: code.decode(llr), rows * 171


def channel_calls(spec: str, rows: int = 200, count: int = 1168) -> dict[str, Callable[[], Any]]:
    """The noise draw alone, and channel with equaliser; for fading of each symbol the gains are drawn too."""
    rng = np.random.default_rng(0)
    symbols, channel = complex_noise((rows, count), rng), Channel.from_spec(spec)
    draws = 2 if channel.grain == "symbol" and channel.kind != "awgn" else 1

    def draw() -> None:
        for _ in range(draws):
            complex_noise((rows, count), rng)

    return {"noise draw": draw, "channel and equaliser": lambda: channel.apply(symbols, 5.0, rng)}
