"""Send pictures and a payload, let a channel act, receive: what arrives, and how near it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semcom.evaluation import psnr
from semcom.links import Played, Recording
from semcom.links._received import recording_facts
from semcom.phy import Channel


def over_channel(
    sender: Callable[..., Recording], receiver: Callable[..., Played], pictures: Sequence[np.ndarray], payload: bytes,
    channel: Channel, snr_db: float, seed: int = 0,
) -> tuple[Played, dict[str, Any]]:  # fmt: skip
    """One whole transmission.

    Args:
        sender: (pictures, payload) -> recording. receiver: (received symbols, sizes) -> what arrives.
        pictures: (H, W, 3) uint8. payload: bytes that travel with them.
        channel: what acts on the symbols. snr_db: Es/N0. seed: of channel and noise.
    Returns: what arrives; whether the payload is the same, mean PSNR, and counts of symbols with the pilots.
    """
    recording = sender(pictures, payload)
    arrived = channel.apply(recording.symbols, snr_db, np.random.default_rng(seed))
    played = receiver(arrived, recording.sizes)
    quality = [float(psnr(a[None], b[None])[0]) for a, b in zip(played.pictures, pictures, strict=True)]
    shown = recording_facts(recording) | {"pilot symbols": arrived.overhead}
    shown["symbols"] += arrived.overhead * len(recording.symbols)
    if "bandwidth ratio" in shown:
        shown["bandwidth ratio"] *= round(shown["symbols"] / recording.symbols.size, 6)
    return played, {
        "same payload": played.payload == payload, "PSNR, dB": round(float(np.mean(quality)), 2), **shown
    }  # fmt: skip
