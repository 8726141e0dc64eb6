"""A whole transmission: pictures of any size and a payload to a recording, and a recording back to both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from semcom.datasets import count_tiles, cut_tiles, join_tiles
from semcom.links import Played, Recording
from semcom.models import load_mae, model_hash
from semcom.paper._link import CarrierImageLink, LinkConfig, TxFrame
from semcom.phy import PilotPattern, Received, noise_variance


def record(
    link: CarrierImageLink, pictures: Sequence[np.ndarray], payload: bytes, pilots: PilotPattern | None = None,
    *, stream: int = 0, split: bool = False,
) -> tuple[Recording, TxFrame]:  # fmt: skip
    """Send pictures and a payload into a recording.

    Args:
        pictures: (H, W, 3) uint8 each, of any size: they are cut into tiles, each of which carries bits.
        payload: bytes; see `CarrierImageLink.transmit` for `stream` and `split`.
        pilots: pilots for channels that fade.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, record
        >>> from semcom.phy import PilotPattern

        >>> picture = np.full((48, 70, 3), 128, np.uint8)  # cut into 2 x 3 tiles of 32
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", key="ours")
        >>> recording, sent = record(link, [picture], b"hello", PilotPattern(64, 2))
        >>> recording.sizes, recording.symbols.shape[0], sent.carrying
        ([(48, 70)], 6, 4)
    """
    pilots = pilots or PilotPattern()
    tiles, sizes = cut_tiles(pictures, link.model.image_size)
    sent = link.transmit(tiles, payload, stream=stream, split=split)
    symbols = pilots.insert(sent.symbols)
    extra = symbols.shape[1] - sent.symbols.shape[1]
    report = replace(sent.report, pilot_symbols=extra)
    own, default = link.config.to_meta(), LinkConfig().to_meta()
    settings = {name: value for name, value in own.items() if value != default[name]}
    about = {"report": report.to_meta(), "tiles": len(symbols), "symbols": symbols.size, "payload_tiles": sent.carrying}
    return Recording(symbols, link.model_hash, sizes, settings, pilots, about), replace(sent, report=report)


def link_of(
    recording: Recording, path: str | Path, model: str | Path, key: int | str | None,
    settings: dict[str, Any] | None = None, max_batch: int = 64,
) -> CarrierImageLink:  # fmt: skip
    """The receiver of a recording.

    Args:
        path: where the recording was, for errors.
        model: see `load_mae`; its weights must be those of the sender.
        key: of the scrambler.
        settings: of the link, where they differ from the recording's header and the defaults.
    Raises:
        ArtifactError: if the sender had another model.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets, link_of, record

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> recording, sent = record(link, list(pictures), b"hello")
        >>> receiver = link_of(recording, "sent", model="mae-32p4", key="ours")
        >>> receiver.config == link.config
        True
    """
    recording.check_sender("carrier", path)
    config = LinkConfig.from_meta({**recording.link, **(settings or {})})
    own = load_mae(model)
    recording.check_sender("carrier", path, model_hash(own), model)
    return CarrierImageLink(own, config, key=key, max_batch=max_batch)


def play(link: CarrierImageLink, recording: Recording, path: str | Path, snr_db: float | None = None) -> Played:
    """Receive a recording.

    Args:
        path: where it was, for errors.
        snr_db: Es/N0; estimated from the received power and pilots if left out.

    Examples:
        >>> import numpy as np
        >>> from semcom import CarrierImageLink, Channel, datasets, play, record

        >>> pictures = datasets.load("embedded", limit=8)  # 32 x 32 pixels each
        >>> link = CarrierImageLink.from_pretrained("mae-32p4", mask_ratio=0.75, key="ours")

        >>> recording, sent = record(link, list(pictures), b"hello")
        >>> recording.symbols = Channel("awgn").apply(recording.symbols, 8.0, np.random.default_rng(0)).symbols
        >>> played = play(link, recording, "air", snr_db=8.0)
        >>> played.payload, len(played.pictures), played.pictures[0].shape
        (b'hello', 8, (32, 32, 3))
    """
    tiles = count_tiles(recording.sizes, link.model.image_size)
    data = link.form.mask_symbols + link.form.latent_symbols
    rows = recording.shaped(data, tiles, path)
    variance = None if snr_db is None else float(noise_variance(snr_db))
    return receive_pictures(link, recording.pilots.equalise(rows, data, variance), recording.sizes)


def receive_pictures(link: CarrierImageLink, received: Received, sizes: Sequence[tuple[int, int]]) -> Played:
    """Pictures of these (height, width) and payload of equalised symbols, a row for each tile."""
    frame = link.receive(received)
    tiles = frame.images[: count_tiles(sizes, link.model.image_size)]
    return Played(join_tiles(tiles, sizes), frame.payload, frame.reason, frame.unchecked, frame.crc_ok)
