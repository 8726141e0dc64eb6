"""A whole transmission: pictures of any size and captions to a recording, and a recording back to pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ninefold.errors import ArtifactError, InputError

from semcom.datasets import count_tiles, cut_tiles, join_tiles
from semcom.links import Recording
from semcom.multimodal._captions import checked_captions
from semcom.multimodal._features import SNR_RANGE
from semcom.multimodal._link import MMConfig, MMSemCom, RxPictures, TxPictures
from semcom.phy import PilotPattern, Received, noise_variance

_SYSTEM = "mm"
_CHUNK = 64


@dataclass
class PlayedPictures:
    """What a recording gives: pictures (H, W, 3) uint8 in the sender's order, coarse ones, and a line for each tile."""

    pictures: list[np.ndarray]
    coarse: list[np.ndarray]
    tiles: list[dict[str, Any]]


def tile_captions(
    captions: Sequence[str | None] | None, sizes: Sequence[tuple[int, int]], size: int
) -> list[str | None]:
    """The caption of each tile: its picture's."""
    texts = checked_captions(captions, len(sizes))
    return [text for text, one in zip(texts, sizes, strict=True) for _ in range(count_tiles([one], size))]


def record_pictures(
    link: MMSemCom, pictures: Sequence[np.ndarray], captions: Sequence[str | None] | None = None,
    pilots: PilotPattern | None = None, *, snr_db: float = 10.0,
) -> tuple[Recording, TxPictures]:  # fmt: skip
    """Send pictures and captions into a recording, whose header holds neither.

    Args:
        pictures: (H, W, 3) uint8 each, of any size: they are cut into tiles, each of which carries the text.
        captions: a text for each picture, or None.
        pilots: pilots for channels that fade.
        snr_db: design Es/N0 that stands in the header.
    """
    pilots = pilots or PilotPattern()
    if np.isnan(snr_db):
        raise InputError("SNR", got="NaN", expected="decibels, or inf")
    snr_db = float(np.clip(snr_db, *SNR_RANGE))
    tiles, sizes = cut_tiles(pictures, link.config.size)
    sent = link.transmit(tiles, tile_captions(captions, sizes, link.config.size), snr_db)
    symbols = pilots.insert(sent.symbols)
    report = replace(sent.report, pilot_symbols=symbols.shape[1] - sent.symbols.shape[1])
    settings = {"system": _SYSTEM, "snr": snr_db, **link.config.to_meta()}
    about = {"report": report.to_meta(), "tiles": len(symbols), "symbols": symbols.size}
    return Recording(symbols, link.model_hash, sizes, settings, pilots, about), replace(sent, report=report)


def mm_link_of(recording: Recording, path: str | Path, model: str | Path, **arguments: Any) -> MMSemCom:
    """The receiver of a recording.

    Args:
        path: where the recording was, for errors.
        model: folder of the link.
        arguments: of `MMSemCom.from_pretrained`.
    Raises:
        ArtifactError: if the recording is of the other system, or its sender had other weights.
    """
    recording.check_sender(_SYSTEM, path)
    own = {name: value for name, value in recording.link.items() if name not in ("system", "snr")}
    try:
        settings = MMConfig.from_meta(own).to_meta()
    except InputError as error:
        raise ArtifactError(path, f"has a header that makes no sense ({error})") from None
    link = MMSemCom.from_pretrained(model, **settings, **arguments)
    recording.check_sender(_SYSTEM, path, link.model_hash, model)
    return link


def play_pictures(
    link: MMSemCom, recording: Recording, path: str | Path, snr_db: float | None = None, **arguments: Any
) -> PlayedPictures:
    """Receive a recording.

    Args:
        path: where it was, for errors.
        snr_db: Es/N0; estimated from the received power and pilots if left out.
        arguments: of `MMSemCom.receive`.
    """
    recording.check_sender(_SYSTEM, path, link.model_hash, "the link")
    design = recording.link.get("snr")
    if not isinstance(design, int | float) or not np.isfinite(design):
        raise ArtifactError(path, "has a header that makes no sense (no design SNR)")
    tiles, data = count_tiles(recording.sizes, link.config.size), link.report.symbols
    rows = recording.shaped(data, tiles, path)
    if len(rows) != tiles:
        raise ArtifactError(path, f"has {len(rows)} rows of symbols for {tiles} tiles")
    variance = None if snr_db is None else float(noise_variance(snr_db))
    received = recording.pilots.equalise(rows, data, variance)
    return play_received(link, received, recording.sizes, float(design), **arguments)


def play_received(
    link: MMSemCom, received: Received, sizes: Sequence[tuple[int, int]], snr_db: float,
    truth: np.ndarray | None = None, **arguments: Any,
) -> PlayedPictures:  # fmt: skip
    """Pictures of equalised symbols, a bounded number of tiles at a time.

    Args:
        received: (tiles, symbols) of all tiles.
        sizes: (height, width) of each picture.
        snr_db: design Es/N0.
        truth: tiles, for the rule `oracle`.
        arguments: of `MMSemCom.receive`.
    """
    tiles = len(received.symbols)
    snr_db = float(np.clip(snr_db, *SNR_RANGE))
    noise = np.broadcast_to(received.noise, (tiles, received.noise.shape[1]))
    found: list[RxPictures] = []
    for begin in range(0, tiles, _CHUNK):
        rows = np.arange(begin, min(begin + _CHUNK, tiles))
        part = replace(received, symbols=received.symbols[rows], noise=noise[rows])
        own = None if truth is None else truth[rows]
        found.append(link.receive(part, snr_db, rows=rows, truth=own, **arguments))
    images, coarse = (np.concatenate([getattr(one, name) for one in found]) for name in ("images", "coarse"))
    lines = [{"tile": tile, **line} for tile, line in enumerate(line for one in found for line in _lines(one))]
    return PlayedPictures(join_tiles(images, sizes), join_tiles(coarse, sizes), lines)


def _lines(found: RxPictures) -> list[dict[str, Any]]:
    """What is to be said of each tile."""
    lines = []
    for row in range(len(found.images)):
        line: dict[str, Any] = {"text": bool(found.text.present[row]), "caption": found.text.captions[row]}
        if found.evidence is not None:
            line["image errors"] = [round(float(one), 5) for one in found.evidence.image_error[row]]
            line["text errors"] = [round(float(one), 5) for one in found.evidence.text_error[row]]
        line["candidate"] = None if found.index is None else int(found.index[row])
        lines.append(line)
    return lines
