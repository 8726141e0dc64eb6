"""Recordings of the default form: pictures and a payload to a folder's contents, and back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ninefold.errors import ArtifactError, InputError

from semcom.carrier._beside import HEADER, BesideConfig, BesideLink, beside_link
from semcom.links import Played, Recording
from semcom.models import model_hash
from semcom.phy import PilotPattern, noise_variance
from semcom.whole import ChosenLink, JointLink, WholeLink

SYSTEM = "beside"


def _joint(link: WholeLink) -> JointLink:
    joint = link.joint if isinstance(link, ChosenLink) else link
    assert isinstance(joint, JointLink)
    return joint


def record_beside(
    link: BesideLink, pictures: Sequence[np.ndarray], payload: bytes, pilots: PilotPattern | None = None
) -> Recording:
    """Send pictures and a payload into a recording; its header holds neither."""
    pilots, joint = pilots or PilotPattern(), _joint(link.pictures)
    data = link.send(pictures, payload)
    symbols = pilots.insert(data)
    beside = link.payload_symbols(len(payload))
    report = {
        "payload_symbols": beside, "picture_symbols": data.shape[1] - beside,
        "pilot_symbols": symbols.shape[1] - data.shape[1], "symbols": symbols.shape[1],
        "energy": float(np.mean(np.abs(data) ** 2)),
    }  # fmt: skip
    kind = "joint" if link.pictures is joint else "chosen"
    config = BesideConfig(kind, joint.channels, link.snr_db, link.fec, link.modulation)
    sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
    about = {"report": report, "tiles": 1, "symbols": symbols.size}
    return Recording(symbols, model_hash(joint.model), sizes, {"system": SYSTEM, **config.to_meta()}, pilots, about)


def beside_link_of(recording: Recording, path: str | Path, coder: str | Path = "picture-c16") -> BesideLink:
    """The receiver of a recording of `record_beside`.

    Raises:
        ArtifactError: if it is of another system, its header makes no sense, or the sender had another coder.
    """
    recording.check_sender(SYSTEM, path)
    try:
        link = beside_link(coder, BesideConfig.from_meta({k: v for k, v in recording.link.items() if k != "system"}))
    except InputError as error:
        raise ArtifactError(path, f"has a header that makes no sense ({error})") from None
    recording.check_sender(SYSTEM, path, model_hash(_joint(link.pictures).model), coder)
    return link


def play_beside(link: BesideLink, recording: Recording, path: str | Path, snr_db: float | None = None) -> Played:
    """Receive a recording.

    Args:
        path: where it was, for errors.
        snr_db: Es/N0; estimated from the received power and pilots if left out.
    """
    row = recording.symbols.reshape(1, -1)
    data = recording.pilots.data_of(row.shape[1])
    least = sum(link.pictures.symbols(*size) for size in recording.sizes) + HEADER.symbols
    if data < least:
        raise ArtifactError(path, f"has {data} symbols where there should be at least {least}: it is truncated")
    variance = None if snr_db is None else float(noise_variance(snr_db))
    return link.receive(recording.pilots.equalise(row, data, variance), recording.sizes)
