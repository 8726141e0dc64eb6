"""The main job on the embedded default: four photographs and a text over a noisy channel, and the rivals."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from ninefold.arms import Arms
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.systems import DemoResult

from semcom.carrier import BesideLink
from semcom.datasets import cut_tiles, embedded_photographs, join_tiles
from semcom.evaluation import arm_name, curves, make_whole_link, masked_view, picture_grid, picture_strip, psnr
from semcom.links import Played
from semcom.models import load_mae
from semcom.paper import CarrierImageLink, Harmonic, receive_pictures
from semcom.phy import Channel
from semcom.whole import carry_picture

TEXT = (
    b"This text is in no picture: it travels in coded blocks that are interleaved with the pictures' symbols, or in "
    b"the published form as which patches of the photographs are sent. A checksum says whether it arrived."
)
AVIF = "AVIF + LDPC"
SNRS, SHOWN, RATIO = (-8.0, -4.0, 0.0, 6.0, 12.0), (-8.0, 0.0, 6.0), 1 / 6
ASSUMED, CLIFF = 6.0, (2.0, 6.0, 10.0)  # dB that a sender reckons with, and that the channel has
OURS, PUBLISHED, HARMONIC = "joint coder", "payload in the mask, as published", "the same with harmonic inpainting"


def demo(seed: int) -> DemoResult:
    """Send four photographs and a text at -8 to 12 dB by every link, and one at a wrong guess of the SNR."""
    pictures = list(embedded_photographs().values())
    sizes = [(picture.shape[0], picture.shape[1]) for picture in pictures]
    found: dict[str, dict[float, Played]] = {}
    symbols: dict[str, int] = {}
    names = {arm_name(arm): arm for arm in ("joint", "avif", "jpeg", "softcast", "linear")}
    tiles, _ = cut_tiles(pictures, 32)
    masks = np.empty(0)
    with progress(len(names) + 2, "arms") as bar:
        for name in (*names, PUBLISHED, HARMONIC):
            by_snr = found.setdefault(name, {})
            if name in names:
                whole = make_whole_link(names[name], RATIO)
            else:
                published = (CarrierImageLink if name == PUBLISHED else Harmonic)(load_mae("mae-32p4"))
                frame = published.transmit(tiles, TEXT)
            for snr in SNRS:
                noise = np.random.default_rng([seed, 0])
                if name in names:
                    link = BesideLink(whole, snr_db=snr)
                    sent = link.send(pictures, TEXT)
                    by_snr[snr] = link.receive(Channel().apply(sent, snr, noise), sizes)
                else:
                    sent, masks = frame.symbols, frame.masks
                    by_snr[snr] = receive_pictures(published, Channel().apply(sent, snr, noise), sizes)
                symbols[name] = sent.size
            bar.advance(note=name)
    scores = {name: {snr: _psnr(one, pictures) for snr, one in by.items()} for name, by in found.items()}
    table = Table(["link", "PSNR, 0 dB", "PSNR, 6 dB", "text, 0 dB", "text, 6 dB", "symbols"])
    for name, by in scores.items():
        arrived = ["whole" if found[name][snr].payload == TEXT else "refused" for snr in (0.0, 6.0)]
        table.rows.append([name, *(round(float(by[snr].mean()), 2) for snr in (0.0, 6.0)), *arrived, symbols[name]])
    good, bad = found[OURS][6.0], found[OURS][-8.0]
    verdict = f"At 6 dB the text arrives {'whole' if good.payload == TEXT else f'not ({good.reason})'}; at -8 dB "
    verdict += "it arrives too" if bad.payload else f"{len(bad.pictures)} pictures and no payload ({bad.reason})"
    lines = {name: (list(by), [float(one.mean()) for one in by.values()]) for name, by in scores.items()}
    strips = [("source", _square(pictures))]
    strips += [(f"received,\n{snr:g} dB", _square(found[OURS][snr].pictures)) for snr in SHOWN]
    hidden = _square(join_tiles(masked_view(tiles, masks, 4), sizes))
    published_strips = [("sent patches", hidden), ("received,\n6 dB", _square(found[PUBLISHED][6.0].pictures))]
    photograph = pictures[1]
    cliff = {name: _sent_once(names[name], photograph, seed) for name in (OURS, AVIF)}
    low = [float(psnr(cliff[name][0][None], photograph[None])[0]) for name in (OURS, AVIF)]
    figures: list[tuple[str, Any]] = []
    if find_spec("matplotlib"):
        shown = [("Joint coder", cliff[OURS]), ("AVIF + 5G", cliff[AVIF])]
        figures = [
            (f"One photograph, sent for an SNR of {ASSUMED:g} dB and received at three",
             picture_grid(shown, [f"{snr:g} dB" for snr in CLIFF])),
            ("Received pictures with a text of 196 bytes", picture_strip(strips, 4)),
            ("Picture quality by SNR, where the sender knows it", curves(lines, "Es/N0, dB", "PSNR, dB")),
            ("The published form: the text decides which patches are sent", picture_strip(published_strips, 4)),
        ]  # fmt: skip
    return DemoResult(
        data=f"four photographs (CC0 and public domain) of 128 x 96, a text of {len(TEXT)} bytes",
        arms=Arms(scores={name: by[6.0] for name, by in scores.items()}, ours=OURS, unit="dB", margin=0.05,
                  measured="picture quality (PSNR) at 6 dB of channel SNR"),
        headline=f"A photograph sent for an SNR of {ASSUMED:g} dB arrives at {CLIFF[0]:g} dB with a PSNR of "
        f"{low[0]:.1f} dB instead of {low[1]:.1f} dB, where AVIF with the 5G code fails as a whole.",
        looking_at="The same photograph is sent once by each link, at equal symbols, and received at three SNRs.",
        glossary={
            "Es/N0": "energy of a complex symbol by the density of the noise, in decibels: the SNR of this package",
            "PSNR": "peak signal-to-noise ratio: how near a picture is to its source, in decibels; more is nearer",
        },
        table=table,
        figures=figures,
        notes=[f"{verdict}.", "The published form takes twice as many symbols and more, and tiles of 32 x 32."],
    )  # fmt: skip


def _sent_once(arm: str, picture: np.ndarray, seed: int) -> list[np.ndarray]:
    """A picture as received at each SNR of `CLIFF`, sent for `ASSUMED` dB."""
    link = make_whole_link(arm, RATIO)
    return [carry_picture(link, picture, Channel(), snr, np.random.default_rng([seed, 1]), ASSUMED) for snr in CLIFF]


def _psnr(played: Played, pictures: list[np.ndarray]) -> np.ndarray:
    return np.array([psnr(one[None], source[None])[0] for one, source in zip(played.pictures, pictures, strict=True)])


def _square(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of up to 96 x 128 on white of one size, for a strip."""
    whole = np.full((len(pictures), 96, 128, 3), 255, np.uint8)
    for place, picture in enumerate(pictures):
        shown = picture[:96, :128]
        whole[place, : shown.shape[0], : shown.shape[1]] = shown
    return whole
