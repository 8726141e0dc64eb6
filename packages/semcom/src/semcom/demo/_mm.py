"""The second system on the embedded default: small photographs and their captions, drawn eight times, one kept."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from ninefold.arms import Arms
from ninefold.progress import progress
from ninefold.report import Table
from ninefold.systems import DemoResult

from semcom.datasets import Captioned, thumbnails
from semcom.evaluation import curves, picture_grid, picture_strip, psnr
from semcom.models import load_judge
from semcom.multimodal import RULES, MMSemCom, RxPictures, TextOnly, choose, unsharp, without_text
from semcom.phy import Channel

SNRS, MAIN, CANDIDATES, EACH = (-5.0, 0.0, 5.0, 10.0), 0.0, 8, 3
COARSE, SHARPENED = "coarse picture", "unsharp mask"


def mm_demo(seed: int) -> DemoResult:
    """Twelve small pictures with captions from -5 to 10 dB: every rule on the same candidates, and the rivals."""
    whole = thumbnails()
    data = whole.taken(np.concatenate([np.flatnonzero(whole.labels == label)[:EACH] for label in range(4)]))
    link, found = MMSemCom.from_pretrained("mm-32"), {}
    bare = without_text(link)
    with progress(len(SNRS), "transmissions") as bar:
        for snr in SNRS:
            drawn = _received(link, data, data.captions, snr, seed, CANDIDATES)
            assert drawn.evidence is not None
            for rule in RULES:
                alpha = float(link.alpha_of(rule).at(np.array(snr)))
                found[rule, snr] = choose(drawn.evidence, rule, alpha, seed).images
            found[COARSE, snr] = _received(bare, data, None, snr, seed, 0).images
            found[SHARPENED, snr] = unsharp(found[COARSE, snr])
            if snr == MAIN:
                candidates = drawn.evidence.candidates
                text = TextOnly(link)
                received = Channel().apply(text.send(data.captions), snr, np.random.default_rng([seed, 0]))
                found["text only", snr] = text.receive(received, CANDIDATES, seed)
            bar.advance(note=f"{snr:g} dB")
    scores = {place: psnr(images, data.images) for place, images in found.items()}
    mean = {place: float(one.mean()) for place, one in scores.items()}
    arms = [name for name, snr in found if snr == MAIN]
    judge = load_judge("judge")
    wanted = judge.judge(data.images)[1]
    apart = ((wanted[:, None] - wanted[None]) ** 2).mean(axis=2).sum() / (len(wanted) * (len(wanted) - 1))
    table = Table(["arm", "PSNR, 0 dB", "PSNR, 10 dB", "Judge's distance, 0 dB, %", "symbols"])
    for name in arms:
        far = 100 * float(((judge.judge(found[name, MAIN])[1] - wanted) ** 2).mean() / apart)
        last = mean.get((name, 10.0))
        table.rows.append([name, round(mean[name, MAIN], 2), None if last is None else round(last, 2), round(far, 1),
                           link.report.symbols])  # fmt: skip
    table.notes.append(
        f"{len(data.images)} pictures of 32 x 32, bandwidth ratio {link.report.bandwidth_ratio:.4f}: "
        f"{link.report.latent_symbols} symbols for the picture and {link.report.text_symbols} for its text, "
        f"AWGN, {CANDIDATES} candidates."
    )
    single = max((rule for rule in RULES if rule not in ("multimodal", "oracle", "mean")), key=lambda r: mean[r, MAIN])
    gain, more = (mean["multimodal", MAIN] - mean[name, MAIN] for name in ("random", single))
    choice = f"At 0 dB the choice by image and text is {gain:+.2f} dB from a random candidate, and {more:+.2f} dB from "
    choice += f"the best simpler rule, {single}. PSNR favours blur, the independent judge's features do not."
    figures: list[tuple[str, Any]] = []
    if find_spec("matplotlib"):
        shown = np.flatnonzero(np.arange(len(data.images)) % EACH % 2 == 0)  # as many of each photograph
        strips = [("source", data.images[shown]), (COARSE, found[COARSE, MAIN][shown])]
        strips += [(f"candidate {number + 1}", candidates[shown, number]) for number in range(2)]
        strips += [(name, found[name, MAIN][shown]) for name in ("multimodal", SHARPENED)]
        drawn_arms = ("multimodal", "published", "random", "oracle", "mean", COARSE, SHARPENED)
        lines = {name: (list(SNRS), [mean[name, snr] for snr in SNRS]) for name in drawn_arms}
        one = int(shown[0])
        parts = [data.images[one], found[COARSE, MAIN][one], candidates[one, 0], candidates[one, 1],
                 found["multimodal", MAIN][one], found[SHARPENED, MAIN][one]]  # fmt: skip
        words = ["source", "coarse", "drawn", "drawn", "kept", "sharpened"]
        figures = [
            ("One picture in 128 symbols at 0 dB: received, drawn, the candidate kept, and the sharpened default",
             _two_rows(parts, words)),
            ("Source, what arrives at 0 dB, two candidates, and what is kept", picture_strip(strips, len(shown))),
            ("PSNR over the SNR, of some rules and of the blurred pictures", curves(lines, "Es/N0, dB", "PSNR, dB")),
        ]  # fmt: skip
    kept, blurred = (mean[name, MAIN] for name in ("multimodal", SHARPENED))
    return DemoResult(
        headline="A picture and its caption in 128 symbols at 0 dB: the sharpened picture, which is the default, has a "
        f"PSNR of {blurred:.1f} dB, the candidate kept of eight {kept:.1f} dB.",
        data=f"four photographs (CC0 and public domain) as {len(data.images)} pictures of 32 x 32 with captions",
        arms=Arms(scores={name: scores[name, MAIN] for name in arms}, ours="multimodal", unit="dB", margin=0.05,
                  measured="picture quality (PSNR) at 0 dB of channel SNR", shown=["oracle"]),
        table=table,
        figures=figures,
        notes=[
            choice,
            "The models saw 7,500 pictures of CIFAR-10; of what these photographs show only the cat was among them.",
        ],
        looking_at="Each small photograph is sent in 128 symbols; the receiver draws eight candidates and keeps one.",
        glossary={
            "candidate": "a picture that the receiver's diffusion model draws from what arrived, by a seed of its own",
            "coarse picture": "what the convolutional decoder makes of the received symbols: near on average, blurred",
            "Judge's distance": "mean squared difference of an independent classifier's features to those of the "
            "source, in percent of that between two different source pictures",
            "multimodal": "the default rule: by what both image and text features say of the candidates",
            "oracle": "picks the candidate nearest to the source, which no receiver has: the limit of any choice",
            "published": "the publication's rule: image and text error, standardised over the candidates, in one sum",
        },
    )  # fmt: skip


def _two_rows(pictures: list[np.ndarray], words: list[str]) -> Any:
    """Six small pictures under their names, in two rows of three."""
    made = picture_grid([("", pictures[:3]), ("", pictures[3:])], words[:3])
    for axes, word in zip(made.axes[3:], words[3:], strict=True):
        axes.set_title(word, fontsize=14)
    return made


def _received(
    link: MMSemCom, data: Captioned, captions: list[str] | None, snr: float, seed: int, count: int
) -> RxPictures:
    sent = link.transmit(data.images, captions, snr)
    received = Channel().apply(sent.symbols, snr, np.random.default_rng([seed, 0]))
    return link.receive(received, snr, num_candidates=count, select="first", seed=seed, truth=data.images)
